#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

struct place place_make(void) {
    struct place place = {.folder = "/tmp/recsysd-store-XXXXXX"};
    assert_non_null(mkdtemp(place.folder));
    (void)snprintf(place.path, sizeof(place.path), "%s/test.db", place.folder);
    return place;
}

static int shell(const char *format, const char *first, const char *second) {
    char command[512];
    int length = snprintf(command, sizeof(command), format, first, second);
    assert_true(length > 0 && (size_t)length < sizeof(command));
    return system(command);
}

void place_remove(struct place *place) {
    assert_int_equal(shell("rm -r '%s'%s", place->folder, ""), 0);
}

struct place place_copy(const struct place *place) {
    struct place copy = place_make();
    assert_int_equal(shell("cp '%s'/* '%s'", place->folder, copy.folder), 0);
    return copy;
}

bool place_holds(const struct place *place, const char *text) {
    return shell("grep -aqrF -- '%s' '%s'", text, place->folder) == 0;
}

void must(enum rec_status st, const struct rec_error *err) {
    if (st != REC_OK)
        fail_msg("%s: %s", rec_error_name(st), err->text);
}

struct rec_store *store_open(const struct place *place) {
    struct rec_store_options options = {.path = place->path, .create = true, .writable = true};
    struct rec_store *store = NULL;
    struct rec_error err = {0};
    must(rec_store_open(&options, &store, &err), &err);
    return store;
}

struct rec_store *store_watch(const struct place *place) {
    struct rec_store_options options = {.path = place->path};
    struct rec_store *store = NULL;
    struct rec_error err = {0};
    must(rec_store_open(&options, &store, &err), &err);
    return store;
}

static void waiting_done(struct rec_write *write, enum rec_status status,
                         const struct rec_error *err) {
    static unsigned order; /* done() is called on one thread only */
    struct waiting *waiting = write->context;
    waiting->status = status;
    (void)snprintf(waiting->text, sizeof(waiting->text), "%s", err->text);
    waiting->calls++;
    waiting->order = ++order;
}

void waiting_init(struct waiting *waiting) {
    *waiting = (struct waiting){
        .write = {.recorded = waiting->recorded, .done = waiting_done, .context = waiting}};
}

static enum rec_status submit_and_wait(struct rec_store *store, struct waiting *waiting) {
    struct rec_error err = {0};
    enum rec_status st = rec_store_submit(store, &waiting->write, &err);
    if (st != REC_OK) {
        waiting->status = st;
        (void)snprintf(waiting->text, sizeof(waiting->text), "%s", err.text);
        return st;
    }
    rec_store_flush(store);
    assert_int_equal(waiting->calls, 1);
    return waiting->status;
}

enum rec_status write_rows(struct rec_store *store, struct waiting *waiting,
                           const struct rec_interaction *rows, size_t count) {
    assert_true(count <= sizeof(waiting->recorded) / sizeof(waiting->recorded[0]));
    waiting_init(waiting);
    waiting->write.kind = REC_WRITE_INTERACTIONS;
    waiting->write.interactions = rows;
    waiting->write.count = count;
    return submit_and_wait(store, waiting);
}

enum rec_status write_items(struct rec_store *store, struct waiting *waiting,
                            const struct rec_item *items, size_t count) {
    assert_true(count <= sizeof(waiting->recorded) / sizeof(waiting->recorded[0]));
    waiting_init(waiting);
    waiting->write.kind = REC_WRITE_ITEMS;
    waiting->write.items = items;
    waiting->write.count = count;
    return submit_and_wait(store, waiting);
}

enum rec_status write_delete(struct rec_store *store, struct waiting *waiting,
                             enum rec_write_kind kind, const char *id) {
    waiting_init(waiting);
    waiting->write.kind = kind;
    waiting->write.id = id;
    return submit_and_wait(store, waiting);
}

/* ---- texts -------------------------------------------------------------------------- */

struct text {
    char *out;
    size_t cap, at;
};

static void append(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void append(struct text *text, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text->out + text->at, text->cap - text->at, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < text->cap - text->at);
    text->at += (size_t)length;
}

static enum rec_status history_row(void *context, const struct rec_store_row *row,
                                   const char *item_id, const char *type) {
    append(context, "%s/%s/%g/%lld ", item_id, type, row->value, (long long)row->timestamp);
    return REC_OK;
}

void history_text(struct rec_store *store, uint32_t user, char *out, size_t cap) {
    struct text text = {out, cap, 0};
    struct rec_error err = {0};
    out[0] = '\0';
    must(rec_store_history(store, user, NULL, 1000, history_row, &text, &err), &err);
    if (text.at > 0)
        out[text.at - 1] = '\0';
}

static void scan_begin(void *context, const struct rec_store_counts *counts) {
    append(context, "%u users %u items %llu rows;", counts->users, counts->items,
           (unsigned long long)counts->interactions);
}

static enum rec_status scan_type(void *context, uint32_t type, const char *name) {
    append(context, " type %u=%s", type, name);
    return REC_OK;
}

static enum rec_status scan_user(void *context, uint32_t user, const char *id) {
    append(context, " user %u=%s", user, id);
    return REC_OK;
}

static enum rec_status scan_item(void *context, uint32_t item, bool deleted,
                                 const struct rec_item *row) {
    append(context, " item %u=%s", item, row->item_id);
    if (row->title != NULL)
        append(context, " '%s'", row->title);
    for (size_t i = 0; i < row->category_count; i++)
        append(context, "%c%s", i == 0 ? '[' : ',', row->categories[i]);
    append(context, "%s%s%s", row->category_count > 0 ? "]" : "", row->hidden ? " hidden" : "",
           deleted ? " deleted" : "");
    return REC_OK;
}

static enum rec_status scan_row(void *context, const struct rec_store_row *row) {
    append(context, " %u:%u/%u/%g/%lld", row->user, row->item, row->type, row->value,
           (long long)row->timestamp);
    return REC_OK;
}

enum rec_status scan_text(struct rec_store *store, char *out, size_t cap, struct rec_error *err) {
    struct text text = {out, cap, 0};
    struct rec_store_scan scan = {.begin = scan_begin,
                                  .type = scan_type,
                                  .user = scan_user,
                                  .item = scan_item,
                                  .row = scan_row,
                                  .context = &text};
    out[0] = '\0';
    return rec_store_scan(store, &scan, err);
}
