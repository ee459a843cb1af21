#include <sys/stat.h>
#include <unistd.h>

#include "record.h"

/* A file made of repeated pieces, as large as wanted. */
static FILE *begin(const struct files *files, const char *head) {
    char path[128];
    FILE *file = fopen(files_path(files, "big.csv", path), "wb");
    assert_non_null(file);
    (void)fputs(head, file);
    return file;
}

static void repeat(FILE *file, char c, size_t times) {
    char block[4096];
    memset(block, c, sizeof(block));
    for (; times > sizeof(block); times -= sizeof(block))
        (void)fwrite(block, 1, sizeof(block), file);
    (void)fwrite(block, 1, times, file);
}

static enum rec_status read_big(const struct files *files, struct record *record, uint64_t skip,
                                struct rec_error *err) {
    char path[128];
    struct rec_read_options options =
        record_options(record, REC_FORMAT_CSV, files_path(files, "big.csv", path));
    options.skip_bad_max = skip;
    return rec_read(&options, err);
}

/* Goal: the cap of a line is exact, with either line end, also for the file's last line. The
 * third column fills the line up. */
static void test_line_cap(void **state) {
    (void)state;
    static const struct {
        const char *name, *end;
        size_t bytes;
        bool taken;
    } cases[] = {
        {"at the cap", "\n", REC_READ_LINE_BYTES_MAX, true},
        {"at the cap, CRLF", "\r\n", REC_READ_LINE_BYTES_MAX, true},
        {"at the cap, end of file", "", REC_READ_LINE_BYTES_MAX, true},
        {"one past", "\n", REC_READ_LINE_BYTES_MAX + 1, false},
        {"one past, CRLF", "\r\n", REC_READ_LINE_BYTES_MAX + 1, false},
        {"one past, end of file", "", REC_READ_LINE_BYTES_MAX + 1, false},
    };
    struct files files;
    struct record record;
    files_init(&files);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct rec_error err = {0};
        FILE *file = begin(&files, "user,item,rest\nu,i,");
        repeat(file, 'x', cases[i].bytes - 4);
        (void)fputs(cases[i].end, file);
        (void)fclose(file);
        enum rec_status st = read_big(&files, &record, 0, &err);
        CHECK_ROW(st == (cases[i].taken ? REC_OK : REC_BAD_INPUT), cases[i].name);
        CHECK_ROW(record.rows == (cases[i].taken ? 1 : 0), cases[i].name);
        if (!cases[i].taken)
            CHECK_ROW(strcmp(err.text, "big.csv:2: the line is longer than 65536 bytes "
                                       "(--skip-bad N passes over up to N bad rows)") == 0,
                      cases[i].name);
    }
    files_finish(&files);
}

/* Goal: a line of 100 MB, and a quote that is open for as long, cost one bad row and no memory;
 * the rows around them are read, and their lines are counted right. */
static void test_huge_line(void **state) {
    (void)state;
    struct files files;
    struct record record;
    files_init(&files);
    FILE *file = begin(&files, "user,item\nu1,i1\nu2,");
    repeat(file, 'x', 100u << 20);
    (void)fputs("\nu3,i3\nu4,\"open\nu5,i5\n", file);
    repeat(file, '\n', 70000);
    (void)fputs("u6,\n", file);
    (void)fclose(file);
    assert_int_equal(read_big(&files, &record, 3, NULL), REC_OK);
    assert_true(record_gives(&record, "u1 i1 view 1 1000000000\n"
                                      "bad big.csv:3: the line is longer than 65536 bytes\n"
                                      "u3 i3 view 1 1000000000\n"
                                      "bad big.csv:5: a quote is not closed\n"
                                      "u5 i5 view 1 1000000000\n"
                                      "bad big.csv:70007: column item: id is empty\n"));
    files_finish(&files);
}

/* Goal: rows are the same wherever the buffer happens to end: many rows of uneven lengths, some
 * quoted over two lines, compared by position. */
struct check {
    uint64_t rows;
};

static enum rec_status check_rows(void *context, const struct rec_interaction *rows, size_t count,
                                  struct rec_error *err) {
    struct check *check = context;
    char user[32];
    (void)err;
    for (size_t i = 0; i < count; i++, check->rows++) {
        (void)snprintf(user, sizeof(user), "u%llu", (unsigned long long)check->rows);
        assert_string_equal(rows[i].user_id, user);
        assert_int_equal(strlen(rows[i].item_id), 1 + check->rows % 200);
    }
    return REC_OK;
}

static void test_buffer_ends(void **state) {
    (void)state;
    enum { ROWS = 30000 };
    struct files files;
    struct check check = {0};
    char path[128];
    files_init(&files);
    FILE *file = begin(&files, "user,item,note\n");
    for (unsigned r = 0; r < ROWS; r++) {
        (void)fprintf(file, "u%u,", r);
        repeat(file, 'i', 1 + r % 200);
        (void)fputs(r % 7 == 0 ? ",\"two\r\nlines\"\r\n" : ",\n", file);
    }
    (void)fclose(file);
    const struct rec_read_options options = {.format = REC_FORMAT_CSV,
                                             .path = files_path(&files, "big.csv", path),
                                             .columns = "user=user,item=item",
                                             .rows = check_rows,
                                             .context = &check};
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_int_equal(check.rows, ROWS);
    files_finish(&files);
}

/* Goal: a number has the bits that strtod gives it, whatever its digits and its point. */
enum { NUMBERS = 5000 };
static char numbers[NUMBERS][32];

static enum rec_status check_numbers(void *context, const struct rec_interaction *rows,
                                     size_t count, struct rec_error *err) {
    struct check *check = context;
    (void)err;
    for (size_t i = 0; i < count; i++, check->rows++)
        CHECK_ROW(rows[i].value == strtod(numbers[check->rows], NULL), numbers[check->rows]);
    return REC_OK;
}

static void test_numbers(void **state) {
    (void)state;
    struct files files;
    struct check check = {0};
    struct rec_rng rng;
    char path[128];
    files_init(&files);
    rec_rng_init(&rng, 6, 0);
    FILE *file = begin(&files, "user,item,value\n");
    for (size_t n = 0; n < NUMBERS; n++) {
        size_t digits = 1 + rec_rng_below(&rng, 20), point = rec_rng_below(&rng, 22), used = 0;
        if (rec_rng_below(&rng, 4) == 0)
            numbers[n][used++] = '-';
        for (size_t d = 0; d < digits; d++) {
            if (d == point)
                numbers[n][used++] = '.';
            numbers[n][used++] = (char)('0' + rec_rng_below(&rng, 10));
        }
        numbers[n][used] = '\0';
        (void)fprintf(file, "u,i,%s\n", numbers[n]);
    }
    (void)fclose(file);
    const struct rec_read_options options = {.format = REC_FORMAT_CSV,
                                             .path = files_path(&files, "big.csv", path),
                                             .columns = "user=user,item=item,value=value",
                                             .rows = check_numbers,
                                             .context = &check};
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_int_equal(check.rows, NUMBERS);
    files_finish(&files);
}

/* Goal: a pipe, which gives a few bytes at a time and has no size, reads like a file. */
static void test_pipe(void **state) {
    (void)state;
    const char text[] = "user,item,note\nu1,i1,\"a\n\nb\"\nu2,i2,\n";
    struct record record;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int kept = dup(STDIN_FILENO);
    assert_true(kept >= 0 && dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    (void)close(ends[1]);
    struct rec_read_options options = record_options(&record, REC_FORMAT_CSV, "-");
    assert_int_equal(rec_read(&options, NULL), REC_OK);
    assert_string_equal(record.text, "u1 i1 view 1 1000000000\nu2 i2 view 1 1000000000\n");
    assert_int_equal(record.bytes_total, 0);
    assert_true(dup2(kept, STDIN_FILENO) == STDIN_FILENO);
    (void)close(kept);
    (void)close(ends[0]);
}

/* Goal: the cap of columns is exact. */
static void test_columns_cap(void **state) {
    (void)state;
    for (unsigned columns = 256; columns <= 257; columns++) {
        struct files files;
        struct record record;
        struct rec_error err = {0};
        files_init(&files);
        FILE *file = begin(&files, "user,item");
        for (unsigned c = 2; c < columns; c++)
            (void)fprintf(file, ",c%u", c);
        (void)fputs("\nu,i", file);
        repeat(file, ',', columns - 2);
        (void)fclose(file);
        enum rec_status st = read_big(&files, &record, 0, &err);
        assert_int_equal(st, columns == 256 ? REC_OK : REC_BAD_INPUT);
        assert_int_equal(record.rows, columns == 256 ? 1 : 0);
        files_finish(&files);
    }
}

/* Goal: ids, titles, categories and their number stop exactly at their caps. */
static void test_field_caps(void **state) {
    (void)state;
    struct files files;
    struct record record;
    files_init(&files);
    for (size_t past = 0; past <= 1; past++) {
        const char *const heads[] = {"", "1,", "1,title,", "1,title,"};
        const size_t caps[] = {REC_ID_BYTES_MAX, REC_TITLE_BYTES_MAX, REC_CATEGORY_BYTES_MAX,
                               2 * REC_ITEM_CATEGORIES_MAX - 1};
        const char *const tails[] = {",title,genre\n", ",genre\n", "\n", "\n"};
        const char *const says[] = {"column movieId: id has 257 bytes", "column title: 513 bytes",
                                    "column genres: 65 bytes", "column genres: more than 64"};
        files_write(&files, "ratings.csv", "userId,movieId,rating,timestamp\n", 32);
        for (size_t i = 0; i < COUNT(heads); i++) {
            char path[128];
            FILE *file = fopen(files_path(&files, "movies.csv", path), "wb");
            assert_non_null(file);
            (void)fprintf(file, "movieId,title,genres\n%s", heads[i]);
            for (size_t b = 0; b < caps[i] + past * (i == 3 ? 2 : 1); b++)
                (void)fputc(i == 3 && b % 2 == 1 ? '|' : 'x', file);
            (void)fputs(tails[i], file);
            (void)fclose(file);
            struct rec_error err = {0};
            struct rec_read_options options =
                record_options(&record, REC_FORMAT_MOVIELENS, files.folder);
            enum rec_status st = rec_read(&options, &err);
            CHECK_ROW(st == (past ? REC_BAD_INPUT : REC_OK), says[i]);
            if (past)
                CHECK_ROW(strstr(err.text, says[i]) != NULL, says[i]);
        }
    }
    files_finish(&files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_cap),    cmocka_unit_test(test_huge_line),
        cmocka_unit_test(test_buffer_ends), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_columns_cap),
        cmocka_unit_test(test_field_caps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
