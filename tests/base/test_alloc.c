#include <string.h>

#include "recsysd/base.h"
#include "test.h"

/* Goal: a size that does not fit in size_t is refused, never wrapped. */
static void test_overflow(void **state) {
    (void)state;
    assert_null(rec_alloc_array(SIZE_MAX / 2, 3));
    assert_null(rec_alloc_extra(SIZE_MAX - 4, 8, 1));
    assert_null(rec_alloc_extra(16, SIZE_MAX / 8, 8));
    assert_null(rec_alloc_array(SIZE_MAX - 8, 1));
}

/* Goal: blocks are zero, big ones aligned, and every one is counted until freed. */
static void test_zero_aligned_counted(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 63, 1023, 1024, 1025, 100000};
    size_t before = rec_alloc_live();
    for (size_t i = 0; i < COUNT(sizes); i++) {
        unsigned char *block = rec_alloc_array(sizes[i], 1);
        assert_non_null(block);
        assert_int_equal(rec_alloc_live(), before + 1);
        for (size_t j = 0; j < sizes[i]; j++)
            assert_int_equal(block[j], 0);
        if (sizes[i] >= 1024)
            assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 0xff, sizes[i]);
        rec_alloc_free(block);
        assert_int_equal(rec_alloc_live(), before);
    }
    rec_alloc_free(NULL);
}

/* Goal: growing keeps what was there, zeroes the rest, and a failure changes nothing. */
static void test_grow(void **state) {
    (void)state;
    uint32_t *array = NULL;
    size_t capacity = 0;
    for (uint32_t n = 0; n < 1000; n++) {
        assert_int_equal(rec_alloc_grow(&array, &capacity, n + 1, sizeof(*array), NULL), REC_OK);
        assert_int_equal(array[n], 0);
        array[n] = n;
    }
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(array[n], n);

    struct rec_error err = {0};
    uint32_t *same = array;
    size_t same_capacity = capacity;
    rec_alloc_fail_at(0);
    assert_int_equal(rec_alloc_grow(&array, &capacity, capacity + 1, sizeof(*array), &err),
                     REC_NO_MEMORY);
    assert_int_equal(err.status, REC_NO_MEMORY);
    assert_ptr_equal(array, same);
    assert_int_equal(capacity, same_capacity);
    assert_int_equal(rec_alloc_grow(&array, &capacity, SIZE_MAX / 2, sizeof(*array), &err),
                     REC_NO_MEMORY);
    rec_alloc_free(array);
}

/* Goal: fail_at(n) fails the n-th allocation from now, once. */
static void test_fail_at(void **state) {
    (void)state;
    rec_alloc_fail_at(1);
    void *first = rec_alloc_array(1, 1);
    assert_non_null(first);
    assert_null(rec_alloc_array(1, 1));
    void *third = rec_alloc_array(1, 1);
    assert_non_null(third);
    rec_alloc_free(first);
    rec_alloc_free(third);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_zero_aligned_counted),
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_fail_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
