/* linalg: sparse rows, dense kernels and their definitions, small Cholesky
 * systems, large ones over a pool, top-K. Numbers are float, sums that judge are double. */
#ifndef RECSYSD_LINALG_H
#define RECSYSD_LINALG_H

#include "recsysd/base.h"

/* ---- compressed sparse rows (csr.c) ------------------------------------- */

/* Within a row columns rise strictly. One allocation each; offset[0] is 0. */
struct rec_csr {
    uint32_t rows, cols;
    uint64_t *offset; /* [rows + 1] */
    uint32_t *column; /* [offset[rows]] */
    float *value;     /* [offset[rows]]; NULL: given up by its owner, and not in a transpose */
};

enum rec_status rec_csr_create(uint32_t rows, uint32_t cols, uint64_t entries, struct rec_csr **out,
                               struct rec_error *err);
void rec_csr_destroy(struct rec_csr **csr);
enum rec_status rec_csr_transpose(const struct rec_csr *csr, struct rec_csr **out,
                                  struct rec_error *err);
uint64_t rec_csr_entries(const struct rec_csr *csr);
/* The first place from begin on whose column is at least `wanted`; end when there is none. Columns
 * rise from begin to end. */
uint64_t rec_csr_find(const uint32_t *column, uint64_t begin, uint64_t end, uint32_t wanted);

/* ---- kernels (kernels.c chooses; kernels_ref.c defines) ------------------ */

/* Picks the fastest variant of each kernel this processor runs: ref, portable,
 * avx2 or avx512; the environment variable REC_KERNELS forces one. Idempotent; call before
 * the first kernel. BAD_INPUT when REC_KERNELS names no variant, or one this processor lacks. */
enum rec_status rec_kernels_init(struct rec_error *err);
const char *rec_kernels_name(void);

float rec_kernels_dot(const float *x, const float *y, size_t n);
void rec_kernels_axpy(float a, const float *x, float *y, size_t n); /* y += a x */

/* scores[r] = rows[r] . x ; rows [count x n] row-major, x [n] */
void rec_kernels_rows_dot(const float *rows, size_t count, size_t n, const float *x, float *scores);

/* y += sum_r weight[r] row_r for the rows listed, as below; y [n] */
void rec_kernels_sum_rows(const float *factors, const uint32_t *index, const float *weight,
                          size_t count, size_t n, float *y);

/* A += sum_r weight[r] row_r row_rᵀ for the rows listed, lower triangle.
 * shapes: factors [? x n] row-major, index [count], weight [count] (NULL: all 1), A [n x n]
 * row-major; index NULL means rows 0..count-1. Entries above the diagonal may be changed too. */
void rec_kernels_syrk_rows(const float *factors, const uint32_t *index, const float *weight,
                           size_t count, size_t n, float *A);

/* out[c][r] = row_r[c] for the rows listed, as below: each row becomes a lane.
 * shapes: rows [? x n] with `stride` floats from one to the next, out [n x count] with out_stride
 */
void rec_kernels_transpose(const float *rows, size_t stride, const uint32_t *index, size_t count,
                           size_t n, float *out, size_t out_stride);

/* x[i] = 0 where chance[i] < bar, else x[i] scale: the same bits in every variant. */
void rec_kernels_drop(const uint16_t *chance, uint32_t bar, float scale, float *x, size_t n);
/* dx[i] = (y[i] > 0 ? scale : 0) dy[i], in every variant with the same bits; dx may be dy. */
void rec_kernels_gate(const float *y, float scale, const float *dy, float *dx, size_t n);

/* The largest of x [n]; NaN may be passed over; -infinity for none. */
float rec_kernels_max(const float *x, size_t n);
/* x = e^(x - shift), and their sum. A NaN stays one; what underflows becomes about FLT_MIN.
 * error: 2 units in the last place of each; exponents end at 88 */
float rec_kernels_exps(float *x, size_t n, float shift);
/* x = 1 / (1 + e^-x), and the sum of log(1 + e^x). A NaN stays one.
 * error: 4 units in the last place of each; of the sum 8 FLT_EPSILON n */
float rec_kernels_logistic(float *x, size_t n);

/* One step of Adam, with g = gradient + decay value:
 *   first  = beta1 first + (1 - beta1) g      second = beta2 second + (1 - beta2) g²
 *   value -= rate first / (sqrt(second) root_inverse + epsilon)
 * rate and root_inverse hold the corrections of the bias: Kingma and Ba, 2015, section 2. */
struct rec_kernels_step {
    float rate, root_inverse, beta1, beta2, epsilon, decay;
};
void rec_kernels_adam(const struct rec_kernels_step *step, const float *gradient, float *value,
                      float *first, float *second, size_t n);

/* One step on a user's row x, the row of what it prefers and that of the other (three rows, none of
 * them twice): with a, p, q what is in them,
 *   x = keep_x a + step (p - q)   preferred = keep_p p + step a   other = keep_q q - step a */
struct rec_kernels_pair {
    float step, keep_x, keep_p, keep_q;
};
void rec_kernels_pull(const struct rec_kernels_pair *pair, float *x, float *preferred, float *other,
                      size_t n);

/* ---- small dense systems (cholesky.c) ------------------------------------ */

/* Factors the symmetric positive definite A [n x n] = Lᵀ L (lower triangle read and overwritten
 * by L; above it is scratch). False when a pivot is not positive. */
bool rec_cholesky_factor(float *A, size_t n);
/* Solves Lᵀ L x = b in place. */
void rec_cholesky_solve(const float *L, size_t n, float *b);

/* ---- large dense systems over a pool (spd.c) ------------------------------ */

/* A [n x n], row-major, symmetric positive definite: its inverse, in place. The lower triangle is
 * read, both are written. Progress is reported as phase "solve" from 0 to 1.
 * errors: BAD_INPUT (not positive definite in float, with the row), NO_MEMORY, CANCELLED; A is
 *         then spoilt. Same bits for any number of threads.
 * cost:   n³ operations; 1.5 KiB n of memory beside A */
enum rec_status rec_spd_inverse(float *A, size_t n, struct rec_pool *pool,
                                const struct rec_progress *progress, struct rec_error *err);
/* Solves A X = B for B [n x columns], row-major, in place. A is spoilt. Otherwise as the inverse.
 * cost:   n³/3 + 2 n² columns operations; 1.5 KiB n and 384 KiB a thread of memory beside A and B
 */
enum rec_status rec_spd_solve(float *A, size_t n, float *B, size_t columns, struct rec_pool *pool,
                              const struct rec_progress *progress, struct rec_error *err);

/* ---- dense matrices through BLAS (dense.c) -------------------------------- */

/* One-thread BLAS, for ever: our own pool is the parallelism. Refuses to go on
 * with an OpenBLAS that is not the pthread build. Call first thing in main: where
 * OpenBLAS is older than the processor and OPENBLAS_CORETYPE is not set, this sets
 * it and starts the program again, with the same arguments. */
enum rec_status rec_dense_init(struct rec_error *err);
const char *rec_dense_corename(void); /* the OpenBLAS kernel set in use */

/* C [m x n] = alpha A [m x k] B [k x n] + beta C, row-major; each optionally transposed. */
void rec_dense_gemm(bool a_transposed, bool b_transposed, size_t m, size_t n, size_t k, float alpha,
                    const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                    size_t ldc);

/* ---- top-K (topk.c) ------------------------------------------------------- */

struct rec_ranked {
    uint32_t item;
    float score;
};

/* A bounded heap: keeps the k best by score, ties to the lower item. */
struct rec_topk {
    struct rec_ranked *kept; /* [k], the caller's */
    size_t k, count;
};
void rec_topk_init(struct rec_topk *top, struct rec_ranked *kept, size_t k);

/* Offers items first .. first+count-1 with their scores. mask: one bit an item, bit i of word
 * i/64 is item i of the whole catalogue, 1 = eligible; NULL: all are. NaN never enters. */
void rec_topk_scan(struct rec_topk *top, const float *scores, uint32_t first, uint32_t count,
                   const uint64_t *mask);
/* Offers one item; a NaN is passed over. */
void rec_topk_offer(struct rec_topk *top, uint32_t item, float score);
void rec_topk_finish(struct rec_topk *top); /* kept[0..count) sorted best first */

/* ---- exact top-K through a coarse scan (scan.c, scan_topk.c) ---------------- */

enum { REC_SCAN_QUERIES = 16 }; /* asked together in one pass */

/* Rows in 8 bits beside the floats they stand for, with what bounds their error: most rows are
 * ruled out without a look at their floats. */
struct rec_scan;

/* shapes: rows [items x n], row-major, borrowed: it must outlive the scan.
 * cost:   n + 12 bytes an item, rounded up to whole 64 items and 4 dimensions */
enum rec_status rec_scan_create(const float *rows, uint32_t items, size_t n, struct rec_scan **out,
                                struct rec_error *err);
void rec_scan_destroy(struct rec_scan **scan);

/* Offers items 0 .. items-1 (at most the scan's) with scores row . query to top; mask as in
 * rec_topk_scan. query [n], finite. */
struct rec_scan_query {
    const float *query;
    uint32_t items;
    const uint64_t *mask;
    struct rec_topk *top;
};

/* What is kept is, item by item and bit by bit, what rec_kernels_rows_dot over all rows and
 * rec_topk_scan would keep.
 * threads: any; allocates nothing, 16 KiB of stack
 * cost:    docs/PERFORMANCE.md; what the mask leaves, where that is less than an eighth */
void rec_scan_topk(const struct rec_scan *scan, const struct rec_scan_query *query);
/* The same for each of them, up to REC_SCAN_QUERIES in one pass over the rows; 80 KiB of stack. */
void rec_scan_topk_batch(const struct rec_scan *scan, const struct rec_scan_query *queries,
                         size_t count);

#endif
