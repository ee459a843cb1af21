/* The thread pool. Tasks are numbered and taken from one atomic counter, so
 * uneven tasks balance by themselves; a run is a generation number under the
 * mutex, so a late thread can never take a task of the next run.
 *
 * The caller works too: a pool of n has n - 1 threads. */
#define _GNU_SOURCE /* SCHED_IDLE */
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recsysd/base.h"

struct worker {
    struct rec_pool *pool;
    size_t index;
    pthread_t thread;
};

struct rec_pool {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    uint64_t run;   /* lock: number of the run; a change wakes the threads */
    size_t working; /* lock: threads still inside the present run */
    bool stopping;  /* lock */

    /* Written before `run` changes, so the threads read them after the lock. */
    rec_pool_fn fn;
    void *context;
    size_t tasks;
    atomic_size_t next;

    bool background;
    size_t threads; /* the caller included */
    size_t started;
    struct worker worker[]; /* [threads - 1] */
};

unsigned rec_thread_number(void) {
    static atomic_uint threads_seen;
    static _Thread_local unsigned own; /* + 1; 0: none yet */
    if (own == 0)
        own = atomic_fetch_add(&threads_seen, 1) + 1;
    return own - 1;
}

/* SCHED_IDLE rather than nice 19 alone, because Linux counts a core that runs nothing else as idle:
 * who wakes up is put there and runs at once, where it would wait for a tick of 4 ms behind another
 * thread of ours. It is no ban: such a thread has a small weight, and gets on under full load. */
void rec_pool_lower_priority(void) {
    struct sched_param none = {0};
    (void)sched_setscheduler(0, SCHED_IDLE, &none);
    /* Should that be refused; on Linux a nice value belongs to the thread. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
}

static void take_tasks(struct rec_pool *pool, size_t worker) {
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->tasks)
            return;
        pool->fn(pool->context, task, worker);
    }
}

static void *worker_main(void *argument) {
    struct worker *self = argument;
    struct rec_pool *pool = self->pool;
    uint64_t seen = 0;
    if (pool->background)
        rec_pool_lower_priority();

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->run == seen && !pool->stopping)
            pthread_cond_wait(&pool->start, &pool->lock);
        if (pool->stopping)
            break;
        seen = pool->run;
        pthread_mutex_unlock(&pool->lock);

        take_tasks(pool, self->index);

        pthread_mutex_lock(&pool->lock);
        if (--pool->working == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

enum rec_status rec_pool_create(size_t threads, bool background, struct rec_pool **out,
                                struct rec_error *err) {
    if (threads < 1 || threads > REC_THREADS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "threads: %zu is not within 1 and %d", threads,
                             REC_THREADS_MAX);
    struct rec_pool *pool = rec_alloc_extra(sizeof(*pool), threads - 1, sizeof(struct worker));
    if (pool == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a pool of %zu threads", threads);

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->start, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->background = background;
    pool->threads = threads;
    for (size_t i = 0; i + 1 < threads; i++) {
        pool->worker[i].pool = pool;
        pool->worker[i].index = i + 1; /* 0 is the caller */
        if (pthread_create(&pool->worker[i].thread, NULL, worker_main, &pool->worker[i]) != 0) {
            rec_pool_destroy(&pool);
            return rec_error_set(err, REC_NO_MEMORY, "cannot start thread %zu of %zu", i + 2,
                                 threads);
        }
        pool->started++;
    }
    *out = pool;
    return REC_OK;
}

void rec_pool_destroy(struct rec_pool **pool_pointer) {
    struct rec_pool *pool = *pool_pointer;
    if (pool == NULL)
        return;
    *pool_pointer = NULL;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->started; i++)
        pthread_join(pool->worker[i].thread, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->start);
    pthread_mutex_destroy(&pool->lock);
    rec_alloc_free(pool);
}

size_t rec_pool_threads(const struct rec_pool *pool) {
    return pool == NULL ? 1 : pool->threads;
}

void rec_pool_run(struct rec_pool *pool, size_t tasks, rec_pool_fn fn, void *context) {
    if (pool == NULL || pool->started == 0 || tasks <= 1) {
        for (size_t task = 0; task < tasks; task++)
            fn(context, task, 0);
        return;
    }

    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->context = context;
    pool->tasks = tasks;
    atomic_store(&pool->next, 0);
    pool->working = pool->started;
    pool->run++;
    pthread_cond_broadcast(&pool->start);
    pthread_mutex_unlock(&pool->lock);

    take_tasks(pool, 0);

    /* Every thread passes through the run, so none can meet the next run's fields half set. */
    pthread_mutex_lock(&pool->lock);
    while (pool->working > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
