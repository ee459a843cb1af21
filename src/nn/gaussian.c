/* The Gaussian layer of a variational autoencoder.
 * source: Kingma and Welling, "Auto-encoding variational Bayes", 2014, section 2.4 and appendix B.
 *
 *   out = m + e exp(l / 2), e normal      KL = 1/2 Σ (m² + exp l - 1 - l)
 *
 * e is not kept: e exp(l / 2) is out - m. It comes from a hash of its place, as masks do
 * (dropout.c), two numbers at a time: Box and Muller. */
#include <assert.h>
#include <math.h>

#include "room.h"

enum { LAYER = 0x6a55 }; /* tells these numbers from the masks of a step */

struct work {
    uint64_t key;
    float scale;
    struct rec_matrix stats, out, dout, dstats;
    double *row_loss;
};

/* Two independent normal numbers for a place. */
static void two_normals(uint64_t key, uint64_t place, float normal[2]) {
    const float two_pi = 6.2831853f;
    uint64_t hash = mix(key + place * UINT64_C(0x9e3779b97f4a7c15));
    float u = (float)((hash >> 40) + 1) * 0x1p-24f; /* (0, 1] */
    float angle = two_pi * ((float)(hash & 0xffffff) * 0x1p-24f);
    float radius = sqrtf(-2.0f * logf(u));
    normal[0] = radius * cosf(angle);
    normal[1] = radius * sinf(angle);
}

static void forward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t d = work->out.cols, each = piece_rows(d);
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->out.rows; r++) {
        const float *mean = row_of(&work->stats, r), *log_variance = mean + d;
        float *out = row_of(&work->out, r), normal[2];
        for (size_t i = 0; i < d; i++) {
            if (i % 2 == 0)
                two_normals(work->key, r * d + i, normal);
            out[i] = mean[i] + normal[i % 2] * expf(0.5f * log_variance[i]);
        }
    }
}

void rec_gaussian_forward(struct rec_pool *pool, const struct rec_matrix *stats, uint64_t seed,
                          uint64_t step, const struct rec_matrix *out) {
    struct work work = {.key = key_of(seed, step, LAYER), .stats = *stats, .out = *out};
    assert(stats->cols == 2 * out->cols && stats->rows == out->rows);
    rec_pool_run(pool, pieces_of(out->rows, out->cols), forward_task, &work);
}

static void backward_task(void *context, size_t task, size_t worker) {
    const struct work *work = context;
    size_t d = work->out.cols, each = piece_rows(d);
    (void)worker;
    for (size_t r = task * each; r < (task + 1) * each && r < work->out.rows; r++) {
        const float *mean = row_of(&work->stats, r), *log_variance = mean + d;
        const float *out = row_of(&work->out, r), *dout = row_of(&work->dout, r);
        float *dmean = row_of(&work->dstats, r), *dlog_variance = dmean + d;
        double sum = 0.0;
        for (size_t i = 0; i < d; i++) {
            float variance = expf(log_variance[i]);
            sum += (double)(mean[i] * mean[i] + variance - 1.0f - log_variance[i]);
            dmean[i] = dout[i] + work->scale * mean[i];
            dlog_variance[i] =
                0.5f * (dout[i] * (out[i] - mean[i]) + work->scale * (variance - 1.0f));
        }
        work->row_loss[r] = 0.5 * (double)work->scale * sum;
    }
}

double rec_gaussian_backward(struct rec_pool *pool, const struct rec_matrix *stats,
                             const struct rec_matrix *out, const struct rec_matrix *dout,
                             float scale, const struct rec_matrix *dstats, double *row_loss) {
    struct work work = {.scale = scale,
                        .stats = *stats,
                        .out = *out,
                        .dout = *dout,
                        .dstats = *dstats,
                        .row_loss = row_loss};
    double sum = 0.0;
    rec_pool_run(pool, pieces_of(out->rows, out->cols), backward_task, &work);
    for (size_t r = 0; r < out->rows; r++)
        sum += row_loss[r];
    return sum;
}
