/* What two serving states over one database must agree on: everything that can be asked. */
#ifndef RECSYSD_TESTS_SERVE_MIRROR_H
#define RECSYSD_TESTS_SERVE_MIRROR_H

#include "serve/world.h"

/* Compares world->serve with a fresh one read from the same store, over users "u0" .. and items
 * "i0" ..: versions, lists (personal, popular, explained), catalogue entries, counts. */
void mirror_check(struct world *world, size_t users, size_t items);

#endif
