/* The kernels of every vector variant, written once over the few operations its
 * file defines first: vec, LANES, vec_load, vec_fma, vec_sums and so on, KERNEL
 * (the target attribute), and the register tile TILE_ROWS x TILE_VECS, whose
 * accumulators with a row of operands must fit the registers.
 *
 * Included by kernels_portable.c, kernels_avx2.c and kernels_avx512.c only.
 * Every sum has one fixed order that depends on n and on nothing else, so the
 * bits are the same for any block, batch or number of threads. */
#include <float.h>
#include <math.h>
#include <string.h>

#define INLINE KERNEL static inline __attribute__((always_inline))

enum {
    BLOCK = 64, /* columns of A worked on together */
    CHUNK = 64, /* rows gathered together: two packed blocks and A's block fit the L1 cache */
    PANEL = 16, /* rows factored together */
    STRIPS = BLOCK / LANES,
};

KERNEL static float dot(const float *x, const float *y, size_t n) {
    vec sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES)
        for (size_t s = 0; s < 4; s++)
            sum[s] = vec_fma(vec_load(x + i + s * LANES), vec_load(y + i + s * LANES), sum[s]);
    for (; i + LANES <= n; i += LANES)
        sum[0] = vec_fma(vec_load(x + i), vec_load(y + i), sum[0]);
    if (i < n)
        sum[1] = vec_fma(vec_load_some(x + i, n - i), vec_load_some(y + i, n - i), sum[1]);
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
}

INLINE void add_row(vec a, const float *x, float *y, size_t n) {
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, vec_fma(a, vec_load(x + i), vec_load(y + i)));
    if (i < n)
        vec_store_some(y + i, vec_fma(a, vec_load_some(x + i, n - i), vec_load_some(y + i, n - i)),
                       n - i);
}

KERNEL static void axpy(float a, const float *x, float *y, size_t n) {
    add_row(vec_set1(a), x, y, n);
}

/* ---- rows, all or some ----------------------------------------------------- */

/* Rows to work on: rows[index[r]] (index NULL: r), each `stride` floats from the next. */
struct row_list {
    const float *rows;
    size_t stride;
    const uint32_t *index;
    const float *weight; /* NULL: all 1 */
};

INLINE const float *row_of(const struct row_list *list, size_t r) {
    return list->rows + (list->index == NULL ? r : list->index[r]) * list->stride;
}

/* ---- dot products with many rows ---------------------------------------- */

/* Sums of `group` rows from `first` on at once, one register each; their lanes are added in one go
 * at the end, sixteen rows for the price of two. group is a constant at the calls that matter. */
INLINE vec dot_group(const struct row_list *list, size_t first, size_t group, size_t n,
                     const float *x) {
    vec sum[LANES];
    for (size_t r = 0; r < LANES; r++)
        sum[r] = vec_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec part = vec_load(x + i);
        for (size_t r = 0; r < group; r++)
            sum[r] = vec_fma(vec_load(row_of(list, first + r) + i), part, sum[r]);
    }
    if (i < n) {
        vec part = vec_load_some(x + i, n - i);
        for (size_t r = 0; r < group; r++)
            sum[r] = vec_fma(vec_load_some(row_of(list, first + r) + i, n - i), part, sum[r]);
    }
    return vec_sums(sum);
}

INLINE void dot_rows(const struct row_list *list, size_t count, size_t n, const float *x,
                     float *scores) {
    size_t r = 0;
    for (; r + LANES <= count; r += LANES)
        vec_store(scores + r, dot_group(list, r, LANES, n, x));
    if (r < count)
        vec_store_some(scores + r, dot_group(list, r, count - r, n, x), count - r);
}

/* Two copies, so that rows side by side are found by adding. */
KERNEL static void rows_dot(const float *rows, const uint32_t *index, size_t count, size_t n,
                            const float *x, float *scores) {
    const struct row_list all = {.rows = rows, .stride = n}, some = {rows, n, index, NULL};
    if (index == NULL)
        dot_rows(&all, count, n, x, scores);
    else
        dot_rows(&some, count, n, x, scores);
}

/* ---- a step on three rows --------------------------------------------------- */

struct pull_vecs {
    vec step, minus, keep_x, keep_p, keep_q;
};

INLINE void pull_of(const struct pull_vecs *by, vec *x, vec *p, vec *q) {
    vec a = *x;
    *x = vec_fma(by->step, vec_sub(*p, *q), vec_mul(by->keep_x, a));
    *p = vec_fma(by->step, a, vec_mul(by->keep_p, *p));
    *q = vec_fma(by->minus, a, vec_mul(by->keep_q, *q));
}

KERNEL static void pull(const struct rec_kernels_pair *pair, float *x, float *preferred,
                        float *other, size_t n) {
    const struct pull_vecs by = {vec_set1(pair->step), vec_set1(-pair->step),
                                 vec_set1(pair->keep_x), vec_set1(pair->keep_p),
                                 vec_set1(pair->keep_q)};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec a = vec_load(x + i), p = vec_load(preferred + i), q = vec_load(other + i);
        pull_of(&by, &a, &p, &q);
        vec_store(x + i, a);
        vec_store(preferred + i, p);
        vec_store(other + i, q);
    }
    if (i < n) {
        vec a = vec_load_some(x + i, n - i), p = vec_load_some(preferred + i, n - i);
        vec q = vec_load_some(other + i, n - i);
        pull_of(&by, &a, &p, &q);
        vec_store_some(x + i, a, n - i);
        vec_store_some(preferred + i, p, n - i);
        vec_store_some(other + i, q, n - i);
    }
}

/* ---- coarse scan ---------------------------------------------------------- */

KERNEL static void bounds(const int32_t sums[SCAN_WORD], const float *scale, float query_scale,
                          float off, uint64_t open, float upper[SCAN_WORD],
                          float lower[SCAN_WORD]) {
    const vec by = vec_set1(query_scale), offs = vec_set1(off);
    for (size_t i = 0; i < SCAN_WORD; i += LANES) {
        vec near = vec_mul(vec_of_ints(sums + i), vec_mul(vec_load(scale + i), by));
        vec_store(upper + i, vec_open(vec_add(near, offs), open >> i));
        vec low = vec_open(vec_sub(near, offs), open >> i);
        vec_store(lower + i, vec_max(low, vec_load(lower + i)));
    }
}

/* One query after the other. */
KERNEL static void reach_each(const uint8_t *items, const float *scale,
                              const struct scan_query *const *queries, const float *bar,
                              size_t count, uint64_t *found) {
    for (size_t u = 0; u < count; u++) {
        const vec by = vec_set1(queries[u]->scale);
        int32_t sums[SCAN_WORD];
        float near[SCAN_WORD];
        coarse(items, queries[u], sums);
        for (size_t i = 0; i < SCAN_WORD; i += LANES)
            vec_store(near + i, vec_mul(vec_of_ints(sums + i), vec_mul(vec_load(scale + i), by)));
        found[u] = above(near, SCAN_WORD, bar[u], true);
    }
}

/* ---- sums of gathered rows ------------------------------------------------ */

INLINE vec weight_of(const struct row_list *list, size_t r) {
    return vec_set1(list->weight == NULL ? 1.0f : list->weight[r]);
}

/* Four vectors of y stay in registers while the rows pass. */
KERNEL static void add_rows(const struct row_list *list, size_t count, size_t n, float *y) {
    size_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES) {
        vec sum[4];
        for (size_t s = 0; s < 4; s++)
            sum[s] = vec_load(y + j + s * LANES);
        for (size_t r = 0; r < count; r++)
            for (size_t s = 0; s < 4; s++)
                sum[s] =
                    vec_fma(weight_of(list, r), vec_load(row_of(list, r) + j + s * LANES), sum[s]);
        for (size_t s = 0; s < 4; s++)
            vec_store(y + j + s * LANES, sum[s]);
    }
    for (; j < n; j += LANES) {
        size_t lanes = n - j < LANES ? n - j : LANES;
        vec sum = vec_load_some(y + j, lanes);
        for (size_t r = 0; r < count; r++)
            sum = vec_fma(weight_of(list, r), vec_load_some(row_of(list, r) + j, lanes), sum);
        vec_store_some(y + j, sum, lanes);
    }
}

KERNEL static void sum_rows(const float *factors, const uint32_t *index, const float *weight,
                            size_t count, size_t n, float *y) {
    const struct row_list list = {factors, n, index, weight};
    add_rows(&list, count, n, y);
}

/* ---- rows that become lanes ------------------------------------------------ */

/* LANES rows and columns: as often as LANES has binary digits, the halves of the list are zipped.
 */
INLINE void transpose_block(vec v[LANES]) {
    for (size_t left = 1; left < LANES; left *= 2) {
        vec zipped[LANES];
        for (size_t i = 0; i < LANES / 2; i++) {
            zipped[2 * i] = vec_zip_low(v[i], v[i + LANES / 2]);
            zipped[2 * i + 1] = vec_zip_high(v[i], v[i + LANES / 2]);
        }
        for (size_t i = 0; i < LANES; i++)
            v[i] = zipped[i];
    }
}

/* Rows first .. first+height-1, columns c .. c+width-1; constants where the block is whole. */
INLINE void transpose_part(const struct row_list *list, size_t first, size_t height, size_t c,
                           size_t width, float *out, size_t out_stride) {
    vec v[LANES];
    for (size_t r = 0; r < LANES; r++)
        v[r] = r >= height      ? vec_zero()
               : width == LANES ? vec_load(row_of(list, first + r) + c)
                                : vec_load_some(row_of(list, first + r) + c, width);
    transpose_block(v);
    for (size_t j = 0; j < LANES && j < width; j++)
        if (height == LANES)
            vec_store(out + j * out_stride, v[j]);
        else
            vec_store_some(out + j * out_stride, v[j], height);
}

/* Where the last block would not be whole, it begins earlier, and repeats some of the one before.
 */
KERNEL static void transpose(const float *rows, size_t stride, const uint32_t *index, size_t count,
                             size_t n, float *out, size_t out_stride) {
    const struct row_list list = {rows, stride, index, NULL};
    size_t width = n < LANES ? n : LANES, height = count < LANES ? count : LANES;
    for (size_t i = 0; i < n; i += LANES)
        for (size_t k = 0; k < count; k += LANES) {
            size_t c = n - i < width ? n - width : i, r = count - k < height ? count - height : k;
            float *corner = out + c * out_stride + r;
            if (width == LANES && height == LANES)
                transpose_part(&list, r, LANES, c, LANES, corner, out_stride);
            else
                transpose_part(&list, r, height, c, width, corner, out_stride);
        }
}

/* ---- what a network hides -------------------------------------------------- */

/* Plain loops, which compilers make vectors of; without a branch, as half of them would be missed:
 * the bits of a number are kept or cleared. */
KERNEL static void drop(const uint16_t *restrict chance, uint32_t bar, float scale,
                        float *restrict x, size_t n) {
    const int32_t limit = (int32_t)bar;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits, keep = chance[i] < limit ? 0 : UINT32_MAX;
        float kept = x[i] * scale;
        memcpy(&bits, &kept, sizeof(bits));
        bits &= keep;
        memcpy(&x[i], &bits, sizeof(bits));
    }
}

KERNEL static void gate(const float *y, float scale, const float *dy, float *dx, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float factor = y[i] > 0.0f ? scale : 0.0f;
        dx[i] = factor * dy[i];
    }
}

/* ---- symmetric rank-k update ---------------------------------------------- */

/* A block of gathered rows, cut into strips one vector wide and padded with
 * zeros: the inner loops read it straight through and need no masks. */
typedef float packed[STRIPS][CHUNK][LANES];

/* Columns first .. first+width-1 of rows begin .. begin+count-1. */
INLINE void pack(const struct row_list *list, size_t begin, size_t count, size_t first,
                 size_t width, packed out) {
    for (size_t r = 0; r < count; r++) {
        const float *row = row_of(list, begin + r) + first;
        size_t j = 0;
        for (; j + LANES <= width; j += LANES)
            vec_store(out[j / LANES][r], vec_load(row + j));
        if (j < width)
            vec_store(out[j / LANES][r], vec_load_some(row + j, width - j));
    }
}

INLINE void scale(const float *weight, size_t count, size_t width, packed in, packed out) {
    for (size_t s = 0; s * LANES < width; s++)
        for (size_t r = 0; r < count; r++)
            vec_store(out[s][r], vec_mul(vec_set1(weight[r]), vec_load(in[s][r])));
}

/* A [height x width] += left(rows)ᵀ right(rows), TILE_ROWS x vecs vectors of A in registers.
 * left: column by column broadcast; right: `vecs` strips. vecs is a constant at each call, and the
 * caller passes height and width as constants where the tile is whole: the tests then go away. */
INLINE void tile(const float (*left)[LANES], const float (*right)[CHUNK][LANES], size_t count,
                 size_t vecs, size_t height, size_t width, float *A, size_t lda) {
    vec sum[TILE_ROWS][TILE_VECS];
    for (size_t i = 0; i < TILE_ROWS; i++)
        for (size_t v = 0; v < vecs; v++)
            sum[i][v] = i >= height ? vec_zero()
                        : (v + 1) * LANES <= width
                            ? vec_load(A + i * lda + v * LANES)
                            : vec_load_some(A + i * lda + v * LANES, width - v * LANES);

    for (size_t r = 0; r < count; r++) {
        vec x[TILE_VECS];
        for (size_t v = 0; v < vecs; v++)
            x[v] = vec_load(right[v][r]);
        for (size_t i = 0; i < TILE_ROWS; i++) {
            vec w = vec_set1(left[r][i]);
            for (size_t v = 0; v < vecs; v++)
                sum[i][v] = vec_fma(w, x[v], sum[i][v]);
        }
    }

    for (size_t i = 0; i < TILE_ROWS && i < height; i++)
        for (size_t v = 0; v < vecs; v++)
            if ((v + 1) * LANES <= width)
                vec_store(A + i * lda + v * LANES, sum[i][v]);
            else
                vec_store_some(A + i * lda + v * LANES, sum[i][v], width - v * LANES);
}

INLINE void tile_of(const float (*left)[LANES], const float (*right)[CHUNK][LANES], size_t count,
                    size_t vecs, bool whole, size_t height, size_t width, float *A, size_t lda) {
    if (whole)
        tile(left, right, count, vecs, TILE_ROWS, vecs * LANES, A, lda);
    else
        tile(left, right, count, vecs, height, width, A, lda);
}

/* One block of A [height x width]; the diagonal block stops at the diagonal's vector. */
KERNEL static void add_block(packed left, packed right, size_t count, size_t height, size_t width,
                             bool diagonal, float *A, size_t lda) {
    for (size_t i = 0; i < height; i += TILE_ROWS) {
        const float(*l)[LANES] = (const float(*)[LANES])(&left[i / LANES][0][i % LANES]);
        size_t rows = height - i < TILE_ROWS ? height - i : TILE_ROWS;
        size_t end = diagonal && i + rows < width ? i + rows : width;
        for (size_t j = 0; j < end; j += TILE_VECS * LANES) {
            const float(*r)[CHUNK][LANES] = (const float(*)[CHUNK][LANES]) & right[j / LANES];
            float *corner = A + i * lda + j;
            size_t vecs = (end - j + LANES - 1) / LANES;
            bool whole = rows == TILE_ROWS && width - j >= vecs * LANES;
            if (vecs >= 3 && TILE_VECS >= 3)
                tile_of(l, r, count, 3 <= TILE_VECS ? 3 : 1, whole, rows, width - j, corner, lda);
            else if (vecs >= 2)
                tile_of(l, r, count, 2, whole, rows, width - j, corner, lda);
            else
                tile_of(l, r, count, 1, whole, rows, width - j, corner, lda);
        }
    }
}

/* A [n x n] += sum of weight row rowᵀ, lower triangle (and some entries right of the diagonal). */
KERNEL static void add_products(const struct row_list *list, size_t count, size_t n, float *A,
                                size_t lda) {
    _Alignas(64) packed left;
    _Alignas(64) packed right;
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t height = n - i < BLOCK ? n - i : BLOCK;
        for (size_t j = 0; j <= i; j += BLOCK) {
            size_t width = n - j < BLOCK ? n - j : BLOCK;
            for (size_t begin = 0; begin < count; begin += CHUNK) {
                size_t rows = count - begin < CHUNK ? count - begin : CHUNK;
                bool own = i == j && list->weight == NULL; /* both sides are the same numbers */
                pack(list, begin, rows, j, width, right);
                if (i != j)
                    pack(list, begin, rows, i, height, left);
                if (list->weight != NULL)
                    scale(list->weight + begin, rows, height, i == j ? right : left, left);
                add_block(own ? right : left, right, rows, height, width, i == j, A + i * lda + j,
                          lda);
            }
        }
    }
}

KERNEL static void syrk_rows(const float *factors, const uint32_t *index, const float *weight,
                             size_t count, size_t n, float *A) {
    const struct row_list list = {factors, n, index, weight};
    add_products(&list, count, n, A, n);
}

/* ---- Cholesky, from the last row up (cholesky.c) --------------------------- */

/* How far a row that ends at `end` is worked on: to the end of the vector, if the matrix has it.
 * What lies right of the diagonal is scratch, and a whole store is forwarded to the loads that
 * follow it at once, which a masked one is not. */
INLINE size_t whole_end(size_t end, size_t n) {
    size_t whole = (end + LANES - 1) / LANES * LANES;
    return whole <= n ? whole : n;
}

INLINE void scale_row(vec a, float *x, size_t n) {
    size_t j = 0;
    for (; j + LANES <= n; j += LANES)
        vec_store(x + j, vec_mul(a, vec_load(x + j)));
    if (j < n)
        vec_store_some(x + j, vec_mul(a, vec_load_some(x + j, n - j)), n - j);
}

/* Rows low .. high-1: scales each and takes it out of those of the panel above it. */
KERNEL static bool factor_panel(float *A, size_t n, size_t low, size_t high) {
    for (size_t k = high; k-- > low;) {
        float *row = A + k * n;
        float pivot = row[k];
        if (!(pivot > 0.0f && pivot <= FLT_MAX))
            return false;
        pivot = sqrtf(pivot);
        scale_row(vec_set1(1.0f / pivot), row, whole_end(k + 1, n));
        row[k] = pivot;
        for (size_t i = k; i-- > low;)
            add_row(vec_set1(-row[i]), row, A + i * n, whole_end(i + 1, n));
    }
    return true;
}

KERNEL static bool factor(float *A, size_t n) {
    float minus[PANEL];
    for (size_t i = 0; i < PANEL; i++)
        minus[i] = -1.0f;
    for (size_t high = n; high > 0;) {
        size_t low = (high - 1) / PANEL * PANEL;
        if (!factor_panel(A, n, low, high))
            return false;
        const struct row_list panel = {A + low * n, n, NULL, minus};
        add_products(&panel, high - low, low, A, n);
        high = low;
    }
    return true;
}

/* Lᵀ y = b: a panel's own triangle by the definition, then its rows out of what is left of it. */
KERNEL static void solve_up(const float *L, size_t n, float *b) {
    float minus[PANEL];
    for (size_t high = n; high > 0;) {
        size_t low = (high - 1) / PANEL * PANEL;
        for (size_t k = high; k-- > low;) {
            float rest = b[k];
            for (size_t m = high; m-- > k + 1;)
                rest -= L[m * n + k] * b[m];
            b[k] = rest / L[k * n + k];
            minus[k - low] = -b[k];
        }
        const struct row_list panel = {L + low * n, n, NULL, minus};
        add_rows(&panel, high - low, low, b);
        high = low;
    }
}

/* L x = y: what the panels before say of this panel's rows, then its own triangle. */
KERNEL static void solve_down(const float *L, size_t n, float *b) {
    float known[PANEL];
    for (size_t low = 0; low < n; low += PANEL) {
        size_t high = low + PANEL < n ? low + PANEL : n;
        const struct row_list panel = {.rows = L + low * n, .stride = n};
        dot_rows(&panel, high - low, low, b, known);
        for (size_t k = low; k < high; k++) {
            float rest = b[k] - known[k - low];
            for (size_t m = low; m < k; m++)
                rest -= L[k * n + m] * b[m];
            b[k] = rest / L[k * n + k];
        }
    }
}

KERNEL static void solve(const float *L, size_t n, float *b) {
    solve_up(L, n, b);
    solve_down(L, n, b);
}
