/* The 8-bit copy of rows that scan_topk.c asks first.
 *
 * Every row y is kept a second time as ŷ = s q: a scale and a whole number from -127 to 127 a
 * dimension, a quarter of the memory traffic and one instruction for 64 products. How far a row is
 * from its copy is kept for 64 rows together, the largest of them: the copies stand in the order of
 * the rows' norms, the longest first, so rows of a word are about equally long, and a byte less to
 * read an item is worth more than the last bit of sharpness.
 *
 * Items are stored as q + 128, because the instruction (vpdpbusd) takes unsigned bytes on one side;
 * 128 times the sum of a query's codes, the same for all items, takes that out again. The layout is
 * by words: 64 items, four dimensions of each after the other, so one broadcast of four query bytes
 * serves all of them and no sum is ever taken across a vector. */
#include <string.h>
#include <unistd.h>

#include "scan.h"

enum { CODE_MAX = 127 };

/* ---- codes -------------------------------------------------------------------------- */

enum { CHUNK = 64 }; /* values of a row worked on together, a multiple of 4 */

struct sums {
    double error[4], norm[4]; /* four apart, so that one addition need not wait for the last */
    int32_t code[4], square[4];
};

/* Plain loops over whole arrays, which compilers turn into vectors. */
static void encode_chunk(const float value[CHUNK], float scale, float steps, int32_t code[CHUNK],
                         struct sums *sums) {
    for (size_t i = 0; i < CHUNK; i++) {
        float at = value[i] * steps;
        int near = (int)(at + copysignf(0.5f, at)); /* any code near is right */
        near = near < -CODE_MAX ? -CODE_MAX : near;
        code[i] = near > CODE_MAX ? CODE_MAX : near;
    }
    struct sums sum = *sums; /* the caller's could be code */
    for (size_t i = 0; i < CHUNK; i += 4)
        for (size_t j = 0; j < 4; j++) {
            double off = (double)value[i + j] - (double)code[i + j] * (double)scale;
            sum.error[j] += off * off;
            sum.norm[j] += (double)value[i + j] * (double)value[i + j];
        }
    for (size_t i = 0; i < CHUNK; i += 4)
        for (size_t j = 0; j < 4; j++) {
            sum.code[j] += code[i + j];
            sum.square[j] += code[i + j] * code[i + j];
        }
    *sums = sum;
}

static double sum4(const double x[4]) {
    return (x[0] + x[1]) + (x[2] + x[3]);
}

/* Four running maxima, for the same reason as the sums. */
static float largest_of(const float *row, size_t n) {
    float most[4] = {0};
    size_t whole = n - n % 4;
    for (size_t i = 0; i < whole; i += 4)
        for (size_t j = 0; j < 4; j++)
            most[j] = fabsf(row[i + j]) > most[j] ? fabsf(row[i + j]) : most[j];
    for (size_t i = whole; i < n; i++)
        most[0] = fabsf(row[i]) > most[0] ? fabsf(row[i]) : most[0];
    for (size_t j = 1; j < 4; j++)
        most[0] = most[j] > most[0] ? most[j] : most[0];
    return most[0];
}

struct scan_coded rec_scan_encode(const float *row, size_t n, int offset, uint8_t *codes,
                                  size_t stride) {
    /* So small that the division overflows: codes of 0, and an error of the whole row. */
    float scale = largest_of(row, n) / CODE_MAX, steps = scale >= FLT_MIN ? 1.0f / scale : 0.0f;
    struct sums sums = {0};
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t count = n - first < CHUNK ? n - first : CHUNK;
        float value[CHUNK] = {0};
        int32_t code[CHUNK];
        memcpy(value, row + first, count * sizeof(value[0]));
        encode_chunk(value, scale, steps, code, &sums);
        for (size_t i = 0; i < count; i += 4)
            for (size_t j = 0; j < 4; j++)
                codes[(first + i) / 4 * stride + j] = (uint8_t)(code[i + j] + offset);
    }
    double squares =
        (double)((sums.square[0] + sums.square[1]) + (sums.square[2] + sums.square[3]));
    return (struct scan_coded){
        .scale = scale,
        .error = sqrt(sum4(sums.error)),
        .norm = sqrt(sum4(sums.norm)),
        .code_norm = sqrt(squares) * (double)scale,
        .code_sum = (sums.code[0] + sums.code[1]) + (sums.code[2] + sums.code[3]),
    };
}

bool rec_scan_can_code(const float *rows, size_t items, size_t n) {
    if (items == 0 || n == 0 || n > SCAN_N_MAX)
        return false;
    for (size_t item = 0; item < items; item++) {
        uint32_t wrong = 0; /* a row is short: no way out of the loop, so that it is vectors */
        for (size_t i = 0; i < n; i++)
            wrong |= (uint32_t) !(fabsf(rows[item * n + i]) <= SCAN_VALUE_MAX);
        if (wrong != 0)
            return false;
    }
    return true;
}

/* ---- making ------------------------------------------------------------------------- */

enum {
    ALONE_ITEMS_MAX =
        1 << 15,   /* more are shared by all cores: a model of a million is waited for */
    CORES_MAX = 8, /* by then memory is what is waited for */
    TASK_WORDS = 64,
};

/* NULL where one thread does as well, or there is no other. */
static struct rec_pool *pool_for(size_t items) {
    long cores = items > ALONE_ITEMS_MAX ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    struct rec_pool *pool = NULL;
    if (cores > 1)
        (void)rec_pool_create(cores < CORES_MAX ? (size_t)cores : CORES_MAX, false, &pool, NULL);
    return pool;
}

static void run(struct rec_scan *scan, struct rec_pool *pool, rec_pool_fn fn, void *context) {
    rec_pool_run(pool, (scan->words + TASK_WORDS - 1) / TASK_WORDS, fn, context);
}

struct length {
    uint32_t key; /* the bits of the squared length, in reverse: those of floats from 0 on rise */
    uint32_t item;
};

/* By key, equal ones as they stand: digit by digit, from the last. That takes three passes, so the
 * result is in `to`. */
static void sort_lengths(struct length *from, struct length *to, size_t count) {
    enum { BITS = 11, DIGITS = 1 << BITS };
    for (unsigned shift = 0; shift < 32; shift += BITS) {
        size_t at[DIGITS + 1] = {0};
        for (size_t i = 0; i < count; i++)
            at[(from[i].key >> shift) % DIGITS + 1]++;
        for (size_t digit = 1; digit < DIGITS; digit++)
            at[digit] += at[digit - 1];
        for (size_t i = 0; i < count; i++)
            to[at[(from[i].key >> shift) % DIGITS]++] = from[i];
        struct length *last = from;
        from = to;
        to = last;
    }
}

struct measuring {
    const struct rec_scan *scan;
    struct length *lengths;
};

static void measure_task(void *context, size_t task, size_t worker) {
    const struct measuring *measuring = context;
    const struct rec_scan *scan = measuring->scan;
    size_t begin = task * TASK_WORDS * SCAN_WORD, end = begin + TASK_WORDS * SCAN_WORD;
    (void)worker;
    for (size_t i = begin; i < end && i < scan->items; i++) {
        const float *row = scan->rows + i * scan->n;
        struct length *length = &measuring->lengths[i];
        float squared = rec_kernels_dot(row, row, scan->n);
        memcpy(&length->key, &squared, sizeof(squared));
        length->key = ~length->key;
        length->item = (uint32_t)i;
    }
}

/* By length, which float sums tell well enough: what bounds a word is the largest in it. */
static enum rec_status sort_items(struct rec_scan *scan, struct rec_pool *pool,
                                  struct rec_error *err) {
    const size_t items = scan->items;
    struct length *lengths = rec_alloc_array(items, 2 * sizeof(*lengths));
    if (lengths == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to order %u x %zu numbers", scan->items,
                             scan->n);
    run(scan, pool, measure_task, &(struct measuring){scan, lengths});
    sort_lengths(lengths, lengths + items, items);
    for (size_t slot = 0; slot < scan->words * SCAN_WORD; slot++)
        scan->order[slot] = slot < items ? lengths[items + slot].item : SCAN_NO_ITEM;
    for (size_t slot = 0; slot < items; slot++)
        scan->slot[scan->order[slot]] = (uint32_t)slot;
    rec_alloc_free(lengths);
    return REC_OK;
}

/* The rows lie anywhere: those that come soon are fetched meanwhile. */
static void fetch_row(const struct rec_scan *scan, size_t slot) {
    enum { LINE = 64 / sizeof(float) };
    if (slot < scan->items)
        for (size_t i = 0; i < scan->n; i += LINE)
            __builtin_prefetch(scan->rows + scan->order[slot] * scan->n + i);
}

static void encode_task(void *context, size_t task, size_t worker) {
    enum { AHEAD = 8 };
    struct rec_scan *scan = context;
    size_t word_bytes = scan->quads * SCAN_WORD * 4;
    size_t begin = task * TASK_WORDS * SCAN_WORD, end = begin + TASK_WORDS * SCAN_WORD;
    (void)worker;
    for (size_t slot = begin; slot < end && slot < scan->items; slot++) {
        size_t word = slot / SCAN_WORD, lane = slot % SCAN_WORD;
        fetch_row(scan, slot + AHEAD);
        struct scan_coded coded =
            rec_scan_encode(scan->rows + scan->order[slot] * scan->n, scan->n, SCAN_OFFSET,
                            scan->codes + word * word_bytes + lane * 4, SCAN_WORD * 4);
        float error = scan_rounded_up(coded.error), norm = scan_rounded_up(coded.norm);
        scan->scale[slot] = coded.scale;
        scan->error[word] = error > scan->error[word] ? error : scan->error[word];
        scan->norm[word] = norm > scan->norm[word] ? norm : scan->norm[word];
    }
}

static void encode_all(struct rec_scan *scan, struct rec_pool *pool) {
    run(scan, pool, encode_task, scan);
    /* None is shorter than one that follows, whatever the float sums made of the order. */
    for (size_t word = scan->words - 1; word-- > 0;)
        if (scan->norm[word] < scan->norm[word + 1])
            scan->norm[word] = scan->norm[word + 1];
}

static bool allocate(struct rec_scan *scan) {
    scan->order = rec_alloc_array(scan->words, SCAN_WORD * sizeof(*scan->order));
    scan->slot = rec_alloc_array(scan->items, sizeof(*scan->slot));
    scan->codes = rec_alloc_array(scan->words, scan->quads * SCAN_WORD * 4);
    scan->scale = rec_alloc_array(scan->words, SCAN_WORD * sizeof(*scan->scale));
    scan->error = rec_alloc_array(scan->words, sizeof(*scan->error));
    scan->norm = rec_alloc_array(scan->words, sizeof(*scan->norm));
    return scan->order != NULL && scan->slot != NULL && scan->codes != NULL &&
           scan->scale != NULL && scan->error != NULL && scan->norm != NULL;
}

enum rec_status rec_scan_create(const float *rows, uint32_t items, size_t n, struct rec_scan **out,
                                struct rec_error *err) {
    struct rec_scan *scan = rec_alloc_array(1, sizeof(*scan));
    bool coded = rec_scan_can_code(rows, items, n);
    enum rec_status st = REC_OK;
    if (scan != NULL)
        *scan = (struct rec_scan){.rows = rows,
                                  .n = n,
                                  .quads = (n + 3) / 4,
                                  .words = ((size_t)items + SCAN_WORD - 1) / SCAN_WORD,
                                  .items = items};
    if (scan == NULL || (coded && !allocate(scan)))
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for the 8-bit copy of %u x %zu numbers",
                           items, n);
    struct rec_pool *pool = st == REC_OK && coded ? pool_for(items) : NULL;
    if (st == REC_OK && coded)
        st = sort_items(scan, pool, err);
    if (st == REC_OK && coded)
        encode_all(scan, pool);
    rec_pool_destroy(&pool);
    if (st != REC_OK) {
        rec_scan_destroy(&scan);
        return st;
    }
    *out = scan;
    return REC_OK;
}

void rec_scan_destroy(struct rec_scan **scan_pointer) {
    struct rec_scan *scan = *scan_pointer;
    if (scan == NULL)
        return;
    *scan_pointer = NULL;
    rec_alloc_free(scan->order);
    rec_alloc_free(scan->slot);
    rec_alloc_free(scan->codes);
    rec_alloc_free(scan->scale);
    rec_alloc_free(scan->error);
    rec_alloc_free(scan->norm);
    rec_alloc_free(scan);
}
