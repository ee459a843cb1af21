/* What a user has, and draws of items that a user has not. Inside the room only. */
#ifndef FAMILIES_MISSING_H
#define FAMILIES_MISSING_H

#include "recsysd/linalg.h"

struct rec_missing;

/* users borrowed, its rows' columns rise. errors: NO_MEMORY */
enum rec_status rec_missing_create(const struct rec_csr *users, struct rec_missing **out,
                                   struct rec_error *err);
void rec_missing_destroy(struct rec_missing **missing);
double rec_missing_bytes(double users, double entries); /* what create allocates */

bool rec_missing_has(const struct rec_missing *missing, uint32_t user, uint32_t item);

/* An item the user has not, each as likely as the others. The user must not have everything.
 * threads: any, each with its own rng */
uint32_t rec_missing_draw(const struct rec_missing *missing, uint32_t user, struct rec_rng *rng);
/* One for each of n users: item [n]. As above, but memory is waited for by many draws at once. */
void rec_missing_draw_all(const struct rec_missing *missing, const uint32_t *user, size_t n,
                          struct rec_rng *rng, uint32_t *item);

#endif
