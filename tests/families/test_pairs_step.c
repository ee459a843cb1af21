/* Goal: a step of training a network of pairs goes down the slope of its loss, dropout included,
 * and is the same on any number of threads.
 *
 * How: after the first step from nothing, Adam's first moment is a tenth of the gradient; the loss
 * a step returns is that of before it. So a step with the same masks, from weights of which one was
 * moved, tells the value beside that gradient. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "families/pairs.h"
#include "families/worlds.h"
#include "recsysd/linalg.h"
#include "test.h"

enum {
    USERS = 9,
    ITEMS = 11,
    POSITIVES = 70,
    VARIABLES = 5 + REC_PAIRS_LAYERS_MAX - 1,
    FLOATS_MAX = 512
};

static const struct {
    const char *name;
    const struct rec_family *family;
    const char *settings;
} nets[] = {
    {"one layer", &rec_neuralmf_family, "factors=3 hidden=5 dropout=0.4 negatives=2"},
    {"two layers", &rec_neuralmf_family, "factors=3 hidden=6 hidden2=4 dropout=0.3"},
    {"products", &rec_ncf_family, "factors=3 hidden1=5 hidden2=4 dropout=0.4 negatives=2"},
    {"three layers", &rec_ncf_family, "factors=2 hidden1=6 hidden2=5 hidden3=4 dropout=0.25"},
    {"pairs", &rec_ncf_family, "factors=3 hidden1=6 hidden2=0 loss=bpr dropout=0.4 negatives=3"},
    {"no dropout", &rec_ncf_family, "factors=3 hidden1=5 hidden2=4 loss=bpr dropout=0"},
};

/* ---- the slope -------------------------------------------------------------------------- */

struct net {
    struct rec_pairs_spec spec;
    struct rec_tensors tensors;
    struct rec_pairs_trainer *trainer;
    struct rec_pairs_sample sample;
    struct rec_variable *variable[VARIABLES]; /* NULL: the net has it not */
    float start[VARIABLES][FLOATS_MAX];
    uint32_t user[POSITIVES], item[POSITIVES * 5];
    float weight[POSITIVES];
};

static void open_net(size_t row, const struct rec_dataset *data, struct net *net) {
    struct rec_params params = world_params(nets[row].family);
    struct rec_error err = {0};
    const struct rec_fit fit = {.data = data, .params = &params, .seed = 5};
    struct rec_rng rng;
    if (rec_params_read(&params, nets[row].settings, &err) != REC_OK)
        fail_msg("%s", err.text);
    *net = (struct net){.spec = nets[row].family == &rec_ncf_family ? rec_ncf_spec(&params)
                                                                    : rec_neuralmf_spec(&params)};
    assert_int_equal(
        rec_pairs_trainer_create(&net->spec, &fit, POSITIVES, &net->tensors, &net->trainer, &err),
        REC_OK);
    struct rec_pairs_trainer *t = net->trainer;
    struct rec_variable *all[VARIABLES] = {&t->users.rows, &t->items.rows, &t->users.layer,
                                           &t->items.layer, &t->output};
    rec_rng_init(&rng, 1, row);
    for (size_t p = 0; p < POSITIVES; p++) {
        net->user[p] = rec_rng_below(&rng, USERS);
        net->weight[p] = p % 2 == 0 || p < 4 ? 1.0f : 0.4f; /* mostly short sums: less is rounded */
        for (size_t k = 0; k < t->pairs; k++)
            net->item[p * t->pairs + k] = rec_rng_below(&rng, ITEMS);
    }
    net->sample = (struct rec_pairs_sample){POSITIVES, net->user, net->item, net->weight};
    for (size_t l = 1; l < net->spec.layers; l++)
        all[4 + l] = &t->layer[l];
    for (size_t v = 0; v < VARIABLES; v++) {
        struct rec_variable *variable = net->variable[v] = all[v];
        size_t count = variable == NULL ? 0 : variable->rows * variable->cols;
        assert_true(count <= FLOATS_MAX);
        for (size_t i = 0; i < count; i++) /* biases and embeddings are not near 0 then */
            net->start[v][i] = variable->value[i] + 0.3f * rec_rng_normal(&rng);
    }
}

/* A first step from the start, with the same masks each time; its loss. */
static double first_step(struct net *net) {
    rec_adam_init(&net->trainer->adam, 1e-3f, 0.0f);
    for (size_t v = 0; v < VARIABLES; v++) {
        struct rec_variable *variable = net->variable[v];
        size_t bytes = variable == NULL ? 0 : variable->rows * variable->cols * sizeof(float);
        if (bytes == 0)
            continue;
        memcpy(variable->value, net->start[v], bytes);
        memset(variable->first, 0, bytes);
        memset(variable->second, 0, bytes);
    }
    return rec_pairs_step(net->trainer, &net->sample);
}

static double slope_of(struct net *net, float *x, float step) {
    float kept = *x;
    *x = kept + step;
    double above = first_step(net), distance = (double)*x;
    *x = kept - step;
    double below = first_step(net);
    distance -= (double)*x;
    *x = kept;
    return (above - below) / distance;
}

/* Where a rectifier's kink lies within the distance, a shorter one tells. */
static void check_variable(const char *name, struct net *net, size_t v) {
    float gradient[FLOATS_MAX];
    const struct rec_variable *variable = net->variable[v];
    size_t count = variable->rows * variable->cols;
    double largest = 0.0;
    (void)first_step(net);
    for (size_t i = 0; i < count; i++) {
        gradient[i] = variable->first[i] / 0.1f;
        largest = fmax(largest, fabs((double)gradient[i]));
    }
    CHECK_ROW(largest > 0.0, name);
    for (size_t i = 0; i < count; i++) {
        double slope = 0.0, off = INFINITY, bound = 0.01 * largest;
        for (float step = 0x1p-7f; off > bound && step >= 0x1p-13f; step /= 4) {
            slope = slope_of(net, &net->start[v][i], step);
            off = fabs(slope - (double)gradient[i]);
        }
        if (!(off <= bound))
            fail_msg("%s, variable %zu [%zu]: the slope is %.6g, the gradient says %.6g", name, v,
                     i, slope, (double)gradient[i]);
    }
}

static void test_slope(void **state) {
    static struct net net;
    struct rec_dataset *data = world_random(USERS, ITEMS, 1);
    (void)state;
    for (size_t row = 0; row < COUNT(nets); row++) {
        open_net(row, data, &net);
        for (size_t v = 0; v < VARIABLES; v++)
            if (net.variable[v] != NULL)
                check_variable(nets[row].name, &net, v);
        rec_pairs_trainer_destroy(&net.trainer);
        rec_tensors_finish(&net.tensors);
    }
    rec_dataset_destroy(&data);
}

/* ---- threads ---------------------------------------------------------------------------- */

enum { MANY_USERS = 1000, MANY_ITEMS = 600, EACH = 45, EPOCH_STEPS = 64, THREADS_MAX = 3 };

static const struct {
    const struct rec_family *family;
    const char *settings;
} ways[] = {
    {&rec_neuralmf_family, "factors=4 hidden=8 dropout=0.3"},
    {&rec_neuralmf_family, "factors=4 hidden=8 hidden2=6 dropout=0.3"},
    {&rec_ncf_family, "factors=4 hidden1=8 hidden2=0 dropout=0.3 loss=bce"},
    {&rec_ncf_family, "factors=4 hidden1=8 hidden2=0 dropout=0.3 loss=bpr"},
    {&rec_ncf_family, "factors=4 hidden1=8 hidden2=6 hidden3=5 dropout=0.3 loss=bce"},
    {&rec_ncf_family, "factors=4 hidden1=8 hidden2=6 hidden3=5 dropout=0.3 loss=bpr"},
};

/* So many that a batch has several slices, tasks that draw, and blocks of users and items. */
static struct rec_dataset *make_many(void) {
    static struct rec_dataset_row rows[MANY_USERS * EACH];
    struct rec_dataset *data = NULL;
    size_t batch = MANY_USERS * EACH / EPOCH_STEPS;
    assert_true(batch > 2 * REC_PAIRS_BLOCK && batch <= 1024);
    for (uint32_t n = 0; n < MANY_USERS * EACH; n++) {
        uint32_t user = n / EACH, item = (user * 37 + n % EACH * (user % 7 + 1)) % MANY_ITEMS;
        rows[n] = (struct rec_dataset_row){user, item, n, n % 3 == 0 ? 0.5f : 1.0f};
    }
    assert_int_equal(rec_dataset_from_rows(rows, COUNT(rows), MANY_USERS, MANY_ITEMS, &data, NULL),
                     REC_OK);
    return data;
}

/* Goal: the same bits on any number of threads, where there is work for all of them. */
static void test_same_bits(void **state) {
    struct rec_dataset *data = make_many();
    (void)state;
    for (size_t w = 0; w < COUNT(ways); w++) {
        char settings[128];
        struct rec_model *first = NULL;
        (void)snprintf(settings, sizeof(settings), "%s epochs=1 early_stop=0", ways[w].settings);
        for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
            struct rec_pool *pool = NULL;
            struct rec_model *again = NULL;
            assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
            CHECK_ROW(world_try(ways[w].family, data, settings, 42, pool, &again, NULL) == REC_OK,
                      settings);
            if (first == NULL)
                first = again;
            else if (!world_same(first, again))
                fail_msg("%s %s: other bits on %zu threads", ways[w].family->name, settings,
                         threads);
            if (again != first)
                rec_model_destroy(&again);
            rec_pool_destroy(&pool);
        }
        rec_model_destroy(&first);
    }
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slope),
                                       cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests(tests, world_start, NULL);
}
