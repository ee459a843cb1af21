/* What a store is made of. */
#ifndef RECSYSD_STORE_STORE_H
#define RECSYSD_STORE_STORE_H

#include <limits.h>
#include <sys/types.h>

#include "reader.h"
#include "recsysd/store.h"
#include "writer.h"

struct rec_store {
    char path[PATH_MAX]; /* without links, so that all names of one file share its lock */
    char identity[REC_STORE_IDENTITY_BYTES];
    dev_t device; /* of the file opened, to notice that another one took its name */
    ino_t inode;
    int lock_fd;
    struct rec_readers readers;
    struct rec_writer *writer; /* NULL: opened for reading */
};

#endif
