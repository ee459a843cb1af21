/* Goal: the gradient of every layer and loss is the slope of its value.
 *
 * How: each number that something depends on is moved a little both ways; the value's difference,
 * in double, over the distance must be the gradient's component. A layer's value is a weighted sum
 * of its outputs, with random weights, which are then the gradient it is handed. */
#include <math.h>
#include <string.h>

#include "test.h"
#include "nn/parts.h"

enum { ROWS = 7, IN = 9, OUT = 11, ITEMS = 40, PAIRS = 4 };

typedef double (*value_fn)(void *context);

/* step: 1/64 of a normal number; the third derivative's share of the difference is then 4e-5 of
 * it, and the rounding of a sum of some hundred floats about as much. */
static void check_slope(const char *what, value_fn value, void *context, float *x, size_t n,
                        const float *gradient) {
    const float step = 0x1p-6f;
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)gradient[i]));
    assert_true(largest > 0);
    for (size_t i = 0; i < n; i++) {
        float kept = x[i];
        x[i] = kept + step;
        double above = value(context), distance = (double)x[i];
        x[i] = kept - step;
        double below = value(context);
        distance -= (double)x[i];
        x[i] = kept;
        double slope = (above - below) / distance;
        if (!(fabs(slope - (double)gradient[i]) <= 1e-3 * (largest + fabs(slope))))
            fail_msg("%s[%zu]: the slope is %.6g, the gradient says %.6g", what, i, slope,
                     (double)gradient[i]);
    }
}

/* ---- layers --------------------------------------------------------------------------- */

struct dense {
    struct rec_variable W;
    struct rec_matrix x, y, dy, dx;
};

static double dense_value(void *context) {
    struct dense *d = context;
    rec_layer_forward(NULL, &d->W, &d->x, &d->y);
    return part_weighted(&d->y, &d->dy);
}

static void test_dense(void **state) {
    (void)state;
    struct rec_rng rng;
    rec_rng_init(&rng, 1, 0);
    struct dense d = {part_variable(&rng, OUT, IN + 1), part_matrix(&rng, ROWS, IN + 1, 0),
                      part_matrix(&rng, ROWS, OUT, 3), part_matrix(&rng, ROWS, OUT, 2),
                      part_matrix(&rng, ROWS, IN, 4)};
    rec_matrix_ones(&d.x);
    rec_layer_backward(NULL, &d.W, &d.x, &d.dy, &d.dx, NULL);
    check_slope("weights", dense_value, &d, d.W.value, OUT * (IN + 1), d.W.gradient);
    for (size_t r = 0; r < ROWS; r++)
        check_slope("input", dense_value, &d, d.x.data + r * d.x.stride, IN,
                    d.dx.data + r * d.dx.stride);
    part_check_gaps(&d.y);
    part_check_gaps(&d.dx);
    part_variable_free(&d.W);
    part_free(&d.x);
    part_free(&d.y);
    part_free(&d.dy);
    part_free(&d.dx);
}

struct sparse {
    struct rec_variable W;
    struct rec_batch *batch;
    struct rec_matrix y, dy;
};

static double sparse_value(void *context) {
    struct sparse *s = context;
    rec_sparse_forward(NULL, &s->W, s->batch, &s->y);
    return part_weighted(&s->y, &s->dy);
}

/* With a bias and without, and with a gradient that stands in a wider matrix. */
static void test_sparse(void **state) {
    (void)state;
    for (size_t bias = 0; bias <= 1; bias++) {
        struct rec_rng rng;
        rec_rng_init(&rng, 2, bias);
        struct sparse s = {part_variable(&rng, ITEMS + bias, OUT),
                           part_batch(&rng, ROWS * 3, ITEMS), part_matrix(&rng, ROWS * 3, OUT, 3),
                           part_matrix(&rng, ROWS * 3, OUT, bias * 2)};
        rec_sparse_backward(NULL, &s.W, s.batch, &s.dy, NULL);
        check_slope("weights", sparse_value, &s, s.W.value, (ITEMS + bias) * OUT, s.W.gradient);
        part_check_gaps(&s.y);
        part_variable_free(&s.W);
        rec_batch_destroy(&s.batch);
        part_free(&s.y);
        part_free(&s.dy);
    }
}

/* ---- activations and dropout ----------------------------------------------------------- */

struct unit {
    enum rec_activation kind;
    struct rec_dropout dropout;
    struct rec_matrix x, y, weight;
};

static void copy(const struct rec_matrix *from, const struct rec_matrix *to) {
    for (size_t r = 0; r < from->rows; r++)
        for (size_t c = 0; c < from->cols; c++)
            to->data[r * to->stride + c] = from->data[r * from->stride + c];
}

static double unit_value(void *context) {
    struct unit *u = context;
    copy(&u->x, &u->y);
    rec_activation_forward(NULL, u->kind, &u->y);
    rec_dropout_apply(NULL, &u->dropout, &u->y);
    return part_weighted(&u->y, &u->weight);
}

static void test_units(void **state) {
    static const char *const names[] = {"identity", "relu", "tanh", "sigmoid"};
    (void)state;
    for (size_t kind = 0; kind < COUNT(names); kind++) {
        struct rec_rng rng;
        rec_rng_init(&rng, 3, kind);
        struct unit u = {(enum rec_activation)kind, rec_dropout_of(0.3f, 5, 6, 7),
                         part_matrix(&rng, ROWS, OUT, 0), part_matrix(&rng, ROWS, OUT, 2),
                         part_matrix(&rng, ROWS, OUT, 0)};
        struct rec_matrix gradient = part_matrix(&rng, ROWS, OUT, 0);
        /* Off the kink of a relu. */
        for (size_t i = 0; i < ROWS * OUT; i++)
            u.x.data[i] += copysignf(0.1f, u.x.data[i]);
        copy(&u.x, &u.y);
        copy(&u.weight, &gradient);
        rec_activation_forward(NULL, u.kind, &u.y);
        rec_dropout_apply(NULL, &u.dropout, &gradient);
        rec_activation_backward(NULL, u.kind, &u.y, &gradient);
        check_slope(names[kind], unit_value, &u, u.x.data, ROWS * OUT, gradient.data);
        part_check_gaps(&u.y);
        part_free(&u.x);
        part_free(&u.y);
        part_free(&u.weight);
        part_free(&gradient);
    }
}

/* ---- losses over all items ------------------------------------------------------------------ */

struct all {
    bool multinomial;
    struct rec_matrix z, kept;
    struct rec_targets targets;
    double row_loss[ROWS];
};

static double all_value(void *context) {
    struct all *a = context;
    copy(&a->kept, &a->z);
    return a->multinomial ? rec_loss_multinomial(NULL, &a->z, &a->targets, 0.5f, a->row_loss)
                          : rec_loss_bce_all(NULL, &a->z, &a->targets, 0.25f, 0.5f, a->row_loss);
}

static void test_losses_of_all(void **state) {
    (void)state;
    static const uint32_t row[ROWS] = {3, 1, 4, 9, 2, 6, 0};
    for (size_t multinomial = 0; multinomial <= 1; multinomial++) {
        struct rec_rng rng;
        rec_rng_init(&rng, 4, multinomial);
        struct rec_csr *rows = part_targets(&rng, 10, ITEMS);
        struct all a = {multinomial == 1,
                        part_matrix(&rng, ROWS, ITEMS, 3),
                        part_matrix(&rng, ROWS, ITEMS, 0),
                        {rows, row},
                        {0}};
        (void)all_value(&a);
        struct rec_matrix gradient = part_matrix(&rng, ROWS, ITEMS, 0);
        copy(&a.z, &gradient);
        check_slope(a.multinomial ? "multinomial" : "bce of all", all_value, &a, a.kept.data,
                    ROWS * ITEMS, gradient.data);
        part_check_gaps(&a.z);
        part_free(&a.z);
        part_free(&a.kept);
        part_free(&gradient);
        rec_csr_destroy(&rows);
    }
}

/* ---- losses of pairs --------------------------------------------------------------------- */

struct pairs {
    double (*loss)(float *z, size_t stride, size_t n, size_t pairs);
    float z[ROWS * PAIRS];
};

static double pairs_value(void *context) {
    struct pairs p = *(struct pairs *)context;
    return p.loss(p.z, ROWS, ROWS, PAIRS);
}

static void test_losses_of_pairs(void **state) {
    (void)state;
    struct rec_rng rng;
    rec_rng_init(&rng, 5, 0);
    struct pairs p = {.loss = rec_loss_bce};
    for (size_t i = 0; i < ROWS * PAIRS; i++)
        p.z[i] = 2 * rec_rng_normal(&rng);
    struct pairs gradient = p;
    (void)rec_loss_bce(gradient.z, ROWS, ROWS, PAIRS);
    check_slope("bce", pairs_value, &p, p.z, ROWS * PAIRS, gradient.z);
    p.loss = rec_loss_bpr;
    gradient = p;
    (void)rec_loss_bpr(gradient.z, ROWS, ROWS, PAIRS);
    check_slope("bpr", pairs_value, &p, p.z, ROWS * PAIRS, gradient.z);
}

/* Goal: the values themselves, by their definitions in double; of extreme logits, too. */
static void test_values_of_pairs(void **state) {
    enum { STRIDE = 3 };
    static const float z[STRIDE * PAIRS] = {1.5f, -2, 9, -0.5f, 2, 9, 0.25f, -70, 9, 3, 60, 9};
    float of_bce[STRIDE * PAIRS], of_bpr[STRIDE * PAIRS];
    double bce = 0, bpr = 0;
    (void)state;
    memcpy(of_bce, z, sizeof(z));
    memcpy(of_bpr, z, sizeof(z));
    for (size_t i = 0; i < 2 * PAIRS; i++) {
        size_t p = i / PAIRS, k = i % PAIRS;
        double positive = (double)z[p], x = (double)z[k * STRIDE + p];
        bce += log1p(exp(k == 0 ? -x : x));
        bpr += k == 0 ? 0 : log1p(exp(x - positive));
    }
    assert_true(fabs(rec_loss_bce(of_bce, STRIDE, 2, PAIRS) - bce) < 1e-5 * bce);
    assert_true(fabs(rec_loss_bpr(of_bpr, STRIDE, 2, PAIRS) - bpr) < 1e-5 * bpr);
    for (size_t k = 0; k < PAIRS; k++)
        assert_true(of_bce[k * STRIDE + 2] == 9 && of_bpr[k * STRIDE + 2] == 9);
}

/* ---- the Gaussian layer -------------------------------------------------------------------- */

struct gaussian {
    struct rec_matrix stats, out, dout, dstats;
    double row_loss[ROWS];
};

/* The term of the divergence comes from backward, which leaves dstats to be asked once. */
static double gaussian_value(void *context) {
    struct gaussian *g = context;
    rec_gaussian_forward(NULL, &g->stats, 11, 12, &g->out);
    return part_weighted(&g->out, &g->dout) +
           rec_gaussian_backward(NULL, &g->stats, &g->out, &g->dout, 0.7f, &g->dstats, g->row_loss);
}

static void test_gaussian(void **state) {
    (void)state;
    struct rec_rng rng;
    rec_rng_init(&rng, 6, 0);
    struct gaussian g = {part_matrix(&rng, ROWS, 2 * OUT, 0),
                         part_matrix(&rng, ROWS, OUT, 1),
                         part_matrix(&rng, ROWS, OUT, 2),
                         part_matrix(&rng, ROWS, 2 * OUT, 0),
                         {0}};
    struct rec_matrix gradient = part_matrix(&rng, ROWS, 2 * OUT, 0);
    (void)gaussian_value(&g);
    copy(&g.dstats, &gradient);
    check_slope("stats", gaussian_value, &g, g.stats.data, ROWS * 2 * OUT, gradient.data);
    part_check_gaps(&g.out);
    part_free(&g.stats);
    part_free(&g.out);
    part_free(&g.dout);
    part_free(&g.dstats);
    part_free(&gradient);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),           cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_units),           cmocka_unit_test(test_losses_of_all),
        cmocka_unit_test(test_losses_of_pairs), cmocka_unit_test(test_values_of_pairs),
        cmocka_unit_test(test_gaussian),
    };
    return cmocka_run_group_tests(tests, part_start, NULL);
}
