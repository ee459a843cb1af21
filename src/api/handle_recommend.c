/* GET and POST /recommend: lists for a user, for several users, or for a history sent along. */
#include <string.h>

#include "answer.h"
#include "codec.h"
#include "conditional.h"
#include "handlers.h"
#include "problem.h"
#include "query.h"

/* ---- writing ---------------------------------------------------------------------- */

struct list_writer {
    struct rec_answer *answer;
    const struct rec_recommended *list;
    size_t first; /* position in the list of the first item asked for */
};

static void put_item(struct list_writer *writer, size_t position, const char *id_json,
                     size_t id_bytes, const char *title_json, size_t title_bytes) {
    rec_answer_element(writer->answer, position == 0, id_json, id_bytes, title_json, title_bytes,
                       ",\"score\":", writer->list->items[position].score);
}

static void put_plain(void *context, size_t position, const char *id_json, size_t id_bytes,
                      const char *title_json, size_t title_bytes) {
    struct list_writer *writer = context;
    put_item(writer, position, id_json, id_bytes, title_json, title_bytes);
    REC_ANSWER_LITERAL(writer->answer, "}");
}

static void put_explained(void *context, size_t position, const char *id_json, size_t id_bytes,
                          const char *title_json, size_t title_bytes) {
    struct list_writer *writer = context;
    put_item(writer, writer->first + position, id_json, id_bytes, title_json, title_bytes);
    REC_ANSWER_LITERAL(writer->answer, ",\"because\":[");
}

static void put_because(void *context, size_t position, const char *id_json, size_t id_bytes,
                        const char *title_json, size_t title_bytes) {
    struct list_writer *writer = context;
    (void)title_json;
    (void)title_bytes;
    rec_answer_element(writer->answer, position == 0, id_json, id_bytes, NULL, 0,
                       ",\"share\":", writer->list->because[writer->first + position].share);
    REC_ANSWER_LITERAL(writer->answer, "}");
}

/* Item by item, because the reasons of one stand inside it and the catalogue's lock is not one to
 * take twice. */
static void write_explained(struct rec_api *api, struct rec_answer *answer,
                            const struct rec_recommended *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct list_writer item = {answer, list, i};
        struct list_writer reasons = {answer, list, list->because_offset[i]};
        size_t count = list->because_offset[i + 1] - list->because_offset[i];
        rec_catalogue_texts(api->serve, &list->items[i].item, sizeof(struct rec_ranked), 1,
                            put_explained, &item);
        if (count > 0)
            rec_catalogue_texts(api->serve, &list->because[reasons.first].item,
                                sizeof(struct rec_because), count, put_because, &reasons);
        REC_ANSWER_LITERAL(answer, "]}");
    }
}

static void write_list(struct rec_api *api, struct rec_answer *answer, const char *user_id,
                       const struct rec_recommended *list) {
    if (user_id != NULL) {
        REC_ANSWER_LITERAL(answer, "{\"user_id\":");
        rec_answer_string(answer, user_id);
        REC_ANSWER_LITERAL(answer, ",\"model\":");
    } else {
        REC_ANSWER_LITERAL(answer, "{\"model\":");
    }
    rec_answer_string(answer, list->model);
    REC_ANSWER_LITERAL(answer, ",\"model_version\":");
    rec_answer_string(answer, list->version[0] == '\0' ? NULL : list->version);
    if (list->personal)
        REC_ANSWER_LITERAL(answer, ",\"source\":\"personal\",\"history_version\":");
    else
        REC_ANSWER_LITERAL(answer, ",\"source\":\"popular\",\"history_version\":");
    rec_answer_u64(answer, list->history_version);
    REC_ANSWER_LITERAL(answer, ",\"items\":[");
    if (list->because_offset != NULL) {
        write_explained(api, answer, list);
    } else if (list->count > 0) {
        struct list_writer writer = {answer, list, 0};
        rec_catalogue_texts(api->serve, &list->items[0].item, sizeof(struct rec_ranked),
                            list->count, put_plain, &writer);
    }
    REC_ANSWER_LITERAL(answer, "]}");
    rec_handle_metrics_list(list->personal);
}

/* ---- GET ------------------------------------------------------------------------------ */

enum { USER, K, MODEL, CATEGORY, EXCLUDE_SEEN, EXPLAIN, PARAMETERS };
static const char *const parameters[PARAMETERS] = {"user_id",      "k",      "model", "category",
                                                   "exclude_seen", "explain"};

static enum rec_status read_query(const struct rec_http_exchange *exchange,
                                  struct rec_recommend_query *query, struct rec_error *err) {
    const struct rec_http_pair *found[PARAMETERS];
    bool exclude_seen = true;
    enum rec_status st = rec_query_read(exchange, parameters, PARAMETERS, found, err);
    if (st == REC_OK && found[USER] == NULL)
        st = rec_error_set(err, REC_BAD_INPUT, "user_id is missing; POST takes a history instead");
    if (st == REC_OK)
        st = rec_query_text(found[USER], REC_ID_BYTES_MAX, &query->user_id, err);
    if (st == REC_OK)
        st = rec_query_u32(found[K], 1, REC_K_MAX, &query->k, err);
    if (st == REC_OK)
        st = rec_query_text(found[MODEL], REC_ID_BYTES_MAX, &query->model, err);
    if (st == REC_OK)
        st = rec_query_text(found[CATEGORY], REC_ID_BYTES_MAX, &query->category, err);
    if (st == REC_OK)
        st = rec_query_bool(found[EXCLUDE_SEEN], &exclude_seen, err);
    if (st == REC_OK)
        st = rec_query_bool(found[EXPLAIN], &query->explain, err);
    query->include_seen = !exclude_seen;
    return st;
}

static enum rec_status answer_one(struct rec_api *api, struct rec_http_exchange *exchange,
                                  const char *user_id, const struct rec_recommended *list,
                                  struct rec_error *err) {
    struct rec_answer answer;
    rec_answer_init(&answer, exchange);
    write_list(api, &answer, user_id, list);
    if (!list->personal)
        exchange->etag[0] = '\0';
    return rec_answer_end(&answer, err);
}

/* A list that waited for others, on the thread that scored it. */
static void waited(void *owner, void *context, const struct rec_recommend_query *query,
                   const struct rec_recommended *list) {
    struct rec_http_exchange *exchange = context;
    struct rec_error err = {0};
    enum rec_status st = answer_one(owner, exchange, query->user_id, list, &err);
    rec_problem_answer(exchange, st, &err);
    rec_http_finish(exchange);
}

/* The tag is made of the versions before the list is: should something change in between, the tag
 * is one that nothing will ever match again. Popular lists follow everybody's interactions, which
 * have no version: they carry none. */
static enum rec_status recommend_get(struct rec_api *api, struct rec_http_exchange *exchange,
                                     bool *waits, struct rec_error *err) {
    struct rec_recommend_query query = {.k = REC_K_DEFAULT};
    struct rec_recommended list;
    uint64_t serial = 0, history = 0, catalogue = 0;
    char etag[64];
    enum rec_status st = read_query(exchange, &query, err);
    if (st != REC_OK)
        return st;

    const struct rec_found_user found = rec_recommend_find(api->serve, query.user_id);
    query.found = &found;
    rec_recommend_versions(api->serve, &found, &serial, &history, &catalogue);
    rec_conditional_tag(exchange, serial, history, catalogue, etag);
    if (serial != 0 && history != 0 && rec_conditional_unchanged(exchange, etag))
        return REC_OK;

    const struct rec_recommend_later later = {waited, api, exchange};
    if (serial != 0 && history != 0)
        memcpy(exchange->etag, etag, sizeof(etag)); /* now: a list that waits may be there soon */
    st = rec_recommend_start(api->serve, exchange->worker, &query, &later, waits, &list, err);
    if (st == REC_OK && !*waits)
        st = answer_one(api, exchange, query.user_id, &list, err);
    return st;
}

REC_HANDLER(rec_handle_recommend_get) {
    struct rec_error err;
    bool waits = false;
    err.status = REC_OK; /* not {0}: clearing the text costs more than the rest of this line */
    err.text[0] = '\0';
    enum rec_status st = recommend_get(context, exchange, &waits, &err);
    return waits ? REC_HTTP_LATER : rec_problem_verdict(exchange, st, &err);
}

/* ---- POST ------------------------------------------------------------------------------ */

/* A request with its arrays; on the stack of the worker, 41 KiB. Strings are the tree's. */
struct wanted {
    struct rec_recommend_query query;
    bool many; /* "users": an array of lists */
    size_t user_count;
    const char *users[REC_USERS_PER_REQUEST_MAX];
    struct rec_anonymous_event history[REC_HISTORY_PER_REQUEST_MAX];
    const char *exclude[REC_EXCLUDE_ITEMS_MAX];
};

static enum rec_status read_ids(struct rec_json *root, const char *key, size_t min, size_t max,
                                const char **ids, size_t *count, struct rec_error *err) {
    struct rec_json *array;
    enum rec_status st = rec_codec_array(root, key, NULL, min, max, &array, count, err);
    for (size_t i = 0; st == REC_OK && i < *count; i++) {
        struct rec_codec_at at = {.list = key, .index = i};
        st = rec_codec_element_id(array, &at, &ids[i], err);
    }
    return st;
}

/* An element is an object, or an id alone: a view, now. */
static enum rec_status read_event(const struct rec_api *api, struct rec_json *array, size_t index,
                                  int64_t now, struct rec_anonymous_event *out,
                                  struct rec_error *err) {
    static const char *const names[] = {"item_id", "type", "value", "timestamp"};
    struct rec_codec_at at = {.list = "history", .index = index};
    struct rec_json *element = rec_codec_element(array, index);
    struct rec_codec_event event = {"view", 1.0, now};
    if (!rec_codec_is_object(element)) {
        out->type = event.type;
        out->value = event.value;
        out->timestamp = event.timestamp;
        return rec_codec_element_id(array, &at, &out->item_id, err);
    }
    enum rec_status st = rec_codec_object(element, &at, names, 4, err);
    if (st == REC_OK)
        st = rec_codec_id(element, "item_id", &at, true, &out->item_id, err);
    if (st == REC_OK)
        st = rec_codec_event(element, &at, api->weights, now, &event, err);
    out->type = event.type;
    out->value = event.value;
    out->timestamp = event.timestamp;
    return st;
}

/* Oldest first, the order sent where times are equal. Insertion: one pass when it is sorted. */
static void sort_by_time(struct rec_anonymous_event *events, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct rec_anonymous_event event = events[i];
        size_t at = i;
        for (; at > 0 && events[at - 1].timestamp > event.timestamp; at--)
            events[at] = events[at - 1];
        events[at] = event;
    }
}

static enum rec_status read_history(const struct rec_api *api, struct rec_json *root,
                                    struct wanted *wanted, struct rec_error *err) {
    struct rec_json *array;
    size_t count;
    int64_t now = rec_clock_unix_s();
    enum rec_status st =
        rec_codec_array(root, "history", NULL, 0, REC_HISTORY_PER_REQUEST_MAX, &array, &count, err);
    for (size_t i = 0; st == REC_OK && i < count; i++)
        st = read_event(api, array, i, now, &wanted->history[i], err);
    if (st != REC_OK)
        return st;
    sort_by_time(wanted->history, count);
    wanted->query.history = wanted->history;
    wanted->query.history_count = count;
    return REC_OK;
}

/* Who the list is for: exactly one of three members says it. */
static enum rec_status read_subject(const struct rec_api *api, struct rec_json *root,
                                    struct wanted *wanted, struct rec_error *err) {
    bool user = rec_codec_member(root, "user_id") != NULL;
    bool history = rec_codec_member(root, "history") != NULL;
    wanted->many = rec_codec_member(root, "users") != NULL;
    if ((int)user + (int)history + (int)wanted->many != 1)
        return rec_error_set(err, REC_BAD_INPUT,
                             "the body needs exactly one of user_id, users and history");
    enum rec_status st = rec_codec_id(root, "user_id", NULL, false, &wanted->query.user_id, err);
    if (st == REC_OK)
        st = read_ids(root, "users", 1, REC_USERS_PER_REQUEST_MAX, wanted->users,
                      &wanted->user_count, err);
    if (st == REC_OK)
        st = read_history(api, root, wanted, err);
    return st;
}

static enum rec_status read_body(const struct rec_api *api, struct rec_json *root,
                                 struct wanted *wanted, struct rec_error *err) {
    static const char *const names[] = {"user_id", "users",    "history",      "k",
                                        "model",   "category", "exclude_seen", "exclude_items",
                                        "explain"};
    struct rec_recommend_query *query = &wanted->query;
    bool exclude_seen = true;
    enum rec_status st = rec_codec_object(root, NULL, names, 9, err);
    if (st == REC_OK)
        st = read_subject(api, root, wanted, err);
    if (st == REC_OK)
        st = rec_codec_u32(root, "k", 1, REC_K_MAX, &query->k, err);
    if (st == REC_OK)
        st = rec_codec_text(root, "model", NULL, true, REC_ID_BYTES_MAX, &query->model, err);
    if (st == REC_OK)
        st = rec_codec_text(root, "category", NULL, true, REC_ID_BYTES_MAX, &query->category, err);
    if (st == REC_OK)
        st = rec_codec_bool(root, "exclude_seen", NULL, &exclude_seen, err);
    if (st == REC_OK)
        st = rec_codec_bool(root, "explain", NULL, &query->explain, err);
    if (st == REC_OK)
        st = read_ids(root, "exclude_items", 0, REC_EXCLUDE_ITEMS_MAX, wanted->exclude,
                      &query->exclude_count, err);
    query->exclude_items = wanted->exclude;
    query->include_seen = !exclude_seen;
    return st;
}

static enum rec_status run_one(struct rec_api *api, struct rec_http_exchange *exchange,
                               const struct rec_recommend_query *query, struct rec_answer *answer,
                               struct rec_error *err) {
    struct rec_recommended list;
    enum rec_status st = rec_recommend_run(api->serve, exchange->worker, query, &list, err);
    if (st == REC_OK)
        write_list(api, answer, query->user_id, &list);
    return st;
}

static enum rec_status run(struct rec_api *api, struct rec_http_exchange *exchange,
                           const struct wanted *wanted, struct rec_error *err) {
    struct rec_recommend_query query = wanted->query;
    struct rec_answer answer;
    enum rec_status st = REC_OK;
    rec_answer_init(&answer, exchange);
    if (!wanted->many) {
        st = run_one(api, exchange, &query, &answer, err);
        return st != REC_OK ? st : rec_answer_end(&answer, err);
    }
    REC_ANSWER_LITERAL(&answer, "{\"results\":[");
    for (size_t i = 0; st == REC_OK && i < wanted->user_count; i++) {
        if (i > 0)
            REC_ANSWER_LITERAL(&answer, ",");
        query.user_id = wanted->users[i];
        st = run_one(api, exchange, &query, &answer, err);
    }
    REC_ANSWER_LITERAL(&answer, "]}");
    return st != REC_OK ? st : rec_answer_end(&answer, err);
}

REC_HANDLER(rec_handle_recommend_post) {
    struct rec_api *api = context;
    struct rec_error err = {0};
    struct rec_json *root = NULL;
    struct wanted wanted;
    wanted.query = (struct rec_recommend_query){.k = REC_K_DEFAULT};
    wanted.user_count = 0;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK)
        st = rec_codec_parse(exchange->body, exchange->body_bytes, "the body", &root, &err);
    if (st == REC_OK)
        st = read_body(api, root, &wanted, &err);
    if (st == REC_OK)
        st = run(api, exchange, &wanted, &err);
    rec_codec_free(&root);
    return rec_problem_verdict(exchange, st, &err);
}
