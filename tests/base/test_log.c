#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recsysd/base.h"
#include "test.h"

/* Runs one log call with stderr going to a file, and reads what it wrote. */
static size_t captured(enum rec_log_level level, const char *value, char *out, size_t cap) {
    FILE *file = tmpfile();
    assert_non_null(file);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    rec_log_event(level, "test", "value=%s", value);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    size_t bytes = fread(out, 1, cap - 1, file);
    out[bytes] = '\0';
    (void)fclose(file);
    return bytes;
}

/* Goal: one event is one line, whatever the value holds. */
static void test_one_line(void **state) {
    (void)state;
    char line[4096];
    size_t bytes = captured(REC_LOG_INFO, "a\nlevel=error event=forged", line, sizeof(line));
    assert_true(bytes > 0);
    assert_ptr_equal(strchr(line, '\n'), line + bytes - 1);
    assert_non_null(strstr(line, "level=info event=test value=a level=error"));
}

/* Goal: a value longer than the line is cut, and the line still ends. */
static void test_long_value(void **state) {
    (void)state;
    static char value[5000], line[8192];
    memset(value, 'x', sizeof(value) - 1);
    size_t bytes = captured(REC_LOG_INFO, value, line, sizeof(line));
    assert_true(bytes > 500 && bytes < 2000);
    assert_int_equal(line[bytes - 1], '\n');
}

/* Goal: what is below the level is not written. */
static void test_level(void **state) {
    (void)state;
    char line[4096];
    assert_int_equal(captured(REC_LOG_DEBUG, "x", line, sizeof(line)), 0);
    rec_log_set_level(REC_LOG_ERROR);
    assert_int_equal(captured(REC_LOG_WARN, "x", line, sizeof(line)), 0);
    assert_true(captured(REC_LOG_ERROR, "x", line, sizeof(line)) > 0);
    rec_log_set_level(REC_LOG_INFO);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line),
                                       cmocka_unit_test(test_long_value),
                                       cmocka_unit_test(test_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
