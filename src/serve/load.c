/* load.c: the whole store into memory, once, at start.
 *
 * One scan brings everything: types, then users, then items, then a million rows a second or more,
 * by user and oldest first. So histories are written into the arena one after the other with no
 * sort and no growth. A dislike has to look for earlier events of its item only where the user met
 * the item before, which one stamp per item tells. */
#include <string.h>

#include "internal.h"

struct type_name {
    char name[REC_TYPE_BYTES_MAX + 1];
};

struct loading {
    struct rec_serve *serve;
    struct rec_store_counts counts;
    bool begun;
    struct type_name *types;
    size_t type_count, type_capacity;
    uint32_t *met; /* [items]; the last user who met the item, + 1 */
    uint64_t rows; /* of the arena in use */
    uint32_t user; /* whose rows are coming */
    struct rec_user *at;
    struct rec_error *err;
};

static void begin(void *context, const struct rec_store_counts *counts) {
    struct loading *loading = context;
    struct rec_serve *serve = loading->serve;
    struct rec_histories *histories = &serve->histories;
    loading->counts = *counts;
    atomic_store(&serve->interactions, counts->interactions);
    atomic_store(&serve->recorded, counts->recorded);

    loading->met = rec_alloc_array(counts->items, sizeof(*loading->met));
    histories->arena = rec_alloc_array(counts->interactions, sizeof(*histories->arena));
    loading->begun =
        loading->met != NULL && histories->arena != NULL &&
        rec_catalogue_reserve(&serve->catalogue, counts->items, loading->err) == REC_OK &&
        rec_histories_reserve(histories, counts->users, loading->err) == REC_OK;
    if (loading->begun) {
        histories->arena_events = counts->interactions;
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
    memcpy(loading->types[type].name, name, bytes + 1);
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

/* Rows of another user begin. */
static enum rec_status next_user(struct loading *loading, uint32_t user) {
    loading->at = rec_histories_at(&loading->serve->histories, user);
    if (loading->at == NULL || loading->at->count > 0)
        return rec_error_set(loading->err, REC_CORRUPT,
                             "rows of user %u are out of place in the database", user);
    loading->user = user;
    loading->at->events = loading->serve->histories.arena + loading->rows;
    return REC_OK;
}

static enum rec_status on_row(void *context, const struct rec_store_row *row) {
    struct loading *loading = context;
    enum rec_status st = REC_OK;
    if (!loading->begun)
        return REC_NO_MEMORY;
    if (row->item >= loading->counts.items || row->type >= loading->type_count ||
        loading->rows >= loading->counts.interactions)
        return rec_error_set(loading->err, REC_CORRUPT,
                             "interaction %llu of the database names an item or a type it lacks",
                             (unsigned long long)row->sequence);
    if (loading->at == NULL || loading->user != row->user)
        st = next_user(loading, row->user);
    if (st != REC_OK)
        return st;

    struct rec_user *at = loading->at;
    struct rec_event event =
        rec_record_event(loading->serve->weights, row->item, loading->types[row->type].name,
                         row->value, row->timestamp);
    bool first = loading->met[row->item] != row->user + 1;
    loading->met[row->item] = row->user + 1;
    if (first) /* nothing before it to clear or to be sorted behind */
        rec_event_insert(at->events + at->count, 0, event);
    else
        rec_event_insert(at->events, at->count, event);
    at->count++;
    at->rows++;
    loading->rows++;
    return REC_OK;
}

enum rec_status rec_load_run(struct rec_serve *serve, struct rec_error *err) {
    struct loading loading = {.serve = serve, .err = err};
    struct rec_store_scan scan = {.begin = begin,
                                  .type = on_type,
                                  .user = on_user,
                                  .item = on_item,
                                  .row = on_row,
                                  .context = &loading};
    enum rec_status st = rec_store_scan(serve->store, &scan, err);
    if (st == REC_OK && !loading.begun)
        st = REC_NO_MEMORY;
    if (st == REC_OK)
        rec_catalogue_count(&serve->catalogue, serve->histories.arena, loading.rows, 1.0);
    rec_alloc_free(loading.met);
    rec_alloc_free(loading.types);
    return st == REC_OK ? st : rec_error_set(err, st, "the store could not be read into memory");
}
