/* Layers whose input is sparse: rows of weights are gathered, and gradients of rows summed.
 *
 * Forward, a batch's row is a sum of weight rows, so rows of the batch are the parallelism.
 * Backward, a weight row's gradient is a sum over the batch's rows that name it, so weight rows
 * are: no two threads write to one row, nothing needs an atomic, and each sum has the order of the
 * batch. Grouping the entries by input costs the entries: the counters of inputs are cleaned
 * through the list of those that occurred. */
#include <assert.h>
#include <string.h>

#include "room.h"

/* ---- batches -------------------------------------------------------------------- */

size_t rec_batch_bytes(size_t rows_max, size_t entries_max, uint32_t inputs) {
    size_t distinct = entries_max < inputs ? entries_max : inputs;
    return (rows_max + distinct + 2) * sizeof(size_t) + distinct * sizeof(uint32_t) +
           entries_max * 2 * (sizeof(uint32_t) + sizeof(float)) + inputs * sizeof(uint32_t);
}

enum rec_status rec_batch_create(size_t rows_max, size_t entries_max, uint32_t inputs,
                                 struct rec_batch **out, struct rec_error *err) {
    size_t distinct = entries_max < inputs ? entries_max : inputs;
    struct rec_batch *batch = rec_alloc_array(1, sizeof(*batch));
    if (batch != NULL) {
        *batch = (struct rec_batch){
            .rows_max = rows_max,
            .entries_max = entries_max,
            .inputs = inputs,
            .offset = rec_alloc_array(rows_max + 1, sizeof(size_t)),
            .input = rec_alloc_array(entries_max + 1, sizeof(uint32_t)),
            .value = rec_alloc_array(entries_max + 1, sizeof(float)),
            .which = rec_alloc_array(distinct + 1, sizeof(uint32_t)),
            .start = rec_alloc_array(distinct + 1, sizeof(size_t)),
            .row = rec_alloc_array(entries_max + 1, sizeof(uint32_t)),
            .row_value = rec_alloc_array(entries_max + 1, sizeof(float)),
            .counter = rec_alloc_array((size_t)inputs + 1, sizeof(uint32_t)),
        };
        if (batch->offset != NULL && batch->input != NULL && batch->value != NULL &&
            batch->which != NULL && batch->start != NULL && batch->row != NULL &&
            batch->row_value != NULL && batch->counter != NULL) {
            *out = batch;
            return REC_OK;
        }
        rec_batch_destroy(&batch);
    }
    return rec_error_set(err, REC_NO_MEMORY, "no memory for batches of %zu rows, %zu entries",
                         rows_max, entries_max);
}

void rec_batch_destroy(struct rec_batch **batch_pointer) {
    struct rec_batch *batch = *batch_pointer;
    if (batch == NULL)
        return;
    *batch_pointer = NULL;
    rec_alloc_free(batch->offset);
    rec_alloc_free(batch->input);
    rec_alloc_free(batch->value);
    rec_alloc_free(batch->which);
    rec_alloc_free(batch->start);
    rec_alloc_free(batch->row);
    rec_alloc_free(batch->row_value);
    rec_alloc_free(batch->counter);
    rec_alloc_free(batch);
}

void rec_batch_clear(struct rec_batch *batch) {
    batch->rows = batch->entries = batch->touched = 0;
}

void rec_batch_add(struct rec_batch *batch, uint32_t input, float value) {
    assert(batch->entries < batch->entries_max && input < batch->inputs);
    batch->input[batch->entries] = input;
    batch->value[batch->entries++] = value;
}

void rec_batch_end_row(struct rec_batch *batch) {
    assert(batch->rows < batch->rows_max);
    batch->offset[++batch->rows] = batch->entries;
}

/* A counting sort over the inputs that occur. The counter of an input is first how many entries it
 * has, then (from 1) its place among those that occur, then 0 again. */
void rec_batch_group(struct rec_batch *batch) {
    size_t begin = 0;
    batch->touched = 0;
    for (size_t e = 0; e < batch->entries; e++)
        if (batch->counter[batch->input[e]]++ == 0)
            batch->which[batch->touched++] = batch->input[e];
    for (size_t t = 0; t < batch->touched; t++) {
        uint32_t *counter = &batch->counter[batch->which[t]];
        batch->start[t] = begin;
        begin += *counter;
        *counter = (uint32_t)t;
    }
    for (size_t r = 0; r < batch->rows; r++)
        for (size_t e = batch->offset[r]; e < batch->offset[r + 1]; e++) {
            size_t at = batch->start[batch->counter[batch->input[e]]]++;
            batch->row[at] = (uint32_t)r;
            batch->row_value[at] = batch->value[e];
        }
    /* Filling moved each start to the next one's place. */
    memmove(batch->start + 1, batch->start, batch->touched * sizeof(*batch->start));
    batch->start[0] = 0;
    for (size_t t = 0; t < batch->touched; t++)
        batch->counter[batch->which[t]] = 0;
}

/* ---- forward ---------------------------------------------------------------------- */

struct work {
    const struct rec_variable *W;
    const struct rec_batch *batch;
    struct rec_matrix other; /* y, or dy */
    const struct rec_adam *adam;
};

static bool has_bias(const struct rec_variable *W, const struct rec_batch *batch) {
    assert(W->rows == batch->inputs || W->rows == (size_t)batch->inputs + 1);
    return W->rows > batch->inputs;
}

static void forward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    const struct rec_batch *batch = work->batch;
    size_t cols = work->W->cols, each = piece_rows(cols), begin = task * each;
    size_t end = batch->rows - begin < each ? batch->rows : begin + each;
    bool biased = has_bias(work->W, batch);
    (void)worker;
    for (size_t r = begin; r < end; r++) {
        size_t first = batch->offset[r];
        float *y = row_of(&work->other, r);
        if (biased)
            memcpy(y, work->W->value + (size_t)batch->inputs * cols, cols * sizeof(*y));
        else
            memset(y, 0, cols * sizeof(*y));
        rec_kernels_sum_rows(work->W->value, batch->input + first, batch->value + first,
                             batch->offset[r + 1] - first, cols, y);
    }
}

void rec_sparse_forward(struct rec_pool *pool, const struct rec_variable *W,
                        const struct rec_batch *batch, const struct rec_matrix *y) {
    struct work work = {W, batch, *y, NULL};
    assert(y->rows == batch->rows && y->cols == W->cols);
    rec_pool_run(pool, pieces_of(batch->rows, W->cols), forward_task, &work);
}

/* ---- backward ----------------------------------------------------------------------- */

enum { INPUTS_PER_TASK = 16 };

/* sum += value[k] dy[row[k]]; row NULL: all rows, each as it is. */
static void sum_gradients(const struct rec_matrix *dy, const uint32_t *row, const float *value,
                          size_t count, float *sum) {
    if (dy->stride == dy->cols) {
        rec_kernels_sum_rows(dy->data, row, value, count, dy->cols, sum);
        return;
    }
    for (size_t k = 0; k < count; k++)
        rec_kernels_axpy(value == NULL ? 1.0f : value[k], row_of(dy, row == NULL ? k : row[k]), sum,
                         dy->cols);
}

/* The gradient of one row of W, and the step with it. */
static void backward_row(const struct work *work, size_t input, const uint32_t *row,
                         const float *value, size_t count) {
    const struct rec_variable *W = work->W;
    size_t at = input * W->cols;
    float own[REC_SPARSE_COLS_MAX], *gradient = work->adam == NULL ? W->gradient + at : own;
    memset(gradient, 0, W->cols * sizeof(*gradient));
    sum_gradients(&work->other, row, value, count, gradient);
    if (work->adam != NULL)
        rec_kernels_adam(&work->adam->step, gradient, W->value + at, W->first + at, W->second + at,
                         W->cols);
}

static void backward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    const struct rec_batch *batch = work->batch;
    size_t begin = task * INPUTS_PER_TASK, end = begin + INPUTS_PER_TASK;
    (void)worker;
    if (begin >= batch->touched) {
        backward_row(work, batch->inputs, NULL, NULL, batch->rows);
        return;
    }
    for (size_t t = begin; t < end && t < batch->touched; t++)
        backward_row(work, batch->which[t], batch->row + batch->start[t],
                     batch->row_value + batch->start[t], batch->start[t + 1] - batch->start[t]);
}

void rec_sparse_backward(struct rec_pool *pool, struct rec_variable *W,
                         const struct rec_batch *batch, const struct rec_matrix *dy,
                         const struct rec_adam *adam) {
    struct work work = {W, batch, *dy, adam};
    size_t tasks = (batch->touched + INPUTS_PER_TASK - 1) / INPUTS_PER_TASK;
    assert(dy->rows == batch->rows && dy->cols == W->cols && W->cols <= REC_SPARSE_COLS_MAX);
    assert(adam != NULL || W->gradient != NULL);
    rec_pool_run(pool, tasks + has_bias(W, batch), backward_task, &work);
}
