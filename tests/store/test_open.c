#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

/* Runs SQL on the file, as another application would. */
static void outside_sql(const struct place *place, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(place->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void outside_bytes(const struct place *place, const char *text) {
    FILE *file = fopen(place->path, "wb");
    assert_non_null(file);
    for (int i = 0; i < 100; i++)
        assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Goal: a new database is empty, has an identity, and keeps both through opening again; another
 * database has another identity; a reader sees the same. */
static void test_fresh_and_again(void **state) {
    (void)state;
    struct place place = place_make(), other = place_make();
    struct rec_store *store = store_open(&place), *second = store_open(&other);
    struct rec_store_counts counts;
    struct rec_error err = {0};
    char identity[REC_STORE_IDENTITY_BYTES];

    must(rec_store_counts(store, &counts, &err), &err);
    assert_int_equal(counts.users + counts.items + counts.interactions + counts.recorded, 0);
    (void)snprintf(identity, sizeof(identity), "%s", rec_store_identity(store));
    assert_int_equal(strlen(identity), 32);
    assert_int_equal(strspn(identity, "0123456789abcdef"), 32);
    assert_string_not_equal(identity, rec_store_identity(second));

    rec_store_close(&store);
    assert_null(store);
    rec_store_close(&store);
    store = store_open(&place);
    assert_string_equal(rec_store_identity(store), identity);
    struct rec_store *reader = store_watch(&place);
    assert_string_equal(rec_store_identity(reader), identity);
    rec_store_close(&reader);
    rec_store_close(&store);
    rec_store_close(&second);
    place_remove(&place);
    place_remove(&other);
}

static void another_application(const struct place *place) {
    outside_sql(place, "CREATE TABLE mail (body TEXT); PRAGMA application_id = 7");
}
static void no_application(const struct place *place) {
    outside_sql(place, "CREATE TABLE notes (body TEXT)");
}
static void newer_schema(const struct place *place) {
    struct rec_store *store = store_open(place);
    rec_store_close(&store);
    outside_sql(place, "PRAGMA user_version = 99");
}
static void not_a_database(const struct place *place) {
    outside_bytes(place, "user,item,rating\n1,2,3\n");
}
static void empty_file(const struct place *place) {
    outside_bytes(place, "");
}
static void folder_there(const struct place *place) {
    assert_int_equal(mkdir(place->path, 0700), 0);
}
static void dangling_link(const struct place *place) {
    assert_int_equal(symlink("/nonexistent/x.db", place->path), 0);
}
static void nothing(const struct place *place) {
    (void)place;
}
static void lost_identity(const struct place *place) {
    struct rec_store *store = store_open(place);
    rec_store_close(&store);
    outside_sql(place, "DELETE FROM meta WHERE key = 'identity'");
}

/* Goal: every file that is not a database of ours is refused with one line that names it, and is
 * not changed. */
static const struct {
    const char *name;
    void (*prepare)(const struct place *place);
    bool create, writable;
    enum rec_status status;
    const char *text; /* part of the error */
} refused[] = {
    {"another application's", another_application, true, true, REC_CORRUPT, "another application"},
    {"another's, reading", another_application, false, false, REC_CORRUPT, "another application"},
    {"no application id", no_application, true, true, REC_CORRUPT, "another application"},
    {"newer schema", newer_schema, true, true, REC_CORRUPT, "schema 99"},
    {"newer schema, reading", newer_schema, false, false, REC_CORRUPT, "schema 99"},
    {"not a database", not_a_database, true, true, REC_CORRUPT, "file is not a database"},
    {"not a database, reading", not_a_database, false, false, REC_CORRUPT,
     "file is not a database"},
    {"empty, reading", empty_file, false, false, REC_CORRUPT, "is empty"},
    {"missing, not to be made", nothing, false, true, REC_IO, "No such file"},
    {"missing, reading", nothing, true, false, REC_IO, "No such file"},
    {"a folder", folder_there, true, true, REC_IO, "not a regular file"},
    {"a link to nowhere", dangling_link, true, true, REC_IO, "No such file"},
    {"without its identity", lost_identity, true, true, REC_CORRUPT, "identity"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        struct place place = place_make();
        refused[i].prepare(&place);
        struct rec_store_options options = {
            .path = place.path, .create = refused[i].create, .writable = refused[i].writable};
        struct rec_store *store = NULL;
        struct rec_error err = {0};
        size_t live = rec_alloc_live();
        enum rec_status st = rec_store_open(&options, &store, &err);

        if (st != refused[i].status || strstr(err.text, refused[i].text) == NULL ||
            strstr(err.text, place.path) == NULL || strchr(err.text, '\n') != NULL)
            fail_msg("%s: %s: %s", refused[i].name, rec_error_name(st), err.text);
        assert_null(store);
        assert_int_equal(rec_alloc_live(), live);
        place_remove(&place);
    }
}

/* Goal: a folder that is not there, and names that SQLite would take for something else. */
static void test_paths(void **state) {
    (void)state;
    struct rec_store_options options = {
        .path = "/nonexistent/folder/x.db", .create = true, .writable = true};
    struct rec_store *store = NULL;
    struct rec_error err = {0};
    assert_int_equal(rec_store_open(&options, &store, &err), REC_IO);
    assert_non_null(strstr(err.text, "/nonexistent/folder/x.db"));

    static const char *const names[] = {":memory:", "file:x.db?mode=memory", "a b%20c.db"};
    struct place place = place_make();
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(place.folder), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        options.path = names[i];
        err = (struct rec_error){0};
        must(rec_store_open(&options, &store, &err), &err);
        rec_store_close(&store);
        struct stat info;
        assert_int_equal(stat(names[i], &info), 0);
        assert_true(info.st_size > 0);
    }
    assert_int_equal(chdir(before), 0);
    place_remove(&place);
}

/* Goal: without permission to write, opening for writing says so. In a child without root's
 * rights, which would pass over permissions. */
static void test_read_only(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_store *store = store_open(&place);
    rec_store_close(&store);
    assert_int_equal(chmod(place.folder, 0555), 0);
    assert_int_equal(chmod(place.path, 0444), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rec_store_options options = {.path = place.path, .create = true, .writable = true};
        struct rec_error err = {0};
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(2);
        enum rec_status st = rec_store_open(&options, &store, &err);
        _exit(st == REC_IO && strstr(err.text, "cannot be written") != NULL ? 0 : 1);
    }
    int code = -1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_int_equal(chmod(place.folder, 0755), 0);
    place_remove(&place);
}

/* Goal: one writer at a time, whichever name of the file it uses; readers beside it; the lock goes
 * with its holder, also when that is killed. */
static void test_lock(void **state) {
    (void)state;
    struct place place = place_make();
    char link_path[128];
    (void)snprintf(link_path, sizeof(link_path), "%s/link.db", place.folder);
    struct rec_store *store = store_open(&place), *second = NULL;
    assert_int_equal(symlink(place.path, link_path), 0);

    const char *names[] = {place.path, link_path};
    for (size_t i = 0; i < 2; i++) {
        struct rec_store_options options = {.path = names[i], .create = true, .writable = true};
        struct rec_error err = {0};
        assert_int_equal(rec_store_open(&options, &second, &err), REC_CONFLICT);
        assert_non_null(strstr(err.text, "POST /interactions"));
    }
    second = store_watch(&place);
    rec_store_close(&second);
    rec_store_close(&store);

    pid_t child = fork();
    if (child == 0) {
        (void)store_open(&place);
        _exit(0); /* without closing */
    }
    int code = -1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    store = store_open(&place);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: a store opened for reading refuses every way of writing, and its closing leaves the WAL of
 * a writer that was killed as it is: only a writer checkpoints. */
static void test_reader_changes_nothing(void **state) {
    (void)state;
    struct place place = place_make();
    pid_t child = fork();
    if (child == 0) {
        struct rec_store *store = store_open(&place);
        struct waiting waiting;
        struct rec_interaction row = {.user_id = "u", .item_id = "i", .type = "view"};
        _exit(write_rows(store, &waiting, &row, 1) == REC_OK ? 0 : 1);
    }
    int code = -1;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);

    char wal[128], all[512];
    struct stat before, after;
    (void)snprintf(wal, sizeof(wal), "%s-wal", place.path);
    assert_int_equal(stat(wal, &before), 0);
    assert_true(before.st_size > 0);

    struct rec_store *store = store_watch(&place);
    assert_int_equal(scan_text(store, all, sizeof(all), NULL), REC_OK);
    assert_string_equal(all, "1 users 1 items 1 rows; type 0=view user 0=u item 0=i 0:0/0/0/0");
    struct waiting waiting;
    struct rec_interaction row = {.user_id = "u", .item_id = "i", .type = "view"};
    struct rec_store_import *import = NULL;
    struct rec_run_row run = {0};
    size_t marked = 0;
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_CONFLICT);
    assert_int_equal(rec_store_import_begin(store, &import, NULL), REC_CONFLICT);
    assert_int_equal(rec_store_put_run(store, &run, NULL), REC_CONFLICT);
    assert_int_equal(rec_store_mark_interrupted(store, &marked, NULL), REC_CONFLICT);
    rec_store_flush(store);
    assert_int_equal(rec_store_check(store, NULL), REC_OK);
    rec_store_close(&store);

    assert_int_equal(stat(wal, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_int_equal(after.st_mtime, before.st_mtime);
    place_remove(&place);
}

/* Goal: a health check finds a database that lost its file, and one whose file was replaced; what
 * would be written to a file without a name is not taken, and so never acknowledged. */
static void test_check(void **state) {
    (void)state;
    struct place place = place_make();
    char moved[128];
    struct rec_error err = {0};
    (void)snprintf(moved, sizeof(moved), "%s/moved.db", place.folder);
    struct rec_store *store = store_open(&place);
    must(rec_store_check(store, &err), &err);
    must(rec_store_check(store, &err), &err);

    assert_int_equal(rename(place.path, moved), 0);
    assert_int_equal(rec_store_check(store, &err), REC_IO);
    assert_non_null(strstr(err.text, place.path));
    outside_bytes(&place, "");
    err = (struct rec_error){0};
    assert_int_equal(rec_store_check(store, &err), REC_IO);
    assert_non_null(strstr(err.text, "replaced"));
    struct waiting waiting;
    struct rec_interaction row = {.user_id = "u", .item_id = "i", .type = "view"};
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_IO);

    assert_int_equal(rename(moved, place.path), 0);
    assert_int_equal(rec_store_check(store, NULL), REC_OK);
    assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
    rec_store_close(&store);
    place_remove(&place);
}

/* Goal: a row that names a user, item or type that is not there is found, not handed on: readers
 * index arrays with it. */
static void test_corrupt_rows(void **state) {
    (void)state;
    static const struct {
        const char *name, *sql;
    } cases[] = {
        {"user", "INSERT INTO interactions VALUES (5, 1, 1, 0, 0, 1, NULL)"},
        {"item", "INSERT INTO interactions VALUES (0, 1, 1, 9, 0, 1, NULL)"},
        {"type", "INSERT INTO interactions VALUES (0, 1, 1, 0, 64, 1, NULL)"},
        {"negative", "INSERT INTO interactions VALUES (-1, 1, 1, 0, 0, 1, NULL)"},
        {"category too long", "INSERT INTO categories VALUES (1, hex(zeroblob(60)));"
                              "INSERT INTO item_categories VALUES (0, 0, 1)"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct place place = place_make();
        struct rec_store *store = store_open(&place);
        struct waiting waiting;
        struct rec_interaction row = {.user_id = "u", .item_id = "i", .type = "view"};
        assert_int_equal(write_rows(store, &waiting, &row, 1), REC_OK);
        rec_store_close(&store);
        outside_sql(&place, cases[i].sql);

        store = store_open(&place);
        struct rec_store_scan scan = {0};
        struct rec_error err = {0};
        must(rec_store_scan(store, &scan, &err), &err); /* nothing asked for */
        char all[512];
        enum rec_status st = scan_text(store, all, sizeof(all), &err);
        if (st != REC_CORRUPT)
            fail_msg("%s: %s: %s", cases[i].name, rec_error_name(st), err.text);
        rec_store_close(&store);
        place_remove(&place);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_and_again),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_reader_changes_nothing),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_corrupt_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
