/* A small model family with every kind of tensor and parameter, so that the model room's tests
 * depend on no real family. */
#ifndef RECSYSD_TESTS_MODEL_TOY_H
#define RECSYSD_TESTS_MODEL_TOY_H

#include "recsysd/data.h"
#include "recsysd/model.h"

enum { TOY_ITEMS = 37, TOY_USERS = 20, TOY_EVENTS = 200 };

extern const struct rec_family toy_family;
extern const struct rec_family *const toy_families[];

/* Static data of TOY_USERS x TOY_ITEMS. */
const struct rec_dataset *toy_dataset(void);

/* A fitted model; `seed` makes its numbers. Fails the test when it cannot. */
struct rec_model *toy_model(uint64_t seed);

/* A full info for it. */
struct rec_model_info toy_info(void);

#endif
