/* pending: a request that waits for the writer. */
#ifndef RECSYSD_API_PENDING_H
#define RECSYSD_API_PENDING_H

#include "recsysd/api.h"

#include "answer.h"

/* The write, the exchange it answers, and an arena for the rows and strings the write points to:
 * one allocation, which lives until the answer. */
struct rec_pending {
    struct rec_write write;
    struct rec_http_exchange *exchange;
    /* Writes the answer of a commit that succeeded. On the writer's thread: short, no lock. */
    void (*succeeded)(const struct rec_pending *pending, struct rec_answer *answer);
    size_t arena_bytes, arena_used;
};

struct rec_pending *rec_pending_create(struct rec_http_exchange *exchange, enum rec_write_kind kind,
                                       size_t arena_bytes, struct rec_error *err);
/* From the arena, zeroed and aligned for anything; NULL when it is used up. */
void *rec_pending_take(struct rec_pending *pending, size_t count, size_t size);
/* Bytes that rec_pending_take needs at most, for sizing the arena. */
size_t rec_pending_need(size_t count, size_t size);
/* A copy of text in the arena. NULL for NULL. */
const char *rec_pending_copy(struct rec_pending *pending, const char *text);

/* Hands it to the writer, or answers with the reason why not. Takes *pending, or frees it when st
 * is an error already. */
enum rec_http_verdict rec_pending_submit(struct rec_api *api, struct rec_http_exchange *exchange,
                                         struct rec_pending **pending, enum rec_status st,
                                         struct rec_error *err);

/* A handler of a delete: the id from the path, 204 when it is done. */
enum rec_http_verdict rec_pending_delete(struct rec_api *api, struct rec_http_exchange *exchange,
                                         enum rec_write_kind kind, const char *name);

#endif
