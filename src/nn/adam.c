/* Variables and Adam.
 * source: Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
 *
 * The corrections of the bias are folded into two numbers a step, as at the end of its section 2:
 * value -= rate / (1 - beta1^t) first / (sqrt(second / (1 - beta2^t)) + epsilon). */
#include <math.h>

#include "room.h"

static const float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;

/* ---- variables ------------------------------------------------------------------ */

enum rec_status rec_variable_init(struct rec_variable *variable, float *value, size_t rows,
                                  size_t cols, bool with_gradient, struct rec_error *err) {
    *variable = (struct rec_variable){.rows = rows, .cols = cols, .value = value};
    size_t row_bytes = cols <= SIZE_MAX / sizeof(float) ? cols * sizeof(float) : SIZE_MAX;
    variable->first = rec_alloc_array(rows, row_bytes);
    variable->second = rec_alloc_array(rows, row_bytes);
    variable->gradient = with_gradient ? rec_alloc_array(rows, row_bytes) : NULL;
    if (variable->first != NULL && variable->second != NULL &&
        (variable->gradient != NULL || !with_gradient))
        return REC_OK;
    rec_variable_finish(variable);
    return rec_error_set(err, REC_NO_MEMORY, "no memory to train %zu x %zu weights", rows, cols);
}

void rec_variable_finish(struct rec_variable *variable) {
    rec_alloc_free(variable->gradient);
    rec_alloc_free(variable->first);
    rec_alloc_free(variable->second);
    *variable = (struct rec_variable){.rows = 0};
}

void rec_variable_randomize(struct rec_variable *variable, size_t cols, float deviation,
                            uint64_t seed, uint32_t stream) {
    for (size_t r = 0; r < variable->rows; r++) {
        struct rec_rng rng;
        rec_rng_init(&rng, seed, (uint64_t)stream << 32 | (uint32_t)r);
        for (size_t c = 0; c < cols; c++)
            variable->value[r * variable->cols + c] = deviation * rec_rng_normal(&rng);
    }
}

/* ---- Adam ------------------------------------------------------------------------- */

void rec_adam_init(struct rec_adam *adam, float rate, float decay) {
    *adam = (struct rec_adam){.rate = rate, .decay = decay};
}

void rec_adam_next(struct rec_adam *adam) {
    double t = (double)++adam->steps;
    adam->step = (struct rec_kernels_step){
        .rate = (float)((double)adam->rate / (1.0 - pow((double)beta1, t))),
        .root_inverse = (float)(1.0 / sqrt(1.0 - pow((double)beta2, t))),
        .beta1 = beta1,
        .beta2 = beta2,
        .epsilon = epsilon,
        .decay = adam->decay,
    };
}
