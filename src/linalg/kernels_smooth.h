/* The smooth kernels of every vector variant: exponentials, and Adam's square root. Written once,
 * as those of kernels_simd.h, over vec_div, vec_sqrt, vec_min and vec_pow2 beside its operations.
 *
 * Why not libm: it has no vector exp that C may call without -ffast-math, and one call a number
 * would take longer than the matrix product that made the numbers.
 *
 * vec_min and vec_max return their second operand where one is NaN. Each clamp has the data second,
 * so that a NaN stays one: an exploding loss must be seen.
 *
 * Included after kernels_simd.h by the same files. */

/* Arguments are held within these: the result is then normal and finite. */
#define EXP_LOWEST  -87.33654f
#define EXP_HIGHEST 88.02969f

/* e^x = 2^n e^r, n the integer nearest to x / ln 2. Adding 1.5 2^23 rounds to an integer and leaves
 * it in the low bits, where vec_pow2 finds it. ln 2 in two parts, of which n times the first is
 * exact; the polynomial is that of Cephes, expf: 2 units in the last place. */
INLINE vec vec_exp(vec x) {
    const vec to_integer = vec_set1(0x1.8p23f);
    x = vec_min(vec_set1(EXP_HIGHEST), vec_max(vec_set1(EXP_LOWEST), x));
    vec shifted = vec_fma(x, vec_set1(1.44269504f), to_integer);
    vec n = vec_sub(shifted, to_integer);
    vec r = vec_fma(n, vec_set1(-0.693359375f), x);
    r = vec_fma(n, vec_set1(2.12194440e-4f), r);
    vec p = vec_set1(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set1(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set1(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set1(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set1(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set1(5.0000001201e-1f));
    vec tail = vec_fma(vec_mul(r, r), p, r);
    return vec_mul(vec_add(tail, vec_set1(1.0f)), vec_pow2(shifted));
}

/* A whole vector of what is left of x, filled up with a number that changes nothing. */
INLINE void fill_tail(const float *x, size_t count, float filler, float tail[LANES]) {
    for (size_t i = 0; i < LANES; i++)
        tail[i] = i < count ? x[i] : filler;
}

KERNEL static float largest(const float *x, size_t n) {
    vec best = vec_set1(-INFINITY);
    float lanes[LANES];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        best = vec_max(best, vec_load(x + i));
    fill_tail(x + i, n - i, -INFINITY, lanes);
    vec_store(lanes, vec_max(best, vec_load(lanes)));
    float max = lanes[0];
    for (size_t l = 1; l < LANES; l++)
        max = lanes[l] > max ? lanes[l] : max;
    return max;
}

KERNEL static float exps(float *x, size_t n, float shift) {
    const vec shifts = vec_set1(shift);
    vec sum[2] = {vec_zero(), vec_zero()};
    float tail[LANES];
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES)
        for (size_t s = 0; s < 2; s++) {
            vec y = vec_exp(vec_sub(vec_load(x + i + s * LANES), shifts));
            vec_store(x + i + s * LANES, y);
            sum[s] = vec_add(sum[s], y);
        }
    for (; i < n; i += LANES) {
        size_t lanes = n - i < LANES ? n - i : LANES;
        fill_tail(x + i, lanes, 0.0f, tail);
        vec_store_some(x + i, vec_exp(vec_sub(vec_load(tail), shifts)), lanes);
        sum[0] = vec_add(sum[0], vec_load_some(x + i, lanes));
    }
    return vec_sum(vec_add(sum[0], sum[1]));
}

/* With a = e^min(x, 0) and b = e^min(-x, 0), of which one is 1: 1 / (1 + e^-x) = a / (a + b) and
 * log(1 + e^x) = max(x, 0) + log(a + b). The logarithms are those of products, one for PRODUCTS
 * factors, each within 1 and 2. */
enum { PRODUCTS = 64 };

INLINE vec logistic_of(vec x, vec *product, vec *sum) {
    vec minus = vec_sub(vec_zero(), x);
    vec a = vec_exp(vec_min(vec_zero(), x)), both = vec_add(a, vec_exp(vec_min(vec_zero(), minus)));
    *product = vec_mul(*product, both);
    *sum = vec_add(*sum, vec_max(vec_zero(), x));
    return vec_div(a, both);
}

INLINE double log_of_lanes(vec product) {
    float lanes[LANES];
    double sum = 0.0;
    vec_store(lanes, product);
    for (size_t l = 0; l < LANES; l++)
        sum += (double)logf(lanes[l]);
    return sum;
}

KERNEL static float logistic(float *x, size_t n) {
    vec sum = vec_zero(), product = vec_set1(1.0f);
    double logs = 0.0;
    size_t i = 0, pending = 0;
    for (; i + LANES <= n; i += LANES) {
        vec_store(x + i, logistic_of(vec_load(x + i), &product, &sum));
        if (++pending == PRODUCTS) {
            logs += log_of_lanes(product);
            product = vec_set1(1.0f);
            pending = 0;
        }
    }
    logs += log_of_lanes(product);
    if (i < n) {
        float tail[LANES];
        fill_tail(x + i, n - i, -INFINITY, tail);
        product = vec_set1(1.0f);
        vec_store_some(x + i, logistic_of(vec_load(tail), &product, &sum), n - i);
        logs += log_of_lanes(product);
    }
    return (float)((double)vec_sum(sum) + logs);
}

/* ---- Adam ------------------------------------------------------------------------------ */

struct adam_vecs {
    vec rate, decay, keep1, keep2, take1, take2, root, epsilon;
};

INLINE vec adam_of(const struct adam_vecs *a, vec gradient, vec value, vec *first, vec *second) {
    vec g = vec_fma(a->decay, value, gradient);
    *first = vec_fma(a->keep1, *first, vec_mul(a->take1, g));
    *second = vec_fma(a->keep2, *second, vec_mul(a->take2, vec_mul(g, g)));
    vec below = vec_fma(vec_sqrt(*second), a->root, a->epsilon);
    return vec_sub(value, vec_div(vec_mul(a->rate, *first), below));
}

KERNEL static void adam(const struct rec_kernels_step *step, const float *gradient, float *value,
                        float *first, float *second, size_t n) {
    const struct adam_vecs a = {
        vec_set1(step->rate),         vec_set1(step->decay),        vec_set1(step->beta1),
        vec_set1(step->beta2),        vec_set1(1.0f - step->beta1), vec_set1(1.0f - step->beta2),
        vec_set1(step->root_inverse), vec_set1(step->epsilon),
    };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec m = vec_load(first + i), v = vec_load(second + i);
        vec_store(value + i, adam_of(&a, vec_load(gradient + i), vec_load(value + i), &m, &v));
        vec_store(first + i, m);
        vec_store(second + i, v);
    }
    if (i < n) {
        size_t lanes = n - i;
        vec m = vec_load_some(first + i, lanes), v = vec_load_some(second + i, lanes);
        vec w = adam_of(&a, vec_load_some(gradient + i, lanes), vec_load_some(value + i, lanes), &m,
                        &v);
        vec_store_some(value + i, w, lanes);
        vec_store_some(first + i, m, lanes);
        vec_store_some(second + i, v, lanes);
    }
}
