/* The catalogue: GET, PUT and DELETE /items/{item_id}, POST /items. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "codec.h"
#include "handlers.h"
#include "pending.h"
#include "problem.h"
#include "query.h"

/* ---- writing ------------------------------------------------------------------------------ */

static void write_item(struct rec_answer *answer, const struct rec_item *item) {
    REC_ANSWER_LITERAL(answer, "{\"item_id\":");
    rec_answer_string(answer, item->item_id);
    if (item->title != NULL) {
        REC_ANSWER_LITERAL(answer, ",\"title\":");
        rec_answer_string(answer, item->title);
    }
    REC_ANSWER_LITERAL(answer, ",\"categories\":[");
    for (size_t i = 0; i < item->category_count; i++) {
        if (i > 0)
            REC_ANSWER_LITERAL(answer, ",");
        rec_answer_string(answer, item->categories[i]);
    }
    REC_ANSWER_LITERAL(answer, "],\"hidden\":");
    rec_answer_bool(answer, item->hidden);
    REC_ANSWER_LITERAL(answer, "}");
}

static enum rec_status item_get(struct rec_api *api, struct rec_http_exchange *exchange,
                                struct rec_error *err) {
    /* id, title, 64 categories and the pointers to them, with room to spare */
    char buffer[8192];
    struct rec_item item;
    struct rec_answer answer;
    const char *id = NULL;
    enum rec_status st = rec_query_none(exchange, err);
    if (st == REC_OK)
        st = rec_query_path(exchange, "item_id", &id, err);
    if (st == REC_OK)
        st = rec_catalogue_get(api->serve, id, &item, buffer, sizeof(buffer), err);
    if (st != REC_OK)
        return st;
    rec_answer_init(&answer, exchange);
    write_item(&answer, &item);
    return rec_answer_end(&answer, err);
}

REC_HANDLER(rec_handle_items_get) {
    struct rec_error err = {0};
    return rec_problem_verdict(exchange, item_get(context, exchange, &err), &err);
}

REC_HANDLER(rec_handle_items_delete) {
    return rec_pending_delete(context, exchange, REC_WRITE_ITEM_DELETE, "item_id");
}

/* ---- reading -------------------------------------------------------------------------------- */

static enum rec_status read_categories(struct rec_pending *pending, struct rec_json *object,
                                       const struct rec_codec_at *at, struct rec_item *item,
                                       struct rec_error *err) {
    struct rec_json *array;
    size_t count;
    enum rec_status st =
        rec_codec_array(object, "categories", at, 0, REC_ITEM_CATEGORIES_MAX, &array, &count, err);
    if (st != REC_OK || count == 0)
        return st;
    const char **categories = rec_pending_take(pending, count, sizeof(*categories));
    if (categories == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no room for the categories");
    for (size_t i = 0; st == REC_OK && i < count; i++) {
        struct rec_codec_at place = {.list = "categories", .index = i, .within = at};
        st = rec_codec_element_text(array, &place, REC_CATEGORY_BYTES_MAX, &categories[i], err);
        if (st == REC_OK)
            categories[i] = rec_pending_copy(pending, categories[i]);
    }
    item->categories = categories;
    item->category_count = count;
    return st;
}

/* One item, its strings copied into the arena. path_id: of PUT, where the body need not repeat it
 * and must not contradict it. */
static enum rec_status add(struct rec_pending *pending, struct rec_item *items,
                           struct rec_json *object, const struct rec_codec_at *at,
                           const char *path_id, struct rec_error *err) {
    static const char *const names[] = {"item_id", "title", "categories", "hidden"};
    struct rec_item *item = &items[pending->write.count];
    const char *id = path_id, *title = NULL;
    enum rec_status st = rec_codec_object(object, at, names, 4, err);
    if (st == REC_OK)
        st = rec_codec_id(object, "item_id", at, path_id == NULL, &id, err);
    if (st == REC_OK && path_id != NULL && strcmp(id, path_id) != 0)
        st = rec_error_set(err, REC_BAD_INPUT, "item_id in the body is not the one in the path");
    if (st == REC_OK)
        st = rec_codec_text(object, "title", at, false, REC_TITLE_BYTES_MAX, &title, err);
    if (st == REC_OK)
        st = rec_codec_bool(object, "hidden", at, &item->hidden, err);
    if (st == REC_OK)
        st = read_categories(pending, object, at, item, err);
    if (st != REC_OK)
        return st;
    item->item_id = rec_pending_copy(pending, id);
    item->title = rec_pending_copy(pending, title);
    if (item->item_id == NULL || (title != NULL && item->title == NULL))
        return rec_error_set(err, REC_NO_MEMORY, "no room for a string of the body");
    pending->write.count++;
    return REC_OK;
}

/* Arena of a body: its strings, its items, and a pointer for every category. The shortest category
 * is four bytes with its comma ("a",), the shortest array that holds one five; the rounding of an
 * array is paid for by its item. */
static enum rec_status batch_create(struct rec_http_exchange *exchange, size_t count,
                                    size_t more_bytes, struct rec_pending **out,
                                    struct rec_item **items, struct rec_error *err) {
    size_t bytes = rec_pending_need(count, sizeof(struct rec_item)) +
                   rec_pending_need(count, sizeof(struct rec_recorded)) +
                   exchange->body_bytes / 4 * sizeof(char *) +
                   count * rec_pending_need(1, sizeof(char *)) + exchange->body_bytes + more_bytes;
    struct rec_pending *pending = rec_pending_create(exchange, REC_WRITE_ITEMS, bytes, err);
    if (pending == NULL)
        return REC_NO_MEMORY;
    *items = rec_pending_take(pending, count, sizeof(struct rec_item));
    pending->write.items = *items;
    pending->write.recorded = rec_pending_take(pending, count, sizeof(struct rec_recorded));
    *out = pending;
    return REC_OK;
}

/* ---- PUT ------------------------------------------------------------------------------------ */

static void put_done(const struct rec_pending *pending, struct rec_answer *answer) {
    answer->exchange->status = pending->write.recorded[0].new_item ? 201 : 200;
    write_item(answer, &pending->write.items[0]);
}

REC_HANDLER(rec_handle_items_put) {
    struct rec_error err = {0};
    struct rec_pending *pending = NULL;
    struct rec_json *root = NULL;
    struct rec_item *items = NULL;
    const char *id = NULL;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK)
        st = rec_query_path(exchange, "item_id", &id, &err);
    if (st == REC_OK)
        st = rec_codec_parse(exchange->body, exchange->body_bytes, "the body", &root, &err);
    if (st == REC_OK)
        st = batch_create(exchange, 1, strlen(id) + 1, &pending, &items, &err);
    if (st == REC_OK) {
        pending->succeeded = put_done;
        st = add(pending, items, root, NULL, id, &err);
    }
    rec_codec_free(&root);
    return rec_pending_submit(context, exchange, &pending, st, &err);
}

/* ---- POST
 * ------------------------------------------------------------------------------------------ */

static void post_done(const struct rec_pending *pending, struct rec_answer *answer) {
    size_t created = 0;
    for (size_t i = 0; i < pending->write.count; i++)
        created += pending->write.recorded[i].new_item;
    REC_ANSWER_LITERAL(answer, "{\"accepted\":");
    rec_answer_u64(answer, pending->write.count);
    REC_ANSWER_LITERAL(answer, ",\"created\":");
    rec_answer_u64(answer, created);
    REC_ANSWER_LITERAL(answer, "}");
}

static enum rec_status read_json(struct rec_http_exchange *exchange, struct rec_pending **pending,
                                 struct rec_error *err) {
    static const char *const names[] = {"items"};
    struct rec_json *root = NULL, *array = NULL;
    struct rec_item *items = NULL;
    size_t count = 0;
    enum rec_status st =
        rec_codec_parse(exchange->body, exchange->body_bytes, "the body", &root, err);
    if (st == REC_OK)
        st = rec_codec_object(root, NULL, names, 1, err);
    if (st == REC_OK)
        st =
            rec_codec_array(root, "items", NULL, 1, REC_ITEMS_PER_REQUEST_MAX, &array, &count, err);
    if (st == REC_OK && array == NULL)
        st = rec_error_set(err, REC_BAD_INPUT, "items is missing");
    if (st == REC_OK)
        st = batch_create(exchange, count, 1, pending, &items, err);
    for (size_t i = 0; st == REC_OK && i < count; i++) {
        struct rec_codec_at at = {.list = "items", .index = i};
        st = add(*pending, items, rec_codec_element(array, i), &at, NULL, err);
    }
    rec_codec_free(&root);
    return st;
}

static enum rec_status read_line(struct rec_pending *pending, struct rec_item *items,
                                 const char *text, size_t bytes, size_t line,
                                 struct rec_error *err) {
    struct rec_codec_at at = {.line = line};
    struct rec_json *root = NULL;
    char where[32];
    if (pending->write.count == REC_ITEMS_PER_REQUEST_MAX)
        return rec_error_set(err, REC_LIMIT, "line %zu: a request takes at most %d items", line,
                             REC_ITEMS_PER_REQUEST_MAX);
    snprintf(where, sizeof(where), "line %zu", line);
    enum rec_status st = rec_codec_parse(text, bytes, where, &root, err);
    if (st == REC_OK)
        st = add(pending, items, root, &at, NULL, err);
    rec_codec_free(&root);
    return st;
}

static enum rec_status read_ndjson(struct rec_http_exchange *exchange, struct rec_pending **pending,
                                   struct rec_error *err) {
    struct rec_item *items = NULL;
    enum rec_status st = batch_create(exchange, REC_ITEMS_PER_REQUEST_MAX, 1, pending, &items, err);
    const char *text = NULL;
    size_t bytes = 0, line = 0, at = 0;
    while (st == REC_OK &&
           rec_codec_next_line(exchange->body, exchange->body_bytes, &at, &line, &text, &bytes))
        st = read_line(*pending, items, text, bytes, line, err);
    if (st == REC_OK && (*pending)->write.count == 0)
        st = rec_error_set(err, REC_BAD_INPUT, "the body has no lines");
    return st;
}

REC_HANDLER(rec_handle_items_post) {
    struct rec_error err = {0};
    struct rec_pending *pending = NULL;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK && strcmp(exchange->content_type, "application/x-ndjson") == 0)
        st = read_ndjson(exchange, &pending, &err);
    else if (st == REC_OK)
        st = read_json(exchange, &pending, &err);
    if (pending != NULL)
        pending->succeeded = post_done;
    return rec_pending_submit(context, exchange, &pending, st, &err);
}
