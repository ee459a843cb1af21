/* GET /similar-items: neighbours of one item, or of several when item_id is repeated. */
#include <string.h>

#include "answer.h"
#include "conditional.h"
#include "handlers.h"
#include "problem.h"
#include "query.h"

struct asked {
    const char *items[REC_SIMILAR_PER_REQUEST_MAX];
    size_t count;
    uint32_t k;
};

/* item_id may repeat, so it is read by hand; k may not. */
static enum rec_status read_query(const struct rec_http_exchange *exchange, struct asked *asked,
                                  struct rec_error *err) {
    static const char *const names[] = {"item_id", "k"};
    const struct rec_http_pair *k = NULL;
    for (size_t i = 0; i < exchange->query_count; i++) {
        const struct rec_http_pair *pair = &exchange->query[i];
        struct rec_http_exchange one = {.query = pair, .query_count = 1};
        const struct rec_http_pair *found[2];
        enum rec_status st = rec_query_read(&one, names, 2, found, err);
        if (st != REC_OK)
            return st;
        if (found[1] != NULL && k != NULL)
            return rec_error_set(err, REC_BAD_INPUT, "k was sent twice");
        if (found[1] != NULL) {
            k = pair;
            continue;
        }
        if (asked->count == REC_SIMILAR_PER_REQUEST_MAX)
            return rec_error_set(err, REC_LIMIT, "item_id is repeated more than %d times",
                                 REC_SIMILAR_PER_REQUEST_MAX);
        st = rec_query_text(pair, REC_ID_BYTES_MAX, &asked->items[asked->count], err);
        if (st != REC_OK)
            return st;
        asked->count++;
    }
    if (asked->count == 0)
        return rec_error_set(err, REC_BAD_INPUT, "item_id is missing");
    return rec_query_u32(k, 1, REC_K_MAX, &asked->k, err);
}

struct list_writer {
    struct rec_answer *answer;
    const struct rec_recommended *list;
};

static void put_item(void *context, size_t position, const char *id_json, size_t id_bytes,
                     const char *title_json, size_t title_bytes) {
    struct list_writer *writer = context;
    rec_answer_element(writer->answer, position == 0, id_json, id_bytes, title_json, title_bytes,
                       ",\"score\":", writer->list->items[position].score);
    REC_ANSWER_LITERAL(writer->answer, "}");
}

static void write_list(struct rec_api *api, struct rec_answer *answer, const char *item_id,
                       const struct rec_recommended *list) {
    struct list_writer writer = {answer, list};
    REC_ANSWER_LITERAL(answer, "{\"item_id\":");
    rec_answer_string(answer, item_id);
    REC_ANSWER_LITERAL(answer, ",\"model\":");
    rec_answer_string(answer, list->model);
    REC_ANSWER_LITERAL(answer, ",\"model_version\":");
    rec_answer_string(answer, list->version);
    REC_ANSWER_LITERAL(answer, ",\"items\":[");
    if (list->count > 0)
        rec_catalogue_texts(api->serve, &list->items[0].item, sizeof(struct rec_ranked),
                            list->count, put_item, &writer);
    REC_ANSWER_LITERAL(answer, "]}");
}

static enum rec_status similar_get(struct rec_api *api, struct rec_http_exchange *exchange,
                                   struct rec_error *err) {
    struct asked asked;
    struct rec_answer answer;
    uint64_t serial = 0, history = 0, catalogue = 0;
    char etag[64];
    asked.count = 0;
    asked.k = REC_K_DEFAULT;
    enum rec_status st = read_query(exchange, &asked, err);
    if (st != REC_OK)
        return st;

    rec_recommend_versions(api->serve, NULL, &serial, &history, &catalogue);
    rec_conditional_tag(exchange, serial, 0, catalogue, etag);
    if (serial != 0 && rec_conditional_unchanged(exchange, etag))
        return REC_OK;

    rec_answer_init(&answer, exchange);
    if (asked.count > 1)
        REC_ANSWER_LITERAL(&answer, "{\"results\":[");
    for (size_t i = 0; i < asked.count; i++) {
        struct rec_recommended list;
        st = rec_similar_run(api->serve, exchange->worker, asked.items[i], asked.k, &list, err);
        if (st != REC_OK)
            return st;
        if (i > 0)
            REC_ANSWER_LITERAL(&answer, ",");
        write_list(api, &answer, asked.items[i], &list);
    }
    if (asked.count > 1)
        REC_ANSWER_LITERAL(&answer, "]}");
    if (serial != 0)
        memcpy(exchange->etag, etag, sizeof(etag));
    return rec_answer_end(&answer, err);
}

REC_HANDLER(rec_handle_similar_get) {
    struct rec_error err = {0};
    return rec_problem_verdict(exchange, similar_get(context, exchange, &err), &err);
}
