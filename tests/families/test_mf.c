/* Goal: what bpr and biased-mf promise beyond the contract of all families (test_conformance.c) and
 * the golden numbers: negatives are drawn as its parameters say and are never positives, an earlier
 * model is gone on from, early stopping keeps what was best, and what it cannot do is refused with
 * a text that says which. */
#include <math.h>
#include <string.h>

#include "families/bpr.h"
#include "families/strata.h"
#include "families/worlds.h"
#include "test.h"

enum { USERS = 300, ITEMS = 260 };

static const struct rec_family *const families[] = {&rec_bpr_family, &rec_biased_mf_family};

static struct rec_model *fit_from(const struct rec_family *family, const struct rec_dataset *data,
                                  const char *settings, const struct rec_tensors *start,
                                  size_t memory, enum rec_status want, struct rec_error *err) {
    struct rec_model *model = NULL;
    struct rec_params params;
    rec_params_defaults(family->params, family->param_count, &params);
    assert_int_equal(rec_params_read(&params, settings, err), REC_OK);
    struct rec_fit options = {
        .data = data, .params = &params, .seed = 3, .memory_bytes_max = memory, .start = start};
    assert_int_equal(rec_model_fit(family, &options, &model, err), want);
    return model;
}

static struct rec_model *fit(const struct rec_family *family, const struct rec_dataset *data,
                             const char *settings) {
    return fit_from(family, data, settings, NULL, 0, REC_OK, NULL);
}

/* ---- strata ------------------------------------------------------------------------ */

struct census {
    const struct rec_csr *matrix;
    uint32_t drawn[ITEMS], visited[USERS][ITEMS];
    uint32_t in_round_user[USERS], in_round_item[ITEMS]; /* number + 1 of the cell that had it */
    size_t none, cells;
};

static bool has(const struct rec_csr *csr, uint32_t user, uint32_t item) {
    for (uint64_t k = csr->offset[user]; k < csr->offset[user + 1]; k++)
        if (csr->column[k] == item)
            return true;
    return false;
}

/* Run without a pool: rounds follow each other, each from cell 0 on. */
static void count_cell(void *context, struct rec_strata_cell *cell) {
    struct census *census = context;
    enum { EACH = 3 };
    if (cell->number == 0) {
        memset(census->in_round_user, 0, sizeof(census->in_round_user));
        memset(census->in_round_item, 0, sizeof(census->in_round_item));
    }
    census->cells++;
    for (size_t k = 0; k < cell->count; k++) {
        const struct rec_strata_pair *pair = &cell->pairs[k];
        uint32_t items[EACH + 1];
        uint32_t *user = &census->in_round_user[pair->user];
        rec_strata_negatives(cell, pair, 1, EACH, items);
        items[EACH] = pair->item;
        census->visited[pair->user][pair->item]++;
        assert_true(*user == 0 || *user == cell->number + 1);
        *user = (uint32_t)cell->number + 1;
        for (size_t i = 0; i <= EACH; i++) {
            if (items[i] == UINT32_MAX) {
                census->none++;
                continue;
            }
            uint32_t *item = &census->in_round_item[items[i]];
            assert_true(*item == 0 || *item == cell->number + 1);
            *item = (uint32_t)cell->number + 1;
            if (i == EACH)
                break;
            assert_false(has(census->matrix, pair->user, items[i]));
            census->drawn[items[i]]++;
        }
    }
}

/* What the distribution says item j is drawn, of all draws, when nothing is rejected. */
static double expected(const struct rec_csr *matrix, const uint32_t *count, uint32_t item,
                       double popular, double exponent) {
    double sum = 0;
    for (uint32_t i = 0; i < matrix->cols; i++)
        sum += count[i] > 0 ? pow(count[i], exponent) : 0;
    double share = count[item] > 0 ? pow(count[item], exponent) / sum : 0;
    return popular * share + (1 - popular) / matrix->cols;
}

/* Goal: an epoch visits every pair once, cells of a round share no user and no item, negatives
 * included, and negatives come as often as the distribution says.
 *
 * How: odd items are about five times as popular as even ones. Popularity counts within a block, so
 * shares of the whole hold where blocks are about alike, as here: within a tenth, and what 4.5
 * deviations of so many draws are. */
static void test_strata(void **state) {
    static const struct {
        const char *name;
        double popular, exponent;
    } rows[] = {{"uniform", 0, 1}, {"popular", 1, 0.75}, {"mixed", 0.5, 1}, {"flat", 1, 0}};
    static struct rec_dataset_row events[3 * USERS];
    static struct census census;
    enum { EPOCHS = 400 };
    struct rec_dataset *data = NULL;
    struct rec_csr *matrix = NULL;
    uint32_t count[ITEMS] = {0};
    (void)state;
    for (uint32_t u = 0; u < USERS; u++) {
        events[3 * u] = (struct rec_dataset_row){u, u % ITEMS, u, 1};
        events[3 * u + 1] = (struct rec_dataset_row){u, (2 * u + 1) % ITEMS, u, 1};
        events[3 * u + 2] = (struct rec_dataset_row){u, (2 * u + 131) % ITEMS, u, 1};
    }
    assert_int_equal(rec_dataset_from_rows(events, COUNT(events), USERS, ITEMS, &data, NULL),
                     REC_OK);
    assert_int_equal(rec_dataset_matrix(data, &matrix, NULL), REC_OK);
    for (uint64_t k = 0; k < rec_csr_entries(matrix); k++)
        count[matrix->column[k]]++;
    for (size_t r = 0; r < COUNT(rows); r++) {
        struct rec_strata *strata = NULL;
        struct rec_missing *missing = NULL;
        double all = 0;
        memset(&census, 0, sizeof(census));
        census.matrix = matrix;
        assert_int_equal(rec_missing_create(matrix, &missing, NULL), REC_OK);
        const struct rec_strata_options options = {.matrix = matrix,
                                                   .missing = missing,
                                                   .popular = rows[r].popular,
                                                   .exponent = rows[r].exponent,
                                                   .seed = 5};
        assert_int_equal(rec_strata_create(&options, &strata, NULL), REC_OK);
        for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
            CHECK_ROW(rec_strata_epoch(strata, epoch, count_cell, &census), rows[r].name);
        rec_strata_destroy(&strata);
        rec_missing_destroy(&missing);
        CHECK_ROW(census.cells == EPOCHS * 16, rows[r].name); /* four blocks */
        for (uint64_t k = 0, user = 0; k < rec_csr_entries(matrix); k++) {
            while (k >= matrix->offset[user + 1])
                user++;
            CHECK_ROW(census.visited[user][matrix->column[k]] == EPOCHS, rows[r].name);
        }
        for (uint32_t i = 0; i < ITEMS; i++)
            all += census.drawn[i];
        for (uint32_t i = 0; i < ITEMS; i++) {
            double want = all * expected(matrix, count, i, rows[r].popular, rows[r].exponent);
            if (fabs(census.drawn[i] - want) > 0.1 * want + 4.5 * sqrt(want))
                fail_msg("%s: item %u was drawn %u times, expected about %.0f", rows[r].name, i,
                         census.drawn[i], want);
        }
    }
    rec_csr_destroy(&matrix);
    rec_dataset_destroy(&data);
}

/* ---- the families -------------------------------------------------------------------- */

/* Goal: parameters that say how to learn change what is learned, and nothing breaks. */
static void test_parameters(void **state) {
    static const struct {
        const struct rec_family *family;
        const char *settings;
    } rows[] = {
        {&rec_bpr_family, "negatives=popular"},
        {&rec_bpr_family, "negatives=uniform"},
        {&rec_bpr_family, "candidates=1"},
        {&rec_bpr_family, "learning_rate=0.01"},
        {&rec_bpr_family, "decay=0"},
        {&rec_bpr_family, "user_regularization=1"},
        {&rec_bpr_family, "positive_regularization=1"},
        {&rec_bpr_family, "negative_regularization=1"},
        {&rec_bpr_family, "sigma=1"},
        {&rec_bpr_family, "exponent=2 negatives=popular"},
        {&rec_bpr_family, "epochs=3"},
        {&rec_biased_mf_family, "optimizer=adam"},
        {&rec_biased_mf_family, "learning_rate=0.01"},
        {&rec_biased_mf_family, "decay=0"},
        {&rec_biased_mf_family, "regularization=1"},
        {&rec_biased_mf_family, "bias_regularization=1"},
        {&rec_biased_mf_family, "zeros=0"},
        {&rec_biased_mf_family, "zeros=64"},
        {&rec_biased_mf_family, "sigma=1"},
        {&rec_biased_mf_family, "epochs=3"},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char settings[128];
        (void)snprintf(settings, sizeof(settings), "factors=8 epochs=5 %s", rows[i].settings);
        struct rec_model *plain = fit(rows[i].family, data, "factors=8 epochs=5");
        struct rec_model *model = fit(rows[i].family, data, settings);
        CHECK_ROW(!world_same(plain, model), rows[i].settings);
        rec_model_destroy(&model);
        rec_model_destroy(&plain);
    }
    rec_dataset_destroy(&data);
}

/* Goal: two events of a pair are one, and a weight beyond 1 counts as 1. */
static void test_weights(void **state) {
    static const struct rec_dataset_row twice[] = {{0, 0, 1, 1}, {0, 0, 2, 1}, {1, 1, 3, 1}},
                                        heavy[] = {{0, 0, 1, 1e20f}, {1, 1, 2, 1}};
    struct rec_dataset *a = NULL, *b = NULL;
    (void)state;
    assert_int_equal(rec_dataset_from_rows(twice, COUNT(twice), 2, 3, &a, NULL), REC_OK);
    assert_int_equal(rec_dataset_from_rows(heavy, COUNT(heavy), 2, 3, &b, NULL), REC_OK);
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_model *x = fit(families[i], a, ""), *y = fit(families[i], b, "");
        CHECK_ROW(world_same(x, y), families[i]->name);
        rec_model_destroy(&x);
        rec_model_destroy(&y);
    }
    rec_dataset_destroy(&a);
    rec_dataset_destroy(&b);
}

/* Goal: with weights that are stars and target_max above them, biased-mf predicts stars: everybody
 * gave the first item 5 and the second 1, the third says who gives more. */
static void test_stars(void **state) {
    enum { RATERS = 40 };
    struct rec_dataset_row rows[RATERS * 3];
    struct rec_dataset *data = NULL;
    (void)state;
    for (uint32_t u = 0; u < RATERS; u++)
        for (uint32_t i = 0; i < 3; i++)
            rows[u * 3 + i] = (struct rec_dataset_row){u, i, u,
                                                       i == 0   ? 5.0f
                                                       : i == 1 ? 1.0f
                                                                : 3.0f};
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), RATERS, 3, &data, NULL), REC_OK);
    struct rec_model *model =
        fit(&rec_biased_mf_family, data, "factors=4 zeros=0 target_max=5 epochs=100");
    const float mean = *(const float *)model->tensors.tensor[1].data;
    const float *item = model->tensors.tensor[0].data; /* the bias is the last number of a row */
    assert_true(fabsf(mean - 3.0f) < 1e-5f);
    assert_true(fabsf(mean + item[4] - 5.0f) < 0.5f);
    assert_true(fabsf(mean + item[5 + 4] - 1.0f) < 0.5f);
    const struct rec_event rated = {.item = 2, .weight = 4.0f, .time = 1};
    const struct rec_history history = {&rated, 1, UINT32_MAX};
    float scores[3];
    assert_true(world_score(model, &history, scores));
    assert_true(scores[0] > scores[2] && scores[2] > scores[1]);
    rec_model_destroy(&model);
    rec_dataset_destroy(&data);
}

static double distance(const struct rec_model *a, const struct rec_model *b, size_t count) {
    const float *x = a->tensors.tensor[0].data, *y = b->tensors.tensor[0].data;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += fabs((double)x[i] - (double)y[i]);
    return sum;
}

/* Goal: training goes on from an earlier model's items, also when there are new ones since; a model
 * of another shape, of items that are gone, or with numbers out of range is refused. */
static void test_start(void **state) {
    static const char short_run[] = "factors=8 epochs=1 learning_rate=0.001";
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    struct rec_dataset *more = world_random(USERS, ITEMS + 40, 4);
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        const struct rec_family *family = families[i];
        struct rec_error err = {.status = REC_OK};
        struct rec_model *first = fit(family, data, "factors=8 epochs=30");
        struct rec_model *cold = fit(family, more, short_run);
        struct rec_model *warm =
            fit_from(family, more, short_run, &first->tensors, 0, REC_OK, NULL);
        size_t known = ITEMS * (size_t)9;
        CHECK_ROW(distance(warm, first, known) < 0.1 * distance(cold, first, known), family->name);
        fit_from(family, more, "factors=7", &first->tensors, 0, REC_CORRUPT, &err);
        CHECK_ROW(strstr(err.text, "item_factors") != NULL, family->name);
        err.status = REC_OK;
        fit_from(family, data, "factors=8", &warm->tensors, 0, REC_BAD_INPUT, &err);
        CHECK_ROW(strstr(err.text, "300 items") != NULL, family->name);
        err.status = REC_OK;
        ((float *)first->tensors.tensor[0].data)[9 * 7 + 2] = 1e13f;
        fit_from(family, more, short_run, &first->tensors, 0, REC_BAD_INPUT, &err);
        CHECK_ROW(strstr(err.text, "to start from is out of the range") != NULL, family->name);
        CHECK_ROW(strstr(err.text, "factor 2 of item 7") != NULL, family->name);
        rec_model_destroy(&cold);
        rec_model_destroy(&warm);
        rec_model_destroy(&first);
    }
    rec_dataset_destroy(&data);
    rec_dataset_destroy(&more);
}

/* Goal: a family goes on from its own tensors, or says that it does not. */
static void test_who_goes_on(void **state) {
    struct rec_dataset *data = world_checkerboard(12);
    (void)state;
    for (size_t i = 0; rec_families[i] != NULL; i++) {
        const struct rec_family *family = rec_families[i];
        struct rec_params params = world_params(family);
        struct rec_model *first = world_fit(family, data, 1, NULL), *second = NULL;
        struct rec_error err = {.status = REC_OK};
        const struct rec_fit options = {
            .data = data, .params = &params, .seed = 1, .start = &first->tensors};
        enum rec_status st = rec_model_fit(family, &options, &second, &err);
        CHECK_ROW(st == (family->goes_on ? REC_OK : REC_BAD_INPUT), family->name);
        CHECK_ROW(st == REC_OK || strstr(err.text, "does not go on") != NULL, family->name);
        rec_model_destroy(&first);
        rec_model_destroy(&second);
    }
    rec_dataset_destroy(&data);
}

/* The steps that are left with the widest rows and the most candidates. */
enum {
    STEPS_LEAST = REC_BPR_FOLD_WORK /
                  ((REC_BPR_CANDIDATES_MAX + 1) * (REC_FACTORS_MAX + 1 + REC_BPR_DRAW_WORK))
};

/* Goal: bpr answers with as many passes over a history as documented, and no more steps than its
 * limit.
 *
 * How: with two items, one of them liked, each step is known: the margin m = s_0 - s_1 grows by
 * rate σ(-m) |y_0 - y_1|². One pass more or less changes it by more than a hundredth. */
static void test_fold_steps(void **state) {
    static const char wide[] = "factors=2048 candidates=64", plain[] = "factors=8";
    static const struct {
        const char *name, *settings;
        size_t events, passes, steps; /* of one pass */
    } rows[] = {
        {"one event", plain, 1, 50, 1},
        {"20", plain, 20, 50, 20},
        {"100", plain, 100, 10, 100},
        {"the longest", plain, REC_HISTORY_SCORED_MAX, 4, REC_HISTORY_SCORED_MAX},
        {"wide, 17", wide, 17, 50, 17},
        {"wide, 100", wide, 100, 8, 100},
        {"wide, 300", wide, 300, 2, 300},
        {"wide, the longest", wide, REC_HISTORY_SCORED_MAX, 1, STEPS_LEAST},
    };
    static const struct rec_dataset_row liked[] = {{0, 0, 1, 1}, {1, 1, 2, 1}};
    static struct rec_event events[REC_HISTORY_SCORED_MAX];
    struct rec_dataset *data = NULL;
    (void)state;
    for (uint32_t e = 0; e < COUNT(events); e++)
        events[e] = (struct rec_event){.item = 0, .weight = 1.0f, .time = e};
    assert_int_equal(rec_dataset_from_rows(liked, COUNT(liked), 2, 2, &data, NULL), REC_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        char settings[128];
        (void)snprintf(settings, sizeof(settings), "epochs=1 sigma=1 user_regularization=0 %s",
                       rows[i].settings);
        struct rec_model *model = fit(&rec_bpr_family, data, settings);
        const struct rec_history history = {events, rows[i].events, UINT32_MAX};
        const float *y = model->tensors.tensor[0].data;
        size_t width = model->tensors.tensor[0].cols;
        double apart = 0.0, m = (double)y[width - 1] - (double)y[2 * width - 1];
        float scores[2];
        for (size_t k = 0; k + 1 < width; k++)
            apart += ((double)y[k] - (double)y[width + k]) * ((double)y[k] - (double)y[width + k]);
        for (size_t p = 0; p < rows[i].passes; p++)
            for (size_t s = 0; s < rows[i].steps; s++)
                m += 0.2 * (1.0 - (double)p / (double)rows[i].passes) / (1.0 + exp(m)) * apart;
        CHECK_ROW(world_score(model, &history, scores), rows[i].name);
        if (fabs((double)scores[0] - (double)scores[1] - m) > 1e-3 * m)
            fail_msg("%s: the margin is %g, expected %g", rows[i].name,
                     (double)scores[0] - (double)scores[1], m);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: what an answer of bpr costs has a limit: where rows are wide and candidates many, a long
 * history is answered for by the newest of its events alone; where they are not, by all of them.
 *
 * How: the events before the newest are of the same items, so that they change nothing else. */
static void test_fold_work(void **state) {
    enum { NEWEST = STEPS_LEAST, EVENTS = NEWEST + 37, LIKED = 20 };
    static const struct {
        const char *settings;
        bool newest_alone;
    } rows[] = {{"epochs=1 factors=2048 candidates=64", true}, {"epochs=1 factors=8", false}};
    static struct rec_event events[EVENTS];
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    (void)state;
    for (uint32_t e = 0; e < EVENTS; e++)
        events[e] = (struct rec_event){.item = e * 7 % LIKED, .weight = 1.0f, .time = e};
    const struct rec_history all = {events, EVENTS, UINT32_MAX},
                             newest = {events + EVENTS - NEWEST, NEWEST, UINT32_MAX};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_model *model = fit(&rec_bpr_family, data, rows[i].settings);
        float a[ITEMS], b[ITEMS];
        CHECK_ROW(world_score(model, &all, a) && world_score(model, &newest, b), rows[i].settings);
        CHECK_ROW((memcmp(a, b, sizeof(a)) == 0) == rows[i].newest_alone, rows[i].settings);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: the estimate of memory grows with what is asked for: users, items, factors and Adam. */
static void test_fit_bytes(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    struct rec_params params;
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        struct rec_fit options = {.data = data, .params = &params};
        rec_params_defaults(families[i]->params, families[i]->param_count, &params);
        size_t bytes = families[i]->fit_bytes(&options);
        size_t rows = (USERS + ITEMS) * (size_t)65 * sizeof(float);
        CHECK_ROW(bytes > rows && bytes < 2 * rows, families[i]->name);
        assert_int_equal(rec_params_set(&params, "early_stop=2", NULL), REC_OK);
        CHECK_ROW(families[i]->fit_bytes(&options) > bytes, families[i]->name);
    }
    assert_int_equal(rec_params_read(&params, "early_stop=0 optimizer=adam", NULL), REC_OK);
    struct rec_fit adam = {.data = data, .params = &params};
    assert_in_range(rec_biased_mf_family.fit_bytes(&adam),
                    3 * (USERS + ITEMS) * (size_t)65 * sizeof(float), SIZE_MAX);
    rec_dataset_destroy(&data);
}

static void count_reports(void *context, const char *phase, double fraction, double loss) {
    (void)phase;
    (void)fraction;
    (void)loss;
    (*(size_t *)context)++;
}

/* Goal: early stopping ends before the last epoch where nothing is gained any more. */
static void test_early_stop(void **state) {
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    (void)state;
    for (size_t i = 0; i < COUNT(families); i++) {
        const struct rec_family *family = families[i];
        size_t reports = 0;
        struct rec_progress progress = {.report = count_reports, .context = &reports};
        struct rec_model *model = NULL;
        struct rec_params params;
        rec_params_defaults(family->params, family->param_count, &params);
        assert_int_equal(rec_params_read(&params, "factors=8 epochs=2000 early_stop=2", NULL),
                         REC_OK);
        struct rec_fit options = {
            .data = data, .params = &params, .seed = 3, .progress = &progress};
        assert_int_equal(rec_model_fit(family, &options, &model, NULL), REC_OK);
        CHECK_ROW(reports >= 10 && reports < 1000, family->name);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: numbers that run away and memory beyond the cap are named. */
static void test_refused(void **state) {
    static const struct {
        const struct rec_family *family;
        const char *settings;
        size_t memory;
        enum rec_status want;
        const char *text;
    } rows[] = {
        {&rec_bpr_family, "factors=8 learning_rate=10 sigma=10 user_regularization=10", 0,
         REC_BAD_INPUT, "learning_rate"},
        {&rec_biased_mf_family, "factors=8 learning_rate=10", 0, REC_BAD_INPUT, "learning_rate"},
        {&rec_bpr_family, "factors=8", 1000, REC_LIMIT, "MB"},
        {&rec_biased_mf_family, "factors=8", 1000, REC_LIMIT, "MB"},
    };
    struct rec_dataset *data = world_random(USERS, ITEMS, 4);
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_error err = {.status = REC_OK};
        fit_from(rows[i].family, data, rows[i].settings, NULL, rows[i].memory, rows[i].want, &err);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].settings);
        CHECK_ROW(strstr(err.text, rows[i].family->name) != NULL, rows[i].settings);
    }
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strata),     cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_weights),    cmocka_unit_test(test_stars),
        cmocka_unit_test(test_start),      cmocka_unit_test(test_who_goes_on),
        cmocka_unit_test(test_early_stop), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_fit_bytes),  cmocka_unit_test(test_fold_work),
        cmocka_unit_test(test_fold_steps),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
