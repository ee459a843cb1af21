/* Draws of items that a user has not.
 *
 * To look a draw up in the user's row is to search it, and a search jumps about in a row that is
 * anywhere in memory, as many looks as the row's length has binary digits, each waiting for the one
 * before: it took from a fifth to half of a training. Most draws are of items the user has not. A
 * bit array a user, sixteen bits an item of theirs, says so for nearly all of them with one look;
 * the others are searched for. */
#include "missing.h"

enum {
    WORD_ITEMS = 4, /* items a word of 64 bits */
    DRAWS_MAX = 8,
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

/* Where a user's words begin: ceil(count / WORD_ITEMS) of them fit before the next user's. */
static size_t row_of(const struct rec_csr *users, uint32_t user) {
    return words_of(users->offset[user], user);
}

static size_t bit_of(uint32_t count, uint32_t item) {
    uint64_t bits = ((uint64_t)count + WORD_ITEMS - 1) / WORD_ITEMS * 64;
    return (size_t)((item * UINT32_C(0x9e3779b1)) * bits >> 32);
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
            size_t bit = bit_of(count_of(users, u), users->column[k]);
            self->bits[row_of(users, u) + bit / 64] |= UINT64_C(1) << bit % 64;
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
    uint32_t left = count_of(users, user);
    size_t bit = bit_of(left, item);
    if (left == 0 || (self->bits[row_of(users, user) + bit / 64] >> bit % 64 & 1) == 0)
        return false;
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
