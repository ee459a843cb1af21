/* Training jobs: POST /retrain, GET /jobs, GET and DELETE /jobs/{id}. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "codec.h"
#include "handlers.h"
#include "problem.h"
#include "query.h"

enum { ASSIGNMENT_BYTES = 128, RETRY_AFTER_S = 10, TRIALS_DEFAULT = 30 };

/* ---- writing --------------------------------------------------------------------------------- */

static void write_outcome(struct rec_answer *answer, const struct rec_run_row *row) {
    REC_ANSWER_LITERAL(answer, ",\"metrics\":");
    if (rec_codec_is_object_text(row->metrics))
        rec_answer_raw(answer, row->metrics, strlen(row->metrics));
    else
        REC_ANSWER_LITERAL(answer, "null");
    if (row->version[0] != '\0') {
        REC_ANSWER_LITERAL(answer, ",\"model_version\":");
        rec_answer_string(answer, row->version);
    }
    if (row->error[0] != '\0') {
        REC_ANSWER_LITERAL(answer, ",\"error\":");
        rec_answer_string(answer, row->error);
    }
    REC_ANSWER_LITERAL(answer, ",\"created_at\":");
    rec_answer_instant(answer, row->created_at);
    REC_ANSWER_LITERAL(answer, ",\"started_at\":");
    rec_answer_instant(answer, row->started_at);
    REC_ANSWER_LITERAL(answer, ",\"finished_at\":");
    rec_answer_instant(answer, row->finished_at);
}

/* The id is a string, as all ids are. */
static void write_job(struct rec_answer *answer, const struct rec_job *job) {
    REC_ANSWER_LITERAL(answer, "{\"id\":\"");
    rec_answer_u64(answer, job->row.id);
    REC_ANSWER_LITERAL(answer, "\",\"state\":");
    rec_answer_string(answer, rec_run_state_text(job->row.state));
    REC_ANSWER_LITERAL(answer, ",\"model\":");
    rec_answer_string(answer, job->row.family);
    REC_ANSWER_LITERAL(answer, ",\"parameters\":");
    rec_answer_string(answer, job->row.parameters);
    REC_ANSWER_LITERAL(answer, ",\"phase\":");
    rec_answer_string(answer, job->phase);
    REC_ANSWER_LITERAL(answer, ",\"fraction\":");
    rec_answer_double(answer, job->fraction);
    REC_ANSWER_LITERAL(answer, ",\"loss\":");
    rec_answer_double(answer, job->loss);
    REC_ANSWER_LITERAL(answer, ",\"eta_s\":");
    rec_answer_double(answer, job->eta_s);
    write_outcome(answer, &job->row);
    REC_ANSWER_LITERAL(answer, "}");
}

static enum rec_status answer_job(struct rec_api *api, struct rec_http_exchange *exchange,
                                  uint64_t id, struct rec_error *err) {
    struct rec_job job;
    struct rec_answer answer;
    enum rec_status st = rec_scheduler_get(api->scheduler, id, &job, err);
    if (st != REC_OK)
        return st;
    rec_answer_init(&answer, exchange);
    write_job(&answer, &job);
    return rec_answer_end(&answer, err);
}

/* ---- start ---------------------------------------------------------------------------------- */

struct order {
    const char *family;             /* NULL: the configured one */
    const struct rec_family *model; /* the same, when it was asked for */
    bool force;
    uint32_t trials; /* 0: no search */
    size_t count;
    const char *assignments[REC_PARAMS_MAX];
    char text[REC_PARAMS_MAX][ASSIGNMENT_BYTES];
};

/* Of "second.factors" only "second" is looked up: it chooses a family, and that one judges the rest
 * when it is fitted. */
static bool takes(const struct rec_family *family, const char *name) {
    size_t bytes = strcspn(name, ".");
    for (size_t i = 0; i < family->param_count; i++) {
        const struct rec_param *row = &family->params[i];
        if (strlen(row->name) == bytes && memcmp(row->name, name, bytes) == 0)
            return name[bytes] == '\0' || row->type == REC_PARAM_FAMILY;
    }
    return false;
}

/* The name of all families' parameters that is nearest to `name`, or NULL. */
static const char *nearest_of_all(const char *name) {
    const char *names[REC_PARAMS_MAX + 1], *nearest = NULL;
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        size_t count = 0;
        if (nearest != NULL)
            names[count++] = nearest; /* what another one must be nearer than */
        for (size_t i = 0; i < rec_families[f]->param_count; i++)
            names[count++] = rec_families[f]->params[i].name;
        nearest = rec_text_nearest(name, names, count);
    }
    return nearest;
}

/* The name of a parameter, checked before its value is: of the model that was asked for, or of any
 * when it is the configured one, which the scheduler knows. */
static enum rec_status check_name(const struct rec_family *family, const char *assignment,
                                  size_t bytes, struct rec_error *err) {
    char name[65];
    snprintf(name, sizeof(name), "%.*s", bytes < 64 ? (int)bytes : 64, assignment);
    for (size_t f = 0; rec_families[f] != NULL; f++)
        if ((family == NULL || rec_families[f] == family) && takes(rec_families[f], name))
            return REC_OK;
    if (family != NULL) { /* it says what it knows */
        struct rec_error reason = {.status = REC_OK};
        char text[sizeof(name) + 1];
        struct rec_params params;
        rec_params_defaults(family->params, family->param_count, &params);
        snprintf(text, sizeof(text), "%s=", name);
        (void)rec_params_set(&params, text, &reason);
        return rec_error_set(err, REC_NOT_FOUND, "set: %s: %s", family->name, reason.text);
    }
    const char *nearest = nearest_of_all(name);
    return rec_error_set(err, REC_NOT_FOUND, "set: there is no parameter '%s' of any model%s%s%s",
                         name, nearest == NULL ? "" : "; did you mean '",
                         nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
}

/* {"factors": 64}, or ["factors=64"] as on the command line. */
static enum rec_status read_set(struct rec_json *root, struct order *order, struct rec_error *err) {
    struct rec_json *set = rec_codec_member(root, "set"), *array, *value;
    const char *key;
    void *iterator = NULL;
    if (set != NULL && rec_codec_is_object(set)) {
        while ((value = rec_codec_next(set, &iterator, &key)) != NULL) {
            if (order->count == REC_PARAMS_MAX)
                return rec_error_set(err, REC_LIMIT, "set has more than %d members",
                                     REC_PARAMS_MAX);
            char *text = order->text[order->count];
            enum rec_status st = check_name(order->model, key, strlen(key), err);
            if (st == REC_OK)
                st = rec_codec_assignment(value, key, text, ASSIGNMENT_BYTES, err);
            if (st != REC_OK)
                return st;
            order->assignments[order->count++] = text;
        }
        return REC_OK;
    }
    enum rec_status st =
        rec_codec_array(root, "set", NULL, 0, REC_PARAMS_MAX, &array, &order->count, err);
    for (size_t i = 0; st == REC_OK && i < order->count; i++) {
        struct rec_codec_at at = {.list = "set", .index = i};
        const char *text = NULL;
        st = rec_codec_element_text(array, &at, ASSIGNMENT_BYTES, &text, err);
        if (st == REC_OK && strchr(text, '=') == NULL)
            st = rec_error_set(err, REC_BAD_INPUT, "set[%zu] is '%.64s'; it must be name=value", i,
                               text);
        if (st == REC_OK)
            st = check_name(order->model, text, strcspn(text, "="), err);
        order->assignments[i] = text;
    }
    return st;
}

/* {"trials": 30} */
static enum rec_status read_tune(struct rec_json *root, struct order *order,
                                 struct rec_error *err) {
    static const char *const names[] = {"trials"};
    const struct rec_json *tune = rec_codec_member(root, "tune");
    if (tune == NULL)
        return REC_OK;
    if (!rec_codec_is_object(tune))
        return rec_error_set(err, REC_BAD_INPUT,
                             "tune is no object; it is of the form {\"trials\": %d}",
                             TRIALS_DEFAULT);
    order->trials = TRIALS_DEFAULT;
    enum rec_status st = rec_codec_object(tune, NULL, names, 1, err);
    return st == REC_OK
               ? rec_codec_u32(tune, "trials", 1, REC_TRIALS_PER_JOB_MAX, &order->trials, err)
               : st;
}

static enum rec_status jobs_start(struct rec_api *api, struct rec_http_exchange *exchange,
                                  struct rec_json **root, struct rec_error *err) {
    static const char *const names[] = {"model", "set", "force", "tune"};
    struct order order;
    uint64_t id = 0;
    order.family = NULL;
    order.model = NULL;
    order.force = false;
    order.trials = 0;
    order.count = 0;
    enum rec_status st = rec_query_none(exchange, err);
    if (st == REC_OK && exchange->body_bytes > 0) { /* no body: what is configured */
        st = rec_codec_parse(exchange->body, exchange->body_bytes, "the body", root, err);
        if (st == REC_OK)
            st = rec_codec_object(*root, NULL, names, 4, err);
        if (st == REC_OK)
            st = rec_codec_text(*root, "model", NULL, true, REC_ID_BYTES_MAX, &order.family, err);
        if (st == REC_OK && order.family != NULL &&
            rec_family_find(rec_families, order.family, &order.model, err) != REC_OK)
            st = REC_NOT_FOUND; /* as everywhere where a model is named */
        if (st == REC_OK)
            st = rec_codec_bool(*root, "force", NULL, &order.force, err);
        if (st == REC_OK)
            st = read_tune(*root, &order, err);
        if (st == REC_OK)
            st = read_set(*root, &order, err);
    }
    const struct rec_train_order asked = {.family = order.family,
                                          .assignments = order.assignments,
                                          .count = order.count,
                                          .force = order.force,
                                          .trials = order.trials};
    if (st == REC_OK)
        st = rec_scheduler_submit(api->scheduler, &asked, &id, err);
    if (st == REC_OK)
        st = answer_job(api, exchange, id, err);
    if (st != REC_OK)
        return st;
    exchange->status = 202;
    snprintf(exchange->location, sizeof(exchange->location), "/jobs/%" PRIu64, id);
    return REC_OK;
}

REC_HANDLER(rec_handle_jobs_start) {
    struct rec_error err = {0};
    struct rec_json *root = NULL;
    enum rec_status st = jobs_start(context, exchange, &root, &err);
    rec_codec_free(&root);
    if (st == REC_BUSY) { /* the queue of jobs is for the client to empty: no failure of ours */
        rec_problem_http(exchange, 429, err.text);
        exchange->retry_after_s = RETRY_AFTER_S;
        return REC_HTTP_ANSWERED;
    }
    return rec_problem_verdict(exchange, st, &err);
}

/* ---- watch and cancel
 * ------------------------------------------------------------------------------ */

/* What is no number is no job either. */
static enum rec_status read_id(const struct rec_http_exchange *exchange, uint64_t *id,
                               struct rec_error *err) {
    const char *text = NULL;
    int64_t value;
    enum rec_status st = rec_query_none(exchange, err);
    if (st == REC_OK)
        st = rec_query_path(exchange, "id", &text, err);
    if (st != REC_OK)
        return st;
    if (rec_text_i64("id", text, 1, INT64_MAX, &value, NULL) != REC_OK)
        return rec_error_set(err, REC_NOT_FOUND, "id: there is no job '%.64s'", text);
    *id = (uint64_t)value;
    return REC_OK;
}

REC_HANDLER(rec_handle_jobs_get) {
    struct rec_error err = {0};
    uint64_t id = 0;
    enum rec_status st = read_id(exchange, &id, &err);
    if (st == REC_OK)
        st = answer_job(context, exchange, id, &err);
    return rec_problem_verdict(exchange, st, &err);
}

REC_HANDLER(rec_handle_jobs_cancel) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    uint64_t id = 0;
    enum rec_status st = read_id(exchange, &id, &err);
    if (st == REC_OK)
        st = rec_scheduler_cancel(api->scheduler, id, &err);
    if (st == REC_OK)
        st = answer_job(api, exchange, id, &err);
    if (st == REC_OK)
        exchange->status = 202; /* it stops when it next looks */
    return rec_problem_verdict(exchange, st, &err);
}

static enum rec_status jobs_list(struct rec_api *api, struct rec_http_exchange *exchange,
                                 struct rec_error *err) {
    struct rec_answer answer;
    size_t count = REC_JOBS_LISTED_MAX;
    enum rec_status st = rec_query_none(exchange, err);
    if (st != REC_OK)
        return st;
    struct rec_job *jobs = rec_alloc_array(count, sizeof(*jobs));
    if (jobs == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to list the jobs");
    st = rec_scheduler_list(api->scheduler, jobs, &count, err);
    if (st == REC_OK) {
        rec_answer_init(&answer, exchange);
        REC_ANSWER_LITERAL(&answer, "{\"jobs\":[");
        for (size_t i = 0; i < count; i++) {
            if (i > 0)
                REC_ANSWER_LITERAL(&answer, ",");
            write_job(&answer, &jobs[i]);
        }
        REC_ANSWER_LITERAL(&answer, "]}");
        st = rec_answer_end(&answer, err);
    }
    rec_alloc_free(jobs);
    return st;
}

REC_HANDLER(rec_handle_jobs_list) {
    struct rec_error err = {0};
    return rec_problem_verdict(exchange, jobs_list(context, exchange, &err), &err);
}
