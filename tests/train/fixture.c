#define _XOPEN_SOURCE 700 /* nftw, mkdtemp */
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

const char *const fixture_good[] = {"factors=16", "iterations=8", NULL};

void fixture_write(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

size_t fixture_read(const char *path, void *bytes, size_t cap) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t count = fread(bytes, 1, cap, file);
    assert_true(count < cap);
    assert_int_equal(fclose(file), 0);
    return count;
}

void fixture_add(struct fixture *fixture, uint32_t users, uint32_t first, uint32_t liked,
                 int64_t time) {
    struct rec_store_import *import = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_store_import_begin(fixture->store, &import, &err), REC_OK);
    for (uint32_t u = 0; u < users; u++)
        for (uint32_t j = 0; j < liked; j++) {
            char user[16], item[32];
            uint32_t in_group = (u / FIXTURE_GROUPS + first + j) % FIXTURE_GROUP_ITEMS;
            (void)snprintf(user, sizeof(user), "u%u", u);
            (void)snprintf(item, sizeof(item), "g%u-i%u", u % FIXTURE_GROUPS, in_group);
            const struct rec_interaction row = {.user_id = user,
                                                .item_id = item,
                                                .type = "order",
                                                .value = 1.0,
                                                .timestamp = time + (int64_t)j};
            uint64_t added = 0;
            assert_int_equal(rec_store_import_rows(import, &row, 1, &added, &err), REC_OK);
        }
    assert_int_equal(rec_store_import_end(&import, true, &err), REC_OK);
}

void fixture_open_versions(struct fixture *fixture, size_t keep) {
    struct rec_error err = {0};
    rec_versions_destroy(&fixture->versions);
    const struct rec_versions_options options = {
        .model_path = fixture->model, .keep = keep, .store = fixture->store, .slot = fixture->slot};
    if (rec_versions_create(&options, &fixture->versions, &err) != REC_OK)
        fail_msg("%s", err.text);
}

int fixture_setup_empty(void **state) {
    struct rec_error err = {0};
    size_t live_before = rec_alloc_live();
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->live_before = live_before;
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/recsysd-train-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->database, sizeof(fixture->database), "%s/test.db", fixture->folder);
    (void)snprintf(fixture->model, sizeof(fixture->model), "%s/live.model", fixture->folder);
    (void)snprintf(fixture->kept, sizeof(fixture->kept), "%s.versions", fixture->model);

    assert_int_equal(rec_kernels_init(&err), REC_OK);
    assert_int_equal(rec_dense_init(&err), REC_OK);
    rec_weights_defaults(&fixture->weights);
    const struct rec_store_options options = {
        .path = fixture->database, .create = true, .writable = true};
    if (rec_store_open(&options, &fixture->store, &err) != REC_OK)
        fail_msg("%s", err.text);
    fixture->slot = rec_slot_create();
    assert_non_null(fixture->slot);
    fixture_open_versions(fixture, 3);
    *state = fixture;
    return 0;
}

int fixture_setup(void **state) {
    int result = fixture_setup_empty(state);
    fixture_add(*state, FIXTURE_USERS, 0, FIXTURE_LIKED, FIXTURE_TIME);
    return result;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

int fixture_teardown(void **state) {
    struct fixture *fixture = *state;
    rec_versions_destroy(&fixture->versions);
    rec_slot_destroy(&fixture->slot);
    rec_store_close(&fixture->store);
    (void)nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    size_t live_before = fixture->live_before;
    free(fixture);
    assert_int_equal(rec_alloc_live(), live_before);
    return 0;
}

struct rec_train_spec fixture_spec(const char *family, const char *const *assignments) {
    struct rec_error err = {0};
    struct rec_train_spec spec = {.seed = 1, .judge = true, .tolerance = 0.02, .refit = true};
    if (rec_family_find(rec_families, family, &spec.family, &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_params_defaults(spec.family->params, spec.family->param_count, &spec.params);
    for (size_t i = 0; assignments != NULL && assignments[i] != NULL; i++)
        if (rec_params_set(&spec.params, assignments[i], &err) != REC_OK)
            fail_msg("%s", err.text);
    return spec;
}

struct rec_train_context fixture_context(struct fixture *fixture) {
    return (struct rec_train_context){.store = fixture->store,
                                      .weights = &fixture->weights,
                                      .slot = fixture->slot,
                                      .versions = fixture->versions};
}

void fixture_train_good(struct fixture *fixture) {
    struct rec_train_spec spec = fixture_spec("als", fixture_good);
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_result result;
    struct rec_error err = {0};
    spec.judge = false;
    if (rec_train_run(&context, &spec, &result, NULL, NULL, &err) != REC_OK)
        fail_msg("%s", err.text);
}

void fixture_live(struct fixture *fixture, char version[64]) {
    struct rec_generation *live = rec_slot_acquire(fixture->slot);
    (void)snprintf(version, 64, "%s", live != NULL ? live->info.version : "");
    rec_slot_release(fixture->slot, &live);
}

size_t fixture_kept(const struct fixture *fixture) {
    size_t files = 0;
    DIR *folder = opendir(fixture->kept);
    if (folder == NULL)
        return 0;
    for (struct dirent *file; (file = readdir(folder)) != NULL;)
        files += file->d_name[0] != '.';
    closedir(folder);
    return files;
}
