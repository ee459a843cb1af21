/* Goal: the parts of nn work on shapes of many pieces as on one, give the same bits on any number
 * of threads, take the step of Adam that they say they take, and touch nothing else. */
#include <math.h>
#include <string.h>

#include "test.h"
#include "nn/parts.h"

enum { THREADS_MAX = 3 };

static struct rec_pool *pool_of(size_t threads) {
    struct rec_pool *pool = NULL;
    if (threads > 0)
        assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
    return pool; /* 0 threads: none */
}

/* ---- products ------------------------------------------------------------------------ */

static double entry(const struct rec_matrix *m, bool transposed, size_t r, size_t c) {
    return (double)(transposed ? m->data[c * m->stride + r] : m->data[r * m->stride + c]);
}

/* Sizes around one tile, several, and one number; operands in wider matrices. */
static void test_products(void **state) {
    (void)state;
    static const size_t shapes[][3] = {{1, 1, 1},     {16, 256, 5}, {257, 17, 31}, {300, 520, 3},
                                       {255, 256, 1}, {513, 1, 40}, {1, 700, 9},   {40, 272, 64}};
    for (size_t s = 0; s < 4 * COUNT(shapes); s++) {
        const size_t *shape = shapes[s / 4], m = shape[0], n = shape[1], k = shape[2];
        bool at = s & 1, bt = s & 2;
        struct rec_rng rng;
        rec_rng_init(&rng, 1, s);
        struct rec_matrix A = part_matrix(&rng, at ? k : m, at ? m : k, 1);
        struct rec_matrix B = part_matrix(&rng, bt ? n : k, bt ? k : n, 2);
        struct rec_matrix C = part_matrix(&rng, m, n, 3);
        rec_tiles_gemm(NULL, at, bt, &A, &B, &C);
        for (size_t r = 0; r < m; r++)
            for (size_t c = 0; c < n; c++) {
                double sum = 0, size = 0;
                for (size_t i = 0; i < k; i++) {
                    double term = entry(&A, at, r, i) * entry(&B, bt, i, c);
                    sum += term;
                    size += fabs(term);
                }
                assert_true(fabs((double)C.data[r * C.stride + c] - sum) <=
                            (double)k * 1.2e-7 * size);
            }
        part_check_gaps(&C);
        part_free(&A);
        part_free(&B);
        part_free(&C);
    }
}

/* ---- one step of a network, on any number of threads ------------------------------------ */

enum { ROWS = 300, ITEMS = 700, HIDDEN = 270, CODE = 20 };

/* Everything the room has, in one pass and one step. */
struct net {
    struct rec_variable in, stats, out;
    struct rec_matrix hidden, stat, code, z, dstat, dcode, dhidden;
    struct rec_batch *batch;
    struct rec_csr *targets;
    uint32_t row[ROWS];
    double row_loss[ROWS], loss;
};

static void net_create(struct net *net) {
    struct rec_rng rng;
    rec_rng_init(&rng, 2, 0);
    net->in = part_variable(&rng, ITEMS + 1, HIDDEN);
    net->stats = part_variable(&rng, 2 * CODE, HIDDEN + 1);
    net->out = part_variable(&rng, ITEMS, CODE + 1);
    rec_variable_randomize(&net->in, HIDDEN, 0.05f, 9, 0);
    rec_variable_randomize(&net->stats, HIDDEN + 1, 0.05f, 9, 1);
    rec_variable_randomize(&net->out, CODE + 1, 0.2f, 9, 2);
    net->hidden = part_matrix(&rng, ROWS, HIDDEN + 1, 0);
    net->stat = part_matrix(&rng, ROWS, 2 * CODE, 0);
    net->code = part_matrix(&rng, ROWS, CODE + 1, 0);
    net->z = part_matrix(&rng, ROWS, ITEMS, 0);
    net->dstat = part_matrix(&rng, ROWS, 2 * CODE, 0);
    net->dcode = part_matrix(&rng, ROWS, CODE, 0);
    net->dhidden = part_matrix(&rng, ROWS, HIDDEN, 0);
    rec_matrix_ones(&net->hidden);
    rec_matrix_ones(&net->code);
    net->batch = part_batch(&rng, ROWS, ITEMS);
    net->targets = part_targets(&rng, ROWS, ITEMS);
    for (uint32_t r = 0; r < ROWS; r++)
        net->row[r] = r;
}

static void net_destroy(struct net *net) {
    struct rec_matrix *matrices[] = {&net->hidden, &net->stat,  &net->code,   &net->z,
                                     &net->dstat,  &net->dcode, &net->dhidden};
    for (size_t i = 0; i < COUNT(matrices); i++)
        part_free(matrices[i]);
    part_variable_free(&net->in);
    part_variable_free(&net->stats);
    part_variable_free(&net->out);
    rec_batch_destroy(&net->batch);
    rec_csr_destroy(&net->targets);
}

/* adam NULL: only the gradients. */
static void net_step(struct net *net, struct rec_pool *pool, const struct rec_adam *adam) {
    const struct rec_targets targets = {net->targets, net->row};
    const struct rec_dropout dropout = rec_dropout_of(0.25f, 1, 2, 3);
    struct rec_matrix hidden = rec_matrix_columns(&net->hidden, 0, HIDDEN);
    struct rec_matrix code = rec_matrix_columns(&net->code, 0, CODE);
    rec_sparse_forward(pool, &net->in, net->batch, &hidden);
    rec_activation_forward(pool, REC_ACTIVATION_TANH, &hidden);
    rec_dropout_apply(pool, &dropout, &hidden);
    rec_layer_forward(pool, &net->stats, &net->hidden, &net->stat);
    rec_gaussian_forward(pool, &net->stat, 4, 5, &code);
    rec_layer_forward(pool, &net->out, &net->code, &net->z);
    net->loss = rec_loss_multinomial(pool, &net->z, &targets, 1.0f / ROWS, net->row_loss);
    rec_layer_backward(pool, &net->out, &net->code, &net->z, &net->dcode, adam);
    net->loss += rec_gaussian_backward(pool, &net->stat, &code, &net->dcode, 0.1f / ROWS,
                                       &net->dstat, net->row_loss);
    rec_layer_backward(pool, &net->stats, &net->hidden, &net->dstat, &net->dhidden, adam);
    rec_dropout_apply(pool, &dropout, &net->dhidden);
    rec_activation_backward(pool, REC_ACTIVATION_TANH, &hidden, &net->dhidden);
    rec_sparse_backward(pool, &net->in, net->batch, &net->dhidden, adam);
}

static void check_same(const struct rec_variable *a, const struct rec_variable *b) {
    size_t bytes = a->rows * a->cols * sizeof(float);
    assert_memory_equal(a->value, b->value, bytes);
    assert_memory_equal(a->first, b->first, bytes);
    assert_memory_equal(a->second, b->second, bytes);
}

static void test_same_bits(void **state) {
    (void)state;
    static struct net first, again;
    net_create(&first);
    struct rec_adam adam;
    rec_adam_init(&adam, 0.01f, 0.001f);
    for (int step = 0; step < 3; step++) {
        rec_adam_next(&adam);
        net_step(&first, NULL, &adam);
    }
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        struct rec_pool *pool = pool_of(threads);
        net_create(&again);
        rec_adam_init(&adam, 0.01f, 0.001f);
        for (int step = 0; step < 3; step++) {
            rec_adam_next(&adam);
            net_step(&again, pool, &adam);
        }
        check_same(&first.in, &again.in);
        check_same(&first.stats, &again.stats);
        check_same(&first.out, &again.out);
        assert_memory_equal(&first.loss, &again.loss, sizeof(first.loss));
        net_destroy(&again);
        rec_pool_destroy(&pool);
    }
    net_destroy(&first);
}

static void take_step(const struct rec_adam *adam, const struct rec_variable *v) {
    rec_kernels_adam(&adam->step, v->gradient, v->value, v->first, v->second, v->rows * v->cols);
}

/* Goal: a step taken by the layers is the step that Adam takes with the whole gradient, but for
 * rows that a sparse layer's batch does not name: those stay. */
static void test_steps(void **state) {
    (void)state;
    static struct net own, whole;
    bool named[ITEMS + 1] = {[ITEMS] = true};
    net_create(&own);
    net_create(&whole);
    struct rec_adam adam;
    rec_adam_init(&adam, 0.01f, 0.0f);
    rec_adam_next(&adam);
    net_step(&own, NULL, &adam);
    net_step(&whole, NULL, NULL);
    float *before = rec_alloc_array((ITEMS + 1) * HIDDEN, sizeof(*before));
    assert_non_null(before);
    memcpy(before, whole.in.value, (ITEMS + 1) * HIDDEN * sizeof(*before));
    take_step(&adam, &whole.in);
    take_step(&adam, &whole.stats);
    take_step(&adam, &whole.out);
    check_same(&own.out, &whole.out);
    check_same(&own.stats, &whole.stats);
    for (size_t e = 0; e < own.batch->entries; e++)
        named[own.batch->input[e]] = true;
    for (size_t i = 0; i <= ITEMS; i++)
        assert_memory_equal(own.in.value + i * HIDDEN,
                            (named[i] ? whole.in.value : before) + i * HIDDEN,
                            HIDDEN * sizeof(float));
    rec_alloc_free(before);
    net_destroy(&own);
    net_destroy(&whole);
}

/* Goal: Adam finds the least squares solution of a layer. */
static void test_adam_learns(void **state) {
    (void)state;
    enum { SAMPLES = 40, IN = 3, STEPS = 3000 };
    struct rec_rng rng;
    rec_rng_init(&rng, 3, 0);
    struct rec_variable W = part_variable(&rng, 2, IN + 1), truth = part_variable(&rng, 2, IN + 1);
    struct rec_matrix x = part_matrix(&rng, SAMPLES, IN + 1, 0);
    struct rec_matrix y = part_matrix(&rng, SAMPLES, 2, 0),
                      right = part_matrix(&rng, SAMPLES, 2, 0);
    struct rec_adam adam;
    rec_matrix_ones(&x);
    rec_layer_forward(NULL, &truth, &x, &right);
    rec_adam_init(&adam, 0.01f, 0.0f);
    for (int step = 0; step < STEPS; step++) {
        rec_layer_forward(NULL, &W, &x, &y);
        for (size_t i = 0; i < SAMPLES * 2; i++)
            y.data[i] = (y.data[i] - right.data[i]) / SAMPLES;
        rec_adam_next(&adam);
        rec_layer_backward(NULL, &W, &x, &y, NULL, &adam);
    }
    for (size_t i = 0; i < 2 * (IN + 1); i++)
        assert_true(fabsf(W.value[i] - truth.value[i]) < 1e-3f);
    part_variable_free(&W);
    part_variable_free(&truth);
    part_free(&x);
    part_free(&y);
    part_free(&right);
}

/* ---- batches, dropout, the Gaussian -------------------------------------------------------- */

/* Goal: grouping loses nothing, repeats nothing, keeps the order of the rows, and leaves no trace
 * for the next batch. */
static void test_groups(void **state) {
    (void)state;
    enum { INPUTS = 50, MANY = 60 };
    for (uint64_t round = 0; round < 20; round++) {
        struct rec_rng rng;
        rec_rng_init(&rng, 4, round);
        struct rec_batch *batch = part_batch(&rng, round == 0 ? 1 : MANY, INPUTS);
        for (int again = 0; again < 2; again++, rec_batch_group(batch)) {
            double by_rows[INPUTS] = {0}, by_inputs[INPUTS] = {0};
            bool came[INPUTS] = {false};
            for (size_t r = 0; r < batch->rows; r++)
                for (size_t e = batch->offset[r]; e < batch->offset[r + 1]; e++)
                    by_rows[batch->input[e]] += (double)batch->value[e] * (double)(r + 1);
            assert_int_equal(batch->start[batch->touched], batch->entries);
            for (size_t t = 0; t < batch->touched; t++) {
                assert_false(came[batch->which[t]]);
                came[batch->which[t]] = true;
                assert_true(batch->start[t] < batch->start[t + 1]);
                for (size_t k = batch->start[t]; k < batch->start[t + 1]; k++) {
                    assert_true(k == batch->start[t] || batch->row[k] >= batch->row[k - 1]);
                    by_inputs[batch->which[t]] +=
                        (double)batch->row_value[k] * (double)(batch->row[k] + 1);
                }
            }
            for (size_t i = 0; i < INPUTS; i++)
                assert_true(by_rows[i] == by_inputs[i] && batch->counter[i] == 0);
        }
        rec_batch_destroy(&batch);
    }
}

/* Goal: dropout drops the share it says, scales the rest, and no two steps, layers or seeds have
 * the same mask. Bounds: five standard deviations. */
static void test_dropout(void **state) {
    (void)state;
    enum { PLACES = 100000 };
    static const float rates[] = {0.0f, 0.1f, 0.5f, 0.9f};
    for (size_t i = 0; i < COUNT(rates); i++) {
        const struct rec_dropout masks[] = {
            rec_dropout_of(rates[i], 1, 1, 0), rec_dropout_of(rates[i], 2, 1, 0),
            rec_dropout_of(rates[i], 1, 2, 0), rec_dropout_of(rates[i], 1, 1, 1)};
        double keep = 1 - (double)rates[i], deviation = sqrt(keep * (1 - keep) / PLACES);
        double together = keep * keep, spread = sqrt(together * (1 - together) / PLACES);
        for (size_t m = 0; m < COUNT(masks); m++) {
            size_t kept = 0, both = 0;
            for (uint64_t place = 0; place < PLACES; place++) {
                float at = rec_dropout_at(&masks[m], place);
                assert_true(at == 0 || at == 1 / (1 - rates[i]));
                kept += at > 0;
                both += at > 0 && rec_dropout_at(&masks[0], place) > 0;
            }
            assert_true(fabs((double)kept / PLACES - keep) <= 5 * deviation);
            if (m > 0)
                assert_true(fabs((double)both / PLACES - together) <= 5 * spread);
        }
    }
}

/* Goal: the Gaussian layer's numbers have the mean and the deviation they are told, and neighbours
 * know nothing of each other. */
static void test_gaussian_numbers(void **state) {
    (void)state;
    enum { MANY = 500, WIDE = 100 };
    struct rec_rng rng;
    rec_rng_init(&rng, 5, 0);
    struct rec_matrix stats = part_matrix(&rng, MANY, 2 * WIDE, 0);
    struct rec_matrix out = part_matrix(&rng, MANY, WIDE, 0);
    for (size_t r = 0; r < MANY; r++)
        for (size_t i = 0; i < 2 * WIDE; i++)
            stats.data[r * 2 * WIDE + i] = i < WIDE ? 3.0f : 2 * logf(0.5f);
    rec_gaussian_forward(NULL, &stats, 1, 1, &out);
    double sum = 0, square = 0, product = 0, n = MANY * WIDE;
    for (size_t i = 0; i < MANY * WIDE; i++) {
        double e = ((double)out.data[i] - 3) / 0.5;
        sum += e;
        square += e * e;
        product += i == 0 ? 0 : e * ((double)out.data[i - 1] - 3) / 0.5;
    }
    assert_true(fabs(sum / n) <= 5 / sqrt(n));
    assert_true(fabs(square / n - 1) <= 5 * sqrt(2 / n));
    assert_true(fabs(product / n) <= 5 / sqrt(n));
    part_free(&stats);
    part_free(&out);
}

/* Goal: a number that is none, anywhere in the logits, is seen in the loss. */
static void test_explosion_is_seen(void **state) {
    (void)state;
    enum { WIDE = 40 };
    static const float bad[] = {NAN, INFINITY};
    static const uint32_t row[1] = {3};
    struct rec_rng rng;
    rec_rng_init(&rng, 6, 0);
    struct rec_csr *rows = part_targets(&rng, 5, WIDE);
    const struct rec_targets targets = {rows, row};
    for (size_t b = 0; b < COUNT(bad); b++)
        for (size_t i = 0; i < WIDE; i++) {
            double row_loss, loss[2];
            struct rec_matrix z = part_matrix(&rng, 1, WIDE, 0);
            z.data[i] = bad[b];
            loss[0] = rec_loss_multinomial(NULL, &z, &targets, 1, &row_loss);
            for (size_t j = 0; j < WIDE; j++)
                z.data[j] = j == i ? bad[b] : 0.5f;
            loss[1] = rec_loss_bce_all(NULL, &z, &targets, 0.1f, 1, &row_loss);
            assert_true(!isfinite(loss[0]) && !isfinite(loss[1]));
            part_free(&z);
        }
    rec_csr_destroy(&rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_adam_learns),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_gaussian_numbers),
        cmocka_unit_test(test_explosion_is_seen),
    };
    return cmocka_run_group_tests(tests, part_start, NULL);
}
