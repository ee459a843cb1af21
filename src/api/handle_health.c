/* GET /health, /health/ready and /health/live.
 *
 * Live says that the process answers, and touches nothing else: a supervisor that restarts on it
 * must not restart because a disk is slow. Ready says that a request would be served: the store can
 * be written, and the process is not on its way out. A daemon without a model is ready, because it
 * serves popular items; the answer says which model is live. */
#include "answer.h"
#include "handlers.h"
#include "problem.h"
#include "query.h"

static enum rec_status write_ready(struct rec_api *api, struct rec_http_exchange *exchange,
                                   struct rec_error *err) {
    struct rec_answer answer;
    struct rec_generation *generation = rec_slot_acquire(api->slot);
    rec_answer_init(&answer, exchange);
    REC_ANSWER_LITERAL(&answer, "{\"status\":\"ready\",\"version\":");
    rec_answer_string(&answer, api->build_version);
    REC_ANSWER_LITERAL(&answer, ",\"model\":");
    rec_answer_string(&answer, generation == NULL ? "popularity" : generation->info.family);
    REC_ANSWER_LITERAL(&answer, ",\"model_version\":");
    rec_answer_string(&answer, generation == NULL ? NULL : generation->info.version);
    REC_ANSWER_LITERAL(&answer, "}");
    rec_slot_release(api->slot, &generation);
    return rec_answer_end(&answer, err);
}

REC_HANDLER(rec_handle_health_ready) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    enum rec_status st = rec_query_none(exchange, &err);
    if (st != REC_OK)
        return rec_problem_verdict(exchange, st, &err);
    if (atomic_load(&api->draining)) {
        rec_problem_not_ready(exchange, "draining: the server is stopping");
        return REC_HTTP_ANSWERED;
    }
    if (rec_store_check(api->store, &err) != REC_OK) {
        struct rec_error told = {0};
        rec_error_set(&told, REC_IO, "the store does not work: %.300s", err.text);
        rec_problem_not_ready(exchange, told.text);
        return REC_HTTP_ANSWERED;
    }
    return rec_problem_verdict(exchange, write_ready(api, exchange, &err), &err);
}

REC_HANDLER(rec_handle_health_live) {
    struct rec_error err = {0};
    struct rec_answer answer;
    (void)context;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK) {
        rec_answer_init(&answer, exchange);
        REC_ANSWER_LITERAL(&answer, "{\"status\":\"live\"}");
        st = rec_answer_end(&answer, &err);
    }
    return rec_problem_verdict(exchange, st, &err);
}
