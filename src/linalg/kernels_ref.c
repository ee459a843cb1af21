/* The kernels' definitions: what they compute, in double, with no thought for
 * speed. Every other variant is tested against these, and REC_KERNELS=ref runs
 * the whole service on them. */
#include <float.h>
#include <math.h>

#include "kernels.h"

static float ref_dot(const float *x, const float *y, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)y[i];
    return (float)sum;
}

static void ref_axpy(float a, const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)y[i] + (double)a * (double)x[i]);
}

/* factors' row number r of those listed. */
static const float *listed(const float *factors, const uint32_t *index, size_t r, size_t n) {
    return factors + (index == NULL ? r : index[r]) * n;
}

static void ref_rows_dot(const float *rows, const uint32_t *index, size_t count, size_t n,
                         const float *x, float *scores) {
    for (size_t r = 0; r < count; r++)
        scores[r] = ref_dot(listed(rows, index, r, n), x, n);
}

static void ref_sum_rows(const float *factors, const uint32_t *index, const float *weight,
                         size_t count, size_t n, float *y) {
    for (size_t j = 0; j < n; j++) {
        double sum = (double)y[j];
        for (size_t r = 0; r < count; r++)
            sum += (weight == NULL ? 1.0 : (double)weight[r]) *
                   (double)listed(factors, index, r, n)[j];
        y[j] = (float)sum;
    }
}

static void ref_transpose(const float *rows, size_t stride, const uint32_t *index, size_t count,
                          size_t n, float *out, size_t out_stride) {
    for (size_t r = 0; r < count; r++)
        for (size_t c = 0; c < n; c++)
            out[c * out_stride + r] = rows[(index == NULL ? r : index[r]) * stride + c];
}

static void ref_drop(const uint16_t *chance, uint32_t bar, float scale, float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = chance[i] < bar ? 0.0f : x[i] * scale;
}

static void ref_gate(const float *y, float scale, const float *dy, float *dx, size_t n) {
    for (size_t i = 0; i < n; i++)
        dx[i] = (y[i] > 0.0f ? scale : 0.0f) * dy[i];
}

static void ref_syrk_rows(const float *factors, const uint32_t *index, const float *weight,
                          size_t count, size_t n, float *A) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = (double)A[i * n + j];
            for (size_t r = 0; r < count; r++) {
                const float *row = listed(factors, index, r, n);
                sum += (weight == NULL ? 1.0 : (double)weight[r]) * (double)row[i] * (double)row[j];
            }
            A[i * n + j] = (float)sum;
        }
    }
}

/* l_kk = sqrt(a_kk - sum_{m>k} l_mk^2); l_ki = (a_ki - sum_{m>k} l_mk l_mi) / l_kk for i < k */
static bool ref_factor(float *A, size_t n) {
    for (size_t k = n; k-- > 0;) {
        for (size_t i = k + 1; i-- > 0;) {
            double sum = (double)A[k * n + i];
            for (size_t m = k + 1; m < n; m++)
                sum -= (double)A[m * n + k] * (double)A[m * n + i];
            if (i == k && !(sum > 0.0 && sum <= (double)FLT_MAX))
                return false;
            A[k * n + i] = (float)(i == k ? sqrt(sum) : sum / (double)A[k * n + k]);
        }
    }
    return true;
}

static void ref_solve(const float *L, size_t n, float *b) {
    for (size_t k = n; k-- > 0;) { /* Lᵀ y = b */
        double sum = (double)b[k];
        for (size_t m = k + 1; m < n; m++)
            sum -= (double)L[m * n + k] * (double)b[m];
        b[k] = (float)(sum / (double)L[k * n + k]);
    }
    for (size_t k = 0; k < n; k++) { /* L x = y */
        double sum = (double)b[k];
        for (size_t m = 0; m < k; m++)
            sum -= (double)L[k * n + m] * (double)b[m];
        b[k] = (float)(sum / (double)L[k * n + k]);
    }
}

static uint64_t ref_above(const float *scores, size_t count, float bar, bool ties) {
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        if (scores[i] > bar || (ties && scores[i] >= bar))
            bits |= (uint64_t)1 << i;
    return bits;
}

static void ref_coarse(const uint8_t *items, const struct scan_query *query,
                       int32_t sums[SCAN_WORD]) {
    for (size_t i = 0; i < SCAN_WORD; i++) {
        sums[i] = query->start;
        for (size_t q = 0; q < query->quads; q++)
            for (size_t j = 0; j < 4; j++)
                sums[i] += items[(q * SCAN_WORD + i) * 4 + j] * query->code[q * 4 + j];
    }
}

static void ref_bounds(const int32_t sums[SCAN_WORD], const float *scale, float query_scale,
                       float off, uint64_t open, float upper[SCAN_WORD], float lower[SCAN_WORD]) {
    for (size_t i = 0; i < SCAN_WORD; i++) {
        upper[i] = -INFINITY;
        if ((open >> i & 1) == 0)
            continue;
        float near = (float)sums[i] * (scale[i] * query_scale);
        upper[i] = near + off;
        lower[i] = near - off > lower[i] ? near - off : lower[i];
    }
}

static void ref_reach(const uint8_t *items, const float *scale,
                      const struct scan_query *const *queries, const float *bar, size_t count,
                      uint64_t *found) {
    for (size_t u = 0; u < count; u++) {
        int32_t sums[SCAN_WORD];
        ref_coarse(items, queries[u], sums);
        found[u] = 0;
        for (size_t i = 0; i < SCAN_WORD; i++)
            if ((float)sums[i] * (scale[i] * queries[u]->scale) >= bar[u])
                found[u] |= (uint64_t)1 << i;
    }
}

static uint64_t ref_marked(const uint32_t *items, uint32_t limit, const uint64_t *mask) {
    uint64_t bits = 0;
    for (size_t i = 0; i < SCAN_WORD; i++)
        if (items[i] < limit && (mask[items[i] / 64] >> items[i] % 64 & 1) != 0)
            bits |= (uint64_t)1 << i;
    return bits;
}

static float ref_largest(const float *x, size_t n) {
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static float ref_exps(float *x, size_t n, float shift) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double power = (double)(x[i] - shift);
        x[i] = (float)exp(power > 88.0 ? 88.0 : power); /* a NaN stays one */
        sum += (double)x[i];
    }
    return (float)sum;
}

static float ref_logistic(float *x, size_t n) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double z = (double)x[i], e = exp(-fabs(z));
        sum += (z > 0.0 ? z : 0.0) + log1p(e);
        x[i] = (float)((z > 0.0 ? 1.0 : e) / (1.0 + e));
    }
    return (float)sum;
}

static void ref_pull(const struct rec_kernels_pair *pair, float *x, float *preferred, float *other,
                     size_t n) {
    double step = (double)pair->step;
    for (size_t i = 0; i < n; i++) {
        double a = (double)x[i], p = (double)preferred[i], q = (double)other[i];
        x[i] = (float)((double)pair->keep_x * a + step * (p - q));
        preferred[i] = (float)((double)pair->keep_p * p + step * a);
        other[i] = (float)((double)pair->keep_q * q - step * a);
    }
}

static void ref_adam(const struct rec_kernels_step *step, const float *gradient, float *value,
                     float *first, float *second, size_t n) {
    double beta1 = (double)step->beta1, beta2 = (double)step->beta2;
    for (size_t i = 0; i < n; i++) {
        double g = (double)gradient[i] + (double)step->decay * (double)value[i];
        double m = beta1 * (double)first[i] + (1.0 - beta1) * g;
        double v = beta2 * (double)second[i] + (1.0 - beta2) * g * g;
        double below = sqrt(v) * (double)step->root_inverse + (double)step->epsilon;
        first[i] = (float)m;
        second[i] = (float)v;
        value[i] = (float)((double)value[i] - (double)step->rate * m / below);
    }
}

const struct kernels rec_kernels_ref = {
    .name = "ref",
    .dot = ref_dot,
    .axpy = ref_axpy,
    .rows_dot = ref_rows_dot,
    .sum_rows = ref_sum_rows,
    .transpose = ref_transpose,
    .drop = ref_drop,
    .gate = ref_gate,
    .syrk_rows = ref_syrk_rows,
    .factor = ref_factor,
    .solve = ref_solve,
    .above = ref_above,
    .coarse = ref_coarse,
    .bounds = ref_bounds,
    .reach = ref_reach,
    .marked = ref_marked,
    .largest = ref_largest,
    .exps = ref_exps,
    .logistic = ref_logistic,
    .pull = ref_pull,
    .adam = ref_adam,
};
