/* The model files on disk: which one is live, and which ones may come back.
 *
 *   MODEL                          what is live: read at start and on reload
 *   MODEL.versions/<version>.model the last `keep` that were published
 *
 * The two never share an inode. A hard link would save one write, but `cp new.model MODEL` writes
 * into the present inode and would rewrite the kept version with it.
 *
 * Every change is: make the file whole beside the old one, then rename, then swap in memory; so a
 * crash at any point leaves a MODEL that loads. A model is saved before it is published: a restart
 * serves what users already saw. The file that was live through a reload only (trained by hand)
 * is kept before it is replaced, or there would be no way back to it.
 *
 * One mutex is held over the disk work of a change. That is deliberate: without it a reload could
 * read MODEL, a retrain replace and publish, and the reload then publish the older model, so that
 * memory and disk disagree. Requests never take this mutex, only other changes wait. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recsysd/train.h"

enum {
    PATH_BYTES = 4096,
    VERSION_PATH_BYTES = PATH_BYTES + 96, /* the folder, a version and .model */
    STAMP_CHARS = 16,                     /* "20261122T101500Z" */
    TEMP_ABANDONED_S = 3600, /* a temporary file this old belongs to no save that still runs */
};

struct rec_versions {
    char path[PATH_BYTES];
    char folder[PATH_BYTES + 16];
    size_t keep;
    struct rec_store *store;
    struct rec_slot *slot;
    pthread_mutex_t change; /* one reload, publish or activate at a time */
    struct rec_rng rng;     /* change */
};

struct entry {
    char version[64];
    struct timespec written;
};
struct entries {
    struct entry *list;
    size_t count, capacity;
};

/* ---- names --------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_stamp(const char *text) {
    static const char shape[STAMP_CHARS + 1] = "00000000T000000Z";
    for (size_t i = 0; i < STAMP_CHARS; i++)
        if (shape[i] == '0' ? !is_digit(text[i]) : text[i] != shape[i])
            return false;
    return true;
}

/* 20261122T101500Z-als-5f3a and nothing else: a name from a client becomes part of a path. */
static bool is_version(const char *text) {
    size_t length = strnlen(text, 64);
    if (length < STAMP_CHARS + 7 || length >= 64 || !is_stamp(text) || text[STAMP_CHARS] != '-' ||
        text[length - 5] != '-')
        return false;
    for (size_t i = STAMP_CHARS + 1; i < length - 5; i++)
        if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'z') && text[i] != '-' &&
            text[i] != '_')
            return false;
    for (size_t i = length - 4; i < length; i++)
        if (!is_digit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    return true;
}

void rec_versions_name(const char *family, int64_t unix_s, uint64_t random, char version[64]) {
    char stamp[REC_CLOCK_TEXT_BYTES], dense[STAMP_CHARS + 1];
    size_t n = 0;
    rec_clock_format(unix_s, stamp);
    for (const char *c = stamp; *c != '\0' && n < STAMP_CHARS; c++)
        if (*c != '-' && *c != ':')
            dense[n++] = *c;
    dense[n] = '\0';
    (void)snprintf(version, 64, "%s-%.32s-%04x", dense, family, (unsigned)(random & 0xffffu));
}

static void path_of(const struct rec_versions *versions, const char *version,
                    char path[VERSION_PATH_BYTES]) {
    (void)snprintf(path, VERSION_PATH_BYTES, "%s/%s.model", versions->folder, version);
}

static bool exists(const char *path) {
    struct stat status;
    return stat(path, &status) == 0;
}

/* ---- the folder ------------------------------------------------------------------------ */

/* By the second in the name, then by when the file was written: several within one second happen
 * when models are small. */
static int newest_first(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    int order = strncmp(y->version, x->version, STAMP_CHARS);
    if (order != 0)
        return order;
    if (x->written.tv_sec != y->written.tv_sec)
        return x->written.tv_sec < y->written.tv_sec ? 1 : -1;
    if (x->written.tv_nsec != y->written.tv_nsec)
        return x->written.tv_nsec < y->written.tv_nsec ? 1 : -1;
    return strcmp(y->version, x->version);
}

/* The version of a file name, when it is one. */
static bool version_of(const char *file, char version[64]) {
    const char *suffix = strrchr(file, '.');
    if (suffix == NULL || strcmp(suffix, ".model") != 0 || suffix - file >= 64)
        return false;
    (void)snprintf(version, 64, "%.*s", (int)(suffix - file), file);
    return is_version(version);
}

static enum rec_status add_entry(const struct rec_versions *versions, const char *version,
                                 struct entries *entries, struct rec_error *err) {
    char path[VERSION_PATH_BYTES];
    struct stat status;
    path_of(versions, version, path);
    if (stat(path, &status) != 0)
        return REC_OK; /* pruned meanwhile */
    enum rec_status st = rec_alloc_grow(&entries->list, &entries->capacity, entries->count + 1,
                                        sizeof(struct entry), err);
    if (st != REC_OK)
        return st;
    struct entry *entry = &entries->list[entries->count++];
    (void)snprintf(entry->version, sizeof(entry->version), "%s", version);
    entry->written = status.st_mtim;
    return REC_OK;
}

/* Every version file, newest first. No folder is no entry. */
static enum rec_status read_folder(const struct rec_versions *versions, struct entries *entries,
                                   struct rec_error *err) {
    DIR *folder = opendir(versions->folder);
    if (folder == NULL)
        return errno == ENOENT
                   ? REC_OK
                   : rec_error_set(err, REC_IO, "%s: %s", versions->folder, strerror(errno));
    enum rec_status st = REC_OK;
    char version[64];
    for (struct dirent *file; st == REC_OK && (file = readdir(folder)) != NULL;)
        if (version_of(file->d_name, version))
            st = add_entry(versions, version, entries, err);
    closedir(folder);
    if (st == REC_OK && entries->count > 1)
        qsort(entries->list, entries->count, sizeof(struct entry), newest_first);
    return st;
}

/* Removes files of `folder` named <start>*.tmp-* that nobody has written to since `before`. */
static void remove_temporary(const char *folder, const char *start, int64_t before) {
    char path[PATH_BYTES + 300];
    struct stat status;
    DIR *open_folder = opendir(folder);
    if (open_folder == NULL)
        return;
    for (struct dirent *file; (file = readdir(open_folder)) != NULL;) {
        if (strncmp(file->d_name, start, strlen(start)) != 0 ||
            strstr(file->d_name + strlen(start), ".tmp-") == NULL)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, file->d_name);
        if (stat(path, &status) == 0 && status.st_mtime <= before)
            (void)unlink(path);
    }
    closedir(open_folder);
}

/* What saves that were cut off left behind. The versions are this process's alone; beside MODEL
 * somebody may just be writing a new one, so there only old files go. */
static void clean_up(const struct rec_versions *versions) {
    char folder[PATH_BYTES];
    int64_t now = rec_clock_unix_s();
    const char *slash = strrchr(versions->path, '/');
    const char *name = slash != NULL ? slash + 1 : versions->path;
    int length = slash == NULL ? 0 : slash == versions->path ? 1 : (int)(slash - versions->path);
    (void)snprintf(folder, sizeof(folder), "%.*s", length > 0 ? length : 1,
                   length > 0 ? versions->path : ".");
    remove_temporary(folder, name, now - TEMP_ABANDONED_S);
    remove_temporary(versions->folder, "", INT64_MAX);
}

static void live_version(struct rec_versions *versions, char version[64]) {
    struct rec_generation *live = rec_slot_acquire(versions->slot);
    (void)snprintf(version, 64, "%s", live != NULL ? live->info.version : "");
    rec_slot_release(versions->slot, &live);
}

/* Leaves the newest `keep` and the live one, which may be older after an activate. A file that
 * cannot be removed now is found again by the next publish, so nothing is reported. */
static void prune(struct rec_versions *versions) {
    struct entries entries = {0};
    char live[64], path[VERSION_PATH_BYTES];
    live_version(versions, live);
    if (read_folder(versions, &entries, NULL) == REC_OK)
        for (size_t i = versions->keep; i < entries.count; i++)
            if (strcmp(entries.list[i].version, live) != 0) {
                path_of(versions, entries.list[i].version, path);
                (void)unlink(path);
            }
    rec_alloc_free(entries.list);
}

/* Sees to it that the live model has its file among the versions. */
static enum rec_status keep_live(struct rec_versions *versions, struct rec_error *err) {
    char path[VERSION_PATH_BYTES];
    enum rec_status st = REC_OK;
    struct rec_generation *live = rec_slot_acquire(versions->slot);
    if (live != NULL && is_version(live->info.version)) {
        path_of(versions, live->info.version, path);
        if (!exists(path))
            st = rec_modelfile_save(live->model, &live->info, path, err);
    }
    rec_slot_release(versions->slot, &live);
    return st;
}

static enum rec_status make_folder(const struct rec_versions *versions, struct rec_error *err) {
    if (mkdir(versions->folder, 0755) == 0 || errno == EEXIST)
        return REC_OK;
    return rec_error_set(err, REC_IO, "cannot make the folder %s: %s", versions->folder,
                         strerror(errno));
}

/* ---- life --------------------------------------------------------------------------------- */

enum rec_status rec_versions_create(const struct rec_versions_options *options,
                                    struct rec_versions **out, struct rec_error *err) {
    size_t length = strnlen(options->model_path, PATH_BYTES);
    if (length == 0 || length >= PATH_BYTES)
        return rec_error_set(err, REC_BAD_INPUT,
                             "model file: a path of 1 to %d bytes is needed, not %zu",
                             PATH_BYTES - 1, length);
    if (options->keep < 1)
        return rec_error_set(err, REC_BAD_INPUT, "model versions to keep: 0 is below 1");
    struct rec_versions *versions = rec_alloc_array(1, sizeof(*versions));
    if (versions == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the model versions");

    (void)snprintf(versions->path, sizeof(versions->path), "%s", options->model_path);
    (void)snprintf(versions->folder, sizeof(versions->folder), "%s.versions", options->model_path);
    versions->keep = options->keep;
    versions->store = options->store;
    versions->slot = options->slot;
    pthread_mutex_init(&versions->change, NULL);
    rec_rng_init(&versions->rng, rec_clock_monotonic_ns(), (uint64_t)getpid());
    clean_up(versions);
    *out = versions;
    return REC_OK;
}

void rec_versions_destroy(struct rec_versions **versions) {
    if (*versions == NULL)
        return;
    pthread_mutex_destroy(&(*versions)->change);
    rec_alloc_free(*versions);
    *versions = NULL;
}

/* ---- changes ------------------------------------------------------------------------------ */

/* Reads and verifies a whole file as something that could be live now. */
static enum rec_status load(const struct rec_versions *versions, const char *path,
                            struct rec_generation **out, struct rec_error *err) {
    struct rec_store_counts counts;
    struct rec_model *model = NULL;
    struct rec_model_info info = {0};
    enum rec_status st = rec_store_counts(versions->store, &counts, err);
    if (st == REC_OK)
        st = rec_modelfile_load(path, rec_families, rec_store_identity(versions->store),
                                counts.items, &model, &info, err);
    if (st != REC_OK)
        return st;
    /* The loader takes 0 as "any": a database emptied under its old identity. */
    if (info.items > counts.items)
        st = rec_error_set(err, REC_CORRUPT, "%s: knows %u items, the catalogue has %u", path,
                           info.items, counts.items);
    if (st == REC_OK && (*out = rec_generation_create(&model, &info)) == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "%s: no memory to make it live", path);
    rec_model_destroy(&model);
    return st;
}

static void put_live(struct rec_versions *versions, struct rec_generation **generation,
                     struct rec_model_info *info) {
    if (info != NULL)
        *info = (*generation)->info;
    rec_slot_publish(versions->slot, generation);
}

enum rec_status rec_versions_reload(struct rec_versions *versions, struct rec_model_info *info,
                                    struct rec_error *err) {
    struct rec_generation *generation = NULL;
    pthread_mutex_lock(&versions->change);
    enum rec_status st = load(versions, versions->path, &generation, err);
    if (st == REC_OK) {
        /* A kindness for rollback only: models may lie in a folder this process cannot write. */
        if (exists(versions->folder))
            (void)keep_live(versions, NULL);
        put_live(versions, &generation, info);
    }
    pthread_mutex_unlock(&versions->change);
    return st;
}

/* Names the version; by chance (1 in 65,536, within one second) the name may be taken. */
static void name_new(struct rec_versions *versions, struct rec_model_info *info,
                     char path[VERSION_PATH_BYTES]) {
    do {
        rec_versions_name(info->family, info->trained_at, rec_rng_u64(&versions->rng),
                          info->version);
        path_of(versions, info->version, path);
    } while (exists(path));
}

static enum rec_status save_both(struct rec_versions *versions,
                                 const struct rec_generation *generation, const char *path,
                                 struct rec_error *err) {
    enum rec_status st = make_folder(versions, err);
    if (st == REC_OK)
        st = keep_live(versions, err);
    if (st == REC_OK)
        st = rec_modelfile_save(generation->model, &generation->info, path, err);
    if (st != REC_OK)
        return st;
    st = rec_modelfile_save(generation->model, &generation->info, versions->path, err);
    if (st != REC_OK)
        (void)unlink(path); /* a version that never was live must not be offered */
    return st;
}

enum rec_status rec_versions_publish(struct rec_versions *versions, struct rec_model **model,
                                     struct rec_model_info *info, struct rec_error *err) {
    char path[VERSION_PATH_BYTES];
    enum rec_status st = REC_OK;
    pthread_mutex_lock(&versions->change);
    info->trained_at = rec_clock_unix_s();
    (void)snprintf(info->database, sizeof(info->database), "%s",
                   rec_store_identity(versions->store));
    name_new(versions, info, path);

    /* Made before anything is written: after the save nothing may fail any more. */
    struct rec_generation *generation = rec_generation_create(model, info);
    if (generation == NULL)
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to make model %s live", info->version);
    if (st == REC_OK)
        st = save_both(versions, generation, path, err);
    if (st == REC_OK) {
        put_live(versions, &generation, NULL);
        prune(versions);
    }
    pthread_mutex_unlock(&versions->change);
    if (generation != NULL)
        rec_generation_destroy(&generation);
    rec_model_destroy(model);
    return st;
}

enum rec_status rec_versions_activate(struct rec_versions *versions, const char *version,
                                      struct rec_model_info *info, struct rec_error *err) {
    char path[VERSION_PATH_BYTES];
    if (!is_version(version))
        return rec_error_set(err, REC_NOT_FOUND, "version: there is no '%.64s'", version);
    path_of(versions, version, path);

    struct rec_generation *generation = NULL;
    pthread_mutex_lock(&versions->change);
    enum rec_status st = REC_OK;
    if (!exists(path))
        st = rec_error_set(err, REC_NOT_FOUND, "version: '%s' is not kept", version);
    if (st == REC_OK)
        st = load(versions, path, &generation, err);
    if (st == REC_OK && strcmp(generation->info.version, version) != 0)
        st = rec_error_set(err, REC_CORRUPT, "%s: holds version %.63s", path,
                           generation->info.version);
    if (st == REC_OK)
        st = keep_live(versions, err);
    if (st == REC_OK)
        st = rec_modelfile_save(generation->model, &generation->info, versions->path, err);
    if (st == REC_OK)
        put_live(versions, &generation, info);
    pthread_mutex_unlock(&versions->change);
    if (generation != NULL)
        rec_generation_destroy(&generation);
    return st;
}

enum rec_status rec_versions_list(struct rec_versions *versions, struct rec_model_info *out,
                                  size_t *count, char live[64], struct rec_error *err) {
    /* Without the mutex: a file that vanishes meanwhile is one that cannot be read. */
    struct entries entries = {0};
    char path[VERSION_PATH_BYTES];
    size_t capacity = *count, found = 0;
    enum rec_status st = read_folder(versions, &entries, err);
    for (size_t i = 0; st == REC_OK && i < entries.count && found < capacity; i++) {
        path_of(versions, entries.list[i].version, path);
        if (rec_modelfile_info(path, &out[found], NULL) == REC_OK &&
            strcmp(out[found].version, entries.list[i].version) == 0)
            found++;
    }
    rec_alloc_free(entries.list);
    if (st != REC_OK)
        return st;
    *count = found;
    live_version(versions, live);
    return REC_OK;
}
