/* POST and GET /interactions: what users did, in and out.
 *
 * In: one object, an array of them, or NDJSON; all or nothing, so the first bad element refuses the
 * request and names its place. Lines are parsed one at a time: a tree is about thirteen times its
 * text. Out: a user's history, newest first, by an opaque cursor. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "codec.h"
#include "handlers.h"
#include "pending.h"
#include "problem.h"
#include "query.h"

/* ---- POST ------------------------------------------------------------------------------ */

static void recorded(const struct rec_pending *pending, struct rec_answer *answer) {
    size_t duplicates = 0;
    for (size_t i = 0; i < pending->write.count; i++)
        duplicates += pending->write.recorded[i].duplicate;
    size_t accepted = pending->write.count - duplicates;
    answer->exchange->status = 201;
    REC_ANSWER_LITERAL(answer, "{\"accepted\":");
    rec_answer_u64(answer, accepted);
    REC_ANSWER_LITERAL(answer, ",\"duplicates\":");
    rec_answer_u64(answer, duplicates);
    REC_ANSWER_LITERAL(answer, "}");
    rec_handle_metrics_recorded(accepted, duplicates);
}

/* Room for `rows` rows and every string of the body: a string or an integer in JSON takes at least
 * one byte more than its text, which pays for the NUL. */
static enum rec_status batch_create(struct rec_http_exchange *exchange, size_t rows,
                                    struct rec_pending **out, struct rec_interaction **array,
                                    struct rec_error *err) {
    size_t bytes = rec_pending_need(rows, sizeof(struct rec_interaction)) +
                   rec_pending_need(rows, sizeof(struct rec_recorded)) + exchange->body_bytes + 1;
    struct rec_pending *pending = rec_pending_create(exchange, REC_WRITE_INTERACTIONS, bytes, err);
    if (pending == NULL)
        return REC_NO_MEMORY;
    pending->succeeded = recorded;
    *array = rec_pending_take(pending, rows, sizeof(struct rec_interaction));
    pending->write.interactions = *array;
    pending->write.recorded = rec_pending_take(pending, rows, sizeof(struct rec_recorded));
    *out = pending;
    return REC_OK;
}

static enum rec_status add(const struct rec_api *api, struct rec_pending *pending,
                           struct rec_interaction *rows, struct rec_json *object,
                           const struct rec_codec_at *at, int64_t now, struct rec_error *err) {
    struct rec_interaction *row = &rows[pending->write.count];
    enum rec_status st = rec_codec_interaction(object, at, api->weights, now, row, err);
    if (st != REC_OK)
        return st;
    bool event = row->event_id != NULL;
    row->user_id = rec_pending_copy(pending, row->user_id);
    row->item_id = rec_pending_copy(pending, row->item_id);
    row->event_id = rec_pending_copy(pending, row->event_id);
    if (row->user_id == NULL || row->item_id == NULL || (event && row->event_id == NULL))
        return rec_error_set(err, REC_NO_MEMORY, "no room for a string of the body");
    pending->write.count++;
    return REC_OK;
}

/* {"interactions": [...]}, or one interaction. */
static enum rec_status read_json(const struct rec_api *api, struct rec_http_exchange *exchange,
                                 int64_t now, struct rec_pending **pending, struct rec_error *err) {
    static const char *const names[] = {"interactions"};
    struct rec_json *root = NULL, *array = NULL;
    struct rec_interaction *rows = NULL;
    size_t count = 1;
    enum rec_status st =
        rec_codec_parse(exchange->body, exchange->body_bytes, "the body", &root, err);
    if (st == REC_OK && rec_codec_is_array(root))
        st = rec_error_set(err, REC_BAD_INPUT,
                           "the body is an array; send {\"interactions\": [...]}");
    if (st == REC_OK && rec_codec_member(root, "interactions") != NULL) {
        st = rec_codec_object(root, NULL, names, 1, err);
        if (st == REC_OK)
            st = rec_codec_array(root, "interactions", NULL, 1, REC_INTERACTIONS_PER_REQUEST_MAX,
                                 &array, &count, err);
    }
    if (st == REC_OK)
        st = batch_create(exchange, count, pending, &rows, err);
    for (size_t i = 0; st == REC_OK && i < count; i++) {
        struct rec_codec_at at = {.list = array == NULL ? NULL : "interactions", .index = i};
        st = add(api, *pending, rows, array == NULL ? root : rec_codec_element(array, i), &at, now,
                 err);
    }
    rec_codec_free(&root);
    return st;
}

static enum rec_status read_line(const struct rec_api *api, struct rec_pending *pending,
                                 struct rec_interaction *rows, const char *text, size_t bytes,
                                 size_t line, int64_t now, struct rec_error *err) {
    struct rec_codec_at at = {.line = line};
    struct rec_json *root = NULL;
    char where[32];
    if (pending->write.count == REC_INTERACTIONS_PER_REQUEST_MAX)
        return rec_error_set(err, REC_LIMIT, "line %zu: a request takes at most %d interactions",
                             line, REC_INTERACTIONS_PER_REQUEST_MAX);
    snprintf(where, sizeof(where), "line %zu", line);
    enum rec_status st = rec_codec_parse(text, bytes, where, &root, err);
    if (st == REC_OK)
        st = add(api, pending, rows, root, &at, now, err);
    rec_codec_free(&root);
    return st;
}

static enum rec_status read_ndjson(const struct rec_api *api, struct rec_http_exchange *exchange,
                                   int64_t now, struct rec_pending **pending,
                                   struct rec_error *err) {
    struct rec_interaction *rows = NULL;
    enum rec_status st =
        batch_create(exchange, REC_INTERACTIONS_PER_REQUEST_MAX, pending, &rows, err);
    const char *text = NULL;
    size_t bytes = 0, line = 0, at = 0;
    while (st == REC_OK &&
           rec_codec_next_line(exchange->body, exchange->body_bytes, &at, &line, &text, &bytes))
        st = read_line(api, *pending, rows, text, bytes, line, now, err);
    if (st == REC_OK && (*pending)->write.count == 0)
        st = rec_error_set(err, REC_BAD_INPUT, "the body has no lines");
    return st;
}

REC_HANDLER(rec_handle_interactions_post) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    struct rec_pending *pending = NULL;
    int64_t now = rec_clock_unix_s();
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK && strcmp(exchange->content_type, "application/x-ndjson") == 0)
        st = read_ndjson(api, exchange, now, &pending, &err);
    else if (st == REC_OK)
        st = read_json(api, exchange, now, &pending, &err);
    return rec_pending_submit(api, exchange, &pending, st, &err);
}

/* ---- GET -------------------------------------------------------------------------------- */

enum { USER, LIMIT, CURSOR, PARAMETERS };
enum { CURSOR_BYTES = 32 };

struct page {
    struct rec_answer answer;
    size_t rows, limit;
    bool more;
    struct rec_store_cursor last; /* of the rows written */
};

static uint64_t hex16(const char *text) {
    uint64_t value = 0;
    for (size_t i = 0; i < 16; i++)
        value = value << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
    return value;
}

/* 32 hex digits: time and order of arrival of the last row seen. Any pair is a place in the
 * history, so a made-up one gives a page and does no harm. */
static enum rec_status read_cursor(const struct rec_http_pair *pair, struct rec_store_cursor *out,
                                   struct rec_error *err) {
    const char *text = pair->value;
    if (pair->value_bytes != CURSOR_BYTES || strspn(text, "0123456789abcdef") != CURSOR_BYTES ||
        text[0] > '7' || text[16] > '7')
        return rec_error_set(err, REC_BAD_INPUT,
                             "cursor is '%.40s'; send the `next` of an earlier answer", text);
    out->timestamp = (int64_t)hex16(text);
    out->sequence = hex16(text + 16);
    return REC_OK;
}

static enum rec_status put_row(void *context, const struct rec_store_row *row, const char *item_id,
                               const char *type) {
    struct page *page = context;
    struct rec_answer *answer = &page->answer;
    if (page->rows == page->limit) { /* one more than asked for: there is a next page */
        page->more = true;
        return REC_OK;
    }
    if (page->rows++ > 0)
        REC_ANSWER_LITERAL(answer, ",");
    REC_ANSWER_LITERAL(answer, "{\"item_id\":");
    rec_answer_string(answer, item_id);
    REC_ANSWER_LITERAL(answer, ",\"type\":");
    rec_answer_string(answer, type);
    REC_ANSWER_LITERAL(answer, ",\"value\":");
    rec_answer_double(answer, row->value);
    REC_ANSWER_LITERAL(answer, ",\"timestamp\":");
    rec_answer_i64(answer, row->timestamp);
    REC_ANSWER_LITERAL(answer, "}");
    page->last = (struct rec_store_cursor){row->timestamp, row->sequence};
    return REC_OK;
}

static enum rec_status write_page(struct rec_api *api, struct rec_http_exchange *exchange,
                                  const char *user_id, const struct rec_store_cursor *cursor,
                                  uint32_t limit, struct rec_error *err) {
    struct page page = {.limit = limit};
    struct rec_answer *answer = &page.answer;
    uint32_t user;
    uint64_t version;
    enum rec_status st = rec_histories_user(api->serve, user_id, &user, &version, err);
    if (st != REC_OK)
        return st;
    rec_answer_init(answer, exchange);
    REC_ANSWER_LITERAL(answer, "{\"user_id\":");
    rec_answer_string(answer, user_id);
    REC_ANSWER_LITERAL(answer, ",\"history_version\":");
    rec_answer_u64(answer, version);
    REC_ANSWER_LITERAL(answer, ",\"interactions\":[");
    st = rec_store_history(api->store, user, cursor, (size_t)limit + 1, put_row, &page, err);
    if (st != REC_OK)
        return st;
    REC_ANSWER_LITERAL(answer, "]");
    if (page.more) {
        char next[CURSOR_BYTES + 1];
        snprintf(next, sizeof(next), "%016llx%016llx", (unsigned long long)page.last.timestamp,
                 (unsigned long long)page.last.sequence);
        REC_ANSWER_LITERAL(answer, ",\"next\":");
        rec_answer_string(answer, next);
    }
    REC_ANSWER_LITERAL(answer, "}");
    return rec_answer_end(answer, err);
}

static enum rec_status interactions_get(struct rec_api *api, struct rec_http_exchange *exchange,
                                        struct rec_error *err) {
    static const char *const names[PARAMETERS] = {"user_id", "limit", "cursor"};
    const struct rec_http_pair *found[PARAMETERS];
    struct rec_store_cursor cursor = {0};
    const char *user_id = NULL;
    uint32_t limit = REC_PAGE_DEFAULT;
    enum rec_status st = rec_query_read(exchange, names, PARAMETERS, found, err);
    if (st == REC_OK && found[USER] == NULL)
        st = rec_error_set(err, REC_BAD_INPUT, "user_id is missing");
    if (st == REC_OK)
        st = rec_query_text(found[USER], REC_ID_BYTES_MAX, &user_id, err);
    if (st == REC_OK)
        st = rec_query_u32(found[LIMIT], 1, REC_PAGE_MAX, &limit, err);
    if (st == REC_OK && found[CURSOR] != NULL)
        st = read_cursor(found[CURSOR], &cursor, err);
    if (st != REC_OK)
        return st;
    return write_page(api, exchange, user_id, found[CURSOR] == NULL ? NULL : &cursor, limit, err);
}

REC_HANDLER(rec_handle_interactions_get) {
    struct rec_error err = {0};
    return rec_problem_verdict(exchange, interactions_get(context, exchange, &err), &err);
}
