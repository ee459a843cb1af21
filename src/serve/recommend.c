/* recommend.c: a list for a user or for an anonymous history.
 *
 * One path for everybody: copy what may be listed and the history, clear what is seen or excluded
 * from that copy, turn the history into a query (or take the kept one), score in blocks that stay
 * in the cache and keep the best of each, then give the generation back. Filters are bits inside
 * the scan, never a longer list cut down afterwards: where K eligible items exist, K come back.
 *
 * Where no model can answer (none published, an unknown user, a history that tells the model
 * nothing), the same scan runs over the live counts. */
#include <string.h>

#include "internal.h"

/* One call's working state. */
struct call {
    struct rec_serve *serve;
    struct rec_scratch *scratch;
    size_t worker;
    const struct rec_recommend_query *query;
    struct rec_generation *generation; /* held; NULL: live counts */
    struct rec_history history;        /* events are the scratch's */
    uint64_t version;
    const struct rec_recommend_later *later; /* NULL: the list must not wait */
    bool waits;
    uint32_t items; /* bits of the mask */
    bool kept;      /* the query is in the scratch already, and no event was copied */
};

static enum rec_status check(const struct rec_recommend_query *query, struct rec_error *err) {
    if (query->k < 1 || query->k > REC_K_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "k: %u is not within 1 to %d", query->k,
                             REC_K_MAX);
    if (query->user_id == NULL && query->history_count > REC_HISTORY_PER_REQUEST_MAX)
        return rec_error_set(err, REC_LIMIT, "history: %zu elements, at most %d are allowed",
                             query->history_count, REC_HISTORY_PER_REQUEST_MAX);
    if (query->exclude_count > REC_EXCLUDE_ITEMS_MAX)
        return rec_error_set(err, REC_LIMIT, "exclude_items: %zu elements, at most %d are allowed",
                             query->exclude_count, REC_EXCLUDE_ITEMS_MAX);
    return REC_OK;
}

/* Holds the generation that is to answer, or none for the live counts. */
static enum rec_status choose(struct call *call, struct rec_error *err) {
    const char *wanted = call->query->model;
    if (wanted != NULL && strcmp(wanted, "popularity") == 0)
        return REC_OK;
    call->generation = rec_slot_acquire(call->serve->slot);
    const char *live = call->generation == NULL ? NULL : call->generation->model->family->name;
    if (wanted == NULL || (live != NULL && strcmp(wanted, live) == 0))
        return REC_OK;
    return rec_error_set(err, REC_NOT_FOUND,
                         "model: '%.64s' is not served; there is 'popularity'%s%s%s", wanted,
                         live == NULL ? ", and no model has been published yet" : " and '",
                         live == NULL ? "" : live, live == NULL ? "" : "'");
}

/* ---- histories ---------------------------------------------------------------------------- */

/* Room for a query; its address may change. */
static enum rec_status reserve_query(struct call *call, struct rec_error *err) {
    struct rec_scratch *scratch = call->scratch;
    return rec_alloc_grow(&scratch->query, &scratch->query_floats,
                          call->generation->model->query_floats, sizeof(float), err);
}

/* The short way for a user whose query was kept: of the history only the mask needs to know, and
 * only its version counts. False: the long way, which begins anew, is needed. */
static bool take_kept(struct call *call, struct rec_found_user user, uint64_t *seen) {
    struct rec_serve *serve = call->serve;
    size_t count;
    uint64_t version;
    if (call->generation == NULL || call->query->explain || reserve_query(call, NULL) != REC_OK)
        return false;
    if (!rec_histories_copy(&serve->histories, user, NULL, &count, &version, seen, call->items) ||
        !rec_queries_get(&serve->queries, user.index, call->generation->serial, version,
                         call->scratch->query, call->generation->model->query_floats))
        return false;
    call->history.user = user.index;
    call->history.count = count;
    call->version = version;
    call->kept = true;
    return true;
}

static enum rec_status copy_user(struct call *call, struct rec_error *err) {
    struct rec_serve *serve = call->serve;
    uint64_t *seen = call->query->include_seen ? NULL : call->scratch->mask;
    const struct rec_found_user *found = call->query->found;
    struct rec_found_user user = found != NULL && found->at != NULL
                                     ? *found
                                     : rec_histories_look(&serve->histories, call->query->user_id);
    enum rec_status st = REC_OK;
    if (user.at == NULL || take_kept(call, user, seen))
        return REC_OK;
    while (!rec_histories_copy(&serve->histories, user, call->scratch->events, &call->history.count,
                               &call->version, seen, call->items)) {
        st = rec_repair_user(serve, user.index, err);
        if (st != REC_OK)
            return st;
    }
    if (call->version > 0)
        call->history.user = user.index;
    return REC_OK;
}

static void copy_anonymous(struct call *call) {
    struct rec_serve *serve = call->serve;
    for (size_t i = 0; i < call->query->history_count; i++) {
        const struct rec_anonymous_event *in = &call->query->history[i];
        uint32_t item = rec_catalogue_find(&serve->catalogue, in->item_id);
        if (item == REC_STORE_NONE)
            continue;
        struct rec_event event =
            rec_record_event(serve->weights, item, in->type, in->value, in->timestamp);
        rec_event_insert(call->scratch->events, call->history.count++, event);
    }
}
_Static_assert(REC_HISTORY_PER_REQUEST_MAX <= REC_HISTORY_SCORED_MAX, "it fits the scratch");

static void clear(struct call *call, uint32_t item) {
    if (item < call->items) /* an item newer than the mask is not in the list anyway */
        rec_serve_bit_clear(call->scratch->mask, item);
}

/* What may be listed for this call, and the history it is made of. */
static enum rec_status prepare(struct call *call, struct rec_error *err) {
    const struct rec_recommend_query *query = call->query;
    struct rec_scratch *scratch = call->scratch;
    struct rec_catalogue *catalogue = &call->serve->catalogue;
    enum rec_status st = rec_catalogue_mask(catalogue, query->category, &scratch->mask,
                                            &scratch->mask_words, &call->items, err);
    if (st != REC_OK)
        return st;

    call->history = (struct rec_history){.events = scratch->events, .user = REC_STORE_NONE};
    if (query->user_id == NULL)
        copy_anonymous(call);
    else
        st = copy_user(call, err);
    if (st != REC_OK)
        return st;

    for (size_t i = 0; i < call->history.count && !query->include_seen && !call->kept; i++)
        clear(call, scratch->events[i].item);
    for (size_t i = 0; i < query->exclude_count; i++) {
        uint32_t item = rec_catalogue_find(catalogue, query->exclude_items[i]);
        if (item != REC_STORE_NONE)
            clear(call, item);
    }
    return REC_OK;
}

/* ---- scores --------------------------------------------------------------------------------- */

/* The query of the history in scratch->query; *says false: the history tells the model nothing. */
static enum rec_status make_query(struct call *call, bool *says, struct rec_error *err) {
    struct rec_serve *serve = call->serve;
    struct rec_scratch *scratch = call->scratch;
    const struct rec_model *model = call->generation->model;
    uint64_t serial = call->generation->serial;
    uint32_t user = call->history.user;

    *says = call->kept;
    if (call->kept)
        return REC_OK;
    enum rec_status st = reserve_query(call, err);
    if (st == REC_OK)
        st = rec_alloc_grow(&scratch->family, &scratch->family_floats, model->scratch_floats,
                            sizeof(float), err);
    if (st != REC_OK)
        return st;

    *says = user != REC_STORE_NONE && rec_queries_get(&serve->queries, user, serial, call->version,
                                                      scratch->query, model->query_floats);
    if (*says)
        return REC_OK;
    *says = model->family->query(model, &call->history, scratch->query, scratch->family);
    if (!*says || user == REC_STORE_NONE || model->family->ignores_history)
        return REC_OK;
    rec_queries_put(&serve->queries, user, serial, call->version, scratch->query,
                    model->query_floats);
    /* The user may have been erased while we computed, before the query was there to be dropped. */
    if (rec_histories_version(&serve->histories, user) == 0)
        rec_queries_drop(&serve->queries, user);
    return REC_OK;
}

static bool none_eligible(const uint64_t *mask, uint32_t first, uint32_t count) {
    for (size_t word = first / 64; word < ((size_t)first + count + 63) / 64; word++)
        if (mask[word] != 0)
            return false;
    return true;
}
_Static_assert(REC_SERVE_BLOCK_ITEMS % 64 == 0, "blocks begin at a word of the mask");

/* By the model or, without one, by the live counts. */
static void scan_blocks(struct call *call, const struct rec_model *model, uint32_t items,
                        struct rec_topk *top) {
    struct rec_scratch *scratch = call->scratch;
    for (uint32_t first = 0; first < items; first += REC_SERVE_BLOCK_ITEMS) {
        uint32_t count =
            items - first < REC_SERVE_BLOCK_ITEMS ? items - first : REC_SERVE_BLOCK_ITEMS;
        if (none_eligible(scratch->mask, first, count))
            continue;
        if (model != NULL)
            model->family->score(model, scratch->query, 1, first, count, scratch->scores);
        else
            rec_catalogue_popularity(&call->serve->catalogue, first, count, scratch->scores);
        rec_topk_scan(top, scratch->scores, first, count, scratch->mask);
    }
}

/* The k best items below `items`. */
static void scan(struct call *call, const struct rec_model *model, uint32_t items,
                 struct rec_recommended *out) {
    struct rec_scratch *scratch = call->scratch;
    struct rec_topk top;
    rec_topk_init(&top, scratch->kept, call->query->k);
    if (model != NULL && model->scan != NULL) {
        uint64_t began_ns = rec_gather_begin(&call->serve->gather, items);
        rec_scan_topk(model->scan, &(struct rec_scan_query){.query = scratch->query,
                                                            .items = items,
                                                            .mask = scratch->mask,
                                                            .top = &top});
        rec_gather_end(&call->serve->gather, items, began_ns);
    } else {
        scan_blocks(call, model, items, &top);
    }
    rec_topk_finish(&top);
    out->items = scratch->kept;
    out->count = top.count;
}

/* Leaves the scan to a scorer, when it should and there is room. The scratch goes with it, and so
 * does the generation. */
static bool wait_for_others(struct call *call, uint32_t items, const struct rec_recommended *made) {
    struct rec_serve *serve = call->serve;
    if (call->later == NULL || call->query->explain || call->generation->model->scan == NULL ||
        !rec_gather_wants(&serve->gather, items))
        return false;
    call->scratch->waiting = (struct rec_waiting){.generation = call->generation,
                                                  .query = *call->query,
                                                  .later = *call->later,
                                                  .made = *made,
                                                  .items = items};
    call->scratch->waiting.query.found = NULL; /* looked at before, and not the scratch's */
    call->waits = rec_gather_put(&serve->gather, &serve->scratch[call->worker]);
    if (call->waits)
        call->generation = NULL;
    return call->waits;
}

static void answer_popular(struct call *call, struct rec_recommended *out) {
    static const char model[] = "popularity", version[] = "live";
    memcpy(out->model, model, sizeof(model));
    memcpy(out->version, version, sizeof(version));
    rec_repair_users(call->serve);
    scan(call, NULL, call->items, out);
}

void rec_recommend_name(const struct rec_generation *generation, struct rec_recommended *out) {
    const char *family = generation->model->family->name;
    size_t bytes = strlen(family);
    if (bytes >= sizeof(out->model))
        bytes = sizeof(out->model) - 1;
    memcpy(out->model, family, bytes);
    out->model[bytes] = '\0';
    memcpy(out->version, generation->info.version, sizeof(out->version));
    out->serial = generation->serial;
}

static enum rec_status answer(struct call *call, struct rec_recommended *out,
                              struct rec_error *err) {
    *out = (struct rec_recommended){.history_version = call->version};
    bool says = false;
    if (call->generation != NULL && call->history.count > 0) {
        enum rec_status st = make_query(call, &says, err);
        if (st != REC_OK)
            return st;
    }
    if (!says) {
        answer_popular(call, out);
        return REC_OK;
    }

    const struct rec_model *model = call->generation->model;
    rec_recommend_name(call->generation, out);
    out->personal = !model->family->ignores_history;
    uint32_t items = model->items < call->items ? model->items : call->items;
    if (wait_for_others(call, items, out))
        return REC_OK;
    scan(call, model, items, out);
    if (!call->query->explain || model->family->explain == NULL)
        return REC_OK;
    return rec_explain_run(call->scratch, model, &call->history, out, err);
}

enum rec_status rec_recommend_start(struct rec_serve *serve, size_t worker,
                                    const struct rec_recommend_query *query,
                                    const struct rec_recommend_later *later, bool *waits,
                                    struct rec_recommended *out, struct rec_error *err) {
    struct call call = {.serve = serve,
                        .scratch = serve->scratch[worker],
                        .worker = worker,
                        .query = query,
                        .later = later};
    struct rec_recommended made;
    enum rec_status st = check(query, err);
    if (st == REC_OK)
        st = rec_repair_ids(serve, err);
    if (st == REC_OK)
        st = choose(&call, err);
    if (st == REC_OK)
        st = prepare(&call, err);
    if (st == REC_OK)
        st = answer(&call, &made, err);
    rec_slot_release(serve->slot, &call.generation);
    if (st == REC_OK && !call.waits)
        *out = made;
    *waits = call.waits;
    return st;
}

enum rec_status rec_recommend_run(struct rec_serve *serve, size_t worker,
                                  const struct rec_recommend_query *query,
                                  struct rec_recommended *out, struct rec_error *err) {
    bool waits;
    return rec_recommend_start(serve, worker, query, NULL, &waits, out, err);
}

struct rec_found_user rec_recommend_find(struct rec_serve *serve, const char *user_id) {
    return rec_histories_look(&serve->histories, user_id);
}

void rec_recommend_versions(struct rec_serve *serve, const struct rec_found_user *user,
                            uint64_t *serial, uint64_t *history_version,
                            uint64_t *catalogue_version) {
    *serial = rec_slot_serial(serve->slot);
    *catalogue_version = atomic_load(&serve->catalogue.version);
    *history_version = user == NULL ? 0 : rec_histories_version_of(&serve->histories, *user);
}
