/* Goal: loss, gradients and steps of the networks of pairs, and what the families ncf and neural-mf
 * answer with their weights, are what an independent computation in double precision finds
 * (tools/golden_ncf.py), for every variant of the kernels. Its gradients are differences of the
 * loss.
 *
 * How: sums of some hundred terms of about 1, each rounded to float, so 2e-5 of the largest is far
 * above; Adam divides by roots of gradients, which magnifies that in the steps, and 24 of them make
 * an answer. Where a gradient is as small as what rounding leaves of one that is 0 (a loss of pairs
 * does not change with the output's bias), a step says nothing and is not compared. A wrong sign,
 * layer or weight is off by more than a hundredth. */
#include <math.h>

#include "families/golden.h"
#include "families/pairs.h"
#include "families/worlds.h"
#include "test.h"
#include "golden_ncf.h"

static const struct golden_world world = {GOLDEN_WORLD, .seed = GOLDEN_SEED};
static const struct rec_pairs_sample sample = {
    .n = GOLDEN_SAMPLES, .user = golden_user, .item = golden_item, .weight = golden_weight};

/* The variables in the order of the golden arrays; how many. */
static size_t list(struct rec_pairs_trainer *t, struct rec_variable *variables[]) {
    size_t count = 0;
    variables[count++] = &t->users.rows;
    variables[count++] = &t->items.rows;
    variables[count++] = &t->users.layer;
    variables[count++] = &t->items.layer;
    for (size_t l = 1; l < t->spec->layers; l++)
        variables[count++] = &t->layer[l];
    variables[count++] = &t->output;
    return count;
}

static void copy(float *to, const double *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
}

#define GRADIENT_MIN 1e-4
enum { VARIABLES_MAX = 5 + REC_PAIRS_LAYERS_MAX };

/* Gradients: what Adam keeps a tenth of in its first step. */
static void check_gradients(const struct golden_case *golden, struct rec_pairs_trainer *t) {
    const struct golden_row row = {.name = golden->parameters, .of_largest = 2e-5};
    struct rec_variable *variables[VARIABLES_MAX];
    const double *want = golden->gradient;
    size_t count = list(t, variables);
    for (size_t v = 0; v < count; v++) {
        size_t n = variables[v]->rows * variables[v]->cols;
        float *gradient = world_alloc(n, sizeof(*gradient));
        for (size_t i = 0; i < n; i++)
            gradient[i] = variables[v]->first[i] / 0.1f;
        golden_check(&row, "gradient", gradient, want, n);
        rec_alloc_free(gradient);
        want += n;
    }
}

static void check_steps(const struct golden_case *golden, struct rec_pairs_trainer *t) {
    const struct golden_row row = {.name = golden->parameters, .of_largest = 1e-4};
    struct rec_variable *variables[VARIABLES_MAX];
    const double *start = golden->start, *after = golden->after;
    size_t count = list(t, variables);
    for (size_t v = 0; v < count; v++) {
        copy(variables[v]->value, start, variables[v]->rows * variables[v]->cols);
        start += variables[v]->rows * variables[v]->cols;
    }
    for (size_t s = 0; s < GOLDEN_STEPS; s++) {
        double loss = rec_pairs_step(t, &sample);
        if (s > 0)
            continue;
        assert_true(fabs(loss - golden->loss) <= 1e-5 * golden->loss);
        check_gradients(golden, t);
    }
    const double *gradient = golden->gradient;
    const size_t still[] = {GOLDEN_STILL_USERS,
                            GOLDEN_STILL_ITEMS}; /* not in the sample: from here */
    start = golden->start;
    for (size_t v = 0; v < count; v++) {
        size_t n = variables[v]->rows * variables[v]->cols;
        for (size_t i = 0; i < n; i++)
            if (fabs(gradient[i]) < GRADIENT_MIN && !(v < 2 && i / variables[v]->cols >= still[v]))
                variables[v]->value[i] = (float)after[i];
        golden_check(&row, "weights", variables[v]->value, after, n);
        after += n;
        start += n;
        gradient += n;
    }
}

static void check_model(const struct golden_case *golden, const struct rec_family *family,
                        const struct rec_params *params, struct rec_pairs_trainer *t,
                        struct rec_tensors *tensors) {
    const struct golden_row row = {.name = golden->parameters, .of_largest = 5e-4};
    struct rec_variable *variables[VARIABLES_MAX];
    struct rec_model *model = NULL;
    const double *start = golden->start;
    size_t count = list(t, variables);
    for (size_t v = 0; v < count; v++) {
        copy(variables[v]->value, start, variables[v]->rows * variables[v]->cols);
        start += variables[v]->rows * variables[v]->cols;
    }
    copy(t->prior, golden->prior, 2 * t->spec->width);
    assert_int_equal(rec_model_open(family, GOLDEN_ITEMS, params, tensors, &model, NULL), REC_OK);
    golden_check_answers(&row, &world, model, &golden->answers);
    rec_model_destroy(&model);
}

static void check_case(const struct golden_case *golden) {
    const struct rec_family *family = NULL;
    const struct rec_dataset data = {.users = GOLDEN_USERS, .items = GOLDEN_ITEMS};
    struct rec_params params;
    struct rec_tensors tensors = {.count = 0};
    struct rec_pairs_trainer *trainer = NULL;
    struct rec_error err = {.status = REC_OK};
    assert_int_equal(rec_family_find(rec_families, golden->name, &family, NULL), REC_OK);
    rec_params_defaults(family->params, family->param_count, &params);
    if (rec_params_read(&params, golden->parameters, &err) != REC_OK)
        fail_msg("%s", err.text);
    const struct rec_pairs_spec spec =
        family == &rec_ncf_family ? rec_ncf_spec(&params) : rec_neuralmf_spec(&params);
    const struct rec_fit fit = {.data = &data, .params = &params, .seed = GOLDEN_SEED};
    assert_int_equal(
        rec_pairs_trainer_create(&spec, &fit, GOLDEN_SAMPLES, &tensors, &trainer, &err), REC_OK);
    check_steps(golden, trainer);
    check_model(golden, family, &params, trainer, &tensors);
    rec_pairs_trainer_destroy(&trainer);
    rec_tensors_finish(&tensors);
}

static void check(void) {
    for (size_t c = 0; c < COUNT(golden_cases); c++)
        check_case(&golden_cases[c]);
}

int main(void) {
    return golden_main(check);
}
