/* serve.c: the life of the serving state: made from the store, given up at the end. What it is
 * made of is in catalogue.c, histories.c and queries.c; what is done with it in recommend.c,
 * similar.c and record.c. */
#include "internal.h"

struct rec_scratch *rec_serve_scratch(void) {
    return rec_alloc_array(1, sizeof(struct rec_scratch));
}

void rec_serve_scratch_destroy(struct rec_scratch **scratch_pointer) {
    struct rec_scratch *scratch = *scratch_pointer;
    if (scratch == NULL)
        return;
    *scratch_pointer = NULL;
    rec_alloc_free(scratch->mask);
    rec_alloc_free(scratch->query);
    rec_alloc_free(scratch->family);
    rec_alloc_free(scratch->explain);
    rec_alloc_free(scratch);
}

static enum rec_status create_scratch(struct rec_serve *serve, size_t workers,
                                      struct rec_error *err) {
    serve->scratch = rec_alloc_array(workers, sizeof(struct rec_scratch *));
    if (serve->scratch == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for %zu workers", workers);
    serve->workers = workers;
    for (size_t i = 0; i < workers; i++) {
        serve->scratch[i] = rec_serve_scratch();
        if (serve->scratch[i] == NULL)
            return rec_error_set(err, REC_NO_MEMORY, "no memory for worker %zu", i);
    }
    return REC_OK;
}

enum rec_status rec_serve_create(const struct rec_serve_options *options, struct rec_serve **out,
                                 struct rec_error *err) {
    struct rec_serve *serve = rec_alloc_array(1, sizeof(*serve));
    if (serve == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to serve");
    serve->store = options->store;
    serve->slot = options->slot;
    serve->weights = options->weights;
    atomic_flag_clear(&serve->repairing);
    rec_queries_init(&serve->queries, options->query_cache_bytes);

    /* Both inits run, whatever becomes of the first: destroy undoes both. */
    enum rec_status st = rec_catalogue_init(&serve->catalogue, err);
    enum rec_status histories = rec_histories_init(&serve->histories, err);
    if (st == REC_OK)
        st = histories;
    if (st == REC_OK)
        st = create_scratch(serve, options->workers, err);
    if (st == REC_OK)
        st = rec_load_run(serve, err);
    if (st == REC_OK)
        st = rec_gather_init(&serve->gather, serve, options->scorers, err);
    if (st != REC_OK) {
        rec_serve_destroy(&serve);
        return st;
    }
    *out = serve;
    return REC_OK;
}

void rec_serve_destroy(struct rec_serve **serve_pointer) {
    struct rec_serve *serve = *serve_pointer;
    if (serve == NULL)
        return;
    *serve_pointer = NULL;
    rec_gather_finish(&serve->gather);
    for (size_t i = 0; i < serve->workers; i++)
        rec_serve_scratch_destroy(&serve->scratch[i]);
    rec_alloc_free(serve->scratch);
    rec_queries_finish(&serve->queries);
    rec_histories_finish(&serve->histories);
    rec_catalogue_finish(&serve->catalogue);
    rec_alloc_free(serve);
}

void rec_serve_counts(struct rec_serve *serve, struct rec_serve_counts *out) {
    struct rec_histories *histories = &serve->histories;
    struct rec_serve_counts counts = {
        .interactions = atomic_load(&serve->interactions),
        .recorded = atomic_load(&serve->recorded),
        .query_cache_bytes = rec_queries_bytes(&serve->queries),
    };
    rec_shared_read(&serve->catalogue.lock);
    counts.items = serve->catalogue.items;
    rec_shared_read_end(&serve->catalogue.lock);
    rec_shared_read(&histories->lock);
    counts.users = histories->users;
    counts.history_bytes = histories->chunks * REC_SERVE_CHUNK_USERS * sizeof(struct rec_user);
    rec_shared_read_end(&histories->lock);
    counts.history_bytes +=
        histories->arena_events * sizeof(struct rec_event) + atomic_load(&histories->grown_bytes);
    *out = counts;
}
