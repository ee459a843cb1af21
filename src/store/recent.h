/* The indices of ids that were looked up of late, so that the writer asks SQLite only for others.
 */
#ifndef RECSYSD_STORE_RECENT_H
#define RECSYSD_STORE_RECENT_H

#include "recsysd/base.h"

struct rec_recent;

struct rec_recent *rec_recent_create(void); /* NULL when out of memory; all below take NULL */
void rec_recent_destroy(struct rec_recent **recent);

bool rec_recent_find(const struct rec_recent *recent, const char *id, uint32_t *index);
void rec_recent_keep(struct rec_recent *recent, const char *id, uint32_t index);
/* After what was kept may be wrong: an undone transaction, an erased user, a deleted item. */
void rec_recent_forget(struct rec_recent *recent);

#endif
