/* Goal: a transposed matrix holds the same entries in the other order, columns rising; shapes
 * with nothing in them work; sizes nobody can have are refused, and nothing leaks. */
#include <stdlib.h>
#include <string.h>

#include "recsysd/linalg.h"
#include "test.h"

/* Each row takes each column with the chance 1 in `rarity`. */
static struct rec_csr *random_csr(uint32_t rows, uint32_t cols, uint32_t rarity) {
    struct rec_csr *csr = NULL;
    struct rec_rng rng;
    uint64_t count = 0;
    rec_rng_init(&rng, 1, 0);
    assert_int_equal(rec_csr_create(rows, cols, (uint64_t)rows * cols, &csr, NULL), REC_OK);
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c < cols; c++) {
            if (rec_rng_below(&rng, rarity) != 0)
                continue;
            csr->column[count] = c;
            csr->value[count++] = (float)(r * cols + c);
        }
        csr->offset[r + 1] = count;
    }
    return csr;
}

static const struct {
    const char *name;
    uint32_t rows, cols, rarity;
} shapes[] = {
    {"sparse", 50, 70, 10},           {"full", 9, 4, 1},    {"one row", 1, 20, 2},
    {"one column", 20, 1, 2},         {"no rows", 0, 5, 1}, {"no columns", 5, 0, 1},
    {"no entries", 6, 6, UINT32_MAX},
};

static void test_transpose(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct rec_csr *csr = random_csr(shapes[i].rows, shapes[i].cols, shapes[i].rarity);
        struct rec_csr *turned = NULL;
        CHECK_ROW(rec_csr_transpose(csr, &turned, NULL) == REC_OK, shapes[i].name);
        CHECK_ROW(turned->rows == csr->cols && turned->cols == csr->rows, shapes[i].name);
        CHECK_ROW(turned->offset[0] == 0, shapes[i].name);
        CHECK_ROW(rec_csr_entries(turned) == rec_csr_entries(csr), shapes[i].name);
        for (uint32_t c = 0; c < turned->rows; c++) {
            for (uint64_t k = turned->offset[c]; k < turned->offset[c + 1]; k++) {
                CHECK_ROW(turned->value[k] == (float)(turned->column[k] * csr->cols + c),
                          shapes[i].name);
                CHECK_ROW(k == turned->offset[c] || turned->column[k] > turned->column[k - 1],
                          shapes[i].name);
            }
        }
        rec_csr_destroy(&csr);
        rec_csr_destroy(&turned);
        assert_null(turned);
        rec_csr_destroy(&turned);
    }
}

/* Goal: the place of a column is the first at or behind it, also where the row is empty. */
static void test_find(void **state) {
    static const uint32_t column[] = {9, 2, 5, 7, 1};
    static const struct {
        uint64_t begin, end;
        uint32_t wanted;
        uint64_t at;
    } rows[] = {{1, 4, 0, 1}, {1, 4, 2, 1}, {1, 4, 3, 2}, {1, 4, 5, 2},
                {1, 4, 7, 3}, {1, 4, 8, 4}, {1, 1, 2, 1}, {0, 1, UINT32_MAX, 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(rec_csr_find(column, rows[i].begin, rows[i].end, rows[i].wanted),
                         rows[i].at);
}

static void test_refusals(void **state) {
    (void)state;
    struct rec_csr *csr = NULL;
    struct rec_error err = {0};
    size_t live = rec_alloc_live();
    assert_int_equal(rec_csr_create(1, 1, UINT64_MAX, &csr, &err), REC_NO_MEMORY);
    assert_null(csr);
    assert_int_equal(err.status, REC_NO_MEMORY);
    assert_non_null(strstr(err.text, "18446744073709551615"));
    for (long n = 0; n < 4; n++) {
        rec_alloc_fail_at(n);
        assert_int_equal(rec_csr_create(3, 3, 3, &csr, NULL), REC_NO_MEMORY);
        rec_alloc_fail_at(-1);
        assert_int_equal(rec_alloc_live(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
