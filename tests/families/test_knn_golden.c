/* Goal: rows, scores, shares and likeness of item-knn and user-knn are what dense matrices in
 * double precision give (tools/golden_knn.py), for every weighting, with and without shrinkage,
 * exponents and recency.
 *
 * How: every number is a sum of at most `terms` products of floats that are rounded once or twice
 * each, all positive: its relative error is below (terms + a few) half units in the last place. The
 * script has seen to it that no neighbour is chosen by less. */
#include <float.h>
#include <math.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "golden_knn.h"
#include "test.h"

enum {
    EVENTS = COUNT(golden_history),
    SQUARE = GOLDEN_ITEMS * GOLDEN_ITEMS,
    TERMS = GOLDEN_USERS + EVENTS * GOLDEN_ITEMS
};

static void check_close(const char *what, const char *row, const float *got, const double *want,
                        size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= TERMS * (double)FLT_EPSILON * want[i]))
            fail_msg("%s: %s[%zu] is %.9g, expected %.9g", row, what, i, (double)got[i], want[i]);
}

static struct rec_model *fit(const struct rec_family *family, const char *parameters) {
    struct rec_dataset *data = NULL;
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, parameters, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(golden_rows, COUNT(golden_rows), GOLDEN_USERS,
                                           GOLDEN_ITEMS, &data, NULL),
                     REC_OK);
    struct rec_fit options = {.data = data, .params = &params, .seed = 7};
    assert_int_equal(rec_model_fit(family, &options, &model, NULL), REC_OK);
    rec_dataset_destroy(&data);
    return model;
}

/* What a model says to the golden history, and of all pairs of items. */
struct answers {
    float scores[GOLDEN_ITEMS], shares[GOLDEN_ITEMS * EVENTS], similar[SQUARE];
};

static struct answers ask(const struct rec_model *model) {
    const struct rec_history history = {golden_history, EVENTS, UINT32_MAX};
    struct answers answers;
    uint32_t items[GOLDEN_ITEMS];
    float *query = rec_alloc_array(model->query_floats, sizeof(float));
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(float));
    assert_non_null(query);
    assert_non_null(scratch);
    for (uint32_t i = 0; i < GOLDEN_ITEMS; i++) {
        items[i] = i;
        model->family->similar(model, i, 0, GOLDEN_ITEMS, answers.similar + i * GOLDEN_ITEMS);
    }
    assert_true(model->family->query(model, &history, query, scratch));
    model->family->score(model, query, 1, 0, GOLDEN_ITEMS, answers.scores);
    model->family->explain(model, &history, items, GOLDEN_ITEMS, answers.shares, scratch);
    rec_alloc_free(scratch);
    rec_alloc_free(query);
    return answers;
}

static void check_rows(const struct rec_model *model, const char *row, const double *want) {
    const uint64_t *offset = model->tensors.tensor[0].data;
    const uint32_t *item = model->tensors.tensor[1].data;
    const float *weight = model->tensors.tensor[2].data;
    float dense[SQUARE] = {0};
    for (size_t i = 0; i < GOLDEN_ITEMS; i++)
        for (uint64_t k = offset[i]; k < offset[i + 1]; k++)
            dense[i * GOLDEN_ITEMS + item[k]] = weight[k];
    check_close("row", row, dense, want, SQUARE);
}

static void test_item_knn(void **state) {
    (void)state;
    for (size_t g = 0; g < COUNT(golden_item_parameters); g++) {
        const char *row = golden_item_parameters[g];
        const double *rows = golden_item_rows + g * SQUARE;
        double similar[SQUARE];
        struct rec_model *model = fit(&rec_item_knn_family, row);
        struct answers answers = ask(model);
        for (size_t i = 0; i < GOLDEN_ITEMS; i++)
            for (size_t j = 0; j < GOLDEN_ITEMS; j++)
                similar[i * GOLDEN_ITEMS + j] =
                    fmax(rows[i * GOLDEN_ITEMS + j], rows[j * GOLDEN_ITEMS + i]);
        check_rows(model, row, rows);
        check_close("score", row, answers.scores, golden_item_scores + g * GOLDEN_ITEMS,
                    GOLDEN_ITEMS);
        check_close("similar", row, answers.similar, similar, SQUARE);
        rec_model_destroy(&model);
    }
}

static void test_user_knn(void **state) {
    (void)state;
    for (size_t g = 0; g < COUNT(golden_user_parameters); g++) {
        const char *row = golden_user_parameters[g];
        struct rec_model *model = fit(&rec_user_knn_family, row);
        struct answers answers = ask(model);
        check_close("score", row, answers.scores, golden_user_scores + g * GOLDEN_ITEMS,
                    GOLDEN_ITEMS);
        check_close("share", row, answers.shares, golden_user_shares + g * COUNT(answers.shares),
                    COUNT(answers.shares));
        check_close("similar", row, answers.similar, golden_user_similar, SQUARE);
        rec_model_destroy(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_item_knn),
                                       cmocka_unit_test(test_user_knn)};
    return rec_kernels_init(NULL) == REC_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
