/* Activations, and their derivatives from their values: for all four, f' is a function of f, so
 * what went in need not be kept.
 *
 * tanh x = 2 sigmoid(2 x) - 1, because the sigmoid is there in vectors: off by about 1e-7
 * absolutely, which is relatively much near 0 and nothing to a network. */
#include "room.h"

struct work {
    enum rec_activation kind;
    struct rec_matrix y, dy;
};

static void forward_row(enum rec_activation kind, float *x, size_t n) {
    switch (kind) {
    case REC_ACTIVATION_IDENTITY:
        break;
    case REC_ACTIVATION_RELU:
        for (size_t i = 0; i < n; i++)
            x[i] = x[i] < 0.0f ? 0.0f : x[i]; /* a NaN stays one */
        break;
    case REC_ACTIVATION_TANH:
        for (size_t i = 0; i < n; i++)
            x[i] *= 2.0f;
        (void)rec_kernels_logistic(x, n);
        for (size_t i = 0; i < n; i++)
            x[i] = 2.0f * x[i] - 1.0f;
        break;
    case REC_ACTIVATION_SIGMOID:
        (void)rec_kernels_logistic(x, n);
        break;
    }
}

static void backward_row(enum rec_activation kind, const float *y, float *dy, size_t n) {
    switch (kind) {
    case REC_ACTIVATION_IDENTITY:
        break;
    case REC_ACTIVATION_RELU:
        for (size_t i = 0; i < n; i++)
            dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
        break;
    case REC_ACTIVATION_TANH:
        for (size_t i = 0; i < n; i++)
            dy[i] *= 1.0f - y[i] * y[i];
        break;
    case REC_ACTIVATION_SIGMOID:
        for (size_t i = 0; i < n; i++)
            dy[i] *= y[i] * (1.0f - y[i]);
        break;
    }
}

static void forward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t each = piece_rows(work->y.cols);
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->y.rows; r++)
        forward_row(work->kind, row_of(&work->y, r), work->y.cols);
}

static void backward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t each = piece_rows(work->y.cols);
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->y.rows; r++)
        backward_row(work->kind, row_of(&work->y, r), row_of(&work->dy, r), work->y.cols);
}

void rec_activation_forward(struct rec_pool *pool, enum rec_activation kind,
                            const struct rec_matrix *x) {
    struct work work = {kind, *x, *x};
    if (kind != REC_ACTIVATION_IDENTITY)
        rec_pool_run(pool, pieces_of(x->rows, x->cols), forward_task, &work);
}

void rec_activation_backward(struct rec_pool *pool, enum rec_activation kind,
                             const struct rec_matrix *y, const struct rec_matrix *dy) {
    struct work work = {kind, *y, *dy};
    if (kind != REC_ACTIVATION_IDENTITY)
        rec_pool_run(pool, pieces_of(y->rows, y->cols), backward_task, &work);
}
