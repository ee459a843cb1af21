/* Compressed sparse rows: the matrix of users and items, in both directions. */
#include <string.h>

#include "recsysd/linalg.h"

static enum rec_status create(uint32_t rows, uint32_t cols, uint64_t entries, bool values,
                              struct rec_csr **out, struct rec_error *err) {
    struct rec_csr *csr = rec_alloc_array(1, sizeof(*csr));
    if (csr != NULL && entries <= SIZE_MAX) {
        csr->rows = rows;
        csr->cols = cols;
        csr->offset = rec_alloc_array((size_t)rows + 1, sizeof(*csr->offset));
        csr->column = rec_alloc_array((size_t)entries, sizeof(*csr->column));
        if (values)
            csr->value = rec_alloc_array((size_t)entries, sizeof(*csr->value));
    }
    if (csr == NULL || csr->offset == NULL || csr->column == NULL ||
        (values && csr->value == NULL)) {
        rec_csr_destroy(&csr);
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a %u x %u matrix of %llu entries",
                             rows, cols, (unsigned long long)entries);
    }
    *out = csr;
    return REC_OK;
}

enum rec_status rec_csr_create(uint32_t rows, uint32_t cols, uint64_t entries, struct rec_csr **out,
                               struct rec_error *err) {
    return create(rows, cols, entries, true, out, err);
}

void rec_csr_destroy(struct rec_csr **csr) {
    if (*csr == NULL)
        return;
    rec_alloc_free((*csr)->offset);
    rec_alloc_free((*csr)->column);
    rec_alloc_free((*csr)->value);
    rec_alloc_free(*csr);
    *csr = NULL;
}

uint64_t rec_csr_entries(const struct rec_csr *csr) {
    return csr->offset[csr->rows];
}

/* A counting sort by column: rows are read in order, so each new row's columns rise. */
enum rec_status rec_csr_transpose(const struct rec_csr *csr, struct rec_csr **out,
                                  struct rec_error *err) {
    struct rec_csr *turned = NULL;
    uint64_t entries = rec_csr_entries(csr);
    enum rec_status st = create(csr->cols, csr->rows, entries, csr->value != NULL, &turned, err);
    if (st != REC_OK)
        return st;

    /* offset[c + 1] counts column c, then is where its next entry goes, and ends as its end. */
    for (uint64_t k = 0; k < entries; k++)
        turned->offset[csr->column[k] + (size_t)1]++;
    uint64_t begin = 0;
    for (size_t c = 1; c <= csr->cols; c++) {
        uint64_t count = turned->offset[c];
        turned->offset[c] = begin;
        begin += count;
    }
    for (uint32_t row = 0; row < csr->rows; row++) {
        for (uint64_t k = csr->offset[row]; k < csr->offset[row + 1]; k++) {
            uint64_t to = turned->offset[csr->column[k] + (size_t)1]++;
            turned->column[to] = row;
            if (csr->value != NULL)
                turned->value[to] = csr->value[k];
        }
    }
    *out = turned;
    return REC_OK;
}

uint64_t rec_csr_find(const uint32_t *column, uint64_t begin, uint64_t end, uint32_t wanted) {
    while (begin < end) {
        uint64_t middle = begin + (end - begin) / 2;
        if (column[middle] < wanted)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}
