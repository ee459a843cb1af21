/* Draws of items that a user has not.
 *
 * To look a draw up in the user's row is to search it, and a search jumps about in a row that is
 * anywhere in memory, as many looks as the row's length has binary digits, each waiting for the one
 * before: it took from a fifth to half of a training. Most draws are of items the user has not. A
 * bit array a user, thirty-two bits an item of theirs, says so for nearly all of them with one
 * look; the others are searched for. Where there are as many bits as items in the catalogue, each
 * item has its own, and the look is the answer.
 *
 * Many draws are made and their words asked for before the first is looked up: otherwise each look
 * waits for memory alone. */
#include "missing.h"

enum {
    WORD_ITEMS = 2, /* items a word of 64 bits */
    DRAWS_MAX = 8,
    TOGETHER = 64, /* draws */
};

struct rec_missing {
    const struct rec_csr *users;
    uint64_t bits[]; /* of the users one after the other, see row_of */
};

static size_t words_of(uint64_t entries, uint64_t users) {
    return (size_t)(entries / WORD_ITEMS + users);
}

static uint32_t count_of(const struct rec_csr *users, uint32_t user) {
    return (uint32_t)(users->offset[user + 1] - users->offset[user]);
}

/* Where a user's words begin: ceil(count / WORD_ITEMS) of them, at least one, fit before the next
 * user's. */
static size_t row_of(const struct rec_csr *users, uint32_t user) {
    return words_of(users->offset[user], user);
}

/* Of `count` items' words; at least the catalogue's items: each item has a bit of its own. */
static uint64_t bits_of(uint32_t count) {
    return ((uint64_t)count + WORD_ITEMS - 1) / WORD_ITEMS * 64;
}

/* The place in bits of what tells whether a user has an item: a word, and a bit of it. */
static size_t word_of(const struct rec_csr *users, uint32_t user, uint32_t item, uint32_t *bit) {
    uint64_t bits = bits_of(count_of(users, user));
    uint64_t shared = (item * UINT32_C(0x9e3779b1)) * bits >> 32;
    uint64_t place = bits >= users->cols ? item : shared;
    *bit = (uint32_t)(place % 64);
    return row_of(users, user) + (size_t)(place / 64);
}

enum rec_status rec_missing_create(const struct rec_csr *users, struct rec_missing **out,
                                   struct rec_error *err) {
    size_t words = words_of(rec_csr_entries(users), users->rows);
    struct rec_missing *self = rec_alloc_extra(sizeof(*self), words, sizeof(*self->bits));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for what %u users have", users->rows);
    self->users = users;
    for (uint32_t u = 0; u < users->rows; u++)
        for (uint64_t k = users->offset[u]; k < users->offset[u + 1]; k++) {
            uint32_t bit;
            size_t word = word_of(users, u, users->column[k], &bit);
            self->bits[word] |= UINT64_C(1) << bit;
        }
    *out = self;
    return REC_OK;
}

void rec_missing_destroy(struct rec_missing **missing) {
    rec_alloc_free(*missing);
    *missing = NULL;
}

double rec_missing_bytes(double users, double entries) {
    return (double)sizeof(struct rec_missing) + 8.0 * (entries / WORD_ITEMS + users);
}

bool rec_missing_has(const struct rec_missing *self, uint32_t user, uint32_t item) {
    const struct rec_csr *users = self->users;
    uint32_t left = count_of(users, user), bit;
    size_t word = word_of(users, user, item, &bit);
    if ((self->bits[word] >> bit & 1) == 0)
        return false;
    if (bits_of(left) >= users->cols)
        return true;
    const uint32_t *at = users->column + users->offset[user];
    while (left > 1) {
        uint32_t half = left / 2;
        at += at[half] <= item ? half : 0;
        left -= half;
    }
    return *at == item;
}

/* The n-th item that is not in column [count], which rises: column[k] - k items that are not stand
 * before column[k]. */
static uint32_t nth_missing(const uint32_t *column, uint32_t count, uint32_t n) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t k = (low + high) / 2;
        if (column[k] - k > n)
            high = k;
        else
            low = k + 1;
    }
    return n + low;
}

/* Who has nearly everything would be drawn for long: after some draws the item is looked up. */
uint32_t rec_missing_draw(const struct rec_missing *self, uint32_t user, struct rec_rng *rng) {
    const struct rec_csr *users = self->users;
    uint32_t count = count_of(users, user);
    for (size_t n = 0; n < DRAWS_MAX; n++) {
        uint32_t item = rec_rng_below(rng, users->cols);
        if (!rec_missing_has(self, user, item))
            return item;
    }
    return nth_missing(users->column + users->offset[user], count,
                       rec_rng_below(rng, users->cols - count));
}

void rec_missing_draw_all(const struct rec_missing *self, const uint32_t *user, size_t n,
                          struct rec_rng *rng, uint32_t *item) {
    uint32_t bit;
    for (size_t begin = 0; begin < n; begin += TOGETHER) {
        size_t end = n - begin < TOGETHER ? n : begin + TOGETHER;
        for (size_t i = begin; i < end; i++) {
            item[i] = rec_rng_below(rng, self->users->cols);
            __builtin_prefetch(self->bits + word_of(self->users, user[i], item[i], &bit));
        }
        for (size_t i = begin; i < end; i++)
            if (rec_missing_has(self, user[i], item[i]))
                item[i] = rec_missing_draw(self, user[i], rng);
    }
}
