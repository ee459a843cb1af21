#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faultfs.h"
#include "test.h"

enum { FILES_MAX = 4, SECTOR_BYTES = 512 };

struct change {
    int64_t offset;
    size_t bytes; /* 0: a truncation to offset */
    unsigned char *data;
};

struct image {
    char name[512];
    unsigned char *data; /* as synced */
    size_t bytes, capacity;
    struct change *change; /* since the last sync */
    size_t changes, changes_capacity;
};

struct file {
    sqlite3_file base;
    struct image *image; /* NULL: shared memory and the like */
    sqlite3_file *real;
    bool database; /* and not its WAL */
};

static sqlite3_vfs *real_fs;
static sqlite3_vfs fault_fs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* images and faults */
static struct image images[FILES_MAX];
static long fail_at = -1;
static unsigned fail_kinds;
static bool fail_lasting, fail_full, failed;
static size_t database_syncs;

/* ---- faults ------------------------------------------------------------------------ */

void faultfs_fail_at(long n, unsigned kinds, bool lasting, bool full) {
    (void)pthread_mutex_lock(&lock);
    fail_at = n;
    fail_kinds = kinds;
    fail_lasting = lasting;
    fail_full = full;
    failed = false;
    (void)pthread_mutex_unlock(&lock);
}

void faultfs_stop_failing(void) {
    (void)pthread_mutex_lock(&lock);
    fail_at = -1;
    (void)pthread_mutex_unlock(&lock);
}

bool faultfs_failed(void) {
    (void)pthread_mutex_lock(&lock);
    bool result = failed;
    (void)pthread_mutex_unlock(&lock);
    return result;
}

size_t faultfs_database_syncs(void) {
    (void)pthread_mutex_lock(&lock);
    size_t result = database_syncs;
    (void)pthread_mutex_unlock(&lock);
    return result;
}

/* Under the lock. */
static bool fault_due(enum faultfs_kind kind) {
    if (fail_at < 0 || (fail_kinds & (unsigned)kind) == 0)
        return false;
    if (fail_at > 0) {
        fail_at--;
        return false;
    }
    if (!fail_lasting)
        fail_at = -1;
    failed = true;
    return true;
}

static bool fault(enum faultfs_kind kind) {
    (void)pthread_mutex_lock(&lock);
    bool due = fault_due(kind);
    (void)pthread_mutex_unlock(&lock);
    return due;
}

/* ---- images ------------------------------------------------------------------------- */

/* Not rec_alloc, which is made to fail under this. */
static void *grown(void *block, size_t count, size_t size) {
    void *bigger = realloc(block, count * size);
    assert_non_null(bigger);
    return bigger;
}

static void image_resize(struct image *image, size_t bytes) {
    if (bytes > image->capacity) {
        image->capacity = bytes * 2;
        image->data = grown(image->data, image->capacity, 1);
    }
    if (bytes > image->bytes)
        memset(image->data + image->bytes, 0, bytes - image->bytes);
    image->bytes = bytes;
}

static void image_apply(struct image *image, const struct change *change, size_t from,
                        size_t bytes) {
    size_t start = (size_t)change->offset + from;
    if (image->bytes < start + bytes)
        image_resize(image, start + bytes);
    memcpy(image->data + start, change->data + from, bytes);
}

static void image_sync(struct image *image) {
    for (size_t i = 0; i < image->changes; i++) {
        struct change *change = &image->change[i];
        if (change->bytes == 0)
            image_resize(image, (size_t)change->offset);
        else
            image_apply(image, change, 0, change->bytes);
        free(change->data);
    }
    image->changes = 0;
}

static void image_note(struct image *image, int64_t offset, const void *data, size_t bytes) {
    if (image->changes == image->changes_capacity) {
        image->changes_capacity = image->changes_capacity * 2 + 8;
        image->change = grown(image->change, image->changes_capacity, sizeof(*image->change));
    }
    struct change *change = &image->change[image->changes++];
    *change = (struct change){.offset = offset, .bytes = bytes};
    if (bytes > 0) {
        change->data = grown(NULL, bytes, 1);
        memcpy(change->data, data, bytes);
    }
}

static void image_clear(struct image *image) {
    for (size_t i = 0; i < image->changes; i++)
        free(image->change[i].data);
    free(image->change);
    free(image->data);
    *image = (struct image){0};
}

static struct image *image_find(const char *name) {
    for (size_t i = 0; i < FILES_MAX; i++)
        if (strcmp(images[i].name, name) == 0)
            return &images[i];
    return NULL;
}

static struct image *image_of(const char *name) {
    struct image *image = image_find(name);
    if (image == NULL) {
        image = image_find("");
        assert_non_null(image);
        (void)snprintf(image->name, sizeof(image->name), "%s", name);
    }
    return image;
}

void faultfs_forget(const char *path) {
    char wal[520];
    (void)snprintf(wal, sizeof(wal), "%s-wal", path);
    const char *names[] = {path, wal};
    (void)pthread_mutex_lock(&lock);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct image *image = image_find(names[i]);
        if (image != NULL)
            image_clear(image);
    }
    (void)pthread_mutex_unlock(&lock);
}

/* The image with some of what was not synced, written out; nothing when there is no such file. */
static void leave(const char *source, const char *path, struct rec_rng *rng) {
    struct image *image = image_find(source), left = {0};
    if (image == NULL)
        return;
    image_resize(&left, image->bytes);
    if (image->bytes > 0)
        memcpy(left.data, image->data, image->bytes);
    for (size_t i = 0; i < image->changes; i++) {
        const struct change *change = &image->change[i];
        if (change->bytes == 0 && rec_rng_below(rng, 2) == 0)
            image_resize(&left, (size_t)change->offset);
        for (size_t from = 0; from < change->bytes; from += SECTOR_BYTES) {
            size_t rest = change->bytes - from;
            if (rec_rng_below(rng, 2) == 0)
                image_apply(&left, change, from, rest < SECTOR_BYTES ? rest : SECTOR_BYTES);
        }
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(left.data, 1, left.bytes, file), left.bytes);
    assert_int_equal(fclose(file), 0);
    image_clear(&left);
}

void faultfs_power_cut(const char *source, const char *path, struct rec_rng *rng) {
    char source_wal[520], path_wal[520];
    (void)snprintf(source_wal, sizeof(source_wal), "%s-wal", source);
    (void)snprintf(path_wal, sizeof(path_wal), "%s-wal", path);
    (void)pthread_mutex_lock(&lock);
    leave(source, path, rng);
    leave(source_wal, path_wal, rng);
    (void)pthread_mutex_unlock(&lock);
}

/* ---- files --------------------------------------------------------------------------- */

static sqlite3_file *real_of(sqlite3_file *file) {
    return ((struct file *)file)->real;
}

static int fault_close(sqlite3_file *file) {
    return real_of(file)->pMethods->xClose(real_of(file));
}
static int fault_read(sqlite3_file *file, void *data, int bytes, sqlite3_int64 offset) {
    if (fault(FAULTFS_READ))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), data, bytes, offset);
}
static int fault_write(sqlite3_file *file, const void *data, int bytes, sqlite3_int64 offset) {
    struct image *image = ((struct file *)file)->image;
    (void)pthread_mutex_lock(&lock);
    bool due = fault_due(FAULTFS_WRITE);
    int code = due ? (fail_full ? SQLITE_FULL : SQLITE_IOERR_WRITE) : SQLITE_OK;
    /* A write that fails may have got half-way. */
    int done = due ? bytes / 2 : bytes;
    if (done > 0 && image != NULL)
        image_note(image, offset, data, (size_t)done);
    (void)pthread_mutex_unlock(&lock);
    int real = real_of(file)->pMethods->xWrite(real_of(file), data, done, offset);
    return code != SQLITE_OK ? code : real;
}
static int fault_truncate(sqlite3_file *file, sqlite3_int64 bytes) {
    struct image *image = ((struct file *)file)->image;
    if (fault(FAULTFS_TRUNCATE))
        return SQLITE_IOERR_TRUNCATE;
    (void)pthread_mutex_lock(&lock);
    if (image != NULL)
        image_note(image, bytes, NULL, 0);
    (void)pthread_mutex_unlock(&lock);
    return real_of(file)->pMethods->xTruncate(real_of(file), bytes);
}
static int fault_sync(sqlite3_file *file, int flags) {
    struct image *image = ((struct file *)file)->image;
    bool database = ((struct file *)file)->database;
    (void)flags;
    (void)pthread_mutex_lock(&lock);
    database_syncs += database;
    bool due = fault_due(FAULTFS_SYNC) || (database && fault_due(FAULTFS_SYNC_DATABASE));
    if (!due && image != NULL)
        image_sync(image);
    (void)pthread_mutex_unlock(&lock);
    return due ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}
static int fault_size(sqlite3_file *file, sqlite3_int64 *bytes) {
    return real_of(file)->pMethods->xFileSize(real_of(file), bytes);
}
static int fault_lock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xLock(real_of(file), level);
}
static int fault_unlock(sqlite3_file *file, int level) {
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}
static int fault_reserved(sqlite3_file *file, int *out) {
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}
static int fault_control(sqlite3_file *file, int op, void *arg) {
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}
static int fault_sector(sqlite3_file *file) {
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}
static int fault_device(sqlite3_file *file) {
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}
static int fault_shm_map(sqlite3_file *file, int page, int bytes, int extend, void volatile **out) {
    return real_of(file)->pMethods->xShmMap(real_of(file), page, bytes, extend, out);
}
static int fault_shm_lock(sqlite3_file *file, int offset, int n, int flags) {
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}
static void fault_shm_barrier(sqlite3_file *file) {
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}
static int fault_shm_unmap(sqlite3_file *file, int drop) {
    return real_of(file)->pMethods->xShmUnmap(real_of(file), drop);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* with shared memory, without memory-mapped files */
    .xClose = fault_close,
    .xRead = fault_read,
    .xWrite = fault_write,
    .xTruncate = fault_truncate,
    .xSync = fault_sync,
    .xFileSize = fault_size,
    .xLock = fault_lock,
    .xUnlock = fault_unlock,
    .xCheckReservedLock = fault_reserved,
    .xFileControl = fault_control,
    .xSectorSize = fault_sector,
    .xDeviceCharacteristics = fault_device,
    .xShmMap = fault_shm_map,
    .xShmLock = fault_shm_lock,
    .xShmBarrier = fault_shm_barrier,
    .xShmUnmap = fault_shm_unmap,
};

static int fault_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags,
                      int *flags_out) {
    struct file *file = (struct file *)out;
    (void)vfs;
    *file = (struct file){.real = (sqlite3_file *)(file + 1)};
    int code = real_fs->xOpen(real_fs, name, file->real, flags, flags_out);
    if (file->real->pMethods == NULL)
        return code;
    file->base.pMethods = &methods;
    file->database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    if ((flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0) {
        (void)pthread_mutex_lock(&lock);
        file->image = image_of(name);
        (void)pthread_mutex_unlock(&lock);
    }
    return code;
}

/* A deleted file is gone at once here: SQLite syncs the folder, which this does not model. */
static int fault_delete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
    (void)vfs;
    (void)pthread_mutex_lock(&lock);
    struct image *image = image_find(name);
    if (image != NULL) {
        image_note(image, 0, NULL, 0);
        image_sync(image);
    }
    (void)pthread_mutex_unlock(&lock);
    return real_fs->xDelete(real_fs, name, sync_folder);
}

void faultfs_install(void) {
    real_fs = sqlite3_vfs_find(NULL);
    assert_non_null(real_fs);
    fault_fs = *real_fs;
    fault_fs.zName = "fault";
    fault_fs.szOsFile = (int)sizeof(struct file) + real_fs->szOsFile;
    fault_fs.xOpen = fault_open;
    fault_fs.xDelete = fault_delete;
    assert_int_equal(sqlite3_vfs_register(&fault_fs, 1), SQLITE_OK);
}
