/* Goal: a model comes back from its file bit for bit, and no other file is ever taken for a model:
 * cut, flipped, foreign or made with intent, it is refused with the path and the reason. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "model/modelfile_bytes.h"
#include "model/toy.h"

enum { FILE_BYTES_MAX = 1 << 16, PATH_BYTES = 256, TENSORS = 4 };

static char folder[64];

struct file {
    unsigned char byte[FILE_BYTES_MAX];
    size_t bytes;
};

static const char *in_folder(const char *name, char path[PATH_BYTES]) {
    (void)snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *path, const void *bytes, size_t count) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, count, f), count);
    assert_int_equal(fclose(f), 0);
}

static void read_file(const char *path, struct file *out) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    out->bytes = fread(out->byte, 1, sizeof(out->byte), f);
    assert_true(out->bytes > 0 && out->bytes < sizeof(out->byte));
    assert_int_equal(fclose(f), 0);
}

/* A saved toy model, as path and as bytes. */
static void saved(char path[PATH_BYTES], struct file *out) {
    struct rec_error err = {.status = REC_OK};
    struct rec_model_info info = toy_info();
    struct rec_model *model = toy_model(7);
    if (rec_modelfile_save(model, &info, in_folder("model", path), &err) != REC_OK)
        fail_msg("%s", err.text);
    rec_model_destroy(&model);
    read_file(path, out);
}

/* Nothing but NOT a model, with a reason, nothing leaked. `name` is the row's. */
static void check_refused(const char *path, enum rec_status status, const char *text,
                          const char *name) {
    struct rec_error err = {.status = REC_OK};
    struct rec_model *model = NULL;
    struct rec_model_info info = {.items = 12345};
    size_t live = rec_alloc_live();
    enum rec_status st = rec_modelfile_load(path, toy_families, NULL, 0, &model, &info, &err);
    CHECK_ROW(st == status, name);
    CHECK_ROW(err.status == status, name);
    CHECK_ROW(model == NULL && info.items == 12345, name);
    CHECK_ROW(rec_alloc_live() == live, name);
    CHECK_ROW(strstr(err.text, path) != NULL, name);
    if (strstr(err.text, text) == NULL)
        fail_msg("row '%s': '%s' lacks '%s'", name, err.text, text);
}

static void test_round_trip(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct rec_error err = {.status = REC_OK};
    struct rec_model_info info = toy_info(), read, header;
    struct rec_model *model = toy_model(99), *back = NULL;
    size_t live = rec_alloc_live();
    assert_int_equal(rec_params_set(&model->params, "regularization=0.1", &err), REC_OK);
    assert_int_equal(rec_params_set(&model->params, "loss=bce", &err), REC_OK);

    assert_int_equal(rec_modelfile_save(model, &info, in_folder("round", path), &err), REC_OK);
    struct stat file; /* some families keep histories: as private as the database */
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & (S_IRWXO | S_IWGRP), 0);
    assert_int_equal(rec_alloc_live(), live);
    assert_int_equal(
        rec_modelfile_load(path, toy_families, info.database, TOY_ITEMS, &back, &read, &err),
        REC_OK);
    assert_int_equal(rec_modelfile_info(path, &header, &err), REC_OK);
    assert_memory_equal(&header, &read, sizeof(read));

    assert_ptr_equal(back->family, &toy_family);
    assert_int_equal(back->items, model->items);
    assert_memory_equal(back->params.value, model->params.value, sizeof(model->params.value));
    assert_int_equal(back->tensors.count, model->tensors.count);
    for (size_t i = 0; i < model->tensors.count; i++) {
        const struct rec_tensor *a = &model->tensors.tensor[i], *b = &back->tensors.tensor[i];
        static const size_t size[] = {4, 4, 8, 1};
        assert_string_equal(a->name, b->name);
        assert_true(a->type == b->type && a->rows == b->rows && a->cols == b->cols);
        assert_memory_equal(a->data, b->data, a->rows * a->cols * size[a->type]);
        assert_int_equal((uintptr_t)a->data % 64, 0);
        assert_int_equal((uintptr_t)b->data % 64, 0);
    }
    assert_string_equal(read.version, info.version);
    assert_string_equal(read.database, info.database);
    assert_string_equal(read.family, "toy");
    assert_string_equal(read.parameters, "factors=8 regularization=0.1 bias=true loss=bce");
    assert_string_equal(read.metrics, info.metrics);
    assert_true(read.items == TOY_ITEMS && read.recorded == TOY_EVENTS && read.trained_at == -5);
    struct stat stat_now;
    assert_int_equal(stat(path, &stat_now), 0);
    assert_int_equal(read.bytes, stat_now.st_size);
    rec_model_destroy(&back);
    rec_model_destroy(&model);
}

static void test_truncated(void **state) {
    (void)state;
    char path[PATH_BYTES], row[64];
    struct file file;
    saved(path, &file);
    for (size_t bytes = 0; bytes < file.bytes; bytes += 97) {
        (void)snprintf(row, sizeof(row), "cut at %zu", bytes);
        write_file(path, file.byte, bytes);
        check_refused(path, REC_CORRUPT, bytes < 8 ? "not a model file" : "truncated", row);
    }
    write_file(path, file.byte, file.bytes - 1);
    check_refused(path, REC_CORRUPT, "truncated", "last byte missing");
    write_file(path, file.byte, file.bytes + 1);
    check_refused(path, REC_CORRUPT, "appended", "one byte more");
}

static void test_every_byte_counts(void **state) {
    (void)state;
    char path[PATH_BYTES], row[64];
    struct file file;
    saved(path, &file);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t i = 0; i < file.bytes; i++) {
        unsigned char flipped = (unsigned char)(file.byte[i] ^ (1u << (i % 8)));
        (void)snprintf(row, sizeof(row), "bit %zu of byte %zu", i % 8, i);
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
        check_refused(path, REC_CORRUPT, "model file", row);
        if (i < file_data_start(TENSORS)) {
            struct rec_model_info info;
            CHECK_ROW(rec_modelfile_info(path, &info, NULL) == REC_CORRUPT, row);
        }
        assert_int_equal(pwrite(fd, &file.byte[i], 1, (off_t)i), 1);
    }
    assert_int_equal(close(fd), 0);
}

/* One field changed; the checksums made right again, but for the rows about what comes before
 * any checksum. */
#define ROW_FIELD(tensor, field) (AT_TABLE + (tensor)*ROW_BYTES + (field))
#define NUMBER(text)             .bytes = sizeof(text) - 1, .value = (text)
static const struct {
    const char *name;
    size_t at, bytes;
    const char *value, *text;
} edits[] = {
    {"other magic", AT_MAGIC, NUMBER("RECMODEM"), "not a model file"},
    {"other byte order", AT_ORDER, NUMBER("\1\2\3\4"), "other byte order"},
    {"no byte order", AT_ORDER, NUMBER("\4\3\2\2"), "byte order mark"},
    {"newer format", AT_FORMAT, NUMBER("\2\0\0\0"), "newer recsysd"},
    {"format 0", AT_FORMAT, NUMBER("\0\0\0\0"), "train again"},
    {"more bytes than there are", AT_BYTES, NUMBER("\xff\xff\xff\x7f"), "truncated"},
    {"2^64 - 1 bytes", AT_BYTES, NUMBER("\xff\xff\xff\xff\xff\xff\xff\xff"), "truncated"},
    {"no items", AT_ITEMS, NUMBER("\0\0\0\0"), "0 items"},
    {"one item too many", AT_ITEMS, NUMBER("\1\0\0\1"), "16777217 items"},
    {"65 tensors", AT_TENSORS, NUMBER("\x41\0\0\0"), "65 tensors"},
    {"2^32 - 1 tensors", AT_TENSORS, NUMBER("\xff\xff\xff\xff"), "4294967295 tensors"},
    {"a tensor fewer", AT_TENSORS, NUMBER("\3\0\0\0"), "model file"},
    {"version that is a path", AT_VERSION + 4, NUMBER("/"), "version"},
    {"version that hides", AT_VERSION, NUMBER("."), "version"},
    {"text goes on after its NUL", AT_VERSION, NUMBER("a\0b"), "version"},
    {"database identity of 39 bytes", AT_DATABASE,
     NUMBER("012345678901234567890123456789012345678"), "database identity"},
    {"database identity without NUL", AT_DATABASE,
     NUMBER("0123456789012345678901234567890123456789"), "database identity"},
    {"unknown family", AT_FAMILY, NUMBER("toz"), "did you mean 'toy'"},
    {"family not UTF-8", AT_FAMILY, NUMBER("t\xffz"), "family"},
    {"parameter out of range", AT_PARAMETERS, NUMBER("factors=0"), "factors: 0 is not within"},
    {"parameter not known", AT_PARAMETERS, NUMBER("factorz=8"), "did you mean 'factors'"},
    {"parameter twice spaced", AT_PARAMETERS, NUMBER("factors=  "), "parameters"},
    {"control character", AT_METRICS, NUMBER("\n"), "metrics"},
    {"tensor without a name", ROW_FIELD(3, 0), NUMBER("\0\0\0\0"), "tensor 3: its name"},
    {"name without NUL", ROW_FIELD(1, 0), NUMBER("01234567890123456789012345678901"),
     "tensor 1: its name"},
    {"two of one name", ROW_FIELD(1, 0), NUMBER("weight"), "both named 'weight'"},
    {"a name the family lacks", ROW_FIELD(0, 0), NUMBER("W"), "'weight' is missing"},
    {"no such type", ROW_FIELD(0, ROW_TYPE), NUMBER("\4"), "type 4.0"},
    {"negative type", ROW_FIELD(0, ROW_TYPE), NUMBER("\xff\xff\xff\xff"), "type 4294967295.0"},
    {"reserved word in use", ROW_FIELD(0, ROW_ZERO), NUMBER("\1"), "type 0.1"},
    {"another type of its size", ROW_FIELD(0, ROW_TYPE), NUMBER("\1"), "holds u32, expected f32"},
    {"rows x cols overflow", ROW_FIELD(0, ROW_ROWS), NUMBER("\0\0\0\0\0\0\0\x80"), "do not hold"},
    {"rows x cols wrap to the same", ROW_FIELD(0, ROW_ROWS), NUMBER("\x25\0\0\0\0\0\0\x40"),
     "do not hold"},
    {"no rows", ROW_FIELD(0, ROW_ROWS), NUMBER("\0"), "do not hold"},
    {"a row more", ROW_FIELD(0, ROW_ROWS), NUMBER("\x26"), "do not hold"},
    {"bytes without rows", ROW_FIELD(0, ROW_DATA_BYTES), NUMBER("\xff\xff\xff\xff\xff\xff\xff\xff"),
     "do not hold"},
    {"offset into the header", ROW_FIELD(1, ROW_OFFSET), NUMBER("\0\0"), "expected at"},
    {"offset out of the file", ROW_FIELD(3, ROW_OFFSET), NUMBER("\0\0\0\0\0\0\0\x80"),
     "expected at"},
    {"offset that wraps", ROW_FIELD(3, ROW_OFFSET), NUMBER("\xc0\xff\xff\xff\xff\xff\xff\xff"),
     "expected at"},
};

static void test_edited(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct file file, edited;
    saved(path, &file);
    for (size_t i = 0; i < COUNT(edits); i++) {
        edited = file;
        memcpy(edited.byte + edits[i].at, edits[i].value, edits[i].bytes);
        file_resign(edited.byte, edited.bytes);
        write_file(path, edited.byte, edited.bytes);
        check_refused(path, REC_CORRUPT, edits[i].text, edits[i].name);
    }
}

static void put_u64(struct file *file, size_t at, uint64_t value) {
    memcpy(file->byte + at, &value, sizeof(value));
}

static void check_crafted(const char *path, struct file *file, const char *text, const char *name) {
    put_u64(file, AT_BYTES, file->bytes);
    file_resign(file->byte, file->bytes);
    write_file(path, file->byte, file->bytes);
    check_refused(path, REC_CORRUPT, text, name);
}

/* Goal: fields that are wrong together, each made to hide the other. */
static void test_crafted(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct file file, crafted;
    saved(path, &file);

    crafted = file; /* rows x 3 wraps around 2^64 to the 37 it should be */
    put_u64(&crafted, ROW_FIELD(0, ROW_ROWS), (UINT64_MAX / 3 * 2 + 1) * TOY_ITEMS);
    put_u64(&crafted, ROW_FIELD(0, ROW_COLS), 3);
    assert_true((UINT64_MAX / 3 * 2 + 1) * 3 == 1);
    check_crafted(path, &crafted, "do not hold", "rows x cols wrap to the same");

    crafted = file; /* no data at all, and a size that rounds up around 2^64 to 0 */
    crafted.bytes = (size_t)file_u64(file.byte, ROW_FIELD(3, ROW_OFFSET));
    put_u64(&crafted, ROW_FIELD(3, ROW_ROWS), UINT64_MAX);
    put_u64(&crafted, ROW_FIELD(3, ROW_DATA_BYTES), UINT64_MAX);
    put_u64(&crafted, ROW_FIELD(3, ROW_CHECKSUM), XXH3_64bits("", 0));
    check_crafted(path, &crafted, "18446744073709551615 bytes at", "2^64 - 1 bytes in no room");

    crafted = file; /* bytes that belong to no tensor */
    crafted.bytes += 64;
    memset(crafted.byte + file.bytes, 0, 64);
    check_crafted(path, &crafted, "the tensors end at", "bytes after the last tensor");

    crafted = file; /* the last tensor fits, the zeros after it do not */
    crafted.bytes -= 1;
    check_crafted(path, &crafted, "cut off", "zeros cut off");
}

/* Goal: shapes that fit the file but not the model, and numbers that are none, meet open(). */
static void test_open_refuses(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct file file, edited;
    const float nan = (float)strtod("nan", NULL);
    saved(path, &file);

    edited = file; /* [1 x 37] instead of [37 x 1]: the same bytes */
    edited.byte[ROW_FIELD(0, ROW_ROWS)] = 1;
    edited.byte[ROW_FIELD(0, ROW_COLS)] = TOY_ITEMS;
    file_resign(edited.byte, edited.bytes);
    write_file(path, edited.byte, edited.bytes);
    check_refused(path, REC_CORRUPT, "[1 x 37], expected [37 x 1]", "turned shape");

    edited = file;
    memcpy(edited.byte + file_data_start(TENSORS) + 8, &nan, sizeof(nan));
    file_resign(edited.byte, edited.bytes);
    write_file(path, edited.byte, edited.bytes);
    check_refused(path, REC_CORRUPT, "weight 2 is not finite", "a NaN");

    edited = file;
    edited.byte[AT_ITEMS] = TOY_ITEMS - 1;
    file_resign(edited.byte, edited.bytes);
    write_file(path, edited.byte, edited.bytes);
    check_refused(path, REC_CORRUPT, "expected [36 x 1]", "an item fewer");

    file_resign(file.byte, file.bytes); /* the tool itself harms nothing */
    write_file(path, file.byte, file.bytes);
    struct rec_model *model = NULL;
    assert_int_equal(rec_modelfile_load(path, toy_families, NULL, 0, &model, NULL, NULL), REC_OK);
    rec_model_destroy(&model);
}

/* Goal: a model only goes with its database, and never knows items the catalogue lacks. */
static void test_other_database(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct file file;
    saved(path, &file);
    const struct {
        const char *name, *database;
        uint32_t items;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"any", NULL, 0, REC_OK, ""},
        {"its own", "00112233445566778899aabbccddeeff", TOY_ITEMS, REC_OK, ""},
        {"grown catalogue", NULL, TOY_ITEMS + 1, REC_OK, ""},
        {"shrunk catalogue", NULL, TOY_ITEMS - 1, REC_CORRUPT, "37 items, the catalogue has 36"},
        {"another", "ffeeddccbbaa99887766554433221100", 0, REC_CORRUPT, "'ffeeddccbbaa"},
        {"shows the file's too", "x", 0, REC_CORRUPT, "'00112233445566778899aabbccddeeff'"},
        {"none", "", 0, REC_CORRUPT, "this one is ''"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_error err = {.status = REC_OK};
        struct rec_model *model = NULL;
        CHECK_ROW(rec_modelfile_load(path, toy_families, rows[i].database, rows[i].items, &model,
                                     NULL, &err) == rows[i].status,
                  rows[i].name);
        CHECK_ROW((model != NULL) == (rows[i].status == REC_OK), rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
        rec_model_destroy(&model);
    }
}

static void test_not_a_model(void **state) {
    (void)state;
    char path[PATH_BYTES], long_path[3000];
    write_file(in_folder("empty", path), "", 0);
    check_refused(path, REC_CORRUPT, "not a model file", "empty file");
    write_file(in_folder("text", path), "userId,movieId,rating\n", 22);
    check_refused(path, REC_CORRUPT, "not a model file", "a CSV file");
    write_file(in_folder("short", path), "RECMODEL", 8);
    check_refused(path, REC_CORRUPT, "truncated", "magic alone");
    check_refused(folder, REC_CORRUPT, "a folder", "a folder");
    check_refused(in_folder("missing", path), REC_NOT_FOUND, "no such file", "missing");
    check_refused(in_folder("no/folder", path), REC_NOT_FOUND, "no such file", "no folder");
    check_refused(in_folder("text/x", path), REC_NOT_FOUND, "no such file", "a file as folder");
    check_refused("/dev/zero", REC_CORRUPT, "device", "a device");
    assert_int_equal(mkfifo(in_folder("pipe", path), 0600), 0);
    check_refused(path, REC_CORRUPT, "pipe", "a pipe nobody writes to");

    struct rec_error err = {.status = REC_OK};
    struct rec_model *model = NULL;
    memset(long_path, 'a', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(rec_modelfile_load(long_path, toy_families, NULL, 0, &model, NULL, &err),
                     REC_IO);
    assert_non_null(strstr(err.text, strerror(ENAMETOOLONG)));
}

static size_t entries_of(const char *path) {
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void check_save_fails(const char *path, enum rec_status status, const char *name) {
    struct rec_error err = {.status = REC_OK};
    struct rec_model_info info = toy_info();
    struct rec_model *model = toy_model(8);
    size_t before = entries_of(folder);
    CHECK_ROW(rec_modelfile_save(model, &info, path, &err) == status, name);
    CHECK_ROW(err.status == status && err.text[0] != '\0', name);
    CHECK_ROW(entries_of(folder) == before, name); /* no temp file stays */
    rec_model_destroy(&model);
}

/* Goal: a save that fails leaves the old file and no other. */
static void test_save_fails(void **state) {
    (void)state;
    char path[PATH_BYTES], long_path[5000];
    struct file before, after;
    saved(path, &before);

    struct rlimit full = {0}, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &full), 0);
    small = full;
    small.rlim_cur = 2000; /* in the midst of the table: a full disk, as seen from here */
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    check_save_fails(path, REC_IO, "no room left");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    read_file(path, &after);
    assert_int_equal(after.bytes, before.bytes);
    assert_memory_equal(after.byte, before.byte, before.bytes);

    check_save_fails(in_folder("no/model", path), REC_IO, "no such folder");
    check_save_fails("/proc/recsysd-model", REC_IO, "a folder nobody may write to");
    assert_int_equal(mkdir(in_folder("taken", path), 0755), 0);
    check_save_fails(path, REC_IO, "a folder of that name");
    memset(long_path, 'a', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    check_save_fails(long_path, REC_BAD_INPUT, "a path too long");

    if (geteuid() != 0) { /* root may write everywhere */
        assert_int_equal(mkdir(in_folder("locked", path), 0555), 0);
        check_save_fails(in_folder("locked/model", path), REC_IO, "a locked folder");
    }
}

/* Goal: what loading would refuse is not written either. */
static void test_save_refuses(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct rec_model *model = toy_model(8);
    struct rec_model_info info = toy_info();
    size_t before = entries_of(folder);
    struct rec_error err = {.status = REC_OK};
    (void)snprintf(info.version, sizeof(info.version), "a/b");
    assert_int_equal(rec_modelfile_save(model, &info, in_folder("new", path), &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "version"));
    assert_int_equal(entries_of(folder), before);
    rec_model_destroy(&model);
}

static void test_replaces(void **state) {
    (void)state;
    char path[PATH_BYTES];
    struct file first, second;
    saved(path, &first);
    struct rec_model *model = toy_model(1234), *back = NULL;
    struct rec_model_info info = toy_info();
    size_t before = entries_of(folder);
    assert_int_equal(rec_modelfile_save(model, &info, path, NULL), REC_OK);
    assert_int_equal(entries_of(folder), before);
    read_file(path, &second);
    assert_memory_not_equal(first.byte, second.byte, first.bytes);
    assert_int_equal(rec_modelfile_load(path, toy_families, NULL, 0, &back, NULL, NULL), REC_OK);
    assert_memory_equal(back->tensors.tensor[0].data, model->tensors.tensor[0].data, TOY_ITEMS * 4);
    rec_model_destroy(&back);
    rec_model_destroy(&model);
}

/* Goal: whichever allocation of a load fails, it says so and leaks nothing. */
static void test_no_memory(void **state) {
    (void)state;
    enum { ALLOCATIONS_MAX = 100 };
    char path[PATH_BYTES];
    struct file file;
    saved(path, &file);
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        size_t live = rec_alloc_live();
        struct rec_error err = {.status = REC_OK};
        struct rec_model *model = NULL;
        rec_alloc_fail_at(n);
        enum rec_status st = rec_modelfile_load(path, toy_families, NULL, 0, &model, NULL, &err);
        rec_alloc_fail_at(-1);
        if (st == REC_OK) {
            assert_true(n > 0);
            rec_model_destroy(&model);
            return;
        }
        assert_int_equal(st, REC_NO_MEMORY);
        assert_int_equal(err.status, REC_NO_MEMORY);
        assert_int_equal(rec_alloc_live(), live);
    }
    fail_msg("no load got through");
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/recsysd-modelfile-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state) {
    static const char *const names[] = {"model", "round", "empty", "text",
                                        "short", "pipe",  "taken", "locked"};
    char path[PATH_BYTES];
    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        (void)remove(in_folder(names[i], path));
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_every_byte_counts), cmocka_unit_test(test_edited),
        cmocka_unit_test(test_crafted),           cmocka_unit_test(test_open_refuses),
        cmocka_unit_test(test_other_database),    cmocka_unit_test(test_not_a_model),
        cmocka_unit_test(test_save_fails),        cmocka_unit_test(test_save_refuses),
        cmocka_unit_test(test_replaces),          cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
