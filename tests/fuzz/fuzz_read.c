/* Goal: no bytes, whoever made them, do more to a reader than become bad rows, and what a reader
 * hands over keeps to the limits.
 *
 * The first byte of an input chooses the format, the rest is the file. For the MovieLens formats,
 * which are folders, it is both files, cut at the first "\xff\xff". Seeds are written at the start
 * into the corpus folder named on the command line.
 *
 *   fuzz_read CORPUS -runs=20000 */
#define _GNU_SOURCE /* memfd_create */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recsysd/data.h"

enum { NOW = 1000000000 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int first_file = -1, second_file = -1;
static char first_path[64], second_path[64], folder[] = "/tmp/fuzz_read-XXXXXX";

static void check(bool fine, const char *what) {
    if (!fine) {
        (void)fprintf(stderr, "fuzz_read: %s\n", what);
        abort();
    }
}

static const char *const links[] = {"movies.csv", "ratings.csv", "movies.dat", "ratings.dat"};

static void link_path(size_t i, char path[128]) {
    (void)snprintf(path, 128, "%s/%s", folder, links[i]);
}

static void remove_folder(void) {
    char path[128];
    for (size_t i = 0; i < 4; i++) {
        link_path(i, path);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

static const struct {
    const char *name, *text;
} seeds[] = {
    {"csv", "\x02user,item,value,time,type\nu,i,1.5,100,view\n\"u\"\"2\",\"i,\n2\",-1e3,"
            "2001-01-01T00:00:00Z,rating\r\n"},
    {"movielens", "\x00movieId,title,genres\n1,\"A, B\",x|y\n\xff\xffuserId,movieId,rating,"
                  "timestamp\n1,1,4.0,100\n"},
    {"movielens-1m", "\x01"
                     "1::Mis\xe9rables::Drama|War\n\xff\xff"
                     "1::1::5::978300760\n"},
    {"ndjson", "\x03one line\nanother\n"},
};

static void write_seed(size_t i, const char *corpus) {
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/seed-%s", corpus, seeds[i].name);
    FILE *file = fopen(path, "wb");
    check(file != NULL, "a seed cannot be written");
    /* The first byte may be a NUL. */
    (void)fwrite(seeds[i].text, 1, 1 + strlen(seeds[i].text + 1), file);
    (void)fclose(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    first_file = memfd_create("fuzz_read_1", MFD_CLOEXEC);
    second_file = memfd_create("fuzz_read_2", MFD_CLOEXEC);
    check(first_file >= 0 && second_file >= 0 && mkdtemp(folder) != NULL, "no files");
    (void)atexit(remove_folder);
    (void)snprintf(first_path, sizeof(first_path), "/proc/self/fd/%d", first_file);
    (void)snprintf(second_path, sizeof(second_path), "/proc/self/fd/%d", second_file);
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        link_path(i, path);
        check(symlink(i % 2 == 0 ? first_path : second_path, path) == 0, "no link");
    }
    for (size_t i = 0; *argc > 1 && (*argv)[1][0] != '-' && i < 4; i++)
        write_seed(i, (*argv)[1]);
    return 0;
}

static void check_id(const char *id) {
    check(rec_text_check_id("id", id, strlen(id), NULL) == REC_OK, "a bad id");
}

static enum rec_status take_rows(void *context, const struct rec_interaction *rows, size_t count,
                                 struct rec_error *err) {
    (void)context;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        check_id(rows[i].user_id);
        check_id(rows[i].item_id);
        if (rows[i].event_id != NULL)
            check_id(rows[i].event_id);
        size_t bytes = strlen(rows[i].type);
        check(bytes > 0 && bytes <= REC_TYPE_BYTES_MAX && rec_text_utf8(rows[i].type, bytes),
              "a bad type");
        check(isfinite(rows[i].value), "a value that is not finite");
        check(rows[i].timestamp >= 0 && rows[i].timestamp <= NOW + REC_TIMESTAMP_FUTURE_S_MAX,
              "a time out of range");
    }
    return REC_OK;
}

static void check_text(const char *text, size_t bytes_max) {
    size_t bytes = strlen(text);
    check(bytes > 0 && bytes <= bytes_max && rec_text_utf8(text, bytes), "a bad text");
}

static enum rec_status take_items(void *context, const struct rec_item *items, size_t count,
                                  struct rec_error *err) {
    (void)context;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        check_id(items[i].item_id);
        if (items[i].title != NULL)
            check_text(items[i].title, REC_TITLE_BYTES_MAX);
        check(items[i].category_count <= REC_ITEM_CATEGORIES_MAX, "too many categories");
        for (size_t c = 0; c < items[i].category_count; c++)
            check_text(items[i].categories[c], REC_CATEGORY_BYTES_MAX);
    }
    return REC_OK;
}

static void take_bad(void *context, const struct rec_bad_row *bad) {
    (void)context;
    check_text(bad->text, sizeof(bad->text));
}

/* A stand-in for the JSON parser: takes short printable lines, refuses the others. */
static enum rec_status parse_line(void *context, const char *line, size_t bytes,
                                  struct rec_interaction *out, struct rec_error *err) {
    static char id[REC_ID_BYTES_MAX + 1];
    (void)context;
    check(line[bytes] == '\0' && bytes <= REC_READ_LINE_BYTES_MAX, "a line without an end");
    if (rec_text_check_id("line", line, bytes, err) != REC_OK)
        return REC_BAD_INPUT;
    memcpy(id, line, bytes + 1);
    out->user_id = out->item_id = id;
    out->type = "view";
    return REC_OK;
}

static void put(int file, const uint8_t *data, size_t bytes) {
    check(ftruncate(file, 0) == 0 && pwrite(file, data, bytes, 0) == (ssize_t)bytes,
          "no room for an input");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes == 0)
        return 0;
    size_t cut = 1;
    while (cut + 1 < bytes && !(data[cut] == 0xff && data[cut + 1] == 0xff))
        cut++;
    bool both = cut + 1 < bytes;
    put(first_file, data + 1, both ? cut - 1 : bytes - 1);
    put(second_file, both ? data + cut + 2 : data, both ? bytes - cut - 2 : 0);

    enum rec_format format = (enum rec_format)(data[0] % 4);
    bool is_folder = format == REC_FORMAT_MOVIELENS || format == REC_FORMAT_MOVIELENS_1M;
    if (!is_folder)
        put(first_file, data + 1, bytes - 1);
    const struct rec_read_options options = {
        .format = format,
        .path = is_folder ? folder : first_path,
        .columns = (data[0] & 4) != 0 ? "user=user,item=item"
                                      : "user=user,item=item,value=value,timestamp=time,type=type",
        .skip_bad_max = (data[0] & 8) != 0 ? 0 : UINT64_MAX,
        .now = NOW,
        .rows = take_rows,
        .items = take_items,
        .bad = take_bad,
    };
    size_t live = rec_alloc_live();
    struct rec_error err = {0};
    rec_read_set_ndjson(parse_line, NULL);
    enum rec_status st = rec_read(&options, &err);
    check(st == REC_OK || (st == REC_BAD_INPUT && err.status == st), "an odd status");
    check(rec_alloc_live() == live, "a leak");
    return 0;
}
