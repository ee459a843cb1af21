#include <stdio.h>

#include "test.h"
#include "nn/parts.h"

struct rec_matrix part_matrix(struct rec_rng *rng, size_t rows, size_t cols, size_t gap) {
    float *data = rec_alloc_array(rows * (cols + gap) + 1, sizeof(float));
    assert_non_null(data);
    struct rec_matrix matrix = {data, rows, cols, cols + gap};
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols + gap; c++)
            data[r * (cols + gap) + c] = c < cols ? rec_rng_normal(rng) : GUARD;
    return matrix;
}

void part_check_gaps(const struct rec_matrix *matrix) {
    for (size_t r = 0; r < matrix->rows; r++)
        for (size_t c = matrix->cols; c < matrix->stride; c++)
            assert_true(matrix->data[r * matrix->stride + c] == GUARD);
}

void part_free(struct rec_matrix *matrix) {
    rec_alloc_free(matrix->data);
    matrix->data = NULL;
}

struct rec_variable part_variable(struct rec_rng *rng, size_t rows, size_t cols) {
    struct rec_variable variable;
    struct rec_matrix value = part_matrix(rng, rows, cols, 0);
    assert_int_equal(rec_variable_init(&variable, value.data, rows, cols, true, NULL), REC_OK);
    return variable;
}

void part_variable_free(struct rec_variable *variable) {
    rec_alloc_free(variable->value);
    rec_variable_finish(variable);
}

struct rec_batch *part_batch(struct rec_rng *rng, size_t rows, uint32_t inputs) {
    struct rec_batch *batch = NULL;
    assert_int_equal(rec_batch_create(rows, rows * 6, inputs, &batch, NULL), REC_OK);
    rec_batch_clear(batch);
    for (size_t r = 0; r < rows; r++) {
        uint32_t entries = rec_rng_below(rng, 6), input = 0;
        for (uint32_t e = 0; e < entries; e++) {
            if (e != 2)
                input = rec_rng_below(rng, inputs);
            rec_batch_add(batch, input, rec_rng_normal(rng));
        }
        rec_batch_end_row(batch);
    }
    rec_batch_group(batch);
    return batch;
}

struct rec_csr *part_targets(struct rec_rng *rng, uint32_t rows, uint32_t items) {
    struct rec_csr *csr = NULL;
    uint64_t entries = 0;
    assert_int_equal(rec_csr_create(rows, items, (uint64_t)rows * 4, &csr, NULL), REC_OK);
    for (uint32_t r = 0; r < rows; r++) {
        uint32_t count = r % 5, item = 0;
        for (uint32_t k = 0; k < count; k++) {
            item += k == 0 ? rec_rng_below(rng, items / 5) : 1 + rec_rng_below(rng, items / 5);
            csr->column[entries] = item;
            csr->value[entries++] = 0.2f + 1.8f * rec_rng_uniform(rng);
        }
        csr->offset[r + 1] = entries;
    }
    return csr;
}

double part_weighted(const struct rec_matrix *x, const struct rec_matrix *weight) {
    double sum = 0;
    for (size_t r = 0; r < x->rows; r++)
        for (size_t c = 0; c < x->cols; c++)
            sum +=
                (double)x->data[r * x->stride + c] * (double)weight->data[r * weight->stride + c];
    return sum;
}

int part_start(void **state) {
    struct rec_error err = {.status = REC_OK};
    (void)state;
    if (rec_dense_init(&err) != REC_OK || rec_kernels_init(&err) != REC_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}
