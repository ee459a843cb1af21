/* Goal: what was mapped stays as it was, whatever is done to the file: written over, cut, replaced,
 * removed. How: each is done while the mapping is held, then all bytes are compared; a mapping that
 * was not protected ends this program with SIGBUS. Where the file system gives no leases nothing is
 * mapped, and the tests are skipped. */
#define _GNU_SOURCE 1 /* F_SETLEASE */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/mapping.h"
#include "test.h"

enum { SIZE = 3 * 1000 * 1000 }; /* no multiple of a page */

static char dir[] = "mapping-XXXXXX", path[64], other[64];

static unsigned char byte_at(size_t i) {
    return (unsigned char)(i * 7 + i / 4096);
}

static void write_file(const char *name) {
    unsigned char *bytes = rec_alloc_array(SIZE, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, SIZE, file), SIZE);
    assert_int_equal(fclose(file), 0);
    rec_alloc_free(bytes);
}

static struct rec_mapping *map(void) {
    write_file(path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct rec_mapping *mapping = rec_mapping_create(fd, SIZE);
    assert_int_equal(close(fd), 0);
    if (mapping == NULL)
        skip();
    return mapping;
}

static bool is_whole(const struct rec_mapping *mapping) {
    const unsigned char *bytes = rec_mapping_bytes(mapping);
    for (size_t i = 0; i < SIZE; i++)
        if (bytes[i] != byte_at(i))
            return false;
    return true;
}

/* ---- what may be done to a file ----------------------------------------------------------- */

static void nothing(void) {
}

static void cut(void) {
    assert_int_equal(truncate(path, 10), 0);
}

static void copy_over(void) { /* as cp does */
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "new", 3), 3);
    assert_int_equal(close(fd), 0);
}

static void write_inside(void) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "xxxx", 4, SIZE / 2), 4);
    assert_int_equal(close(fd), 0);
}

static void replace(void) {
    write_file(other);
    assert_int_equal(rename(other, path), 0);
}

static void drop(void) {
    assert_int_equal(unlink(path), 0);
}

static void read_it(void) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static void test_file_changes(void **state) {
    static const struct {
        const char *name;
        void (*change)(void);
        bool copied; /* the file could not be kept */
    } rows[] = {
        {"nothing", nothing, false},
        {"cut", cut, true},
        {"copied over", copy_over, true},
        {"written inside", write_inside, true},
        {"replaced by rename", replace, false},
        {"removed", drop, false},
        {"read", read_it, false},
    };
    (void)state;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct rec_mapping *mapping = map();
        CHECK_ROW(is_whole(mapping), rows[r].name);
        rows[r].change();
        CHECK_ROW(is_whole(mapping), rows[r].name);
        CHECK_ROW(rec_mapping_is_file(mapping) == !rows[r].copied, rows[r].name);
        rec_mapping_destroy(&mapping);
        assert_null(mapping);
        (void)unlink(path);
    }
}

/* Goal: a file that somebody writes to at the time, one of another size, and a descriptor of no
 * file are not mapped; nothing leaks. */
static void test_not_mapped(void **state) {
    (void)state;
    struct rec_mapping *mapping = map(); /* skips where nothing ever is */
    rec_mapping_destroy(&mapping);
    size_t alive = rec_alloc_live();

    int reading = open(path, O_RDONLY | O_CLOEXEC), writing = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(reading >= 0 && writing >= 0);
    assert_null(rec_mapping_create(reading, SIZE));
    assert_int_equal(close(writing), 0);
    assert_null(rec_mapping_create(reading, SIZE + 1));
    assert_null(rec_mapping_create(reading, SIZE - 1));
    for (long n = 0; n < 1; n++) {
        rec_alloc_fail_at(n);
        assert_null(rec_mapping_create(reading, SIZE));
        rec_alloc_fail_at(-1);
    }
    assert_int_equal(close(reading), 0);
    assert_null(rec_mapping_create(-1, SIZE));
    assert_int_equal(rec_alloc_live(), alive);
    rec_mapping_destroy(&mapping); /* NULL is fine */
    assert_int_equal(unlink(path), 0);
}

static int set_up(void **state) {
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_changes),
        cmocka_unit_test(test_not_mapped),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
