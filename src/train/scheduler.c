/* The scheduler: one run at a time, on one thread of the lowest priority.
 *
 * One run, because two would compete for the same cores and the later would judge itself against
 * a model about to be replaced. A thread of its own, not the pool's, so that waiting costs nothing
 * and the pool's threads work for the run alone.
 *
 * A job is a row of the store from the moment it has an id; the row is written before the change
 * is visible here, and never with the lock held. Where a run is now (phase, fraction, loss) is
 * known in memory only. After a crash the store's word is all there is: what was queued or running
 * is marked interrupted at the next start.
 *
 * Triggers are polled once a second: the count of rows is one cheap read, and asking for a call
 * from the writer thread on every commit would tie it to training. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "recsysd/telemetry.h"
#include "recsysd/train.h"
#include "trigger.h"

enum {
    POLL_S = 1,
    RUN_SEED = 1,      /* fixed: the same data and parameters give the same model */
    ETA_AFTER_MS = 500 /* before that the rate says nothing */
};

struct waiting {
    struct rec_run_row row;
    struct rec_train_spec spec;
};

struct rec_scheduler {
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_versions *versions;
    const struct rec_weights *weights;
    rec_train_search_fn search;
    size_t memory_bytes_max;         /* of one fit */
    struct rec_train_spec automatic; /* the configured family and parameters */
    bool triggered;                  /* a trigger is set */
    struct rec_pool *pool;
    struct rec_trigger trigger; /* the thread's */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;                             /* lock */
    size_t reserved;                           /* lock: places of jobs whose row is being written */
    size_t queued;                             /* lock */
    bool running;                              /* lock */
    struct rec_job now;                        /* lock: of the run, while running */
    uint64_t began_ns;                         /* lock */
    atomic_bool cancel;                        /* of the run */
    struct waiting queue[REC_JOBS_QUEUED_MAX]; /* lock: [queued], the next one first */
    struct waiting current;                    /* the thread's */
};

/* ---- metrics ------------------------------------------------------------------------ */

#define RUNS_HELP "Training runs that ended, by how."
static struct rec_counter runs_ended[] = {
    {.name = "recsysd_training_runs_total", .help = RUNS_HELP, .labels = "state=\"succeeded\""},
    {.name = "recsysd_training_runs_total", .help = RUNS_HELP, .labels = "state=\"not_better\""},
    {.name = "recsysd_training_runs_total", .help = RUNS_HELP, .labels = "state=\"failed\""},
    {.name = "recsysd_training_runs_total", .help = RUNS_HELP, .labels = "state=\"cancelled\""},
};
static struct rec_gauge run_active = {.name = "recsysd_training_active",
                                      .help = "1 while a training run works."};
static struct rec_gauge run_seconds = {.name = "recsysd_training_last_seconds",
                                       .help = "How long the last training run took."};

static void register_metrics(void) {
    for (size_t i = 0; i < sizeof(runs_ended) / sizeof(runs_ended[0]); i++)
        rec_telemetry_register_counter(&runs_ended[i]);
    rec_telemetry_register_gauge(&run_active);
    rec_telemetry_register_gauge(&run_seconds);
}

static void count_ended(enum rec_run_state state) {
    static const enum rec_run_state order[] = {REC_RUN_SUCCEEDED, REC_RUN_NOT_BETTER,
                                               REC_RUN_FAILED, REC_RUN_CANCELLED};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (order[i] == state)
            rec_counter_add(&runs_ended[i], 1);
}

/* ---- what to run ---------------------------------------------------------------------- */

static enum rec_status configure(struct rec_scheduler *scheduler,
                                 const struct rec_scheduler_options *options,
                                 struct rec_error *err) {
    struct rec_train_spec *spec = &scheduler->automatic;
    *spec = (struct rec_train_spec){
        .seed = RUN_SEED, .judge = true, .tolerance = options->tolerance, .refit = true};
    enum rec_status st = rec_family_find(rec_families, options->family, &spec->family, err);
    if (st != REC_OK)
        return st;
    rec_params_defaults(spec->family->params, spec->family->param_count, &spec->params);
    st =
        rec_params_read(&spec->params, options->parameters != NULL ? options->parameters : "", err);
    if (st != REC_OK)
        return st;
    scheduler->triggered = options->every_minutes > 0 || options->after_recorded > 0;
    scheduler->trigger =
        (struct rec_trigger){.every_ns = (uint64_t)options->every_minutes * 60u * 1000000000u,
                             .after_recorded = options->after_recorded,
                             .started_ns = rec_clock_monotonic_ns()};
    return REC_OK;
}

/* The configured parameters are the ground of a job of the configured family only. */
static enum rec_status make_spec(const struct rec_scheduler *scheduler,
                                 const struct rec_train_order *order, struct rec_train_spec *spec,
                                 struct rec_error *err) {
    *spec = scheduler->automatic;
    if (order->family != NULL && order->family[0] != '\0') {
        enum rec_status st = rec_family_find(rec_families, order->family, &spec->family, err);
        if (st != REC_OK)
            return st;
    }
    if (spec->family != scheduler->automatic.family)
        rec_params_defaults(spec->family->params, spec->family->param_count, &spec->params);
    for (size_t i = 0; i < order->count; i++) {
        enum rec_status st = rec_params_set(&spec->params, order->assignments[i], err);
        if (st != REC_OK)
            return st;
        rec_params_mark(&spec->params, order->assignments[i], spec->fixed);
    }
    spec->judge = !order->force;
    spec->trials = order->trials;
    return rec_families_check(&spec->params, err);
}

/* ---- rows of the store ------------------------------------------------------------------ */

/* A row that cannot be written is logged by whoever has nobody to return it to. */
static void put_or_log(struct rec_scheduler *scheduler, struct rec_run_row *row) {
    struct rec_error err = {0};
    if (rec_store_put_run(scheduler->store, row, &err) != REC_OK)
        rec_log_event(REC_LOG_ERROR, "training_row_lost", "job=%llu state=%s error=\"%s\"",
                      (unsigned long long)row->id, rec_run_state_text(row->state), err.text);
}

static void describe(const struct rec_train_spec *spec, struct rec_run_row *row) {
    *row = (struct rec_run_row){.state = REC_RUN_QUEUED, .created_at = rec_clock_unix_s()};
    (void)snprintf(row->family, sizeof(row->family), "%s", spec->family->name);
    (void)rec_params_write(&spec->params, row->parameters, sizeof(row->parameters));
}

/* ---- the run ------------------------------------------------------------------------------ */

static void report(void *context, const char *phase, double fraction, double loss) {
    struct rec_scheduler *scheduler = context;
    pthread_mutex_lock(&scheduler->lock);
    struct rec_job *now = &scheduler->now;
    if (strcmp(now->phase, phase) != 0)
        now->loss = (double)NAN;
    (void)snprintf(now->phase, sizeof(now->phase), "%s", phase);
    now->fraction = fraction;
    if (!isnan(loss))
        now->loss = loss;
    pthread_mutex_unlock(&scheduler->lock);
}

static enum rec_run_state state_of(enum rec_status st) {
    if (st == REC_OK)
        return REC_RUN_SUCCEEDED;
    if (st == REC_NOT_BETTER)
        return REC_RUN_NOT_BETTER;
    return st == REC_CANCELLED ? REC_RUN_CANCELLED : REC_RUN_FAILED;
}

static enum rec_status train(struct rec_scheduler *scheduler, struct waiting *job,
                             struct rec_train_result *result, struct rec_error *err) {
    struct rec_progress progress = {
        .report = report, .context = scheduler, .cancel = &scheduler->cancel};
    struct rec_train_context context = {.store = scheduler->store,
                                        .weights = scheduler->weights,
                                        .slot = scheduler->slot,
                                        .versions = scheduler->versions,
                                        .pool = scheduler->pool,
                                        .progress = &progress,
                                        .memory_bytes_max = scheduler->memory_bytes_max,
                                        .search = scheduler->search};
    struct rec_store_counts counts;
    enum rec_status st = rec_store_counts(scheduler->store, &counts, err);
    if (st != REC_OK)
        return st;
    rec_trigger_started(&scheduler->trigger, rec_clock_monotonic_ns(), counts.recorded);
    st = rec_store_put_run(scheduler->store, &job->row, err);
    if (st != REC_OK)
        return st;
    return rec_train_run(&context, &job->spec, result, NULL, NULL, err);
}

static void finish_row(struct rec_run_row *row, enum rec_status st,
                       const struct rec_train_result *result, const struct rec_error *err) {
    row->state = state_of(st);
    row->finished_at = rec_clock_unix_s();
    (void)snprintf(row->version, sizeof(row->version), "%s", result->version);
    (void)snprintf(row->metrics, sizeof(row->metrics), "%s", result->metrics);
    if (result->parameters[0] != '\0')
        (void)snprintf(row->parameters, sizeof(row->parameters), "%s", result->parameters);
    if (row->state == REC_RUN_FAILED)
        (void)snprintf(row->error, sizeof(row->error), "%s",
                       err->text[0] != '\0' ? err->text : rec_error_text(st));
}

static void log_end(const struct rec_run_row *row, double seconds) {
    if (row->state == REC_RUN_FAILED)
        rec_log_event(REC_LOG_ERROR, "training_failed",
                      "job=%llu family=%s seconds=%.3f error=\"%s\"", (unsigned long long)row->id,
                      row->family, seconds, row->error);
    else
        rec_log_event(REC_LOG_INFO, "training_ended",
                      "job=%llu family=%s state=%s version=%s seconds=%.3f",
                      (unsigned long long)row->id, row->family, rec_run_state_text(row->state),
                      row->version[0] != '\0' ? row->version : "none", seconds);
}

static void run_current(struct rec_scheduler *scheduler) {
    struct waiting *job = &scheduler->current;
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    uint64_t began_ns = rec_clock_monotonic_ns();
    rec_gauge_set(&run_active, 1);
    rec_log_event(REC_LOG_INFO, "training_started", "job=%llu family=%s parameters=\"%s\"",
                  (unsigned long long)job->row.id, job->row.family, job->row.parameters);

    enum rec_status st = train(scheduler, job, &result, &err);
    finish_row(&job->row, st, &result, &err);
    put_or_log(scheduler, &job->row);

    double seconds = (double)(rec_clock_monotonic_ns() - began_ns) / 1e9;
    rec_gauge_set(&run_active, 0);
    rec_gauge_set(&run_seconds, (int64_t)seconds);
    count_ended(job->row.state);
    log_end(&job->row, seconds);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void submit_when_due(struct rec_scheduler *scheduler) {
    struct rec_store_counts counts;
    struct rec_error err = {0};
    const struct rec_train_order order = {.force = false};
    uint64_t id, live_recorded = 0;
    if (rec_store_counts(scheduler->store, &counts, &err) != REC_OK)
        return; /* the store's own health check reports it; asked again in a second */
    struct rec_generation *live = rec_slot_acquire(scheduler->slot);
    if (live != NULL)
        live_recorded = live->info.recorded;
    rec_slot_release(scheduler->slot, &live);

    uint64_t now_ns = rec_clock_monotonic_ns();
    if (!rec_trigger_due(&scheduler->trigger, now_ns, counts.recorded, live_recorded))
        return;
    rec_trigger_started(&scheduler->trigger, now_ns, counts.recorded);
    if (rec_scheduler_submit(scheduler, &order, &id, &err) != REC_OK)
        rec_log_event(REC_LOG_ERROR, "training_not_started", "error=\"%s\"", err.text);
}

/* lock held. Waits for a job, a stop, or a second. */
static void wait_for_work(struct rec_scheduler *scheduler) {
    if (!scheduler->triggered) {
        pthread_cond_wait(&scheduler->wake, &scheduler->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += POLL_S;
    if (pthread_cond_timedwait(&scheduler->wake, &scheduler->lock, &until) != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&scheduler->lock);
    submit_when_due(scheduler);
    pthread_mutex_lock(&scheduler->lock);
}

/* lock held. Takes the first job from the queue and makes it the current one. */
static void take_first(struct rec_scheduler *scheduler) {
    struct waiting *job = &scheduler->current;
    *job = scheduler->queue[0];
    scheduler->queued--;
    memmove(scheduler->queue, scheduler->queue + 1, scheduler->queued * sizeof(*job));
    job->row.state = REC_RUN_RUNNING;
    job->row.started_at = rec_clock_unix_s();
    scheduler->running = true;
    scheduler->now = (struct rec_job){.row = job->row, .loss = (double)NAN, .eta_s = (double)NAN};
    scheduler->began_ns = rec_clock_monotonic_ns();
    atomic_store(&scheduler->cancel, false);
}

static void *thread_main(void *argument) {
    struct rec_scheduler *scheduler = argument;
    rec_pool_lower_priority();
    pthread_mutex_lock(&scheduler->lock);
    while (!scheduler->stopping) {
        if (scheduler->queued == 0) {
            wait_for_work(scheduler);
            continue;
        }
        take_first(scheduler);
        pthread_mutex_unlock(&scheduler->lock);
        run_current(scheduler);
        pthread_mutex_lock(&scheduler->lock);
        scheduler->running = false;
    }
    pthread_mutex_unlock(&scheduler->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void init_wake(pthread_cond_t *wake) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* the wall clock may jump */
    pthread_cond_init(wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

static enum rec_status start(struct rec_scheduler *scheduler,
                             const struct rec_scheduler_options *options, struct rec_error *err) {
    size_t interrupted = 0;
    enum rec_status st = configure(scheduler, options, err);
    if (st == REC_OK)
        st = rec_pool_create(options->threads, true, &scheduler->pool, err);
    if (st == REC_OK)
        st = rec_store_mark_interrupted(scheduler->store, &interrupted, err);
    if (st != REC_OK)
        return st;
    if (interrupted > 0)
        rec_log_event(REC_LOG_WARN, "training_interrupted", "jobs=%zu", interrupted);
    if (pthread_create(&scheduler->thread, NULL, thread_main, scheduler) != 0)
        return rec_error_set(err, REC_NO_MEMORY, "cannot start the training thread");
    scheduler->started = true;
    return REC_OK;
}

enum rec_status rec_scheduler_create(const struct rec_scheduler_options *options,
                                     struct rec_scheduler **out, struct rec_error *err) {
    static pthread_once_t metrics = PTHREAD_ONCE_INIT;
    pthread_once(&metrics, register_metrics);
    struct rec_scheduler *scheduler = rec_alloc_array(1, sizeof(*scheduler));
    if (scheduler == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the training scheduler");
    scheduler->store = options->store;
    scheduler->slot = options->slot;
    scheduler->versions = options->versions;
    scheduler->weights = options->weights;
    scheduler->memory_bytes_max = options->memory_bytes_max;
    scheduler->search = options->search;
    pthread_mutex_init(&scheduler->lock, NULL);
    init_wake(&scheduler->wake);

    enum rec_status st = start(scheduler, options, err);
    if (st != REC_OK) {
        rec_scheduler_destroy(&scheduler);
        return st;
    }
    *out = scheduler;
    return REC_OK;
}

void rec_scheduler_stop(struct rec_scheduler *scheduler) {
    if (scheduler == NULL)
        return;
    pthread_mutex_lock(&scheduler->lock);
    scheduler->stopping = true;
    atomic_store(&scheduler->cancel, true);
    pthread_cond_signal(&scheduler->wake);
    pthread_mutex_unlock(&scheduler->lock);
}

void rec_scheduler_destroy(struct rec_scheduler **scheduler_pointer) {
    struct rec_scheduler *scheduler = *scheduler_pointer;
    if (scheduler == NULL)
        return;
    *scheduler_pointer = NULL;

    rec_scheduler_stop(scheduler);
    if (scheduler->started)
        pthread_join(scheduler->thread, NULL);
    for (size_t i = 0; i < scheduler->queued; i++) {
        struct rec_run_row *row = &scheduler->queue[i].row;
        row->state = REC_RUN_CANCELLED;
        row->finished_at = rec_clock_unix_s();
        put_or_log(scheduler, row);
    }
    rec_pool_destroy(&scheduler->pool);
    pthread_cond_destroy(&scheduler->wake);
    pthread_mutex_destroy(&scheduler->lock);
    rec_alloc_free(scheduler);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* A place in the queue is taken before the row is written, and given back if that fails. */
static enum rec_status reserve(struct rec_scheduler *scheduler, struct rec_error *err) {
    enum rec_status st = REC_OK;
    pthread_mutex_lock(&scheduler->lock);
    if (scheduler->stopping)
        st = rec_error_set(err, REC_BUSY, "training is shutting down");
    else if (scheduler->queued + scheduler->reserved >= REC_JOBS_QUEUED_MAX)
        st = rec_error_set(err, REC_BUSY, "%d training jobs are waiting; try again later",
                           REC_JOBS_QUEUED_MAX);
    else
        scheduler->reserved++;
    pthread_mutex_unlock(&scheduler->lock);
    return st;
}

enum rec_status rec_scheduler_submit(struct rec_scheduler *scheduler,
                                     const struct rec_train_order *order, uint64_t *id,
                                     struct rec_error *err) {
    struct waiting job = {0};
    enum rec_status st = make_spec(scheduler, order, &job.spec, err);
    if (st == REC_OK)
        st = reserve(scheduler, err);
    if (st != REC_OK)
        return st;
    describe(&job.spec, &job.row);
    st = rec_store_put_run(scheduler->store, &job.row, err);

    pthread_mutex_lock(&scheduler->lock);
    scheduler->reserved--;
    if (st == REC_OK) {
        scheduler->queue[scheduler->queued++] = job;
        pthread_cond_signal(&scheduler->wake);
    }
    pthread_mutex_unlock(&scheduler->lock);
    if (st == REC_OK)
        *id = job.row.id;
    return st;
}

/* lock held */
static double eta_s(const struct rec_scheduler *scheduler) {
    double elapsed_s = (double)(rec_clock_monotonic_ns() - scheduler->began_ns) / 1e9;
    double fraction = scheduler->now.fraction;
    if (elapsed_s * 1000.0 < ETA_AFTER_MS || fraction <= 0.01 || fraction > 1.0)
        return (double)NAN;
    return elapsed_s * (1.0 - fraction) / fraction;
}

/* A job from its row, with what only memory knows if it is the one that runs. */
static void complete(struct rec_scheduler *scheduler, const struct rec_run_row *row,
                     struct rec_job *out) {
    *out = (struct rec_job){.row = *row, .loss = (double)NAN, .eta_s = (double)NAN};
    bool whole = row->state == REC_RUN_SUCCEEDED || row->state == REC_RUN_NOT_BETTER;
    out->fraction = whole ? 1.0 : 0.0;
    if (row->finished_at != 0)
        return;
    pthread_mutex_lock(&scheduler->lock);
    if (scheduler->running && scheduler->now.row.id == row->id) {
        *out = scheduler->now;
        out->eta_s = eta_s(scheduler);
    }
    pthread_mutex_unlock(&scheduler->lock);
}

enum rec_status rec_scheduler_get(struct rec_scheduler *scheduler, uint64_t id, struct rec_job *out,
                                  struct rec_error *err) {
    struct rec_run_row row;
    enum rec_status st = rec_store_get_run(scheduler->store, id, &row, err);
    if (st == REC_OK)
        complete(scheduler, &row, out);
    return st;
}

enum rec_status rec_scheduler_list(struct rec_scheduler *scheduler, struct rec_job *out,
                                   size_t *count, struct rec_error *err) {
    size_t capacity = *count < REC_JOBS_LISTED_MAX ? *count : REC_JOBS_LISTED_MAX;
    struct rec_run_row *rows = rec_alloc_array(capacity, sizeof(*rows));
    if (rows == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to list %zu jobs", capacity);
    enum rec_status st = rec_store_list_runs(scheduler->store, rows, &capacity, err);
    for (size_t i = 0; st == REC_OK && i < capacity; i++)
        complete(scheduler, &rows[i], &out[i]);
    if (st == REC_OK)
        *count = capacity;
    rec_alloc_free(rows);
    return st;
}

/* Takes a job out of the queue; false when it is not there. */
static bool withdraw(struct rec_scheduler *scheduler, uint64_t id, struct rec_run_row *row) {
    bool found = false;
    for (size_t i = 0; i < scheduler->queued && !found; i++) {
        struct waiting *job = &scheduler->queue[i];
        if (job->row.id != id)
            continue;
        *row = job->row;
        scheduler->queued--;
        memmove(job, job + 1, (scheduler->queued - i) * sizeof(*job));
        found = true;
    }
    return found;
}

enum rec_status rec_scheduler_cancel(struct rec_scheduler *scheduler, uint64_t id,
                                     struct rec_error *err) {
    struct rec_run_row row;
    enum rec_status st = rec_store_get_run(scheduler->store, id, &row, err);
    if (st != REC_OK)
        return st;
    /* First, because for a moment after its row says that it has ended a job still runs here. */
    if (row.finished_at != 0)
        return rec_error_set(err, REC_CONFLICT, "job %llu has ended: %s", (unsigned long long)id,
                             rec_run_state_text(row.state));
    pthread_mutex_lock(&scheduler->lock);
    bool running = scheduler->running && scheduler->now.row.id == id;
    if (running)
        atomic_store(&scheduler->cancel, true);
    bool withdrawn = !running && withdraw(scheduler, id, &row);
    pthread_mutex_unlock(&scheduler->lock);
    if (running)
        return REC_OK;
    if (withdrawn) {
        row.state = REC_RUN_CANCELLED;
        row.finished_at = rec_clock_unix_s();
        count_ended(row.state);
        return rec_store_put_run(scheduler->store, &row, err);
    }
    return rec_error_set(err, REC_CONFLICT, "job %llu has just ended", (unsigned long long)id);
}
