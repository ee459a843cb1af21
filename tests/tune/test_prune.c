/* Goal: a trial is given up exactly when its best look is below the median of the complete trials'
 * best by the same epoch, and never before enough is known. */
#include "world.h"

enum { TRIALS = 8, LOOKS = 4 };

/* Trial t has looks .1 t, .1 t + .01, ... after epochs 2, 4, 6, 8. */
static struct rec_study_look looks[TRIALS][LOOKS];
static struct rec_tune_trial trials[TRIALS];

static int setup(void **state) {
    (void)state;
    for (uint32_t t = 0; t < TRIALS; t++) {
        for (uint32_t l = 0; l < LOOKS; l++)
            looks[t][l] = (struct rec_study_look){2 * (l + 1), 0.1 * t + 0.01 * l};
        trials[t] = (struct rec_tune_trial){
            .number = t, .state = REC_STUDY_COMPLETE, .looks = looks[t], .look_count = LOOKS};
    }
    return 0;
}

static void test_rule(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t trials, looks;
        struct rec_study_look look[4];
        bool behind;
    } rows[] = {
        /* of 5, the median by epoch 6 is .22 */
        {"above the median", 5, 3, {{2, 0.1}, {4, 0.2}, {6, 0.23}}, false},
        {"at the median", 5, 3, {{2, 0.1}, {4, 0.2}, {6, 0.22}}, false},
        {"below the median", 5, 3, {{2, 0.1}, {4, 0.2}, {6, 0.21}}, true},
        {"its best counts, not its last", 5, 3, {{2, 0.3}, {4, 0.1}, {6, 0.1}}, false},
        {"by the same epoch: .21 at 5", 5, 3, {{1, 0.1}, {3, 0.2}, {5, 0.215}}, false},
        {"too few looks", 5, 2, {{2, 0.0}, {4, 0.0}}, false},
        {"too few trials", 4, 3, {{2, 0.0}, {4, 0.0}, {6, 0.0}}, false},
        /* of 6, between .22 and .32: half of them are better, not more */
        {"between the middle two", 6, 3, {{2, 0.1}, {4, 0.2}, {6, 0.25}}, false},
        {"below the lower one of them", 6, 3, {{2, 0.1}, {4, 0.2}, {6, 0.21}}, true},
        {"before anybody looked", 5, 3, {{1, 0.1}, {1, 0.1}, {1, 0.1}}, false},
        {"after all have ended", 5, 3, {{20, 0.1}, {21, 0.2}, {22, 0.21}}, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool behind = rec_tune_is_behind(trials, rows[i].trials, rows[i].look, rows[i].looks);
        CHECK_ROW(behind == rows[i].behind, rows[i].name);
    }
}

/* Goal: trials that were given up, failed or have no looks are no measure. */
static void test_who_counts(void **state) {
    (void)state;
    const struct rec_study_look low[] = {{2, 0.0}, {4, 0.0}, {6, 0.0}};
    assert_true(rec_tune_is_behind(trials, 5, low, 3));
    trials[1].state = REC_STUDY_PRUNED;
    assert_false(rec_tune_is_behind(trials, 5, low, 3));
    trials[1].state = REC_STUDY_FAILED;
    assert_false(rec_tune_is_behind(trials, 5, low, 3));
    trials[1].state = REC_STUDY_COMPLETE;
    trials[1].look_count = 0;
    assert_false(rec_tune_is_behind(trials, 5, low, 3));
    assert_true(rec_tune_is_behind(trials, 6, low, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_rule, setup),
                                       cmocka_unit_test_setup(test_who_counts, setup)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
