/* Goal: a network of every part of the room has the values and gradients that an independent
 * computation in double precision finds (tools/golden_nn.py), for every variant of the kernels.
 *
 * How: tolerance 2e-6 of the largest number of a matrix: sums of at most 13 products, through four
 * layers whose derivatives are at most about 1, of floats of 6e-8. */
#include <math.h>
#include <stdlib.h>

#include "test.h"
#include "nn/parts.h"
#include "golden_nn.h"

enum {
    ROWS = GOLDEN_ROWS,
    ITEMS = GOLDEN_ITEMS,
    HIDDEN = GOLDEN_HIDDEN,
    CODE = GOLDEN_CODE,
};

static void check_close(const char *what, const float *got, const double *want, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= 2e-6 * largest))
            fail_msg("%s %s[%zu] is %.9g, expected %.9g", rec_kernels_name(), what, i,
                     (double)got[i], want[i]);
}

static struct rec_variable waves(size_t rows, size_t cols, double stream) {
    struct rec_rng unused = {{1, 2, 3, 4}};
    struct rec_variable variable = part_variable(&unused, rows, cols);
    for (size_t i = 0; i < rows * cols; i++)
        variable.value[i] = 0.5f * (float)sin(1.3 * (double)i + stream);
    return variable;
}

static struct rec_batch *batch_of(void) {
    struct rec_batch *batch = NULL;
    assert_int_equal(rec_batch_create(ROWS, COUNT(golden_batch), ITEMS, &batch, NULL), REC_OK);
    rec_batch_clear(batch);
    for (uint32_t r = 0; r < ROWS; r++) {
        for (size_t e = 0; e < COUNT(golden_batch); e++)
            if (golden_batch[e].row == r)
                rec_batch_add(batch, golden_batch[e].item, golden_batch[e].value);
        rec_batch_end_row(batch);
    }
    rec_batch_group(batch);
    return batch;
}

static struct rec_csr *targets_of(void) {
    struct rec_csr *csr = NULL;
    assert_int_equal(rec_csr_create(ROWS, ITEMS, COUNT(golden_targets), &csr, NULL), REC_OK);
    for (size_t e = 0; e < COUNT(golden_targets); e++) {
        csr->column[e] = golden_targets[e].item;
        csr->value[e] = golden_targets[e].value;
        for (uint32_t r = golden_targets[e].row; r < ROWS; r++)
            csr->offset[r + 1] = e + 1;
    }
    return csr;
}

static void check_network(void) {
    static const uint32_t row[ROWS] = {0, 1, 2, 3};
    const float scale = 1.0f / ROWS;
    float hidden1[ROWS * (HIDDEN + 1)], code1[ROWS * (CODE + 1)], stat[ROWS * 2 * CODE];
    float logit[ROWS * ITEMS], other[ROWS * ITEMS], dhidden[ROWS * HIDDEN], dcodes[ROWS * CODE];
    float dstat[ROWS * 2 * CODE];
    double row_loss[ROWS];
    struct rec_variable A = waves(ITEMS + 1, HIDDEN, 0), B = waves(2 * CODE, HIDDEN + 1, 1);
    struct rec_variable C = waves(ITEMS, CODE + 1, 2);
    struct rec_batch *batch = batch_of();
    struct rec_csr *rows = targets_of();
    const struct rec_targets targets = {rows, row};
    struct rec_matrix a1 = rec_matrix_of(hidden1, ROWS, HIDDEN + 1);
    struct rec_matrix a = rec_matrix_columns(&a1, 0, HIDDEN);
    struct rec_matrix c1 = rec_matrix_of(code1, ROWS, CODE + 1);
    struct rec_matrix c = rec_matrix_columns(&c1, 0, CODE);
    struct rec_matrix stats = rec_matrix_of(stat, ROWS, 2 * CODE);
    struct rec_matrix dstats = rec_matrix_of(dstat, ROWS, 2 * CODE);
    struct rec_matrix z = rec_matrix_of(logit, ROWS, ITEMS), z2 = rec_matrix_of(other, ROWS, ITEMS);
    struct rec_matrix da = rec_matrix_of(dhidden, ROWS, HIDDEN);
    struct rec_matrix dc = rec_matrix_of(dcodes, ROWS, CODE);
    const struct rec_dropout dropout = rec_dropout_of(golden_dropout, GOLDEN_SEED, GOLDEN_STEP, 0);
    float before[ROWS * HIDDEN];
    struct rec_matrix value = rec_matrix_of(before, ROWS, HIDDEN);

    rec_matrix_ones(&a1);
    rec_matrix_ones(&c1);
    rec_sparse_forward(NULL, &A, batch, &a);
    rec_activation_forward(NULL, REC_ACTIVATION_TANH, &a);
    for (size_t i = 0; i < ROWS * HIDDEN; i++)
        before[i] = hidden1[i / HIDDEN * (HIDDEN + 1) + i % HIDDEN];
    rec_dropout_apply(NULL, &dropout, &a);
    rec_layer_forward(NULL, &B, &a1, &stats);
    rec_gaussian_forward(NULL, &stats, GOLDEN_SEED, GOLDEN_STEP, &c);
    rec_layer_forward(NULL, &C, &c1, &z);
    rec_layer_forward(NULL, &C, &c1, &z2);
    check_close("z", logit, golden_z, ROWS * ITEMS);

    float loss[3];
    loss[2] = (float)rec_loss_bce_all(NULL, &z2, &targets, golden_negative, scale, row_loss);
    loss[0] = (float)rec_loss_multinomial(NULL, &z, &targets, scale, row_loss);
    rec_layer_backward(NULL, &C, &c1, &z, &dc, NULL);
    loss[1] =
        (float)rec_gaussian_backward(NULL, &stats, &c, &dc, golden_beta * scale, &dstats, row_loss);
    rec_layer_backward(NULL, &B, &a1, &dstats, &da, NULL);
    rec_dropout_apply(NULL, &dropout, &da);
    rec_activation_backward(NULL, REC_ACTIVATION_TANH, &value, &da);
    rec_sparse_backward(NULL, &A, batch, &da, NULL);
    check_close("loss", loss, golden_loss, 3);
    check_close("dz of bce", other, golden_dz_bce, ROWS * ITEMS);
    check_close("dA", A.gradient, golden_dA, COUNT(golden_dA));
    check_close("dB", B.gradient, golden_dB, COUNT(golden_dB));
    check_close("dC", C.gradient, golden_dC, COUNT(golden_dC));

    part_variable_free(&A);
    part_variable_free(&B);
    part_variable_free(&C);
    rec_batch_destroy(&batch);
    rec_csr_destroy(&rows);
}

static void test_golden(void **state) {
    static const char *const variants[] = {"ref", "portable", "avx2", "avx512"};
    (void)state;
    for (size_t i = 0; i < COUNT(variants); i++) {
        assert_int_equal(setenv("REC_KERNELS", variants[i], 1), 0);
        if (rec_kernels_init(NULL) != REC_OK) {
            print_message("skipped: this processor does not run %s\n", variants[i]);
            continue;
        }
        check_network();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, part_start, NULL);
}
