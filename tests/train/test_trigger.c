/* Goal: an automatic run starts when it should and never otherwise; above all a run that failed is
 * not tried again on the same rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "train/trigger.h"

#define MINUTE_NS (60u * UINT64_C(1000000000))

static const struct {
    const char *name;
    uint64_t every_ns, after, started_ns, known, now_ns, recorded, live;
    bool due;
} due_cases[] = {
    {"no trigger set", 0, 0, 0, 0, 99 * MINUTE_NS, 1000, 0, false},
    {"count: one short", 0, 10, 0, 0, 0, 9, 0, false},
    {"count: reached", 0, 10, 0, 0, 0, 10, 0, true},
    {"count: one short since the last run", 0, 10, 0, 90, 0, 99, 0, false},
    {"count: reached since the last run", 0, 10, 0, 90, 0, 100, 0, true},
    {"count: the live model knows more than the last run", 0, 10, 0, 90, 0, 100, 95, false},
    {"count: the live model knows less than the last run", 0, 10, 0, 90, 0, 99, 5, false},
    {"count: a live model from before the rows went", 0, 10, 0, 0, 0, 50, 100, false},
    {"time: a nanosecond short", MINUTE_NS, 0, 5, 0, MINUTE_NS + 4, 1, 0, false},
    {"time: reached", MINUTE_NS, 0, 5, 0, MINUTE_NS + 5, 1, 0, true},
    {"time: reached, nothing new", MINUTE_NS, 0, 5, 7, MINUTE_NS + 5, 7, 0, false},
    {"time: reached, one new row", MINUTE_NS, 0, 5, 7, MINUTE_NS + 5, 8, 0, true},
    {"both: the count comes first", MINUTE_NS, 10, 5, 0, 6, 10, 0, true},
    {"both: the time comes first", MINUTE_NS, 10, 5, 0, MINUTE_NS + 5, 1, 0, true},
};

static void test_due(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(due_cases) / sizeof(due_cases[0]); i++) {
        const struct rec_trigger trigger = {.every_ns = due_cases[i].every_ns,
                                            .after_recorded = due_cases[i].after,
                                            .started_ns = due_cases[i].started_ns,
                                            .recorded = due_cases[i].known};
        if (rec_trigger_due(&trigger, due_cases[i].now_ns, due_cases[i].recorded,
                            due_cases[i].live) != due_cases[i].due)
            fail_msg("%s", due_cases[i].name);
    }
}

static void test_started_counts_whatever_comes_of_it(void **state) {
    (void)state;
    struct rec_trigger trigger = {.every_ns = MINUTE_NS, .after_recorded = 10};
    assert_true(rec_trigger_due(&trigger, 0, 10, 0));
    rec_trigger_started(&trigger, 100, 10);
    assert_false(rec_trigger_due(&trigger, 100, 10, 0));
    assert_false(rec_trigger_due(&trigger, 100 + 9 * MINUTE_NS, 10, 0));
    assert_false(rec_trigger_due(&trigger, 99 + MINUTE_NS, 11, 0));
    assert_true(rec_trigger_due(&trigger, 100 + MINUTE_NS, 11, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_due),
        cmocka_unit_test(test_started_counts_whatever_comes_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
