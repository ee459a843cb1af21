/* Errors as application/problem+json (RFC 9457): `type` is stable and for programs, `detail` is for
 * people and names what, where and which value, `request_id` finds the request in the logs.
 *
 * Every status of the house is mapped by a switch without a default, so a new one does not compile
 * until somebody has decided what a client sees. Only failures of the server are logged, and only
 * when they happen here: a client's mistakes are the client's, and may hold a person's ids. */
#include <string.h>

#include "recsysd/api.h"

#include "answer.h"
#include "problem.h"

struct problem {
    int status;
    const char *type, *title;
};

static const struct problem bad_input = {400, "/problems/bad-input", "The request is not valid"};
static const struct problem not_found = {404, "/problems/not-found",
                                         "There is no such user, item, model or job"};
/* A daemon without a model is healthy and serves popular items; asking it for what only a model
 * knows conflicts with its state, and is no failure that a load balancer should act on. */
static const struct problem no_model = {409, "/problems/no-model", "No model is live yet"};
static const struct problem conflict = {409, "/problems/conflict",
                                        "Not possible in the present state"};
/* Not 413: that is about the size of the whole content, and http answers it. */
static const struct problem limit = {422, "/problems/limit", "A documented limit was reached"};
static const struct problem busy = {503, "/problems/busy", "Too much work is waiting"};
static const struct problem no_memory = {503, "/problems/no-memory", "The server is out of memory"};
static const struct problem failure = {500, "/problems/failure", "The server failed"};
static const struct problem not_ready = {503, "/problems/not-ready", "The server is not ready"};

static const struct problem *problem_of(enum rec_status status) {
    switch (status) {
    case REC_BAD_INPUT:
        return &bad_input;
    case REC_NOT_FOUND:
        return &not_found;
    case REC_NO_MODEL:
        return &no_model;
    case REC_CONFLICT:
    case REC_NOT_BETTER:
        return &conflict;
    case REC_LIMIT:
        return &limit;
    case REC_BUSY:
    case REC_CANCELLED: /* what was asked for was cut short, by the end of the process for one */
        return &busy;
    case REC_NO_MEMORY:
        return &no_memory;
    case REC_OK: /* an error without a cause is our own bug */
    case REC_IO:
    case REC_CORRUPT: /* of the database; a refused model file is a CONFLICT (handle_models.c) */
        return &failure;
    }
    return &failure;
}

static void write_problem(struct rec_http_exchange *exchange, const struct problem *problem,
                          const char *detail) {
    struct rec_answer answer;
    exchange->status = problem->status;
    exchange->answer_type = "application/problem+json";
    exchange->etag[0] = '\0';
    exchange->location[0] = '\0';
    exchange->out_bytes = 0;
    if (problem->status == 503)
        exchange->retry_after_s = 1;

    rec_answer_init(&answer, exchange);
    REC_ANSWER_LITERAL(&answer, "{\"type\":");
    rec_answer_string(&answer, problem->type);
    REC_ANSWER_LITERAL(&answer, ",\"title\":");
    rec_answer_string(&answer, problem->title);
    REC_ANSWER_LITERAL(&answer, ",\"status\":");
    rec_answer_i64(&answer, problem->status);
    REC_ANSWER_LITERAL(&answer, ",\"detail\":");
    rec_answer_string(&answer, detail);
    REC_ANSWER_LITERAL(&answer, ",\"request_id\":");
    rec_answer_string(&answer, exchange->request_id);
    REC_ANSWER_LITERAL(&answer, "}");
    if (answer.failed)
        exchange->out_bytes = 0; /* the status still says it */
}

void rec_problem_answer(struct rec_http_exchange *exchange, enum rec_status status,
                        const struct rec_error *err) {
    if (status == REC_OK)
        return;
    const struct problem *problem = problem_of(status);
    bool told = err != NULL && err->text[0] != '\0';
    if (problem->status >= 500 && status != REC_BUSY && status != REC_CANCELLED)
        rec_log_event(REC_LOG_ERROR, "request_failed", "request_id=\"%s\" status=%s reason=\"%s\"",
                      exchange->request_id, rec_error_name(status), told ? err->text : "");
    write_problem(exchange, problem, told ? err->text : rec_error_text(status));
}

enum rec_http_verdict rec_problem_verdict(struct rec_http_exchange *exchange,
                                          enum rec_status status, const struct rec_error *err) {
    rec_problem_answer(exchange, status, err);
    return REC_HTTP_ANSWERED;
}

void rec_problem_not_ready(struct rec_http_exchange *exchange, const char *detail) {
    write_problem(exchange, &not_ready, detail);
}

void rec_problem_http(struct rec_http_exchange *exchange, int status, const char *detail) {
    static const struct problem known[] = {
        {400, "/problems/bad-request", "The request is not valid HTTP"},
        {404, "/problems/not-found", "There is nothing at this path"},
        {405, "/problems/method-not-allowed", "The path does not take this method"},
        {408, "/problems/timeout", "The request took too long to arrive"},
        {413, "/problems/too-large", "The body is too large"},
        {414, "/problems/uri-too-long", "The request target is too long"},
        {415, "/problems/unsupported-media-type", "The body has a type that is not taken here"},
        {429, "/problems/too-many-jobs", "Too many jobs are waiting"},
        {431, "/problems/headers-too-large", "The headers are too large or too many"},
        {500, "/problems/failure", "The server failed"},
        {503, "/problems/busy", "The server has no room for the request"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].status == status) {
            write_problem(exchange, &known[i], detail);
            return;
        }
    struct problem other = {status, "about:blank", "The request was refused"};
    write_problem(exchange, &other, detail);
}
