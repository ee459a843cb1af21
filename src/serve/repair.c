/* repair.c: catching up with the database after an allocation failed behind a commit.
 *
 * A user's history: rows says how many rows were recorded, count how many are here. The store is
 * read again for that user. It may already hold rows whose commit is not applied here yet; those
 * are the last to have arrived, so keeping the first `rows` by order of arrival gives exactly what
 * was applied, and the others come as usual. No lock is held over the reading: what was recorded
 * meanwhile makes `rows` differ, and the reading is done again.
 *
 * An id or a catalogue entry: losses are counted, entries marked as damaged. All users and items
 * are read again, unknown ids bound, damaged entries replaced. A loss that happens meanwhile leaves
 * the count ahead, and the next request reads again. */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum { ATTEMPTS_MAX = 8 };

void rec_repair_note(struct rec_serve *serve, bool ids) {
    if (ids)
        atomic_fetch_add(&serve->lost, 1);
    if (!atomic_exchange(&serve->complained, true))
        rec_log_event(REC_LOG_WARN, "memory_behind_store",
                      "reason=\"out of memory after a commit\" action=\"reading again on demand\"");
}

/* ---- ids and catalogue entries -------------------------------------------------------------- */

static enum rec_status found_user(void *context, uint32_t user, const char *user_id) {
    struct rec_serve *serve = context;
    if (rec_histories_bound(&serve->histories, user))
        return REC_OK;
    /* Should the user have been erased meanwhile: an id without rows is an unknown user. */
    return rec_histories_bind(&serve->histories, user, user_id, NULL);
}

static enum rec_status found_item(void *context, uint32_t item, bool deleted,
                                  const struct rec_item *row) {
    struct rec_serve *serve = context;
    if (!rec_catalogue_damaged(&serve->catalogue, item))
        return REC_OK;
    bool was_deleted = deleted || rec_catalogue_deleted(&serve->catalogue, item);
    enum rec_status st = rec_catalogue_put(&serve->catalogue, item, row, NULL);
    if (was_deleted)
        rec_catalogue_delete(&serve->catalogue, item);
    return st;
}

enum rec_status rec_repair_ids(struct rec_serve *serve, struct rec_error *err) {
    uint64_t lost = atomic_load(&serve->lost);
    if (lost == atomic_load(&serve->found))
        return REC_OK;
    if (atomic_flag_test_and_set(&serve->repairing))
        return rec_error_set(err, REC_BUSY, "ids are being read again after memory ran out");

    struct rec_store_scan scan = {.user = found_user, .item = found_item, .context = serve};
    enum rec_status st = rec_store_scan(serve->store, &scan, err);
    if (st == REC_OK)
        atomic_store(&serve->found, lost);
    atomic_flag_clear(&serve->repairing);
    return st == REC_OK ? st : rec_error_set(err, st, "ids could not be read again");
}

/* ---- one user's history --------------------------------------------------------------------- */

struct arrived {
    struct rec_event event;
    uint64_t sequence;
};
struct reading {
    const struct rec_weights *weights;
    struct arrived *rows; /* newest first */
    size_t count, capacity;
};

static enum rec_status read_row(void *context, const struct rec_store_row *row, const char *item_id,
                                const char *type) {
    struct reading *reading = context;
    (void)item_id;
    enum rec_status st = rec_alloc_grow(&reading->rows, &reading->capacity, reading->count + 1,
                                        sizeof(*reading->rows), NULL);
    if (st == REC_OK)
        reading->rows[reading->count++] = (struct arrived){
            rec_record_event(reading->weights, row->item, type, row->value, row->timestamp),
            row->sequence};
    return st;
}

/* Takes out the row that arrived last. */
static void drop_newest(struct reading *reading) {
    size_t newest = 0;
    for (size_t i = 1; i < reading->count; i++)
        if (reading->rows[i].sequence > reading->rows[newest].sequence)
            newest = i;
    memmove(&reading->rows[newest], &reading->rows[newest + 1],
            (reading->count - newest - 1) * sizeof(*reading->rows));
    reading->count--;
}

/* One attempt. *again: rows came in between. */
static enum rec_status reload(struct rec_serve *serve, uint32_t user, bool *again,
                              struct rec_error *err) {
    struct reading reading = {.weights = serve->weights};
    struct rec_event *events = NULL;
    size_t count = 0;
    enum rec_status st =
        rec_store_history(serve->store, user, NULL, INT32_MAX, read_row, &reading, err);
    uint32_t rows = (uint32_t)rec_histories_version(&serve->histories, user);
    if (st != REC_OK) {
        (void)rec_error_set(err, st, "a history could not be read again");
        goto out;
    }
    *again = reading.count < rows;
    if (*again || rows == 0)
        goto out;

    events = rec_alloc_array(rows, sizeof(*events));
    if (events == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to read a history again");
        goto out;
    }
    while (reading.count > rows)
        drop_newest(&reading);
    for (; count < rows; count++)
        rec_event_insert(events, count, reading.rows[rows - 1 - count].event);
    rec_catalogue_count(&serve->catalogue, events, count, 1.0);
    *again = !rec_histories_replace(&serve->histories, user, rows, &events, &count);
    /* Either what was there before, or what could not be put in its place. */
    rec_catalogue_count(&serve->catalogue, events, count, -1.0);
    rec_histories_discard(&serve->histories, events, count);

out:
    rec_alloc_free(reading.rows);
    return st;
}

enum rec_status rec_repair_user(struct rec_serve *serve, uint32_t user, struct rec_error *err) {
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        bool again = false;
        enum rec_status st = reload(serve, user, &again, err);
        if (st != REC_OK || !again)
            return st;
    }
    return rec_error_set(err, REC_BUSY, "the history is being written to; try again");
}

void rec_repair_users(struct rec_serve *serve) {
    uint32_t user = rec_histories_behind(&serve->histories, 0);
    while (user != REC_STORE_NONE && rec_repair_user(serve, user, NULL) == REC_OK)
        user = rec_histories_behind(&serve->histories, user + 1);
}
