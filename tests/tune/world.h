/* What the tests of tune share: families made for them, and a split of structured rows. */
#ifndef RECSYSD_TESTS_TUNE_WORLD_H
#define RECSYSD_TESTS_TUNE_WORLD_H

#include "recsysd/tune.h"
#include "test.h"

/* Fails the test, showing the error's text, unless st is OK. */
void must(enum rec_status st, const struct rec_error *err);

/* The space of a family from its defaults. */
struct rec_tune_space space_of(const struct rec_family *family);
/* The dimension of a parameter; fails the test when it is not searched. */
const struct rec_tune_dim *dim_of(const struct rec_tune_space *space, const char *name);
double value_of(const struct rec_tune_space *space, const struct rec_tune_trial *trial,
                const char *name);

/* 60 users like 6 of the 12 items of one of 6 groups each; the last one is the test. */
struct rec_split *split_make(void);

/* A family whose quality is known: it ranks best where `x` is .8, and worse the further off. Only x
 * is searched. `looks` says how many looks, of the value x, its fits report, `wait` how many
 * milliseconds they take, and `how` whether they fail. */
extern const struct rec_family toy_family;
extern atomic_int toy_fits; /* fits begun */

#endif
