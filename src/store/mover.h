/* Moves the WAL into the database, beside the writer. */
#ifndef RECSYSD_STORE_MOVER_H
#define RECSYSD_STORE_MOVER_H

#include "recsysd/base.h"

struct rec_mover;

/* A connection and a thread of its own, asleep. */
enum rec_status rec_mover_create(const char *path, struct rec_mover **out, struct rec_error *err);
/* Ends a pass that is under way. NULL is fine. */
void rec_mover_destroy(struct rec_mover **mover);

/* One pass: what the WAL holds now and no reader is in the way of. Not while one is under way, and
 * only after a commit that wrote pages while none was (mover.c). */
void rec_mover_start(struct rec_mover *mover);
bool rec_mover_busy(struct rec_mover *mover);
bool rec_mover_failed(struct rec_mover *mover); /* an fsync: nothing may be moved any more */
void rec_mover_wait(struct rec_mover *mover);   /* until it is not busy */

#endif
