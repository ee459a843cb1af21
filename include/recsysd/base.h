/* base: errors, checked allocation, log, clock, random numbers, thread pool,
 * text checks. The floor of the house: it knows no other room. */
#ifndef RECSYSD_BASE_H
#define RECSYSD_BASE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recsysd/limits.h"

/* ---- errors (error.c) --------------------------------------------------- */

/* One list feeds the enum and the texts. api/problem.c maps it to HTTP with a
 * switch that has no default, so a new status does not compile until mapped. */
#define REC_STATUS_MAP(X)                                                                          \
    X(OK, "ok")                                                                                    \
    X(BAD_INPUT, "the request or file is not valid")                                               \
    X(NOT_FOUND, "no such user, item, model or job")                                               \
    X(NO_MODEL, "no model has been published yet")                                                 \
    X(CONFLICT, "not possible in the present state")                                               \
    X(LIMIT, "a documented limit was reached")                                                     \
    X(BUSY, "too much work is waiting; try again later")                                           \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(IO, "disk, network or database failure")                                                     \
    X(CORRUPT, "stored data failed its check")                                                     \
    X(NOT_BETTER, "the candidate is not better")                                                   \
    X(CANCELLED, "stopped on request")

#define REC_STATUS_ENUM(name, text) REC_##name,
enum rec_status { REC_STATUS_MAP(REC_STATUS_ENUM) };
#undef REC_STATUS_ENUM

/* What went wrong, for people. Caller-owned, no heap, usable when out of
 * memory. The status says which kind; the text says where and with what value. */
struct rec_error {
    enum rec_status status; /* REC_OK while empty */
    char text[400];
};

/* Fills err unless it is NULL or already filled: the first cause wins, so a
 * cleanup failure cannot hide it. Returns status, for `return rec_error_set(..)`. */
enum rec_status rec_error_set(struct rec_error *err, enum rec_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *rec_error_text(enum rec_status status); /* static string, never NULL */
const char *rec_error_name(enum rec_status status); /* "bad_input", static */

/* ---- allocation (alloc.c) ----------------------------------------------- */

/* All zeroed; 64-byte aligned from 1 KiB on; NULL when out of memory or when the size
 * overflows. threads: any. Free with rec_alloc_free, which takes NULL. */
void *rec_alloc_array(size_t count, size_t size);
void *rec_alloc_extra(size_t head_bytes, size_t count, size_t size); /* struct + flexible array */
char *rec_alloc_text(const char *text, size_t bytes);                /* NUL-terminated copy */
void rec_alloc_free(void *block);

/* Makes *array hold at least `need` elements, growing by half; new elements are
 * zero. On failure nothing changes. *capacity in elements. */
enum rec_status rec_alloc_grow(void *array_pointer, size_t *capacity, size_t need, size_t size,
                               struct rec_error *err);

/* Tests: fail the n-th allocation from now (0 is the next; -1 never), and count
 * what is alive. */
void rec_alloc_fail_at(long n);
size_t rec_alloc_live(void);

/* ---- log (log.c) -------------------------------------------------------- */

enum rec_log_level { REC_LOG_DEBUG, REC_LOG_INFO, REC_LOG_WARN, REC_LOG_ERROR };

/* One logfmt line on stderr: time, level, event, then the fields, which the
 * format writes as `key=value key2="a b"`. No personal data: no user ids, no
 * item ids of a history, no bodies. threads: any; lines never mix. */
void rec_log_event(enum rec_log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rec_log_set_level(enum rec_log_level level);

/* ---- clock (clock.c) ---------------------------------------------------- */

uint64_t rec_clock_monotonic_ns(void);
int64_t rec_clock_unix_ms(void);
int64_t rec_clock_unix_s(void);

/* units: seconds since 1970, UTC. `text` as RFC 3339, with any offset; a
 * fraction is dropped. BAD_INPUT without a text in err: the caller names the field. */
enum { REC_CLOCK_TEXT_BYTES = 21 }; /* 2026-01-31T23:59:59Z and the NUL */
void rec_clock_format(int64_t unix_s, char text[REC_CLOCK_TEXT_BYTES]);
enum rec_status rec_clock_parse(const char *text, int64_t *unix_s);

/* ---- random numbers (rng.c) --------------------------------------------- */

/* xoshiro256++ seeded through splitmix64; one stream per task, so the result
 * does not depend on which thread runs it. */
struct rec_rng {
    uint64_t state[4];
};
void rec_rng_init(struct rec_rng *rng, uint64_t seed, uint64_t stream);
uint64_t rec_rng_u64(struct rec_rng *rng);
uint32_t rec_rng_below(struct rec_rng *rng, uint32_t bound); /* unbiased; bound > 0 */
float rec_rng_uniform(struct rec_rng *rng);                  /* [0, 1) */
float rec_rng_normal(struct rec_rng *rng);                   /* mean 0, variance 1 */

/* ---- thread pool (pool.c) ----------------------------------------------- */

/* Runs numbered tasks on a fixed set of threads; the caller is one of them. */
struct rec_pool;
typedef void (*rec_pool_fn)(void *context, size_t task, size_t worker);

/* threads: 1 to REC_THREADS_MAX, the caller included, so 1 starts none.
 * background: give the threads (and the caller, while it runs tasks) the lowest
 * priority, so requests come first. */
enum rec_status rec_pool_create(size_t threads, bool background, struct rec_pool **out,
                                struct rec_error *err);
void rec_pool_destroy(struct rec_pool **pool);
size_t rec_pool_threads(const struct rec_pool *pool); /* 1 for NULL */

/* Runs fn for task 0 .. tasks-1, each once, in any order, and returns when all
 * are done. worker < rec_pool_threads(). A NULL pool runs them here in order.
 * threads: one rec_pool_run at a time per pool. */
void rec_pool_run(struct rec_pool *pool, size_t tasks, rec_pool_fn fn, void *context);

/* A number of the calling thread's own: 0, 1, ... in the order in which threads first ask. For data
 * that are kept apart by thread, so that cores do not share cache lines. */
unsigned rec_thread_number(void);

/* Gives the calling thread the lowest scheduling priority (Linux: SCHED_IDLE, nice 19). */
void rec_pool_lower_priority(void);

/* ---- progress and cancellation (progress.c) ----------------------------- */

/* How long work tells where it is, and learns that it should stop. */
struct rec_progress {
    /* fraction of the phase in [0, 1]; loss is NAN where there is none */
    void (*report)(void *context, const char *phase, double fraction, double loss);
    void *context;
    const atomic_bool *cancel; /* NULL: cannot be cancelled */
    /* After an epoch that was judged on held-out data, with the metric. False: the work is given
     * up. NULL: not wanted */
    bool (*judged)(void *context, size_t epoch, double metric);
};
void rec_progress_report(const struct rec_progress *progress, const char *phase, double fraction,
                         double loss); /* NULL progress is fine */
bool rec_progress_cancelled(const struct rec_progress *progress);
bool rec_progress_judged(const struct rec_progress *progress, size_t epoch, double metric);

/* ---- text (text.c) ------------------------------------------------------ */

/* Whole and shortest-form UTF-8, no surrogates, no NUL. */
bool rec_text_utf8(const char *text, size_t bytes);

/* What an id may be: 1 to REC_ID_BYTES_MAX bytes of UTF-8 without control
 * characters. BAD_INPUT names `field`, and never repeats the value (it may be a
 * person's id). */
enum rec_status rec_text_check_id(const char *field, const char *text, size_t bytes,
                                  struct rec_error *err);

/* A whole decimal number within [min, max]: no sign but '-', no space, no
 * wrap-around. BAD_INPUT names the field, the value and the range. */
enum rec_status rec_text_i64(const char *field, const char *text, int64_t min, int64_t max,
                             int64_t *out, struct rec_error *err);

/* A finite decimal number within [min, max], independent of the locale. */
enum rec_status rec_text_double(const char *field, const char *text, double min, double max,
                                double *out, struct rec_error *err);

/* The candidate nearest to `text` by edit distance, or NULL when none is near;
 * for "did you mean". candidates [count] */
const char *rec_text_nearest(const char *text, const char *const *candidates, size_t count);

#endif
