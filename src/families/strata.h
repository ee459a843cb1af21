/* Stochastic gradient descent over (user, item) pairs, in parallel, with the same bits for any
 * number of threads.
 * source: Gemulla, Haas, Nijkamp and Sismanis, "Large-scale matrix factorization with distributed
 *         stochastic gradient descent", KDD 2011 (strata); Rendle et al., "BPR", UAI 2009, section
 *         4.2 (pairs in random order, with sampled negatives).
 *
 * Users and items are cut into as many blocks as each other. A round runs cells, pairs of a block
 * of users with a block of items, of which no two share either: so no two tasks of a round touch
 * one vector, nothing is locked and nothing is lost, as it is when threads just write. Each cell
 * has a random stream of its own, and how many blocks there are follows from the data alone.
 *
 * Items are dealt to blocks anew in every epoch, because a negative is drawn from the block of its
 * positive: over the epochs every item meets every other. */
#ifndef RECSYSD_FAMILIES_STRATA_H
#define RECSYSD_FAMILIES_STRATA_H

#include "missing.h"
#include "recsysd/linalg.h"
#include "recsysd/model.h"

struct rec_strata_pair {
    uint32_t user, item;
    float value;
};

struct rec_strata_options {
    const struct rec_csr *matrix;      /* borrowed: the pairs */
    const struct rec_missing *missing; /* borrowed: what a user has is never a negative */
    double popular;                    /* this part of the negatives is drawn by popularity ... */
    double exponent;                   /* ... to this power, the rest uniformly */
    uint64_t seed;
    struct rec_pool *pool;
    const struct rec_progress *progress;
};

/* One task: pairs that no other task of its round shares a user or an item with. */
struct rec_strata_cell {
    const struct rec_strata *strata;
    const struct rec_strata_pair *pairs;
    size_t count;
    size_t number;             /* of the cell within its round: one at a time has it */
    size_t items_begin, items; /* the block of items, which negatives come from */
    struct rec_rng rng;
};
typedef void (*rec_strata_fn)(void *context, struct rec_strata_cell *cell);

enum { REC_STRATA_BLOCKS_MAX = 16 }; /* cells of a round at most */

struct rec_strata;
enum rec_status rec_strata_create(const struct rec_strata_options *options, struct rec_strata **out,
                                  struct rec_error *err);
void rec_strata_destroy(struct rec_strata **strata);
size_t rec_strata_bytes(uint64_t pairs, uint32_t items); /* what it allocates */

/* Runs fn over every pair once. False when cancelled on the way. epochs: numbered from 0 */
bool rec_strata_epoch(struct rec_strata *strata, uint64_t epoch, rec_strata_fn fn, void *context);

/* items [count x each]: for each of the pairs, items of the cell's block that its user has not;
 * UINT32_MAX where none was found in a few draws: the user has nearly all of them. For
 * several pairs at once, because draws that do not wait for each other are several times as quick.
 */
void rec_strata_negatives(struct rec_strata_cell *cell, const struct rec_strata_pair *pairs,
                          size_t count, size_t each, uint32_t *items);

#endif
