/* A file system under SQLite that can fail, and that remembers what a power cut would leave. */
#ifndef RECSYSD_TESTS_STORE_FAULTFS_H
#define RECSYSD_TESTS_STORE_FAULTFS_H

#include "recsysd/base.h"

/* Becomes SQLite's default file system. Once per process, before the first open. Syncs are
 * recorded and not done: they are what is tested, and slow. */
void faultfs_install(void);

enum faultfs_kind {
    FAULTFS_WRITE = 1,
    FAULTFS_SYNC = 2,
    FAULTFS_TRUNCATE = 4,
    FAULTFS_READ = 8,
    FAULTFS_SYNC_DATABASE = 16 /* of the database file, not of its WAL */
};

/* Makes the n-th operation from now (0 is the next) of the kinds fail, and `lasting`: all after
 * it too. `full`: as a full disk. */
void faultfs_fail_at(long n, unsigned kinds, bool lasting, bool full);
void faultfs_stop_failing(void);
/* Whether the fault has happened since faultfs_fail_at. */
bool faultfs_failed(void);
/* How often a database file was to be synced so far. */
size_t faultfs_database_syncs(void);

/* Writes to `path` (and `path`-wal) what the disk may hold of the database at `source` if the
 * power went now: all that was synced, and of what was written since, sectors picked by the
 * random numbers, in the order of writing. */
void faultfs_power_cut(const char *source, const char *path, struct rec_rng *rng);
void faultfs_forget(const char *path); /* once that database is closed */

#endif
