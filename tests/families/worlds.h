/* Small worlds of users and items, and the few lines every conformance test needs: fit, ask,
 * compare. A helper that cannot do its work fails the running test. */
#ifndef RECSYSD_TESTS_FAMILIES_WORLDS_H
#define RECSYSD_TESTS_FAMILIES_WORLDS_H

#include "recsysd/data.h"
#include "recsysd/families.h"

#define EACH_FAMILY(family)                                                                        \
    for (const struct rec_family *const *at = rec_families, *family = *at; (family = *at) != NULL; \
         at++)

/* The set-up of a program's group: the kernels of this machine, and OpenBLAS on one thread. */
int world_start(void **state);

/* size x size. User u likes the items of u's parity but for item u, which is withheld;
 * in rising order from u + 2 on and round the end, so that u is also what comes next. size is even.
 */
struct rec_dataset *world_checkerboard(uint32_t size);

/* Skewed towards low items; items repeat within a user; weights 0, .2 and 1. */
struct rec_dataset *world_random(uint32_t users, uint32_t items, uint64_t seed);

/* Every user with every item, all weights 1. */
struct rec_dataset *world_full(uint32_t users, uint32_t items);

/* The user's events as a history; events [HISTORY_MAX]. */
enum { HISTORY_MAX = 256 };
struct rec_history world_history(const struct rec_dataset *data, uint32_t user,
                                 struct rec_event *events);

/* The family's defaults, made small where a world is: 8 factors, hidden layers of 32. */
struct rec_params world_params(const struct rec_family *family);

struct rec_model *world_fit(const struct rec_family *family, const struct rec_dataset *data,
                            uint64_t seed, struct rec_pool *pool);

/* The same with settings ("decay=0 sigma=1") on top; the model in *out. */
enum rec_status world_try(const struct rec_family *family, const struct rec_dataset *data,
                          const char *settings, uint64_t seed, struct rec_pool *pool,
                          struct rec_model **out, struct rec_error *err);

/* Settings for a fit that has only to be one: a few epochs use all the code that many do. */
const char *world_few_epochs(const struct rec_family *family);

/* scores [model->items] for one history; what query() returned. Checks that they are finite. */
bool world_score(const struct rec_model *model, const struct rec_history *history, float *scores);

/* Same tensors, bit for bit. */
bool world_same(const struct rec_model *a, const struct rec_model *b);

/* rec_alloc_array that cannot fail. */
void *world_alloc(size_t count, size_t size);

#endif
