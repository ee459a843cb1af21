/* gather.c: lists that wait to be scored together.
 *
 * Where a catalogue is so large that the scan of one list takes a good part of a millisecond, it is
 * memory that it waits for, and a pass over the same memory scores sixteen lists for little more.
 * So a worker that finds others at it queues its list, with the scratch that holds its mask and its
 * query, takes a spare scratch, and turns to its next connection. Scorers, as many as there are
 * workers, take what waits, the oldest first and up to a pass full: nobody waits for a pass to fill
 * up, it fills with what came while the last ones ran.
 *
 * Others are at it when as many lists are unscored as there are scorers. With fewer a core may be
 * idle, and the worker scans at once, as if nothing of this existed. But workers that all scan by
 * themselves never see how many requests stand before their door; so one list in PROBE is queued
 * nevertheless. Under load that is the first stone: its worker goes on, queues the next ones behind
 * it, and lists wait for as long as there are enough of them. Without load it costs that one list
 * the way over another thread, some 50 us of a scan that takes longer.
 *
 * Whether that pays is decided by what a list's share of a pass took of late: below WORTH_NS the
 * way over another thread, and back into a connection that sleeps, costs as much as it saves. Short
 * passes, of small catalogues or of trained factors whose scan ends early, are never queued.
 *
 * A full queue is no error: the worker scans by itself, which also keeps it from taking in more. */
#include "internal.h"

enum {
    ITEMS_MIN = 20000,
    WORTH_NS = 100000,
    MEMORY = 8, /* passes that the mean is over */
    PROBE = 32,
};

/* ---- what a pass takes --------------------------------------------------------------------- */

/* Races lose a sample, not more. */
static void note(struct rec_gather *gather, uint64_t took_ns) {
    uint64_t mean = atomic_load_explicit(&gather->worth_ns, memory_order_relaxed);
    mean = (mean * (MEMORY - 1) + took_ns) / MEMORY;
    atomic_store_explicit(&gather->worth_ns, mean, memory_order_relaxed);
}

bool rec_gather_wants(struct rec_gather *gather, uint32_t items) {
    if (gather->threads == 0 || items < gather->items_min ||
        atomic_load_explicit(&gather->worth_ns, memory_order_relaxed) < WORTH_NS)
        return false;
    return atomic_load(&gather->unscored) >= gather->threads ||
           atomic_fetch_add(&gather->alone, 1) % PROBE == PROBE - 1;
}

uint64_t rec_gather_begin(struct rec_gather *gather, uint32_t items) {
    if (gather->threads == 0 || items < gather->items_min)
        return 0;
    atomic_fetch_add(&gather->unscored, 1);
    return rec_clock_monotonic_ns();
}

void rec_gather_end(struct rec_gather *gather, uint32_t items, uint64_t began_ns) {
    if (gather->threads == 0 || items < gather->items_min)
        return;
    note(gather, rec_clock_monotonic_ns() - began_ns);
    atomic_fetch_sub(&gather->unscored, 1);
}

/* ---- the queue ------------------------------------------------------------------------------ */

/* A scratch that nobody uses; NULL: so many lists wait already, or out of memory. */
static struct rec_scratch *take_spare(struct rec_gather *gather) {
    struct rec_scratch *spare;
    bool make = false;
    pthread_mutex_lock(&gather->lock);
    spare = gather->spare;
    if (spare != NULL) {
        gather->spare = spare->waiting.next;
    } else if (gather->made < REC_SERVE_WAITING_MAX) {
        gather->made++;
        make = true;
    }
    pthread_mutex_unlock(&gather->lock);
    if (!make)
        return spare;
    spare = rec_serve_scratch();
    if (spare == NULL) {
        pthread_mutex_lock(&gather->lock);
        gather->made--;
        pthread_mutex_unlock(&gather->lock);
    }
    return spare;
}

static void give_spare(struct rec_gather *gather, struct rec_scratch *scratch) {
    pthread_mutex_lock(&gather->lock);
    scratch->waiting.next = gather->spare;
    gather->spare = scratch;
    pthread_mutex_unlock(&gather->lock);
}

bool rec_gather_put(struct rec_gather *gather, struct rec_scratch **scratch) {
    struct rec_scratch *queued = *scratch, *spare = take_spare(gather);
    if (spare == NULL)
        return false;
    *scratch = spare;
    atomic_fetch_add(&gather->unscored, 1);
    queued->waiting.next = NULL;
    pthread_mutex_lock(&gather->lock);
    *gather->end = queued;
    gather->end = &queued->waiting.next;
    pthread_cond_signal(&gather->work);
    pthread_mutex_unlock(&gather->lock);
    return true;
}

/* The oldest, and those after it that ask the same model. Under the lock. */
static size_t take_batch(struct rec_gather *gather, struct rec_scratch *batch[REC_SCAN_QUERIES]) {
    size_t count = 0;
    while (gather->first != NULL && count < REC_SCAN_QUERIES &&
           (count == 0 || gather->first->waiting.generation == batch[0]->waiting.generation)) {
        batch[count] = gather->first;
        gather->first = batch[count++]->waiting.next;
    }
    if (gather->first == NULL)
        gather->end = &gather->first;
    return count;
}

/* ---- scorers -------------------------------------------------------------------------------- */

static void score(struct rec_scratch *const *batch, size_t count) {
    struct rec_scan_query queries[REC_SCAN_QUERIES];
    struct rec_topk tops[REC_SCAN_QUERIES];
    for (size_t i = 0; i < count; i++) {
        struct rec_waiting *waiting = &batch[i]->waiting;
        rec_topk_init(&tops[i], batch[i]->kept, waiting->query.k);
        queries[i] = (struct rec_scan_query){.query = batch[i]->query,
                                             .items = waiting->items,
                                             .mask = batch[i]->mask,
                                             .top = &tops[i]};
    }
    rec_scan_topk_batch(batch[0]->waiting.generation->model->scan, queries, count);
    for (size_t i = 0; i < count; i++) {
        rec_topk_finish(&tops[i]);
        batch[i]->waiting.made.items = batch[i]->kept;
        batch[i]->waiting.made.count = tops[i].count;
    }
}

static void answer(struct rec_gather *gather, struct rec_scratch *scratch) {
    struct rec_waiting *waiting = &scratch->waiting;
    const struct rec_recommend_later later = waiting->later;
    rec_slot_release(gather->serve->slot, &waiting->generation);
    later.done(later.owner, later.context, &waiting->query, &waiting->made);
    give_spare(gather, scratch);
}

static void run_batch(struct rec_gather *gather, struct rec_scratch *const *batch, size_t count) {
    uint64_t began_ns = rec_clock_monotonic_ns();
    score(batch, count);
    note(gather, (rec_clock_monotonic_ns() - began_ns) / count);
    atomic_fetch_sub(&gather->unscored, count);
    for (size_t i = 0; i < count; i++)
        answer(gather, batch[i]);
}

static void *scorer(void *context) {
    struct rec_gather *gather = context;
    struct rec_scratch *batch[REC_SCAN_QUERIES];
    for (;;) {
        pthread_mutex_lock(&gather->lock);
        while (gather->first == NULL && !gather->stopping)
            pthread_cond_wait(&gather->work, &gather->lock);
        size_t count = take_batch(gather, batch);
        pthread_mutex_unlock(&gather->lock);
        if (count == 0)
            return NULL;
        run_batch(gather, batch, count);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

enum rec_status rec_gather_init(struct rec_gather *gather, struct rec_serve *serve, size_t threads,
                                struct rec_error *err) {
    gather->serve = serve;
    gather->items_min = ITEMS_MIN;
    gather->end = &gather->first;
    if (threads == 0)
        return REC_OK;
    gather->thread = rec_alloc_array(threads, sizeof(*gather->thread));
    if (gather->thread == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for %zu scorers", threads);
    pthread_mutex_init(&gather->lock, NULL);
    pthread_cond_init(&gather->work, NULL);
    for (; gather->threads < threads; gather->threads++)
        if (pthread_create(&gather->thread[gather->threads], NULL, scorer, gather) != 0)
            return rec_error_set(err, REC_IO, "scorer %zu does not start (threads used up?)",
                                 gather->threads);
    return REC_OK;
}

void rec_gather_finish(struct rec_gather *gather) {
    if (gather->thread == NULL)
        return;
    pthread_mutex_lock(&gather->lock);
    gather->stopping = true;
    pthread_cond_broadcast(&gather->work);
    pthread_mutex_unlock(&gather->lock);
    for (size_t i = 0; i < gather->threads; i++)
        pthread_join(gather->thread[i], NULL);
    while (gather->spare != NULL) {
        struct rec_scratch *scratch = gather->spare;
        gather->spare = scratch->waiting.next;
        rec_serve_scratch_destroy(&scratch);
    }
    pthread_cond_destroy(&gather->work);
    pthread_mutex_destroy(&gather->lock);
    rec_alloc_free(gather->thread);
    gather->thread = NULL;
    gather->threads = 0;
}
