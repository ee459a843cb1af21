/* A real store in a temporary folder, with structured data, a slot and versions. */
#ifndef RECSYSD_TESTS_TRAIN_FIXTURE_H
#define RECSYSD_TESTS_TRAIN_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "recsysd/train.h"

enum {
    FIXTURE_USERS = 240,
    FIXTURE_GROUPS = 8,
    FIXTURE_GROUP_ITEMS = 10,
    FIXTURE_LIKED = 6,
    FIXTURE_TIME = 1600000000 /* long before now: a model trained now has seen it all */
};

struct fixture {
    char folder[64], database[96], model[96], kept[128];
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_versions *versions;
    struct rec_weights weights;
    size_t live_before; /* allocations alive before any of this */
};

/* cmocka fixtures. The store holds FIXTURE_USERS users, each of whom likes FIXTURE_LIKED items of
 * the group user % FIXTURE_GROUPS: who knows the groups, knows what comes next. */
int fixture_setup(void **state);
int fixture_setup_empty(void **state); /* no rows */
int fixture_teardown(void **state);    /* also checks that nothing of ours is still allocated */

/* Adds rows: users 0 .. users-1, `liked` items each of their group from item `first` on. */
void fixture_add(struct fixture *fixture, uint32_t users, uint32_t first, uint32_t liked,
                 int64_t time);

/* spec of a family with its defaults and these assignments (NULL-terminated, may be NULL) */
struct rec_train_spec fixture_spec(const char *family, const char *const *assignments);
struct rec_train_context fixture_context(struct fixture *fixture);

/* Trains a good als without judging and makes it live. */
void fixture_train_good(struct fixture *fixture);
extern const char *const fixture_good[];

void fixture_live(struct fixture *fixture, char version[64]); /* "" when none */
size_t fixture_kept(const struct fixture *fixture);           /* files in MODEL.versions */
void fixture_open_versions(struct fixture *fixture, size_t keep);

/* Overwrites or makes a file. */
void fixture_write(const char *path, const void *bytes, size_t count);
size_t fixture_read(const char *path, void *bytes, size_t cap);

#endif
