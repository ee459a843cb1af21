/* Large symmetric positive definite systems, over the pool and in place.
 *
 * Both the inverse and the solve walk down the diagonal in blocks, and a step is the same:
 *
 *   S = A_kk⁻¹      V_i = A_ik      W_i = V_i S      A_ij -= W_i V_jᵀ      A_ik = W_i
 *
 * With i and j over all blocks but k this is the symmetric sweep (Gauss-Jordan): after the last
 * block, with A_kk = -S, A holds -A⁻¹. With i and j over the blocks behind k it is the block
 * factorisation A = L D Lᵀ, W being L and the S the inverses of D's blocks. Everything but the
 * small blocks is a product of matrices, so it runs as fast as those do: n³ operations for the
 * inverse, as many as a Cholesky factor, its inverse and their product take, in one pass instead of
 * three; n³/3 for the factor. OpenBLAS's own threads are not used (dense.c says why), and LAPACK
 * would run on one.
 *
 * Only the lower triangle is computed. Blocks have a fixed size and each number is computed by one
 * task, so the bits do not depend on the number of threads.
 *
 * error:  first order in u cond(A), as for Cholesky, with a factor of up to cond(A)^½ for the
 *         inverted blocks. Float is enough where the ridge is not below about 1e-5 of the largest
 *         eigenvalue; a pivot of which no digit is left is refused.
 * source: Goodnight, A tutorial on the sweep operator, 1979; Higham, Accuracy and Stability of
 *         Numerical Algorithms, 2nd ed., 13.3.2 (block factors of definite matrices), 14.4 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "recsysd/linalg.h"

enum {
    BLOCK = 384, /* the depth of a product; with 256 every number is fetched 1.5 times as often */
    SMALL = 32,  /* blocks inside a block; inside those, one pivot at a time */
    WIDE = 4,    /* blocks side by side in one product */
    COLUMNS = 256,
};

/* One walk down the diagonal of A [n x n]. */
struct sweep {
    float *A;
    size_t n, lda, block, blocks;
    bool inverse;          /* all blocks are updated, not only those behind k */
    const float *diagonal; /* [n] of A before the walk */
    float *V;              /* [n x block] */
    float *S;              /* [block x block] */
    struct rec_pool *pool;
    const struct rec_progress *progress;
    size_t k, row; /* of the present step */
    float pivot;   /* the one refused, in row */
};

static size_t size_of(const struct sweep *s, size_t block) {
    size_t begin = block * s->block;
    return s->n - begin < s->block ? s->n - begin : s->block;
}

static float *at(const struct sweep *s, size_t i, size_t j) {
    return s->A + i * s->block * s->lda + j * s->block;
}

static bool is_updated(const struct sweep *s, size_t i) {
    return s->inverse ? i != s->k : i > s->k;
}

/* ---- pivots, one at a time --------------------------------------------------------- */

/* Sweeps the lower triangle of A [n <= SMALL]. In double: it costs nothing here. */
static bool sweep_pivots(struct sweep *s) {
    double T[SMALL][SMALL], v[SMALL];
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j <= i; j++)
            T[i][j] = (double)s->A[i * s->lda + j];
    for (size_t k = 0; k < s->n; k++) {
        double pivot = T[k][k], least = 4 * (double)FLT_EPSILON * (double)s->diagonal[k];
        if (!(pivot > least) || !(pivot < (double)FLT_MAX)) {
            s->row = k;
            s->pivot = (float)pivot;
            return false;
        }
        for (size_t i = 0; i < s->n; i++)
            v[i] = i < k ? T[k][i] : T[i][k];
        v[k] = 0.0;
        for (size_t i = 0; i < s->n; i++)
            for (size_t j = 0; j <= i; j++)
                T[i][j] -= v[i] / pivot * v[j];
        for (size_t i = 0; i < s->n; i++)
            *(i < k ? &T[k][i] : &T[i][k]) = v[i] / pivot;
        T[k][k] = -1.0 / pivot;
    }
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j <= i; j++)
            s->A[i * s->lda + j] = (float)T[i][j];
    return true;
}

/* ---- one step ------------------------------------------------------------------------ */

static void mirror(float *A, size_t n, size_t lda) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            A[j * lda + i] = A[i * lda + j];
}

/* V_i is A_ik, which for i < k is stored as A_ki; then A_ik becomes W_i. S is the inverse's
 * negative. */
static void panel_task(void *context, size_t i, size_t worker) {
    const struct sweep *s = context;
    size_t rows = size_of(s, i), cols = size_of(s, s->k);
    float *V = s->V + i * s->block * cols;
    (void)worker;
    if (!is_updated(s, i) || rec_progress_cancelled(s->progress))
        return;
    if (i > s->k) {
        float *A = at(s, i, s->k);
        for (size_t r = 0; r < rows; r++)
            memcpy(V + r * cols, A + r * s->lda, cols * sizeof(float));
        rec_dense_gemm(false, false, rows, cols, cols, -1.0f, V, cols, s->S, cols, 0.0f, A, s->lda);
    } else {
        float *A = at(s, s->k, i);
        for (size_t c = 0; c < cols; c++)
            for (size_t r = 0; r < rows; r++)
                V[r * cols + c] = A[c * s->lda + r];
        rec_dense_gemm(false, true, cols, rows, cols, -1.0f, s->S, cols, V, cols, 0.0f, A, s->lda);
    }
}

/* A_ij -= W_i V_jᵀ for blocks j from first to before end. */
static void update(const struct sweep *s, size_t i, size_t first, size_t end) {
    size_t begin = first * s->block, stop = end * s->block < s->n ? end * s->block : s->n;
    size_t depth = size_of(s, s->k);
    bool turned = i < s->k;
    const float *W = turned ? at(s, s->k, i) : at(s, i, s->k);
    if (begin < stop)
        rec_dense_gemm(turned, true, size_of(s, i), stop - begin, depth, -1.0f, W, s->lda,
                       s->V + begin * depth, depth, 1.0f, at(s, i, first), s->lda);
}

/* WIDE blocks of one row of blocks, up to the diagonal, without column k. The longest rows come
 * first, so that the threads end together. */
static void update_task(void *context, size_t task, size_t worker) {
    const struct sweep *s = context;
    size_t groups = (s->blocks + WIDE - 1) / WIDE, i = s->blocks - 1 - task / groups;
    size_t first = task % groups * WIDE, end = first + WIDE < i + 1 ? first + WIDE : i + 1;
    (void)worker;
    if (!is_updated(s, i) || rec_progress_cancelled(s->progress))
        return;
    if (!s->inverse && first <= s->k)
        first = s->k + 1;
    if (first <= s->k && s->k < end) {
        update(s, i, first, s->k);
        first = s->k + 1;
    }
    if (first < end)
        update(s, i, first, end);
}

static bool sweep_blocks(struct sweep *s);

/* S becomes -A_kk⁻¹, by the same walk with smaller blocks. */
static bool invert_block(struct sweep *s) {
    size_t n = size_of(s, s->k), begin = s->k * s->block;
    float *A = at(s, s->k, s->k), V[BLOCK * SMALL], S[SMALL * SMALL];
    for (size_t r = 0; r < n; r++)
        memcpy(s->S + r * n, A + r * s->lda, n * sizeof(float));
    struct sweep inner = {.A = s->S,
                          .n = n,
                          .lda = n,
                          .block = SMALL,
                          .blocks = (n + SMALL - 1) / SMALL,
                          .inverse = true,
                          .diagonal = s->diagonal + begin,
                          .V = V,
                          .S = S};
    bool good = s->block == SMALL ? sweep_pivots(&inner) : sweep_blocks(&inner);
    if (!good) {
        s->row = begin + inner.row;
        s->pivot = inner.pivot;
        return false;
    }
    mirror(s->S, n, n);
    for (size_t r = 0; r < n; r++)
        memcpy(A + r * s->lda, s->S + r * n, n * sizeof(float));
    return true;
}

/* How much of the walk is done after step k, by operations. */
static double part_done(const struct sweep *s) {
    double left = (double)(s->blocks - s->k - 1) / (double)s->blocks;
    return s->inverse ? 1.0 - left : 1.0 - left * left * left;
}

/* False when a pivot is refused, or when cancelled. */
static bool sweep_blocks(struct sweep *s) {
    size_t groups = (s->blocks + WIDE - 1) / WIDE;
    for (s->k = 0; s->k < s->blocks; s->k++) {
        if (rec_progress_cancelled(s->progress) || !invert_block(s))
            return false;
        rec_pool_run(s->pool, s->blocks, panel_task, s);
        rec_pool_run(s->pool, s->blocks * groups, update_task, s);
        rec_progress_report(s->progress, "solve", part_done(s), (double)NAN);
    }
    return !rec_progress_cancelled(s->progress); /* tasks of the last step may have been skipped */
}

static enum rec_status sweep_all(struct sweep *s, struct rec_error *err) {
    float *diagonal = rec_alloc_array(s->n, sizeof(float));
    enum rec_status st = REC_OK;
    s->lda = s->n;
    s->block = BLOCK;
    s->blocks = (s->n + BLOCK - 1) / BLOCK;
    s->V = rec_alloc_array(s->n, BLOCK * sizeof(float));
    s->S = rec_alloc_array(BLOCK, BLOCK * sizeof(float));
    if (diagonal == NULL || s->V == NULL || s->S == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for the panels of a %zu x %zu system",
                           s->n, s->n);
        goto out;
    }
    for (size_t i = 0; i < s->n; i++)
        diagonal[i] = s->A[i * s->n + i];
    s->diagonal = diagonal;
    if (sweep_blocks(s))
        goto out;
    if (rec_progress_cancelled(s->progress))
        st = rec_error_set(err, REC_CANCELLED, "stopped at row %zu of a system of %zu",
                           s->k * s->block, s->n);
    else
        st = rec_error_set(err, REC_BAD_INPUT,
                           "the %zu x %zu system is not positive definite in float: the pivot of "
                           "row %zu is %g, of %g at first; raise the regularization",
                           s->n, s->n, s->row, (double)s->pivot, (double)diagonal[s->row]);

out:
    rec_alloc_free(diagonal);
    rec_alloc_free(s->V);
    rec_alloc_free(s->S);
    return st;
}

/* ---- the inverse ------------------------------------------------------------------------ */

/* A row of blocks of -A⁻¹ becomes one of A⁻¹, above the diagonal too. No two tasks touch the same
 * place: block (i, j) and its mirror image belong to row i >= j. */
static void finish_task(void *context, size_t i, size_t worker) {
    const struct sweep *s = context;
    size_t rows = size_of(s, i);
    (void)worker;
    for (size_t j = 0; j <= i; j++) {
        float *A = at(s, i, j), *image = at(s, j, i);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < (j < i ? size_of(s, j) : r + 1); c++) {
                A[r * s->lda + c] = -A[r * s->lda + c];
                image[c * s->lda + r] = A[r * s->lda + c];
            }
    }
}

enum rec_status rec_spd_inverse(float *A, size_t n, struct rec_pool *pool,
                                const struct rec_progress *progress, struct rec_error *err) {
    struct sweep s = {.A = A, .n = n, .inverse = true, .pool = pool, .progress = progress};
    enum rec_status st = sweep_all(&s, err);
    if (st == REC_OK)
        rec_pool_run(pool, s.blocks, finish_task, &s);
    return st;
}

/* ---- the solve ---------------------------------------------------------------------------- */

/* Columns of B are independent once A is factored, so a task takes some of them all the way. */
struct solve {
    const struct sweep *factor;
    float *B;
    size_t columns;
    float *work; /* [threads x BLOCK x COLUMNS] */
};

/* B_k = S_k B_k, where A_kk holds -S_k. */
static void apply_block(const struct sweep *s, size_t k, float *B, size_t ldb, size_t cols,
                        float *work) {
    size_t rows = size_of(s, k);
    for (size_t r = 0; r < rows; r++)
        memcpy(work + r * cols, B + r * ldb, cols * sizeof(float));
    rec_dense_gemm(false, false, rows, cols, rows, -1.0f, at(s, k, k), s->lda, work, cols, 0.0f, B,
                   ldb);
}

static void solve_task(void *context, size_t task, size_t worker) {
    const struct solve *solve = context;
    const struct sweep *s = solve->factor;
    size_t ldb = solve->columns, first = task * COLUMNS;
    size_t cols = ldb - first < COLUMNS ? ldb - first : COLUMNS;
    float *B = solve->B + first, *work = solve->work + worker * BLOCK * COLUMNS;
    for (size_t k = 1; k < s->blocks && !rec_progress_cancelled(s->progress); k++)
        rec_dense_gemm(false, false, size_of(s, k), cols, k * s->block, -1.0f, at(s, k, 0), s->lda,
                       B, ldb, 1.0f, B + k * s->block * ldb, ldb);
    for (size_t k = s->blocks; k-- > 0 && !rec_progress_cancelled(s->progress);) {
        size_t behind = (k + 1) * s->block < s->n ? (k + 1) * s->block : s->n;
        float *row = B + k * s->block * ldb;
        apply_block(s, k, row, ldb, cols, work);
        if (behind < s->n)
            rec_dense_gemm(true, false, size_of(s, k), cols, s->n - behind, -1.0f, at(s, k + 1, k),
                           s->lda, B + behind * ldb, ldb, 1.0f, row, ldb);
    }
}

enum rec_status rec_spd_solve(float *A, size_t n, float *B, size_t columns, struct rec_pool *pool,
                              const struct rec_progress *progress, struct rec_error *err) {
    struct sweep s = {.A = A, .n = n, .inverse = false, .pool = pool, .progress = progress};
    struct solve solve = {.factor = &s, .B = B, .columns = columns};
    solve.work = rec_alloc_array(rec_pool_threads(pool), BLOCK * COLUMNS * sizeof(float));
    if (solve.work == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to solve for %zu columns", columns);
    enum rec_status st = sweep_all(&s, err);
    if (st == REC_OK) {
        rec_pool_run(pool, (columns + COLUMNS - 1) / COLUMNS, solve_task, &solve);
        if (rec_progress_cancelled(progress))
            st = rec_error_set(err, REC_CANCELLED, "stopped solving for %zu columns", columns);
    }
    rec_alloc_free(solve.work);
    return st;
}
