#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recsysd/data.h"
#include "test.h"

/* Goal: what a type and a value say, by the defaults. */
static const struct {
    const char *name, *type;
    double value;
    float weight;
} weight_cases[] = {
    {"view", "view", 1, 0.2f},
    {"click", "click", 1, 0.3f},
    {"to_cart", "to_cart", 1, 0.6f},
    {"favorite", "favorite", 1, 1.0f},
    {"order of twelve", "order", 12, 1.0f},
    {"rating at the bound", "rating", 4, 1.0f},
    {"rating above", "rating", 5, 1.0f},
    {"rating below", "rating", 3.999, REC_WEIGHT_DISLIKED},
    {"rating that is no number", "rating", (double)NAN, REC_WEIGHT_DISLIKED},
    {"unknown type", "shared", 1, 0.0f},
    {"longer than any type", "viewviewviewviewviewviewviewviewview", 1, 0.0f},
};

static void test_of(void **state) {
    (void)state;
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    for (size_t i = 0; i < COUNT(weight_cases); i++)
        CHECK_ROW(rec_weights_of(&weights, weight_cases[i].type, weight_cases[i].value) ==
                      weight_cases[i].weight,
                  weight_cases[i].name);
}

/* Goal: a type can weigh its own value, within bounds; a rating below rating_min stays a dislike.
 */
static const struct {
    const char *name, *type;
    double value;
    float weight;
} value_cases[] = {
    {"stars", "rating", 4.5, 4.5f},
    {"stars below", "rating", 3.5, REC_WEIGHT_DISLIKED},
    {"an amount", "order", 12, 12.0f},
    {"too large an amount", "order", 1e9, 1000.0f},
    {"nothing", "order", 0, 0.0f},
    {"less than nothing", "order", -3, 0.0f},
    {"no number", "order", (double)NAN, 0.0f},
    {"a type that was not named", "view", 7, 0.2f},
    {"a number again", "click", 7, 2.0f},
};

static void test_by_value(void **state) {
    (void)state;
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    assert_int_equal(
        rec_weights_set(&weights, "rating=value,order=value,click=value,click=2", NULL), REC_OK);
    assert_true(rec_weights_by_value(&weights, "order") && !rec_weights_by_value(&weights, "view"));
    assert_false(rec_weights_by_value(&weights, "never heard of"));
    for (size_t i = 0; i < COUNT(value_cases); i++)
        CHECK_ROW(rec_weights_of(&weights, value_cases[i].type, value_cases[i].value) ==
                      value_cases[i].weight,
                  value_cases[i].name);
}

/* Goal: a text of weights is taken whole or not at all, and the error names the part. */
static const struct {
    const char *name, *text, *says; /* NULL: taken */
    float view, share;              /* after it */
} set_cases[] = {
    {"replaces", "view=0.5", NULL, 0.5f, 0.0f},
    {"adds", "share=2", NULL, 0.2f, 2.0f},
    {"several", "view=0,share=1000", NULL, 0.0f, 1000.0f},
    {"the last one counts", "view=1,view=3", NULL, 3.0f, 0.0f},
    {"too heavy", "view=1000.5", "weight of view: 1000.5 is not within 0 and 1000", 0.2f, 0.0f},
    {"negative", "view=-1", "weight of view: -1 is not within", 0.2f, 0.0f},
    {"nan", "view=nan", "'nan' is not a number", 0.2f, 0.0f},
    {"no value", "view=", "is not a number", 0.2f, 0.0f},
    {"no type", "=1", "is not a type", 0.2f, 0.0f},
    {"odd type", "a b=1", "'a b' is not a type", 0.2f, 0.0f},
    {"33 bytes of type", "ttttttttttttttttttttttttttttttttt=1", "is not a type", 0.2f, 0.0f},
    {"no equals sign", "view", "'view' is not type=weight", 0.2f, 0.0f},
    {"empty", "", "'' is not type=weight", 0.2f, 0.0f},
    {"good then bad", "share=1,view=x", "'x' is not a number", 0.2f, 0.0f},
    {"comma at the end", "view=1,", "'' is not type=weight", 0.2f, 0.0f},
};

static void test_set(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(set_cases); i++) {
        const char *name = set_cases[i].name;
        struct rec_weights weights;
        struct rec_error err = {0};
        rec_weights_defaults(&weights);
        enum rec_status st = rec_weights_set(&weights, set_cases[i].text, &err);
        CHECK_ROW(st == (set_cases[i].says == NULL ? REC_OK : REC_BAD_INPUT), name);
        if (set_cases[i].says != NULL)
            CHECK_ROW(strstr(err.text, set_cases[i].says) != NULL, name);
        CHECK_ROW(rec_weights_of(&weights, "view", 1) == set_cases[i].view, name);
        CHECK_ROW(rec_weights_of(&weights, "share", 1) == set_cases[i].share, name);
        CHECK_ROW(rec_weights_known(&weights, "share") == (set_cases[i].share > 0), name);
    }
}

/* Goal: the cap of types is exact. */
static void test_types_cap(void **state) {
    (void)state;
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    for (size_t i = weights.count; i < REC_TYPES_MAX; i++) {
        char text[32];
        (void)snprintf(text, sizeof(text), "type%zu=1", i);
        assert_int_equal(rec_weights_set(&weights, text, NULL), REC_OK);
    }
    struct rec_error err = {0};
    assert_int_equal(rec_weights_set(&weights, "one_more=1", &err), REC_LIMIT);
    assert_int_equal(weights.count, REC_TYPES_MAX);
    assert_int_equal(rec_weights_set(&weights, "type63=2", NULL), REC_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of),
        cmocka_unit_test(test_by_value),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_types_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
