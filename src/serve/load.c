/* load.c: the whole store into memory, once, at start.
 *
 * One scan brings everything: types, then users, then items, then a million rows a second or more,
 * from both ends at once. So histories are written into the arena from both ends, one after the
 * other, with no sort and no growth. A dislike has to look for earlier events of its item only
 * where the user met the item before, which one stamp per item tells; from the back, where the
 * newest row comes first, the stamp says that the user came to dislike it. */
#include <math.h>
#include <string.h>

#include "internal.h"

/* What a type weighs, looked up once a type and not once a row; the two differ for ratings only.
 * Where the weight is the value, its name. */
struct type_weight {
    float liked, disliked;
    char by_value[REC_TYPE_BYTES_MAX + 1]; /* or "" */
};

/* One of the two ends at which rows come in; each has its thread. */
struct end {
    uint32_t *met;        /* [items]; the last user who met (back: disliked) the item, + 1 */
    uint64_t rows, taken; /* of the arena: in use; taken for use */
    uint32_t user;        /* whose rows are coming */
    struct rec_user *at;
};

/* The ends take the arena in pieces, and what both have not used up of their last piece is on top
 * of the rows there are. */
enum { PIECE_EVENTS = 4096 };

struct loading {
    struct rec_serve *serve;
    struct rec_store_counts counts;
    bool begun;
    struct type_weight *types;
    size_t type_count, type_capacity;
    _Atomic uint64_t taken; /* of the arena, by both ends */
    struct end front, back;
    struct rec_error *err;
};

static void begin(void *context, const struct rec_store_counts *counts) {
    struct loading *loading = context;
    struct rec_serve *serve = loading->serve;
    struct rec_histories *histories = &serve->histories;
    loading->counts = *counts;
    atomic_store(&serve->interactions, counts->interactions);
    atomic_store(&serve->recorded, counts->recorded);

    uint64_t room = counts->interactions + UINT64_C(2) * PIECE_EVENTS;
    loading->front.met = rec_alloc_array(counts->items, sizeof(*loading->front.met));
    loading->back.met = rec_alloc_array(counts->items, sizeof(*loading->back.met));
    histories->arena = rec_alloc_array(room, sizeof(*histories->arena));
    loading->begun =
        loading->front.met != NULL && loading->back.met != NULL && histories->arena != NULL &&
        rec_catalogue_reserve(&serve->catalogue, counts->items, loading->err) == REC_OK &&
        rec_histories_reserve(histories, counts->users, loading->err) == REC_OK;
    if (loading->begun) {
        histories->arena_events = room;
        histories->users = counts->users; /* the scan leaves out erased ones */
    } else {
        (void)rec_error_set(loading->err, REC_NO_MEMORY, "no memory for %llu interactions",
                            (unsigned long long)counts->interactions);
    }
}

static enum rec_status on_type(void *context, uint32_t type, const char *name) {
    struct loading *loading = context;
    size_t bytes = strlen(name);
    if (!loading->begun)
        return REC_NO_MEMORY;
    if (type >= REC_TYPES_MAX || bytes > REC_TYPE_BYTES_MAX)
        return rec_error_set(loading->err, REC_CORRUPT, "type %u of the database is out of range",
                             type);
    enum rec_status st = rec_alloc_grow(&loading->types, &loading->type_capacity, (size_t)type + 1,
                                        sizeof(*loading->types), loading->err);
    if (st != REC_OK)
        return st;
    const struct rec_weights *weights = loading->serve->weights;
    struct type_weight *weight = &loading->types[type];
    weight->liked = rec_weights_of(weights, name, (double)INFINITY);
    weight->disliked = rec_weights_of(weights, name, (double)-INFINITY);
    if (rec_weights_by_value(weights, name))
        memcpy(weight->by_value, name, bytes + 1);
    if (type >= loading->type_count)
        loading->type_count = type + 1;
    return REC_OK;
}

static enum rec_status on_user(void *context, uint32_t user, const char *user_id) {
    struct loading *loading = context;
    if (!loading->begun)
        return REC_NO_MEMORY;
    if (user >= loading->counts.users)
        return rec_error_set(loading->err, REC_CORRUPT, "user %u of %u in the database", user,
                             loading->counts.users);
    return rec_histories_bind(&loading->serve->histories, user, user_id, loading->err);
}

static enum rec_status on_item(void *context, uint32_t item, bool deleted,
                               const struct rec_item *row) {
    struct loading *loading = context;
    struct rec_catalogue *catalogue = &loading->serve->catalogue;
    if (!loading->begun)
        return REC_NO_MEMORY;
    if (item >= loading->counts.items)
        return rec_error_set(loading->err, REC_CORRUPT, "item %u of %u in the database", item,
                             loading->counts.items);
    enum rec_status st = rec_catalogue_put(catalogue, item, row, loading->err);
    if (st == REC_OK && deleted)
        rec_catalogue_delete(catalogue, item);
    return st;
}

/* Room for one more event; the ends cannot come to share any. */
static bool take_event(struct loading *loading, struct end *end) {
    if (end->rows++ < end->taken)
        return true;
    end->taken += PIECE_EVENTS;
    return atomic_fetch_add(&loading->taken, PIECE_EVENTS) + PIECE_EVENTS <=
           loading->serve->histories.arena_events;
}

/* What the database says of itself was checked; that it is so, not yet. The reason goes to the log
 * of whoever starts, and the other end may be at work on `err`. */
static enum rec_status check_row(struct loading *loading, struct end *end,
                                 const struct rec_store_row *row) {
    if (!loading->begun)
        return REC_NO_MEMORY;
    if (row->item >= loading->counts.items || row->type >= loading->type_count ||
        !take_event(loading, end))
        return REC_CORRUPT;
    if (end->at != NULL && end->user == row->user)
        return REC_OK;
    end->at = rec_histories_at(&loading->serve->histories, row->user);
    if (end->at == NULL || end->at->count > 0)
        return REC_CORRUPT;
    end->user = row->user;
    return REC_OK;
}

static struct rec_event event_of(const struct loading *loading, const struct rec_store_row *row) {
    const struct rec_weights *weights = loading->serve->weights;
    const struct type_weight *type = &loading->types[row->type];
    if (type->by_value[0] != '\0')
        return rec_record_event(weights, row->item, type->by_value, row->value, row->timestamp);
    bool liked = row->value >= weights->rating_min;
    int64_t time = row->timestamp < 0 ? 0 : row->timestamp;
    return (struct rec_event){.item = row->item,
                              .weight = liked ? type->liked : type->disliked,
                              .time = time < (int64_t)UINT32_MAX ? (uint32_t)time : UINT32_MAX};
}

static enum rec_status on_row(void *context, const struct rec_store_row *row) {
    struct loading *loading = context;
    struct end *end = &loading->front;
    enum rec_status st = check_row(loading, end, row);
    if (st != REC_OK)
        return st;

    struct rec_user *at = end->at;
    if (at->count == 0)
        at->events = loading->serve->histories.arena + (end->rows - 1);
    bool first = end->met[row->item] != row->user + 1;
    end->met[row->item] = row->user + 1;
    if (first) /* nothing before it to clear or to be sorted behind */
        rec_event_insert(at->events + at->count, 0, event_of(loading, row));
    else
        rec_event_insert(at->events, at->count, event_of(loading, row));
    at->count++;
    at->rows++;
    return REC_OK;
}

static enum rec_status on_row_back(void *context, const struct rec_store_row *row) {
    struct loading *loading = context;
    struct end *end = &loading->back;
    enum rec_status st = check_row(loading, end, row);
    if (st != REC_OK)
        return st;

    struct rec_histories *histories = &loading->serve->histories;
    struct rec_event event = event_of(loading, row);
    struct rec_user *at = end->at;
    at->events = histories->arena + (histories->arena_events - end->rows);
    rec_event_insert(at->events, 0, event);
    if (signbit(event.weight) != 0)
        end->met[row->item] = row->user + 1;
    else if (end->met[row->item] == row->user + 1)
        at->events->weight = 0.0f;
    at->count++;
    at->rows++;
    return REC_OK;
}

enum rec_status rec_load_run(struct rec_serve *serve, struct rec_error *err) {
    struct loading loading = {.serve = serve, .err = err};
    struct rec_store_scan scan = {.begin = begin,
                                  .type = on_type,
                                  .user = on_user,
                                  .item = on_item,
                                  .row = on_row,
                                  .row_back = on_row_back,
                                  .context = &loading};
    enum rec_status st = rec_store_scan(serve->store, &scan, err);
    if (st == REC_OK && !loading.begun)
        st = REC_NO_MEMORY;
    if (st == REC_OK) {
        const struct rec_histories *histories = &serve->histories;
        const struct rec_event *back =
            histories->arena + (histories->arena_events - loading.back.rows);
        rec_catalogue_count(&serve->catalogue, histories->arena, loading.front.rows, 1.0);
        rec_catalogue_count(&serve->catalogue, back, loading.back.rows, 1.0);
    }
    if (st == REC_CORRUPT)
        (void)rec_error_set(err, st,
                            "an interaction of the database names a user, an item or a type it "
                            "lacks, or there are more than the %llu it says",
                            (unsigned long long)loading.counts.interactions);
    rec_alloc_free(loading.front.met);
    rec_alloc_free(loading.back.met);
    rec_alloc_free(loading.types);
    return st == REC_OK ? st : rec_error_set(err, st, "the store could not be read into memory");
}
