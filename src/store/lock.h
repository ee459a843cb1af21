/* The one-writer lock of a database. */
#ifndef RECSYSD_STORE_LOCK_H
#define RECSYSD_STORE_LOCK_H

#include "recsysd/base.h"

/* Takes the lock; *fd holds it until rec_lock_release. CONFLICT when another holds it. */
enum rec_status rec_lock_take(const char *database_path, int *fd, struct rec_error *err);
void rec_lock_release(int *fd); /* -1 is fine */

#endif
