/* Files to read, in a folder of their own that goes away with the test. */
#ifndef RECSYSD_TESTS_DATA_FILES_H
#define RECSYSD_TESTS_DATA_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recsysd/data.h"
#include "test.h"

struct files {
    char folder[64];
};

static inline void files_init(struct files *files) {
    (void)snprintf(files->folder, sizeof(files->folder), "/tmp/recsysd-data-XXXXXX");
    assert_non_null(mkdtemp(files->folder));
}

static inline const char *files_path(const struct files *files, const char *name, char path[128]) {
    (void)snprintf(path, 128, "%s/%s", files->folder, name);
    return path;
}

static inline void files_write(const struct files *files, const char *name, const char *text,
                               size_t bytes) {
    char path[128];
    FILE *file = fopen(files_path(files, name, path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static inline void files_finish(const struct files *files) {
    static const char *const names[] = {"ratings.csv", "movies.csv", "ratings.dat",   "movies.dat",
                                        "events.csv",  "big.csv",    "events.ndjson", "test.db",
                                        "test.db-wal", "test.db-shm"};
    char path[128];
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unlink(files_path(files, names[i], path));
    (void)unlink(files_path(files, "test.db.lock", path));
    assert_int_equal(rmdir(files->folder), 0);
}

#endif
