/* The reading side: connections that threads borrow. */
#ifndef RECSYSD_STORE_READER_H
#define RECSYSD_STORE_READER_H

#include <pthread.h>

#include "database.h"
#include "recsysd/store.h"

struct rec_reader {
    struct rec_database db;
    struct rec_reader *next;
};

struct rec_readers {
    pthread_mutex_t lock;
    struct rec_reader *idle; /* under lock */
    size_t idle_count, lent; /* under lock */
    const char *path;        /* the store's */
};

enum rec_status rec_readers_init(struct rec_readers *readers, const char *path,
                                 struct rec_error *err);
void rec_readers_finish(struct rec_readers *readers); /* after all were given back */

enum rec_status rec_readers_borrow(struct rec_readers *readers, struct rec_reader **out,
                                   struct rec_error *err);
void rec_readers_give_back(struct rec_readers *readers, struct rec_reader **reader);

enum rec_status rec_reader_counts(struct rec_reader *reader, struct rec_store_counts *out,
                                  struct rec_error *err);

/* ---- all interactions (rows.c) --------------------------------------------------- */

struct rec_rows {
    struct rec_database *front, *back; /* in the same picture; back NULL: from one end */
    const struct rec_store_counts *counts;
    uint32_t types; /* row types are below */
    const struct rec_store_scan *scan;
};
enum rec_status rec_rows_scan(const struct rec_rows *rows, struct rec_error *err);
/* Once for a connection that is to be a front or a back. */
enum rec_status rec_rows_register(struct rec_database *db, struct rec_error *err);

#endif
