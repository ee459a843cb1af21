/* Families and data made for the tests of tune. */
#include <stdio.h>
#include <string.h>

#include "world.h"

void must(enum rec_status st, const struct rec_error *err) {
    if (st != REC_OK)
        fail_msg("%s: %s", rec_error_name(st), err->text);
}

struct rec_tune_space space_of(const struct rec_family *family) {
    struct rec_tune_space space;
    struct rec_params start;
    struct rec_error err = {0};
    rec_params_defaults(family->params, family->param_count, &start);
    must(rec_tune_space_init(&space, family, &start, NULL, &err), &err);
    return space;
}

const struct rec_tune_dim *dim_of(const struct rec_tune_space *space, const char *name) {
    for (size_t d = 0; d < space->count; d++)
        if (strcmp(space->family->params[space->dim[d].row].name, name) == 0)
            return &space->dim[d];
    fail_msg("%s is not searched", name);
    return NULL;
}

double value_of(const struct rec_tune_space *space, const struct rec_tune_trial *trial,
                const char *name) {
    return trial->param[dim_of(space, name)->row];
}

/* ---- data ----------------------------------------------------------------------------------- */

enum { GROUPS = 6, GROUP_ITEMS = 12, USERS = 60, LIKED = 6 };

struct rec_split *split_make(void) {
    struct rec_dataset_row rows[USERS * LIKED];
    struct rec_dataset *dataset = NULL;
    struct rec_split *split = NULL;
    struct rec_error err = {0};
    size_t count = 0;
    for (uint32_t u = 0; u < USERS; u++)
        for (uint32_t n = 0; n < LIKED; n++)
            rows[count++] = (struct rec_dataset_row){.user = u,
                                                     .item = u % GROUPS * GROUP_ITEMS +
                                                             (u / GROUPS + n) % GROUP_ITEMS,
                                                     .time = 100 + n,
                                                     .weight = 1.0f};
    must(rec_dataset_from_rows(rows, count, USERS, GROUPS * GROUP_ITEMS, &dataset, &err), &err);
    const struct rec_split_options options = {.kind = REC_SPLIT_LEAVE_LAST, .test_last = 1};
    must(rec_split_make(dataset, &options, &split, &err), &err);
    rec_dataset_destroy(&dataset);
    return split;
}

/* ---- the toy family --------------------------------------------------------------------- */

atomic_int toy_fits;
static const char *const hows[] = {"fine", "fails", NULL};
enum { FINE, FAILS };
static const struct rec_param toy_table[] = {
    {"x", REC_PARAM_FLOAT, 0, 1, false, 0.5, NULL, "good near .8"},
    {"looks", REC_PARAM_INT, 0, 100, false, 0, NULL, "reports so many looks, x each"},
    {"wait", REC_PARAM_INT, 0, 100000, false, 0, NULL, "milliseconds"},
    {"how", REC_PARAM_CHOICE, 0, 1, false, FINE, hows, "how a fit ends"},
};
static const struct rec_tune_range toy_ranges[] = {{.name = "how"}, {.name = NULL}};

static void wait_ms(const struct rec_fit *fit, double ms) {
    uint64_t end_ns = rec_clock_monotonic_ns() + (uint64_t)(ms * 1e6);
    while (rec_clock_monotonic_ns() < end_ns && !rec_progress_cancelled(fit->progress))
        ;
}

static enum rec_status toy_fit(const struct rec_fit *fit, struct rec_tensors *out,
                               struct rec_error *err) {
    double how = rec_params_get(fit->params, "how"), x = rec_params_get(fit->params, "x");
    size_t looks = (size_t)rec_params_get(fit->params, "looks");
    void *data;
    atomic_fetch_add(&toy_fits, 1);
    rec_progress_report(fit->progress, "fit", 0.5, 0.1);
    wait_ms(fit, rec_params_get(fit->params, "wait"));
    if (rec_progress_cancelled(fit->progress))
        return rec_error_set(err, REC_CANCELLED, "stopped");
    if ((int)how == FAILS)
        return rec_error_set(err, REC_BAD_INPUT, "x %.3g does not agree with it", x);
    for (size_t epoch = 1; epoch <= looks; epoch++)
        if (!rec_progress_judged(fit->progress, epoch, x))
            return rec_error_set(err, REC_CANCELLED, "given up");
    enum rec_status st = rec_tensors_add(out, "x", REC_TENSOR_F32, 1, 1, &data, err);
    if (st == REC_OK)
        *(float *)data = (float)x;
    return st;
}

static enum rec_status toy_open(struct rec_model *model, struct rec_error *err) {
    (void)err;
    model->query_floats = GROUPS + 1;
    return REC_OK;
}

/* The group of the first item, and x. */
static bool toy_query(const struct rec_model *model, const struct rec_history *history,
                      float *query, float *scratch) {
    const float *x = model->tensors.tensor[0].data;
    (void)scratch;
    memset(query, 0, (GROUPS + 1) * sizeof(*query));
    query[GROUPS] = *x;
    if (history->count > 0)
        query[history->events[0].item / GROUP_ITEMS] = 1.0f;
    return history->count > 0;
}

/* The further x is from .8, the more items of other groups come before those of the user's. */
static void toy_score(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                      uint32_t count, float *scores) {
    (void)model;
    for (size_t q = 0; q < n; q++)
        for (uint32_t i = 0; i < count; i++) {
            const float *query = queries + q * (GROUPS + 1);
            uint32_t item = first + i;
            float x = query[GROUPS], off = x > 0.8f ? x - 0.8f : 0.8f - x;
            float other = (float)(item * 37 % 101) / 101.0f;
            scores[q * count + i] = query[item / GROUP_ITEMS] > 0.0f ? 1.0f - off : other;
        }
}

static void toy_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                        uint32_t count, float *scores) {
    (void)model;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = item / GROUP_ITEMS == (first + i) / GROUP_ITEMS ? 1.0f : 0.0f;
}

const struct rec_family toy_family = {.name = "toy",
                                      .help = "for tests",
                                      .params = toy_table,
                                      .param_count = COUNT(toy_table),
                                      .tune = toy_ranges,
                                      .fit = toy_fit,
                                      .open = toy_open,
                                      .query = toy_query,
                                      .score = toy_score,
                                      .similar = toy_similar};
