/* Requests that wait for the writer. A worker does not block on a commit: it hands the write over
 * with everything it points to and serves the next connection; the writer's thread answers when the
 * commit is durable, and frees. A write that was refused (the queue is full) is answered at once by
 * the worker. */
#include <string.h>

#include "pending.h"
#include "problem.h"
#include "query.h"

enum { ALIGNMENT = sizeof(max_align_t) };

static size_t rounded(size_t bytes) {
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* The caller's counts are capped by limits.h: these sums cannot wrap. */
size_t rec_pending_need(size_t count, size_t size) {
    return rounded(count * size) + ALIGNMENT;
}

struct rec_pending *rec_pending_create(struct rec_http_exchange *exchange, enum rec_write_kind kind,
                                       size_t arena_bytes, struct rec_error *err) {
    struct rec_pending *pending = rec_alloc_extra(rounded(sizeof(*pending)), arena_bytes, 1);
    if (pending == NULL) {
        rec_error_set(err, REC_NO_MEMORY, "no memory to record %zu bytes", arena_bytes);
        return NULL;
    }
    pending->exchange = exchange;
    pending->write.kind = kind;
    pending->arena_bytes = arena_bytes;
    return pending;
}

static void *take(struct rec_pending *pending, size_t bytes, size_t start) {
    if (start > pending->arena_bytes || bytes > pending->arena_bytes - start)
        return NULL;
    pending->arena_used = start + bytes;
    return (char *)pending + rounded(sizeof(*pending)) + start;
}

void *rec_pending_take(struct rec_pending *pending, size_t count, size_t size) {
    return take(pending, count * size, rounded(pending->arena_used));
}

const char *rec_pending_copy(struct rec_pending *pending, const char *text) {
    if (text == NULL)
        return NULL;
    size_t bytes = strlen(text) + 1;
    char *copy = take(pending, bytes, pending->arena_used);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

static void done(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct rec_pending *pending = write->context;
    struct rec_http_exchange *exchange = pending->exchange;
    struct rec_answer answer;
    if (status == REC_OK) {
        rec_answer_init(&answer, exchange);
        pending->succeeded(pending, &answer);
        status = rec_answer_end(&answer, NULL);
    }
    rec_problem_answer(exchange, status, err);
    rec_alloc_free(pending);
    rec_http_finish(exchange);
}

enum rec_http_verdict rec_pending_submit(struct rec_api *api, struct rec_http_exchange *exchange,
                                         struct rec_pending **pending, enum rec_status st,
                                         struct rec_error *err) {
    if (st == REC_OK) {
        (*pending)->write.done = done;
        (*pending)->write.context = *pending;
        st = rec_record_submit(api->serve, &(*pending)->write, err);
    }
    if (st != REC_OK) { /* done() is not called: the exchange is still ours */
        rec_alloc_free(*pending);
        *pending = NULL;
        return rec_problem_verdict(exchange, st, err);
    }
    *pending = NULL; /* the writer's; it may be gone already */
    return REC_HTTP_LATER;
}

static void deleted(const struct rec_pending *pending, struct rec_answer *answer) {
    (void)answer;
    pending->exchange->status = 204;
}

enum rec_http_verdict rec_pending_delete(struct rec_api *api, struct rec_http_exchange *exchange,
                                         enum rec_write_kind kind, const char *name) {
    struct rec_error err = {0};
    struct rec_pending *pending = NULL;
    const char *id = NULL;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK)
        st = rec_query_path(exchange, name, &id, &err);
    if (st != REC_OK)
        return rec_problem_verdict(exchange, st, &err);

    pending = rec_pending_create(
        exchange, kind, rec_pending_need(1, sizeof(struct rec_recorded)) + strlen(id) + 1, &err);
    if (pending == NULL)
        return rec_problem_verdict(exchange, REC_NO_MEMORY, &err);
    pending->succeeded = deleted;
    pending->write.recorded = rec_pending_take(pending, 1, sizeof(struct rec_recorded));
    pending->write.id = rec_pending_copy(pending, id);
    pending->write.count = 1;
    return rec_pending_submit(api, exchange, &pending, REC_OK, &err);
}
