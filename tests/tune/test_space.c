/* Goal: a parameter's place in [0, 1] and its value are each other's, on every scale; what is
 * searched, and what is left alone, follows the ranges and the rule. */
#include <math.h>
#include <string.h>

#include "world.h"

static const struct {
    const char *name;
    struct rec_tune_dim dim;
    double unit, value; /* the value that lies there */
} places[] = {
    {"plain, low end", {.min = 2, .max = 6}, 0.0, 2},
    {"plain, middle", {.min = 2, .max = 6}, 0.5, 4},
    {"plain, high end", {.min = 2, .max = 6}, 1.0, 6},
    {"plain, below", {.min = 2, .max = 6}, -0.5, 2},
    {"plain, above", {.min = 2, .max = 6}, 1.5, 6},
    {"three digits", {.min = 0, .max = 1}, 1.0 / 3.0, 0.333},
    {"log, middle", {.min = 1e-4, .max = 1e4, .log_scale = true}, 0.5, 1},
    {"log, quarter", {.min = 1e-4, .max = 1e4, .log_scale = true}, 0.25, 0.01},
    {"log, low end", {.min = 1e-4, .max = 1e4, .log_scale = true}, 0.0, 1e-4},
    {"log, high end", {.min = 1e-4, .max = 1e4, .log_scale = true}, 1.0, 1e4},
    {"whole, low end", {.min = 1, .max = 4, .whole = true}, 0.0, 1},
    {"whole, first part", {.min = 1, .max = 4, .whole = true}, 0.24, 1},
    {"whole, second part", {.min = 1, .max = 4, .whole = true}, 0.26, 2},
    {"whole, high end", {.min = 1, .max = 4, .whole = true}, 1.0, 4},
    {"whole log, high end", {.min = 8, .max = 256, .whole = true, .log_scale = true}, 1.0, 256},
    {"whole log, middle", {.min = 8, .max = 128, .whole = true, .log_scale = true}, 0.5, 31},
    {"off", {.min = 1, .max = 100, .log_scale = true, .zero = true}, 0.1, 0},
    {"just on", {.min = 1, .max = 100, .log_scale = true, .zero = true}, 0.2, 1},
    {"on, middle", {.min = 1, .max = 100, .log_scale = true, .zero = true}, 0.6, 10},
    {"on, high end", {.min = 1, .max = 100, .log_scale = true, .zero = true}, 1.0, 100},
    {"first choice", {.choices = 3}, 0.0, 0},
    {"second choice", {.choices = 3}, 0.5, 1},
    {"last choice", {.choices = 3}, 1.0, 2},
    {"bool", {.choices = 2}, 0.7, 1},
};

static void test_places(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        double value = rec_tune_value(&places[i].dim, places[i].unit);
        if (fabs(value - places[i].value) > 1e-12 * fmax(1.0, fabs(value)))
            fail_msg("row '%s': %.17g, not %.17g", places[i].name, value, places[i].value);
    }
}

/* Goal: from a value to its place and back it is the same value, over all of each scale. */
static void test_round_trip(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(places); i++) {
        for (int step = 0; step <= 1000; step++) {
            double value = rec_tune_value(&places[i].dim, step / 1000.0);
            double unit = rec_tune_unit(&places[i].dim, value);
            CHECK_ROW(unit >= 0.0 && unit <= 1.0, places[i].name);
            double back = rec_tune_value(&places[i].dim, unit);
            CHECK_ROW(fabs(back - value) <= 1e-12 * fmax(1.0, fabs(value)), places[i].name);
        }
    }
}

static const char *const words[] = {"a", "b", NULL};
static const char *const one_word[] = {"a", NULL};
static const struct rec_param table[] = {
    {"listed", REC_PARAM_FLOAT, 0, 1e6, false, 0, NULL, ""},
    {"alone", REC_PARAM_FLOAT, 1e-6, 1, true, 0.1, NULL, ""},
    {"log", REC_PARAM_FLOAT, 1e-3, 1e6, true, 1, NULL, ""},
    {"bounded", REC_PARAM_FLOAT, 0.5, 2, true, 1, NULL, ""},
    {"factors", REC_PARAM_INT, 1, 2048, true, 64, NULL, ""},
    {"wide", REC_PARAM_INT, 1, 1000, false, 15, NULL, ""},
    {"share", REC_PARAM_FLOAT, 0, 1, false, 0.5, NULL, ""},
    {"wide_float", REC_PARAM_FLOAT, 0, 1e6, false, 0, NULL, ""},
    {"flag", REC_PARAM_BOOL, 0, 1, false, 0, NULL, ""},
    {"word", REC_PARAM_CHOICE, 0, 1, false, 0, words, ""},
    {"one_word", REC_PARAM_CHOICE, 0, 0, false, 0, one_word, ""},
    {"flag_alone", REC_PARAM_BOOL, 0, 1, false, 0, NULL, ""},
    {"member", REC_PARAM_FAMILY, 0, 0, false, 0, words, ""},
};
static const struct rec_tune_range ranges[] = {
    {.name = "listed", .min = 1, .max = 50, .log_scale = true, .zero = true},
    {.name = "alone"},
    {.name = "flag_alone"},
    {.name = NULL},
};
static const struct rec_family family = {
    .name = "made", .params = table, .param_count = COUNT(table), .tune = ranges};

static void test_rule(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double min, max;
    } numbers[] = {{"listed", 1, 50},
                   {"log", 1.0 / 30, 30},
                   {"bounded", 0.5, 2},
                   {"factors", 8, 256},
                   {"share", 0, 1}};
    struct rec_tune_space space = space_of(&family);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct rec_tune_dim *dim = dim_of(&space, numbers[i].name);
        CHECK_ROW(fabs(dim->min - numbers[i].min) < 1e-12, numbers[i].name);
        CHECK_ROW(fabs(dim->max - numbers[i].max) < 1e-12, numbers[i].name);
    }
    assert_int_equal(dim_of(&space, "flag")->choices, 2);
    assert_int_equal(dim_of(&space, "word")->choices, 2);
    assert_int_equal(space.count, 7);
}

static void test_fixed(void **state) {
    (void)state;
    struct rec_params start;
    struct rec_tune_space space;
    struct rec_error err = {0};
    bool fixed[COUNT(table)] = {[2] = true, [8] = true};
    rec_params_defaults(table, COUNT(table), &start);
    must(rec_tune_space_init(&space, &family, &start, fixed, &err), &err);
    assert_int_equal(space.count, 5);
    for (size_t i = 0; i < COUNT(table); i++)
        fixed[i] = true;
    assert_int_equal(rec_tune_space_init(&space, &family, &start, fixed, &err), REC_BAD_INPUT);
    assert_non_null(strstr(err.text, "made: there is nothing to search"));
}

/* Goal: what every listed family says of its ranges names its parameters and is within the bounds
 * of its table. */
static void test_families(void **state) {
    (void)state;
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        const struct rec_family *known = rec_families[f];
        const struct rec_tune_range *range = known->tune;
        for (; range != NULL && range->name != NULL; range++) {
            size_t row = 0;
            while (row < known->param_count && strcmp(known->params[row].name, range->name) != 0)
                row++;
            CHECK_ROW(row < known->param_count, range->name);
            const struct rec_param *param = &known->params[row];
            bool alone = !(range->min < range->max);
            CHECK_ROW(alone || (range->min >= param->min && range->max <= param->max), range->name);
            CHECK_ROW(alone || !range->log_scale || range->min > 0.0, range->name);
            CHECK_ROW(!range->zero || (param->min <= 0.0 && range->min > 0.0), range->name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rule), cmocka_unit_test(test_fixed), cmocka_unit_test(test_families)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
