/* The sparse variant of next-item: of a solved matrix, the entries farthest from zero.
 *
 * How many is given, so the smallest kept magnitude is found first, exactly: floats of one sign
 * order as their bits do, so two counting passes of 16 bits each find it, whatever the values are
 * and without a copy. Of entries at that very magnitude the first are kept. */
#include <math.h>
#include <string.h>

#include "nextitem.h"

enum { DIGITS = 1 << 16 };

static uint32_t magnitude(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits & UINT32_C(0x7fffffff);
}

/* The digit at which the count from the top passes `left`, which becomes how many are wanted of
 * that digit. */
static uint32_t pass_digit(const uint64_t *seen, uint64_t *left) {
    uint32_t digit = DIGITS - 1;
    while (digit > 0 && seen[digit] < *left)
        *left -= seen[digit--];
    return digit;
}

/* The keep-th largest magnitude of values [count], and of those equal to it how many are kept.
 * seen [DIGITS], scratch. */
static uint32_t find_least(const float *values, size_t count, uint64_t keep, uint64_t *seen,
                           uint64_t *equal) {
    *equal = keep;
    memset(seen, 0, DIGITS * sizeof(*seen));
    for (size_t i = 0; i < count; i++)
        seen[magnitude(values[i]) >> 16]++;
    uint32_t high = pass_digit(seen, equal);
    memset(seen, 0, DIGITS * sizeof(*seen));
    for (size_t i = 0; i < count; i++)
        if (magnitude(values[i]) >> 16 == high)
            seen[magnitude(values[i]) & 0xffff]++;
    return high << 16 | pass_digit(seen, equal);
}

static void fill_rows(const float *values, size_t rows, size_t cols, uint32_t least, uint64_t equal,
                      uint64_t *offset, uint32_t *column, float *value) {
    uint64_t count = 0;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            float v = values[r * cols + c];
            if (magnitude(v) < least || (magnitude(v) == least && equal == 0))
                continue;
            if (magnitude(v) == least)
                equal--;
            column[count] = (uint32_t)c;
            value[count++] = v;
        }
        offset[r + 1] = count;
    }
}

uint64_t rec_nextitem_kept(double density, double entries) {
    double keep = floor(density * entries);
    return keep < 1.0 ? 1 : (uint64_t)keep;
}

enum rec_status rec_nextitem_thin(const float *values, size_t rows, size_t cols, double density,
                                  struct rec_tensors *out, struct rec_error *err) {
    uint64_t keep = rec_nextitem_kept(density, (double)rows * (double)cols), equal;
    void *offset = NULL, *column = NULL, *value = NULL;
    uint64_t *seen = rec_alloc_array(DIGITS, sizeof(*seen));
    if (seen == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "next-item: no memory to find %llu entries",
                             (unsigned long long)keep);
    enum rec_status st = rec_tensors_add(out, "offset", REC_TENSOR_U64, 1, rows + 1, &offset, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "column", REC_TENSOR_U32, 1, keep, &column, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "value", REC_TENSOR_F32, 1, keep, &value, err);
    if (st == REC_OK) {
        uint32_t least = find_least(values, rows * cols, keep, seen, &equal);
        fill_rows(values, rows, cols, least, equal, offset, column, value);
    }
    rec_alloc_free(seen);
    return st;
}
