/* Goal: MODEL, the kept versions and the live model agree after every change, and a change that
 * fails changes none of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "fixture.h"

/* A popularity model of the store, as publish wants it. */
static struct rec_model *make_model(struct fixture *fixture, struct rec_model_info *info) {
    struct rec_train_context context = fixture_context(fixture);
    struct rec_train_spec spec = fixture_spec("popularity", NULL);
    struct rec_train_result result;
    struct rec_model *model = NULL;
    struct rec_error err = {0};
    context.versions = NULL;
    spec.judge = false;
    if (rec_train_run(&context, &spec, &result, &model, info, &err) != REC_OK)
        fail_msg("%s", err.text);
    return model;
}

static void publish(struct fixture *fixture, char version[64]) {
    struct rec_model_info info;
    struct rec_error err = {0};
    struct rec_model *model = make_model(fixture, &info);
    if (rec_versions_publish(fixture->versions, &model, &info, &err) != REC_OK)
        fail_msg("%s", err.text);
    assert_null(model);
    (void)snprintf(version, 64, "%s", info.version);
}

static void assert_live(struct fixture *fixture, const char *version) {
    char live[64];
    struct rec_model_info file;
    struct rec_error err = {0};
    fixture_live(fixture, live);
    assert_string_equal(live, version);
    assert_int_equal(rec_modelfile_info(fixture->model, &file, &err), REC_OK);
    assert_string_equal(file.version, version);
}

static void path_of(const struct fixture *fixture, const char *version, char path[256]) {
    (void)snprintf(path, 256, "%s/%s.model", fixture->kept, version);
}

static void test_publish_fills_in(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info info, listed[4];
    struct rec_error err = {0};
    char live[64];
    size_t count = 4;
    int64_t before = rec_clock_unix_s();
    struct rec_model *model = make_model(fixture, &info);
    (void)snprintf(info.metrics, sizeof(info.metrics), "{\"judged\":false}");
    assert_int_equal(rec_versions_publish(fixture->versions, &model, &info, &err), REC_OK);

    assert_true(info.trained_at >= before);
    assert_string_equal(info.database, rec_store_identity(fixture->store));
    assert_non_null(strstr(info.version, "Z-popularity-"));
    assert_live(fixture, info.version);
    assert_int_equal(rec_versions_list(fixture->versions, listed, &count, live, &err), REC_OK);
    assert_int_equal(count, 1);
    assert_string_equal(live, info.version);
    assert_string_equal(listed[0].version, info.version);
    assert_string_equal(listed[0].metrics, "{\"judged\":false}");
    assert_int_equal(listed[0].items, FIXTURE_GROUPS * FIXTURE_GROUP_ITEMS);
    assert_int_equal(listed[0].recorded, FIXTURE_USERS * FIXTURE_LIKED);
}

static void test_keeps_the_newest(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info listed[8];
    struct rec_error err = {0};
    char version[6][64], live[64];
    for (size_t i = 0; i < 6; i++) {
        publish(fixture, version[i]);
        assert_int_equal(fixture_kept(fixture), i < 3 ? i + 1 : 3);
    }
    size_t count = 8;
    assert_int_equal(rec_versions_list(fixture->versions, listed, &count, live, &err), REC_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(listed[i].version, version[5 - i]);
    count = 2;
    assert_int_equal(rec_versions_list(fixture->versions, listed, &count, live, &err), REC_OK);
    assert_int_equal(count, 2);
    assert_string_equal(listed[0].version, version[5]);
}

static void test_list_of_nothing(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info listed[2];
    struct rec_error err = {0};
    char live[64] = "x";
    size_t count = 2;
    assert_int_equal(rec_versions_list(fixture->versions, listed, &count, live, &err), REC_OK);
    assert_int_equal(count, 0);
    assert_string_equal(live, "");
    assert_int_equal(rec_versions_reload(fixture->versions, NULL, &err), REC_NOT_FOUND);
}

static void test_activate_and_prune(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info info;
    struct rec_error err = {0};
    char version[5][64], path[256];
    for (size_t i = 0; i < 3; i++)
        publish(fixture, version[i]);
    assert_int_equal(rec_versions_activate(fixture->versions, version[0], &info, &err), REC_OK);
    assert_string_equal(info.version, version[0]);
    assert_live(fixture, version[0]);

    /* Of a file that is live already. */
    assert_int_equal(rec_versions_activate(fixture->versions, version[0], &info, &err), REC_OK);
    assert_live(fixture, version[0]);

    publish(fixture, version[3]); /* 0 falls out of the newest 3, and is no longer live */
    assert_live(fixture, version[3]);
    path_of(fixture, version[0], path);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rec_versions_activate(fixture->versions, version[0], &info, &err),
                     REC_NOT_FOUND);
    assert_live(fixture, version[3]);
}

/* A clock that was ahead once: what is published now sorts behind, and stays all the same. */
static void test_live_one_is_never_pruned(void **state) {
    struct fixture *fixture = *state;
    struct rec_error err = {0};
    char version[64], path[256];
    publish(fixture, version);
    for (unsigned i = 0; i < 4; i++) {
        struct rec_model_info info;
        struct rec_model *model = make_model(fixture, &info);
        rec_versions_name("popularity", 4000000000, i, info.version);
        path_of(fixture, info.version, path);
        assert_int_equal(rec_modelfile_save(model, &info, path, &err), REC_OK);
        rec_model_destroy(&model);
    }
    publish(fixture, version);
    assert_live(fixture, version);
    path_of(fixture, version, path);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(fixture_kept(fixture), 4);
}

static void test_versions_share_no_file(void **state) {
    struct fixture *fixture = *state;
    struct rec_error err = {0};
    char version[64];
    publish(fixture, version);
    /* As `cp other MODEL` would. */
    fixture_write(fixture->model, "not a model", 11);
    assert_int_equal(rec_versions_reload(fixture->versions, NULL, &err), REC_CORRUPT);
    assert_int_equal(
        rec_versions_activate(fixture->versions, version, NULL, &(struct rec_error){0}), REC_OK);
    assert_live(fixture, version);
}

static const struct {
    const char *name, *version;
} hostile_cases[] = {
    {"empty", ""},
    {"up", "../live"},
    {"up in a name of the right shape", "20261122T101500Z-../../live-5f3a"},
    {"slash in the family", "20261122T101500Z-a/b-5f3a"},
    {"absolute", "/etc/passwd"},
    {"no family", "20261122T101500Z--5f3a"},
    {"unknown", "20261122T101500Z-als-5f3a"},
    {"upper-case hex", "20261122T101500Z-als-5F3A"},
    {"short hex", "20261122T101500Z-als-5f3"},
    {"no zone", "20261122T101500-als-5f3a"},
    {"letters in the date", "2026112xT101500Z-als-5f3a"},
    {"long",
     "20261122T101500Z-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-5f3a"},
    {"percent", "20261122T101500Z-%s%n-5f3a"},
    {"control", "20261122T101500Z-a\nb-5f3a"},
};

static void test_hostile_names(void **state) {
    struct fixture *fixture = *state;
    char version[64];
    publish(fixture, version);
    for (size_t i = 0; i < sizeof(hostile_cases) / sizeof(hostile_cases[0]); i++) {
        struct rec_error err = {0};
        if (rec_versions_activate(fixture->versions, hostile_cases[i].version, NULL, &err) !=
            REC_NOT_FOUND)
            fail_msg("%s", hostile_cases[i].name);
        assert_live(fixture, version);
    }
}

/* What may lie at MODEL when somebody reloads. The file is `good` changed. */
enum damage { EMPTY, TEXT, TRUNCATED, FLIPPED, REMOVED, FOREIGN };
static const struct {
    const char *name;
    enum damage damage;
    enum rec_status status;
} reload_cases[] = {
    {"empty file", EMPTY, REC_CORRUPT},    {"another kind of file", TEXT, REC_CORRUPT},
    {"truncated", TRUNCATED, REC_CORRUPT}, {"one bit flipped", FLIPPED, REC_CORRUPT},
    {"no file", REMOVED, REC_NOT_FOUND},   {"of another database", FOREIGN, REC_CORRUPT},
};

static void damage_file(struct fixture *fixture, enum damage damage) {
    static unsigned char bytes[1 << 20];
    struct rec_model_info info;
    struct rec_error err = {0};
    size_t count = fixture_read(fixture->model, bytes, sizeof(bytes));
    switch (damage) {
    case EMPTY:
        fixture_write(fixture->model, "", 0);
        break;
    case TEXT:
        fixture_write(fixture->model, "user,item\n1,2\n", 14);
        break;
    case TRUNCATED:
        fixture_write(fixture->model, bytes, count - 1);
        break;
    case FLIPPED:
        bytes[count / 2] ^= 1;
        fixture_write(fixture->model, bytes, count);
        break;
    case REMOVED:
        assert_int_equal(unlink(fixture->model), 0);
        break;
    case FOREIGN: {
        struct rec_model *model = make_model(fixture, &info);
        (void)snprintf(info.database, sizeof(info.database), "%032x", 1u);
        assert_int_equal(rec_modelfile_save(model, &info, fixture->model, &err), REC_OK);
        rec_model_destroy(&model);
        break;
    }
    }
}

static void test_reload_of_bad_files(void **state) {
    struct fixture *fixture = *state;
    char version[64], live[64];
    publish(fixture, version);
    for (size_t i = 0; i < sizeof(reload_cases) / sizeof(reload_cases[0]); i++) {
        struct rec_error err = {0};
        damage_file(fixture, reload_cases[i].damage);
        enum rec_status st = rec_versions_reload(fixture->versions, NULL, &err);
        if (st != reload_cases[i].status || err.text[0] == '\0')
            fail_msg("%s: status %d, '%s'", reload_cases[i].name, (int)st, err.text);
        fixture_live(fixture, live);
        assert_string_equal(live, version);
        /* and the way back */
        assert_int_equal(
            rec_versions_activate(fixture->versions, version, NULL, &(struct rec_error){0}),
            REC_OK);
    }
    struct rec_model_info info;
    assert_int_equal(rec_versions_reload(fixture->versions, &info, NULL), REC_OK);
    assert_string_equal(info.version, version);
}

/* A model trained by hand and reloaded is still there after the next publish. */
static void test_reloaded_model_is_kept(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info info;
    struct rec_error err = {0};
    char by_hand[64], version[64];
    struct rec_model *model = make_model(fixture, &info);
    rec_versions_name("popularity", 1700000000, 0xabcdef, by_hand);
    assert_string_equal(by_hand, "20231114T221320Z-popularity-cdef");
    (void)snprintf(info.version, sizeof(info.version), "%s", by_hand);
    assert_int_equal(rec_modelfile_save(model, &info, fixture->model, &err), REC_OK);
    rec_model_destroy(&model);
    assert_int_equal(rec_versions_reload(fixture->versions, NULL, &err), REC_OK);
    assert_live(fixture, by_hand);

    publish(fixture, version);
    assert_int_equal(fixture_kept(fixture), 2);
    assert_int_equal(rec_versions_activate(fixture->versions, by_hand, NULL, &err), REC_OK);
    assert_live(fixture, by_hand);
}

static void test_misnamed_version(void **state) {
    struct fixture *fixture = *state;
    struct rec_error err = {0};
    char version[64], from[256], to[256], live[64];
    struct rec_model_info listed[2];
    size_t count = 2;
    publish(fixture, version);
    path_of(fixture, version, from);
    path_of(fixture, "20261122T101500Z-als-5f3a", to);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(
        rec_versions_activate(fixture->versions, "20261122T101500Z-als-5f3a", NULL, &err),
        REC_CORRUPT);
    assert_int_equal(rec_versions_list(fixture->versions, listed, &count, live, &err), REC_OK);
    assert_int_equal(count, 0);
    assert_live(fixture, version);
}

static void test_failed_saves_change_nothing(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info info;
    struct rec_error err = {0};
    char version[64], live[64];
    publish(fixture, version);

    /* The permission bits do not stop root; a folder where MODEL should go stops anybody. */
    assert_int_equal(unlink(fixture->model), 0);
    assert_int_equal(mkdir(fixture->model, 0700), 0);
    struct rec_model *model = make_model(fixture, &info);
    assert_int_equal(rec_versions_publish(fixture->versions, &model, &info, &err), REC_IO);
    assert_non_null(strstr(err.text, fixture->model));
    assert_null(model);
    assert_int_equal(fixture_kept(fixture), 1);
    fixture_live(fixture, live);
    assert_string_equal(live, version);
    assert_int_equal(rmdir(fixture->model), 0);
}

static void test_versions_folder_cannot_be_made(void **state) {
    struct fixture *fixture = *state;
    struct rec_model_info info;
    struct rec_error err = {0};
    fixture_write(fixture->kept, "in the way", 10);
    struct rec_model *model = make_model(fixture, &info);
    assert_int_equal(rec_versions_publish(fixture->versions, &model, &info, &err), REC_IO);
    assert_int_not_equal(access(fixture->model, F_OK), 0);
    assert_null(rec_slot_acquire(fixture->slot));
    assert_int_equal(unlink(fixture->kept), 0);
}

static void test_temporary_files_go(void **state) {
    struct fixture *fixture = *state;
    char version[64], kept[256], old[256];
    const struct utimbuf long_ago = {1600000000, 1600000000};
    publish(fixture, version);
    (void)snprintf(kept, sizeof(kept), "%s/20261122T101500Z-als-5f3a.model.tmp-77", fixture->kept);
    (void)snprintf(old, sizeof(old), "%s.tmp-77", fixture->model);

    fixture_write(kept, "half", 4);
    fixture_write(old, "half", 4);
    fixture_open_versions(fixture, 3);
    assert_int_not_equal(access(kept, F_OK), 0);
    assert_int_equal(access(old, F_OK), 0); /* young: somebody may be writing it now */
    assert_int_equal(utime(old, &long_ago), 0);
    fixture_open_versions(fixture, 3);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_live(fixture, version);
    assert_int_equal(fixture_kept(fixture), 1);
}

static void test_bad_options(void **state) {
    struct fixture *fixture = *state;
    static char long_path[5000];
    memset(long_path, 'a', sizeof(long_path) - 1);
    const struct rec_versions_options bad[] = {
        {.model_path = "", .keep = 1, .store = fixture->store, .slot = fixture->slot},
        {.model_path = long_path, .keep = 1, .store = fixture->store, .slot = fixture->slot},
        {.model_path = "x", .keep = 0, .store = fixture->store, .slot = fixture->slot},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct rec_versions *versions = NULL;
        assert_int_equal(rec_versions_create(&bad[i], &versions, NULL), REC_BAD_INPUT);
        assert_null(versions);
        rec_versions_destroy(&versions);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
int main(void) {
    const struct CMUnitTest tests[] = {
        ROW(test_publish_fills_in),
        ROW(test_keeps_the_newest),
        ROW(test_list_of_nothing),
        ROW(test_activate_and_prune),
        ROW(test_live_one_is_never_pruned),
        ROW(test_versions_share_no_file),
        ROW(test_hostile_names),
        ROW(test_reload_of_bad_files),
        ROW(test_reloaded_model_is_kept),
        ROW(test_misnamed_version),
        ROW(test_failed_saves_change_nothing),
        ROW(test_versions_folder_cannot_be_made),
        ROW(test_temporary_files_go),
        ROW(test_bad_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
