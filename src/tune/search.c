/* The search: some trials at a time, each a fit and its judgement on one thread of its own.
 *
 * Two fits on a core each are done sooner than one fit on two cores after the other, as no fit is
 * all parallel. The caller's thread keeps the books alone: it proposes, records, tells, and watches
 * the clock, so no lock is held over any of that; the threads only run what they are given.
 *
 * The number of a trial, not the moment it begins, seeds its proposal, and numbers are given out
 * from below: a search that was killed proposes again what had not ended. With one trial at a time
 * it then goes exactly the way it would have gone. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "trial.h"

#define TICK_NS 100000000 /* how often the clock is looked at */

enum worker_state { IDLE, RUNNING, ENDED, QUIT };

struct worker {
    struct books *books;
    pthread_t thread;
    bool started;
    enum worker_state state;     /* lock */
    uint64_t ended_at;           /* lock: which end of all it was */
    double fraction;             /* lock */
    bool counts;                 /* ENDED: it was not stopped */
    struct rec_tune_trial trial; /* the thread's while RUNNING, else the caller's */
};

struct books {
    const struct rec_tune_options *options;
    struct rec_tune_search *search; /* the caller's; lock where trials are added and looked at */
    struct worker *workers;
    uint64_t deadline_ns; /* 0: none */
    bool exhausted;
    atomic_bool stop;

    pthread_mutex_t lock;
    pthread_cond_t work; /* a worker's state became RUNNING or QUIT */
    pthread_cond_t news; /* a worker's state became ENDED */
    uint64_t ends;       /* lock */
};

/* ---- the threads ----------------------------------------------------------------------------- */

static void on_report(void *context, double fraction) {
    struct worker *worker = context;
    pthread_mutex_lock(&worker->books->lock);
    worker->fraction = fraction;
    pthread_mutex_unlock(&worker->books->lock);
}

static bool on_look(void *context, const struct rec_study_look *looks, size_t count) {
    const struct worker *worker = context;
    struct books *books = worker->books;
    pthread_mutex_lock(&books->lock);
    bool behind = rec_tune_is_behind(books->search->trials, books->search->count, looks, count);
    pthread_mutex_unlock(&books->lock);
    return !behind;
}

static void *worker_main(void *argument) {
    struct worker *worker = argument;
    struct books *books = worker->books;
    const struct rec_trial_watch watch = {
        .report = on_report, .look = on_look, .context = worker, .stop = &books->stop};
    if (books->options->background)
        rec_pool_lower_priority();
    pthread_mutex_lock(&books->lock);
    while (worker->state != QUIT) {
        if (worker->state != RUNNING) {
            pthread_cond_wait(&books->work, &books->lock);
            continue;
        }
        pthread_mutex_unlock(&books->lock);
        bool counts = rec_trial_run(books->options, &watch, &worker->trial);
        pthread_mutex_lock(&books->lock);
        worker->counts = counts;
        worker->state = ENDED;
        worker->ended_at = books->ends++;
        pthread_cond_signal(&books->news);
    }
    pthread_mutex_unlock(&books->lock);
    return NULL;
}

/* ---- proposing -------------------------------------------------------------------------- */

/* lock held */
static bool is_taken(const struct books *books, uint32_t number) {
    const struct rec_tune_search *search = books->search;
    for (size_t t = 0; t < search->count; t++)
        if (search->trials[t].number == number)
            return true;
    for (size_t w = 0; w < books->options->workers; w++)
        if (books->workers[w].state != IDLE && books->workers[w].trial.number == number)
            return true;
    return false;
}

/* lock held */
static size_t count_state(const struct books *books, enum worker_state state) {
    size_t count = 0;
    for (size_t w = 0; w < books->options->workers; w++)
        count += books->workers[w].state == state;
    return count;
}

/* Gives an idle worker the next trial, if there is one. Only the caller's thread changes the trials
 * and what is idle, so it may read those without the lock. */
static enum rec_status give(struct books *books, struct worker *worker, struct rec_error *err) {
    const struct rec_tune_search *search = books->search;
    const struct rec_tune_trial *running[REC_THREADS_MAX];
    struct rec_tune_asked asked = {.seed = books->options->seed, .running = running};
    struct rec_params params;
    pthread_mutex_lock(&books->lock);
    while (is_taken(books, asked.number))
        asked.number++;
    for (size_t w = 0; w < books->options->workers; w++)
        if (books->workers[w].state != IDLE)
            running[asked.running_count++] = &books->workers[w].trial;
    pthread_mutex_unlock(&books->lock);
    enum rec_status st = rec_tune_propose(books->options->space, search->trials, search->count,
                                          &asked, &params, NULL);
    if (st == REC_NOT_FOUND) {
        books->exhausted = true;
        return REC_OK;
    }
    if (st != REC_OK)
        return rec_error_set(err, st, "no memory to propose parameters");
    worker->trial = (struct rec_tune_trial){.number = asked.number, .value = (double)NAN};
    memcpy(worker->trial.param, params.value, sizeof(worker->trial.param));
    pthread_mutex_lock(&books->lock);
    worker->fraction = 0.0;
    worker->state = RUNNING;
    pthread_cond_broadcast(&books->work);
    pthread_mutex_unlock(&books->lock);
    return REC_OK;
}

static enum rec_status give_all(struct books *books, struct rec_error *err) {
    enum rec_status st = REC_OK;
    size_t workers = books->options->workers;
    for (size_t w = 0; st == REC_OK && w < workers && !atomic_load(&books->stop); w++) {
        pthread_mutex_lock(&books->lock);
        size_t busy = workers - count_state(books, IDLE);
        bool idle = books->workers[w].state == IDLE;
        pthread_mutex_unlock(&books->lock);
        if (idle && !books->exhausted && books->search->count + busy < books->options->trials)
            st = give(books, &books->workers[w], err);
    }
    return st;
}

/* ---- recording -------------------------------------------------------------------------- */

/* The worker whose trial ended first and is not recorded yet, or NULL. */
static struct worker *first_ended(struct books *books) {
    struct worker *first = NULL;
    pthread_mutex_lock(&books->lock);
    for (size_t w = 0; w < books->options->workers; w++) {
        struct worker *worker = &books->workers[w];
        if (worker->state == ENDED && (first == NULL || worker->ended_at < first->ended_at))
            first = worker;
    }
    pthread_mutex_unlock(&books->lock);
    return first;
}

static enum rec_status record(struct books *books, struct worker *worker, struct rec_error *err) {
    enum rec_status st = REC_OK;
    if (worker->counts) {
        st = rec_trial_keep(books->options, &worker->trial, err);
        if (st == REC_OK) {
            pthread_mutex_lock(&books->lock);
            st = rec_trial_add(books->search, &worker->trial, err);
            pthread_mutex_unlock(&books->lock);
        }
        if (st == REC_OK && books->options->ended != NULL)
            books->options->ended(books->options->context, books->search,
                                  &books->search->trials[books->search->count - 1]);
    }
    rec_alloc_free(worker->trial.looks);
    worker->trial.looks = NULL;
    pthread_mutex_lock(&books->lock);
    worker->state = IDLE;
    pthread_mutex_unlock(&books->lock);
    return st;
}

/* ---- the clock -------------------------------------------------------------------------- */

static void tell(struct books *books) {
    const struct rec_tune_search *search = books->search;
    double done = (double)(search->count - search->resumed);
    double all = (double)(books->options->trials - search->resumed);
    if (books->options->tick == NULL)
        return;
    pthread_mutex_lock(&books->lock);
    for (size_t w = 0; w < books->options->workers; w++)
        if (books->workers[w].state == RUNNING)
            done += fmin(fmax(books->workers[w].fraction, 0.0), 1.0);
    pthread_mutex_unlock(&books->lock);
    books->options->tick(books->options->context, search, fmin(done / all, 1.0));
}

static void watch_clock(struct books *books) {
    bool late = books->deadline_ns != 0 && rec_clock_monotonic_ns() >= books->deadline_ns;
    bool cancelled = books->options->cancel != NULL && atomic_load(books->options->cancel);
    if (late)
        books->search->end = REC_TUNE_TIMED_OUT;
    if (late || cancelled)
        atomic_store(&books->stop, true);
}

/* Until a trial ends or a tick has gone by. */
static void wait_for_news(struct books *books) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&books->lock);
    while (count_state(books, ENDED) == 0 &&
           pthread_cond_timedwait(&books->news, &books->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&books->lock);
}

/* After a failure the trials that run are stopped, and waited for. */
static enum rec_status keep_books(struct books *books, struct rec_error *err) {
    enum rec_status st = give_all(books, err);
    for (;;) {
        pthread_mutex_lock(&books->lock);
        bool busy = count_state(books, IDLE) < books->options->workers;
        pthread_mutex_unlock(&books->lock);
        if (!busy)
            return st;
        wait_for_news(books);
        watch_clock(books);
        for (struct worker *w = first_ended(books); w != NULL; w = first_ended(books)) {
            enum rec_status ended = record(books, w, err);
            st = st == REC_OK ? ended : st;
        }
        if (st == REC_OK)
            st = give_all(books, err);
        if (st != REC_OK)
            atomic_store(&books->stop, true);
        tell(books);
    }
}

/* ---- life ------------------------------------------------------------------------------- */

static enum rec_status start(struct books *books, struct rec_error *err) {
    for (size_t w = 0; w < books->options->workers; w++) {
        struct worker *worker = &books->workers[w];
        worker->books = books;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            return rec_error_set(err, REC_NO_MEMORY, "cannot start a thread for trials");
        worker->started = true;
    }
    return REC_OK;
}

static void quit(struct books *books) {
    pthread_mutex_lock(&books->lock);
    for (size_t w = 0; w < books->options->workers; w++)
        books->workers[w].state = QUIT;
    pthread_cond_broadcast(&books->work);
    pthread_mutex_unlock(&books->lock);
    for (size_t w = 0; w < books->options->workers; w++)
        if (books->workers[w].started)
            (void)pthread_join(books->workers[w].thread, NULL);
}

static enum rec_status run(struct books *books, struct rec_error *err) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&books->lock, NULL);
    (void)pthread_cond_init(&books->work, NULL);
    (void)pthread_cond_init(&books->news, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    enum rec_status st = start(books, err);
    if (st == REC_OK)
        st = keep_books(books, err);
    quit(books);
    (void)pthread_cond_destroy(&books->news);
    (void)pthread_cond_destroy(&books->work);
    (void)pthread_mutex_destroy(&books->lock);
    return st;
}

/* What a search without a winner says. */
static enum rec_status verdict(const struct rec_tune_options *options,
                               const struct rec_tune_search *search, struct rec_error *err) {
    const char *name = options->space->family->name;
    if (options->cancel != NULL && atomic_load(options->cancel))
        return rec_error_set(err, REC_CANCELLED, "stopped on request after %zu trials",
                             search->count);
    if (search->best < search->count)
        return REC_OK;
    for (size_t t = 0; t < search->count; t++)
        if (search->trials[t].state == REC_STUDY_FAILED)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "all %zu trials of %s failed; the first: %.300s", search->count,
                                 name, search->trials[t].error);
    return rec_error_set(err, REC_CANCELLED,
                         "%s: no trial was complete within %g s; allow more time, or set "
                         "parameters that are quick to fit",
                         name, options->timeout_s);
}

enum rec_status rec_tune_search_run(const struct rec_tune_options *options,
                                    struct rec_tune_search *search, struct rec_error *err) {
    struct books books = {.options = options, .search = search};
    atomic_init(&books.stop, false);
    enum rec_status st = rec_trial_restore(options, search, err);
    if (st != REC_OK)
        return st;
    if (search->count < options->trials) {
        if (options->timeout_s > 0.0)
            books.deadline_ns = rec_clock_monotonic_ns() + (uint64_t)(options->timeout_s * 1e9);
        books.workers = rec_alloc_array(options->workers, sizeof(*books.workers));
        st = books.workers == NULL
                 ? rec_error_set(err, REC_NO_MEMORY, "no memory for %zu trials", options->workers)
                 : run(&books, err);
        rec_alloc_free(books.workers);
    }
    if (search->count >= options->trials)
        search->end = REC_TUNE_DONE;
    else if (books.exhausted)
        search->end = REC_TUNE_EXHAUSTED;
    return st == REC_OK ? verdict(options, search, err) : st;
}

void rec_tune_search_finish(struct rec_tune_search *search) {
    for (size_t t = 0; t < search->count; t++)
        rec_alloc_free(search->trials[t].looks);
    rec_alloc_free(search->trials);
    *search = (struct rec_tune_search){.count = 0};
}

/* ---- the metric ------------------------------------------------------------------------- */

enum { METRICS_MAX = 32 };

/* What is no better for being higher cannot be searched for. */
static bool is_quality(const struct rec_metric *metric) {
    return metric->offset < offsetof(struct rec_ranking, avg_popularity);
}

enum rec_status rec_tune_metric_read(const char *text, const struct rec_metric **metric,
                                     uint32_t *k, struct rec_error *err) {
    const char *names[METRICS_MAX];
    char name[32] = "";
    size_t count = 0, bytes = strcspn(text, "@");
    int64_t cut = 0;
    if (text[bytes] != '@' || bytes == 0 || bytes >= sizeof(name))
        return rec_error_set(err, REC_BAD_INPUT, "metric: '%.40s' is not NAME@K, as in ndcg@10",
                             text);
    memcpy(name, text, bytes);
    enum rec_status st = rec_text_i64("metric", text + bytes + 1, 1, REC_K_MAX, &cut, err);
    if (st != REC_OK)
        return st;
    for (size_t m = 0; m < rec_metric_count && count < METRICS_MAX; m++) {
        if (!is_quality(&rec_metrics[m]))
            continue;
        names[count++] = rec_metrics[m].name;
        if (strcmp(rec_metrics[m].name, name) == 0) {
            *metric = &rec_metrics[m];
            *k = (uint32_t)cut;
            return REC_OK;
        }
    }
    const char *near = rec_text_nearest(name, names, count);
    return rec_error_set(err, REC_BAD_INPUT, "metric: '%s' is no measure of quality%s%s%s", name,
                         near == NULL ? "" : "; did you mean '", near == NULL ? "" : near,
                         near == NULL ? "" : "'?");
}
