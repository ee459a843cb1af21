/* Model files as bytes: a second reading of the format's description, written without the
 * library's structs, so that a slip in either shows. Used by the tests and the fuzz target. */
#ifndef RECSYSD_TESTS_MODEL_MODELFILE_BYTES_H
#define RECSYSD_TESTS_MODEL_MODELFILE_BYTES_H

#include <stdint.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    AT_MAGIC = 0,
    AT_ORDER = 8,
    AT_FORMAT = 12,
    AT_BYTES = 16,
    AT_ITEMS = 40,
    AT_TENSORS = 44,
    AT_VERSION = 48,
    AT_DATABASE = 112,
    AT_FAMILY = 152,
    AT_PARAMETERS = 184,
    AT_METRICS = 696,
    AT_TABLE = 1720,
    ROW_BYTES = 80,
    ROW_TYPE = 32,
    ROW_ZERO = 36,
    ROW_ROWS = 40,
    ROW_COLS = 48,
    ROW_OFFSET = 56,
    ROW_DATA_BYTES = 64,
    ROW_CHECKSUM = 72,
};

static inline uint64_t file_u64(const unsigned char *file, size_t at) {
    uint64_t value;
    memcpy(&value, file + at, sizeof(value));
    return value;
}

static inline size_t file_data_start(uint32_t tensors) {
    return (AT_TABLE + (size_t)tensors * ROW_BYTES + 8 + 63) / 64 * 64;
}

/* Makes every checksum right again, as somebody would who means harm. */
static inline void file_resign(unsigned char *file, size_t bytes) {
    uint32_t tensors;
    if (bytes < AT_TABLE)
        return;
    memcpy(&tensors, file + AT_TENSORS, sizeof(tensors));
    if (tensors > 64 || file_data_start(tensors) > bytes)
        return;
    for (size_t i = 0; i < tensors; i++) {
        size_t row = AT_TABLE + i * ROW_BYTES;
        uint64_t offset = file_u64(file, row + ROW_OFFSET);
        uint64_t size = file_u64(file, row + ROW_DATA_BYTES);
        if (offset > bytes || size > bytes - offset || (size + 63) / 64 * 64 > bytes - offset)
            continue;
        uint64_t checksum = XXH3_64bits(file + offset, (size_t)((size + 63) / 64 * 64));
        memcpy(file + row + ROW_CHECKSUM, &checksum, sizeof(checksum));
    }
    size_t end = file_data_start(tensors);
    uint64_t checksum = XXH3_64bits(file, end - 8);
    memcpy(file + end - 8, &checksum, sizeof(checksum));
}

#endif
