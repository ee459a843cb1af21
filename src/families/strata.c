/* Strata of pairs; see strata.h. An epoch deals the items to blocks, each block of users sorts its
 * pairs by them (a counting sort, so pairs stay in their random order), and the cells run in rounds
 * along the diagonals. */
#include "strata.h"

#include <math.h>
#include <string.h>

enum {
    BLOCK_MIN =
        64, /* users or items: in smaller blocks negatives would be too few to choose from */
    TRIES = 16,
};

struct rec_strata {
    struct rec_strata_options is;
    size_t blocks;
    struct rec_strata_pair *pairs, *dealt; /* by block of users; dealt: then by block of items */
    uint64_t *block_end;                   /* [blocks + 1] of users, in pairs */
    uint64_t *cell;                        /* [blocks x (blocks + 1)] in dealt */
    uint32_t *order;                       /* [items] by block */
    uint8_t *block_of;                     /* [items] */

    /* Alias tables, one a block, over its places in order; NULL when all draws are uniform. */
    float *weight;   /* [items] popularity^exponent */
    float *chance;   /* [items] */
    uint32_t *other; /* [items] */
    uint32_t *stack; /* [items] scratch of the making */
};

static size_t blocks_of(uint32_t users, uint32_t items) {
    size_t blocks = (users < items ? users : items) / BLOCK_MIN;
    return blocks < 1 ? 1 : blocks > REC_STRATA_BLOCKS_MAX ? REC_STRATA_BLOCKS_MAX : blocks;
}

static size_t block_begin(const struct rec_strata *strata, size_t block) {
    return strata->is.matrix->cols * block / strata->blocks;
}

/* Streams of random numbers: cells below, then what else there is. */
static uint64_t cell_stream(uint64_t epoch, size_t round, size_t number) {
    return epoch << 16 | (uint64_t)round << 8 | (uint64_t)number;
}
static uint64_t epoch_stream(uint64_t epoch) {
    return UINT64_C(1) << 62 | epoch;
}
static uint64_t block_stream(size_t block) {
    return UINT64_C(1) << 63 | (uint64_t)block;
}

/* ---- drawing ---------------------------------------------------------------------- */

/* One random word serves: its upper half chooses the place (its bias of places / 2^32 is nothing
 * beside what sampling leaves), the bits below it the distribution and the alias. */
static uint32_t draw(const struct rec_strata *strata, size_t begin, size_t count, uint64_t word) {
    size_t at = begin + (size_t)(((word >> 32) * count) >> 32);
    if (strata->chance != NULL && (double)(word >> 24 & 0xff) < strata->is.popular * 256.0 &&
        (float)(word & 0xffffff) * 0x1p-24f >= strata->chance[at])
        return strata->other[at];
    return strata->order[at];
}

void rec_strata_negatives(struct rec_strata_cell *cell, const struct rec_strata_pair *pairs,
                          size_t count, size_t each, uint32_t *items) {
    for (size_t i = 0; i < count * each; i++) {
        uint32_t item = UINT32_MAX, user = pairs[i / each].user;
        for (int try = 0; try < TRIES && item == UINT32_MAX; try++) {
            item = draw(cell->strata, cell->items_begin, cell->items, rec_rng_u64(&cell->rng));
            if (rec_missing_has(cell->strata->is.missing, user, item))
                item = UINT32_MAX;
        }
        items[i] = item;
    }
}

/* ---- an epoch --------------------------------------------------------------------- */

/* source: Vose, "A linear algorithm for generating random numbers with a given distribution",
 *         1991. */
static void make_alias(struct rec_strata *strata, size_t block) {
    size_t begin = block_begin(strata, block), end = block_begin(strata, block + 1);
    uint32_t *stack = strata->stack;
    size_t small = begin, large = end; /* stacks that grow from both ends */
    double sum = 0.0;
    for (size_t at = begin; at < end; at++)
        sum += (double)strata->weight[strata->order[at]];
    for (size_t at = begin; at < end; at++) {
        double mean = sum / (double)(end - begin);
        double share = mean > 0.0 ? (double)strata->weight[strata->order[at]] / mean : 1.0;
        strata->chance[at] = (float)share;
        strata->other[at] = strata->order[at];
        if (share < 1.0)
            stack[small++] = (uint32_t)at;
        else
            stack[--large] = (uint32_t)at;
    }
    while (small > begin && large < end) {
        uint32_t less = stack[--small], more = stack[large];
        strata->other[less] = strata->order[more];
        strata->chance[more] -= 1.0f - strata->chance[less];
        if (strata->chance[more] < 1.0f) {
            large++;
            stack[small++] = more;
        }
    }
    /* What is left stands on its own, but for rounding. */
    while (small > begin)
        strata->chance[stack[--small]] = 1.0f;
}

static void deal_task(void *context, size_t block, size_t worker) {
    struct rec_strata *strata = context;
    uint64_t *cell = strata->cell + block * (strata->blocks + 1);
    uint64_t begin = strata->block_end[block], end = strata->block_end[block + 1];
    uint64_t to[REC_STRATA_BLOCKS_MAX];
    (void)worker;
    if (rec_progress_cancelled(strata->is.progress))
        return;
    if (strata->chance != NULL)
        make_alias(strata, block);
    memset(cell, 0, (strata->blocks + 1) * sizeof(*cell));
    for (uint64_t k = begin; k < end; k++)
        cell[strata->block_of[strata->pairs[k].item] + 1]++;
    cell[0] = begin;
    for (size_t b = 0; b < strata->blocks; b++) {
        to[b] = cell[b];
        cell[b + 1] += cell[b];
    }
    for (uint64_t k = begin; k < end; k++)
        strata->dealt[to[strata->block_of[strata->pairs[k].item]]++] = strata->pairs[k];
}

static void deal_items(struct rec_strata *strata, uint64_t epoch) {
    struct rec_rng rng;
    rec_rng_init(&rng, strata->is.seed, epoch_stream(epoch));
    for (uint32_t i = strata->is.matrix->cols; i > 1; i--) {
        uint32_t j = rec_rng_below(&rng, i), item = strata->order[i - 1];
        strata->order[i - 1] = strata->order[j];
        strata->order[j] = item;
    }
    for (size_t block = 0; block < strata->blocks; block++)
        for (size_t at = block_begin(strata, block); at < block_begin(strata, block + 1); at++)
            strata->block_of[strata->order[at]] = (uint8_t)block;
}

struct round {
    const struct rec_strata *strata;
    uint64_t epoch;
    size_t number;
    rec_strata_fn fn;
    void *context;
};

static void cell_task(void *context, size_t number, size_t worker) {
    const struct round *round = context;
    const struct rec_strata *strata = round->strata;
    size_t item_block = (number + round->number) % strata->blocks;
    const uint64_t *bounds = strata->cell + number * (strata->blocks + 1) + item_block;
    size_t begin = block_begin(strata, item_block), end = block_begin(strata, item_block + 1);
    struct rec_strata_cell cell = {.strata = strata,
                                   .pairs = strata->dealt + bounds[0],
                                   .count = (size_t)(bounds[1] - bounds[0]),
                                   .number = number,
                                   .items_begin = begin,
                                   .items = end - begin};
    (void)worker;
    if (rec_progress_cancelled(strata->is.progress))
        return;
    rec_rng_init(&cell.rng, strata->is.seed, cell_stream(round->epoch, round->number, number));
    round->fn(round->context, &cell);
}

bool rec_strata_epoch(struct rec_strata *strata, uint64_t epoch, rec_strata_fn fn, void *context) {
    deal_items(strata, epoch);
    rec_pool_run(strata->is.pool, strata->blocks, deal_task, strata);
    for (size_t r = 0; r < strata->blocks; r++) {
        if (rec_progress_cancelled(strata->is.progress))
            return false;
        struct round round = {strata, epoch, r, fn, context};
        rec_pool_run(strata->is.pool, strata->blocks, cell_task, &round);
    }
    return !rec_progress_cancelled(strata->is.progress);
}

/* ---- making ------------------------------------------------------------------------- */

/* Blocks of whole users with about as many pairs each. */
static void fill_pairs(struct rec_strata *strata) {
    const struct rec_csr *csr = strata->is.matrix;
    uint64_t entries = rec_csr_entries(csr);
    size_t block = 0;
    for (uint32_t user = 0; user < csr->rows; user++) {
        for (uint64_t k = csr->offset[user]; k < csr->offset[user + 1]; k++)
            strata->pairs[k] = (struct rec_strata_pair){user, csr->column[k], csr->value[k]};
        while (block + 1 < strata->blocks &&
               csr->offset[user + 1] >= entries / strata->blocks * (block + 1))
            strata->block_end[++block] = csr->offset[user + 1];
    }
    while (block < strata->blocks)
        strata->block_end[++block] = entries;
}

static void shuffle_task(void *context, size_t block, size_t worker) {
    struct rec_strata *strata = context;
    struct rec_strata_pair *pairs = strata->pairs + strata->block_end[block];
    struct rec_rng rng;
    (void)worker;
    rec_rng_init(&rng, strata->is.seed, block_stream(block));
    for (uint64_t i = strata->block_end[block + 1] - strata->block_end[block]; i > 1; i--) {
        uint64_t j = rec_rng_u64(&rng) % i;
        struct rec_strata_pair pair = pairs[i - 1];
        pairs[i - 1] = pairs[j];
        pairs[j] = pair;
    }
}

static void weigh_items(struct rec_strata *strata) {
    const struct rec_csr *csr = strata->is.matrix;
    for (uint64_t k = 0; k < rec_csr_entries(csr); k++)
        strata->weight[csr->column[k]] += 1.0f;
    for (uint32_t i = 0; i < csr->cols; i++)
        if (strata->weight[i] > 0.0f)
            strata->weight[i] = (float)pow((double)strata->weight[i], strata->is.exponent);
}

static bool make_room(struct rec_strata *strata) {
    uint64_t entries = rec_csr_entries(strata->is.matrix);
    uint32_t items = strata->is.matrix->cols;
    strata->pairs = rec_alloc_array(entries, sizeof(*strata->pairs));
    strata->dealt = rec_alloc_array(entries, sizeof(*strata->dealt));
    strata->block_end = rec_alloc_array(strata->blocks + 1, sizeof(*strata->block_end));
    strata->cell = rec_alloc_array(strata->blocks * (strata->blocks + 1), sizeof(*strata->cell));
    strata->order = rec_alloc_array(items, sizeof(*strata->order));
    strata->block_of = rec_alloc_array(items, sizeof(*strata->block_of));
    if (strata->is.popular > 0.0) {
        strata->weight = rec_alloc_array(items, sizeof(*strata->weight));
        strata->chance = rec_alloc_array(items, sizeof(*strata->chance));
        strata->other = rec_alloc_array(items, sizeof(*strata->other));
        strata->stack = rec_alloc_array(items, sizeof(*strata->stack));
        if (strata->weight == NULL || strata->chance == NULL || strata->other == NULL ||
            strata->stack == NULL)
            return false;
    }
    return strata->pairs != NULL && strata->dealt != NULL && strata->block_end != NULL &&
           strata->cell != NULL && strata->order != NULL && strata->block_of != NULL;
}

enum rec_status rec_strata_create(const struct rec_strata_options *options, struct rec_strata **out,
                                  struct rec_error *err) {
    const struct rec_csr *csr = options->matrix;
    struct rec_strata *strata = rec_alloc_array(1, sizeof(*strata));
    if (strata != NULL) {
        strata->is = *options;
        strata->blocks = blocks_of(csr->rows, csr->cols);
    }
    if (strata == NULL || !make_room(strata)) {
        rec_strata_destroy(&strata);
        return rec_error_set(err, REC_NO_MEMORY, "no memory to deal %llu pairs of %u items",
                             (unsigned long long)rec_csr_entries(csr), csr->cols);
    }
    for (uint32_t i = 0; i < csr->cols; i++)
        strata->order[i] = i;
    fill_pairs(strata);
    rec_pool_run(options->pool, strata->blocks, shuffle_task, strata);
    if (strata->weight != NULL)
        weigh_items(strata);
    *out = strata;
    return REC_OK;
}

void rec_strata_destroy(struct rec_strata **strata_pointer) {
    struct rec_strata *strata = *strata_pointer;
    if (strata == NULL)
        return;
    *strata_pointer = NULL;
    rec_alloc_free(strata->pairs);
    rec_alloc_free(strata->dealt);
    rec_alloc_free(strata->block_end);
    rec_alloc_free(strata->cell);
    rec_alloc_free(strata->order);
    rec_alloc_free(strata->block_of);
    rec_alloc_free(strata->weight);
    rec_alloc_free(strata->chance);
    rec_alloc_free(strata->other);
    rec_alloc_free(strata->stack);
    rec_alloc_free(strata);
}

size_t rec_strata_bytes(uint64_t pairs, uint32_t items) {
    return (size_t)pairs * 2 * sizeof(struct rec_strata_pair) + (size_t)items * 21;
}
