/* record.c: a write, first durable, then visible, then acknowledged.
 *
 * The store's writer thread calls back when the commit is on disk. What is in memory follows there,
 * in commit order and on that one thread, and only then the caller hears of it: whoever reads after
 * the acknowledgement reads the write.
 *
 * A commit cannot be refused after the fact. So what a write may need in memory by its number of
 * rows (places for users and items) is taken before it is queued, when there is still somebody to
 * tell. What cannot be taken then (texts, ids, longer histories) may fail afterwards; it is marked
 * as behind and read again from the store by the next request that needs it (repair.c). */
#include <string.h>

#include "internal.h"

/* The caller's completion, kept while ours is in its place. */
struct recording {
    struct rec_serve *serve;
    void (*done)(struct rec_write *write, enum rec_status status, const struct rec_error *err);
    void *context;
    size_t rows;
};

struct rec_event rec_record_event(const struct rec_weights *weights, uint32_t item,
                                  const char *type, double value, int64_t timestamp) {
    int64_t time = timestamp < 0 ? 0 : timestamp;
    if (time > (int64_t)UINT32_MAX)
        time = (int64_t)UINT32_MAX;
    return (struct rec_event){
        .item = item, .weight = rec_weights_of(weights, type, value), .time = (uint32_t)time};
}

/* ---- what each kind changes ------------------------------------------------------------- */

/* What rows change in the live counts: gathered, because the lock on these stops all requests. */
enum { GATHERED_MAX = 64 };
struct gathered {
    uint32_t item[GATHERED_MAX];
    double weight[GATHERED_MAX];
    size_t count;
};

static void spend(struct rec_serve *serve, struct gathered *gathered) {
    if (gathered->count > 0)
        rec_catalogue_add(&serve->catalogue, gathered->item, gathered->weight, gathered->count);
    gathered->count = 0;
}

static void apply_row(struct rec_serve *serve, const struct rec_interaction *row,
                      const struct rec_recorded *recorded, struct gathered *gathered) {
    double weight;
    if (recorded->new_user &&
        rec_histories_bind(&serve->histories, recorded->user, row->user_id, NULL) != REC_OK)
        rec_repair_note(serve, true);
    if (rec_catalogue_touch(&serve->catalogue, recorded->item, row->item_id, NULL) != REC_OK)
        rec_repair_note(serve, true);
    struct rec_event event =
        rec_record_event(serve->weights, recorded->item, row->type, row->value, row->timestamp);
    if (rec_histories_add(&serve->histories, recorded->user, event, &weight) != REC_OK)
        rec_repair_note(serve, false);
    if (weight < 0.0 || weight > 0.0) {
        gathered->item[gathered->count] = recorded->item;
        gathered->weight[gathered->count++] = weight;
    }
    if (gathered->count == GATHERED_MAX)
        spend(serve, gathered);
}

static void apply_interactions(struct rec_serve *serve, const struct rec_write *write) {
    struct gathered gathered;
    uint64_t added = 0;
    gathered.count = 0;
    for (size_t i = 0; i < write->count; i++) {
        if (write->recorded[i].duplicate)
            continue;
        apply_row(serve, &write->interactions[i], &write->recorded[i], &gathered);
        added++;
    }
    spend(serve, &gathered);
    atomic_fetch_add(&serve->interactions, added);
    atomic_fetch_add(&serve->recorded, added);
}

static void apply_items(struct rec_serve *serve, const struct rec_write *write) {
    for (size_t i = 0; i < write->count; i++)
        if (rec_catalogue_put(&serve->catalogue, write->recorded[i].item, &write->items[i], NULL) !=
            REC_OK)
            rec_repair_note(serve, true);
}

static void apply_erase(struct rec_serve *serve, const struct rec_write *write) {
    uint32_t user = write->recorded[0].user, rows;
    struct rec_event *events;
    size_t count;

    rec_histories_unbind(&serve->histories, write->id);
    rec_histories_erase(&serve->histories, user, &events, &count, &rows);
    rec_queries_drop(&serve->queries, user);
    rec_catalogue_count(&serve->catalogue, events, count, -1.0);
    rec_histories_discard(&serve->histories, events, count);
    atomic_fetch_sub(&serve->interactions, rows);
    /* Who comes back under the same id starts again at version 1: nothing kept outside under an
     * earlier 1 may match. */
    rec_catalogue_changed(&serve->catalogue);
}

static void apply(struct rec_serve *serve, const struct rec_write *write) {
    switch (write->kind) {
    case REC_WRITE_INTERACTIONS:
        apply_interactions(serve, write);
        break;
    case REC_WRITE_ITEMS:
        apply_items(serve, write);
        break;
    case REC_WRITE_ITEM_DELETE:
        rec_catalogue_delete(&serve->catalogue, write->recorded[0].item);
        break;
    case REC_WRITE_USER_ERASE:
        apply_erase(serve, write);
        break;
    }
}

/* ---- submitting ----------------------------------------------------------------------------- */

static void give_back(struct rec_write *write, struct recording **recording) {
    write->done = (*recording)->done;
    write->context = (*recording)->context;
    atomic_fetch_sub(&(*recording)->serve->pending, (*recording)->rows);
    rec_alloc_free(*recording);
    *recording = NULL;
}

static void committed(struct rec_write *write, enum rec_status status,
                      const struct rec_error *err) {
    struct recording *recording = write->context;
    if (status == REC_OK)
        apply(recording->serve, write);
    give_back(write, &recording);
    write->done(write, status, err); /* the write may be gone after this */
}

/* Places for every user and item that the writes on their way could bring. */
static enum rec_status reserve(struct rec_serve *serve, size_t pending, struct rec_error *err) {
    enum rec_status st = rec_catalogue_reserve(&serve->catalogue, pending, err);
    return st == REC_OK ? rec_histories_reserve(&serve->histories, pending, err) : st;
}

enum rec_status rec_record_submit(struct rec_serve *serve, struct rec_write *write,
                                  struct rec_error *err) {
    bool rows = write->kind == REC_WRITE_INTERACTIONS || write->kind == REC_WRITE_ITEMS;
    struct recording *recording = rec_alloc_array(1, sizeof(*recording));
    if (recording == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to queue a write");
    *recording = (struct recording){.serve = serve,
                                    .done = write->done,
                                    .context = write->context,
                                    .rows = rows ? write->count : 0};
    size_t pending = atomic_fetch_add(&serve->pending, recording->rows) + recording->rows;

    write->done = committed;
    write->context = recording;
    enum rec_status st = reserve(serve, pending, err);
    if (st == REC_OK)
        st = rec_store_submit(serve->store, write, err);
    if (st != REC_OK)
        give_back(write, &recording);
    return st;
}
