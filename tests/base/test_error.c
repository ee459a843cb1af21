#include <string.h>

#include "recsysd/base.h"
#include "test.h"

/* Goal: the first cause wins, NULL is fine, and a long text is cut, not overrun. */
static void test_first_cause(void **state) {
    (void)state;
    struct rec_error err = {0};
    assert_int_equal(rec_error_set(NULL, REC_IO, "x"), REC_IO);
    assert_int_equal(rec_error_set(&err, REC_BAD_INPUT, "k: %d", -1), REC_BAD_INPUT);
    assert_int_equal(rec_error_set(&err, REC_IO, "later"), REC_IO);
    assert_int_equal(err.status, REC_BAD_INPUT);
    assert_string_equal(err.text, "k: -1");

    struct rec_error cut = {0};
    (void)rec_error_set(&cut, REC_IO, "%0999d", 7);
    assert_int_equal(strlen(cut.text), sizeof(cut.text) - 1);
}

/* Goal: every status has a name and a text of its own. */
static void test_names(void **state) {
    (void)state;
    for (int i = REC_OK; i <= REC_CANCELLED; i++) {
        assert_string_not_equal(rec_error_name((enum rec_status)i), "unknown");
        for (int j = REC_OK; j < i; j++) {
            assert_string_not_equal(rec_error_name((enum rec_status)i),
                                    rec_error_name((enum rec_status)j));
            assert_string_not_equal(rec_error_text((enum rec_status)i),
                                    rec_error_text((enum rec_status)j));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_cause),
                                       cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
