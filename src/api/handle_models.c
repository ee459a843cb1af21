/* The models: GET /models, POST /models/{version}/activate, POST /reload. */
#include <string.h>

#include "answer.h"
#include "codec.h"
#include "handlers.h"
#include "problem.h"
#include "query.h"

enum { LISTED_MAX = 200 };

/* ---- reload and activate ------------------------------------------------------------------- */

/* A file that is refused is no failure of the server: what is live stays live. */
static enum rec_status refused(enum rec_status status, struct rec_error *err) {
    bool file = status == REC_CORRUPT || status == REC_BAD_INPUT;
    if (file && err->text[0] == '\0')
        rec_error_set(err, REC_CONFLICT, "the model file is refused");
    return file ? REC_CONFLICT : status;
}

/* What lists are made with has changed: operators find it in the log, whoever asked for it. */
static enum rec_status write_live(struct rec_http_exchange *exchange,
                                  const struct rec_model_info *info, struct rec_error *err) {
    struct rec_answer answer;
    rec_log_event(REC_LOG_INFO, "model_live", "family=%s version=%s items=%u request_id=\"%s\"",
                  info->family, info->version, info->items, exchange->request_id);
    rec_answer_init(&answer, exchange);
    REC_ANSWER_LITERAL(&answer, "{\"model\":");
    rec_answer_string(&answer, info->family);
    REC_ANSWER_LITERAL(&answer, ",\"model_version\":");
    rec_answer_string(&answer, info->version);
    REC_ANSWER_LITERAL(&answer, "}");
    return rec_answer_end(&answer, err);
}

REC_HANDLER(rec_handle_models_reload) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    struct rec_model_info info = {0};
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK)
        st = refused(rec_versions_reload(api->versions, &info, &err), &err);
    if (st == REC_OK)
        st = write_live(exchange, &info, &err);
    return rec_problem_verdict(exchange, st, &err);
}

REC_HANDLER(rec_handle_models_activate) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    struct rec_model_info info = {0};
    const char *version = NULL;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK)
        st = rec_query_path(exchange, "version", &version, &err);
    if (st == REC_OK)
        st = refused(rec_versions_activate(api->versions, version, &info, &err), &err);
    if (st == REC_OK)
        st = write_live(exchange, &info, &err);
    return rec_problem_verdict(exchange, st, &err);
}

/* ---- list ----------------------------------------------------------------------------------- */

static void write_model(struct rec_answer *answer, const struct rec_model_info *info, bool live) {
    REC_ANSWER_LITERAL(answer, "{\"version\":");
    rec_answer_string(answer, info->version);
    REC_ANSWER_LITERAL(answer, ",\"model\":");
    rec_answer_string(answer, info->family);
    REC_ANSWER_LITERAL(answer, ",\"live\":");
    rec_answer_bool(answer, live);
    REC_ANSWER_LITERAL(answer, ",\"parameters\":");
    rec_answer_string(answer, info->parameters);
    REC_ANSWER_LITERAL(answer, ",\"metrics\":");
    if (rec_codec_is_object_text(info->metrics))
        rec_answer_raw(answer, info->metrics, strlen(info->metrics));
    else
        REC_ANSWER_LITERAL(answer, "null");
    REC_ANSWER_LITERAL(answer, ",\"items\":");
    rec_answer_u64(answer, info->items);
    REC_ANSWER_LITERAL(answer, ",\"recorded\":");
    rec_answer_u64(answer, info->recorded);
    REC_ANSWER_LITERAL(answer, ",\"trained_at\":");
    rec_answer_instant(answer, info->trained_at);
    REC_ANSWER_LITERAL(answer, ",\"bytes\":");
    rec_answer_u64(answer, info->bytes);
    REC_ANSWER_LITERAL(answer, "}");
}

/* The live model may be none of the kept ones: trained offline, and read at the start. */
static void write_models(struct rec_api *api, struct rec_answer *answer,
                         const struct rec_model_info *kept, size_t count) {
    struct rec_generation *generation = rec_slot_acquire(api->slot);
    const char *live = generation == NULL ? NULL : generation->info.version;
    bool written = false;
    REC_ANSWER_LITERAL(answer, "{\"live\":");
    rec_answer_string(answer, live);
    REC_ANSWER_LITERAL(answer, ",\"models\":[");
    for (size_t i = 0; live != NULL && i < count; i++)
        written = written || strcmp(kept[i].version, live) == 0;
    if (live != NULL && !written)
        write_model(answer, &generation->info, true);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 || (live != NULL && !written))
            REC_ANSWER_LITERAL(answer, ",");
        write_model(answer, &kept[i], live != NULL && strcmp(kept[i].version, live) == 0);
    }
    REC_ANSWER_LITERAL(answer, "]}");
    rec_slot_release(api->slot, &generation);
}

static enum rec_status models_list(struct rec_api *api, struct rec_http_exchange *exchange,
                                   struct rec_error *err) {
    struct rec_answer answer;
    size_t count = LISTED_MAX;
    char live[64] = "";
    enum rec_status st = rec_query_none(exchange, err);
    if (st != REC_OK)
        return st;
    struct rec_model_info *kept = rec_alloc_array(count, sizeof(*kept));
    if (kept == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to list the models");
    st = rec_versions_list(api->versions, kept, &count, live, err);
    if (st == REC_OK) {
        rec_answer_init(&answer, exchange);
        write_models(api, &answer, kept, count);
        st = rec_answer_end(&answer, err);
    }
    rec_alloc_free(kept);
    return st;
}

REC_HANDLER(rec_handle_models_list) {
    struct rec_error err = {0};
    return rec_problem_verdict(exchange, models_list(context, exchange, &err), &err);
}
