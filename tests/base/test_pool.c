#include <sched.h>
#include <string.h>

#include "recsysd/base.h"
#include "test.h"

enum { TASKS = 1000 };

struct tally {
    atomic_int ran[TASKS];
    atomic_bool bad_worker;
    size_t workers;
};

static void count_task(void *context, size_t task, size_t worker) {
    struct tally *tally = context;
    atomic_fetch_add(&tally->ran[task], 1);
    if (worker >= tally->workers)
        atomic_store(&tally->bad_worker, true);
}

/* Goal: every task runs exactly once, for any number of threads and runs in a row. */
static void test_every_task_once(void **state) {
    (void)state;
    const size_t counts[] = {0, 1, 2, 3, TASKS};
    for (size_t threads = 0; threads <= 4; threads++) {
        struct rec_pool *pool = NULL;
        if (threads > 0)
            assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
        for (size_t run = 0; run < 200; run++) {
            static struct tally tally;
            memset(&tally, 0, sizeof(tally));
            tally.workers = rec_pool_threads(pool);
            size_t tasks = counts[run % COUNT(counts)];
            rec_pool_run(pool, tasks, count_task, &tally);
            for (size_t i = 0; i < TASKS; i++)
                assert_int_equal(atomic_load(&tally.ran[i]), i < tasks);
            assert_false(atomic_load(&tally.bad_worker));
        }
        rec_pool_destroy(&pool);
        assert_null(pool);
        rec_pool_destroy(&pool);
    }
}

enum { ROUNDS = 200, WORKERS = 3 };

static void note_policy(void *context, size_t task, size_t worker) {
    atomic_int *policy = context;
    (void)task;
    atomic_store(&policy[worker], sched_getscheduler(0));
    sched_yield(); /* so that the others get tasks, too */
}

/* Goal: threads of a pool in the background stand back for everybody, others do not, and the caller
 * is left as it was. SCHED_OTHER is the only policy POSIX names that is not for real time. */
static void test_background(void **state) {
    (void)state;
    for (int background = 0; background < 2; background++) {
        atomic_int policy[WORKERS] = {-1, -1, -1};
        struct rec_pool *pool = NULL;
        assert_int_equal(rec_pool_create(WORKERS, background == 1, &pool, NULL), REC_OK);
        for (int i = 0; i < ROUNDS; i++)
            rec_pool_run(pool, 64, note_policy, policy);
        rec_pool_destroy(&pool);
        assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
        for (size_t worker = 0; worker < WORKERS; worker++) {
            bool low = worker > 0 && background == 1;
            int seen = atomic_load(&policy[worker]);
            if (seen >= 0) /* it may never have had a task */
                assert_int_equal(seen != SCHED_OTHER, low);
        }
    }
}

/* Goal: sizes out of range are refused by name and value; out of memory is said. */
static void test_refusals(void **state) {
    (void)state;
    struct rec_pool *pool = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_pool_create(0, false, &pool, &err), REC_BAD_INPUT);
    assert_string_equal(err.text, "threads: 0 is not within 1 and 256");
    assert_int_equal(rec_pool_create(REC_THREADS_MAX + 1, false, &pool, NULL), REC_BAD_INPUT);
    rec_alloc_fail_at(0);
    assert_int_equal(rec_pool_create(2, false, &pool, NULL), REC_NO_MEMORY);
    assert_null(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_task_once),
                                       cmocka_unit_test(test_background),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
