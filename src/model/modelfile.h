/* The shape of a model file, shared by reading (modelfile.c, where the format is told) and writing
 * (modelfile_save.c). */
#ifndef RECSYSD_MODEL_MODELFILE_H
#define RECSYSD_MODEL_MODELFILE_H

#include "recsysd/model.h"

#define FILE_MAGIC "RECMODEL" /* without its NUL */

enum {
    FILE_FORMAT = 1,
    FILE_ORDER = 0x01020304,
    FILE_ALIGNMENT = 64,
    FILE_PATH_SHOWN = 140, /* of a path in a message */
};

struct file_head {
    char magic[8];
    uint32_t order, format;
    uint64_t bytes, recorded;
    int64_t trained_at;
    uint32_t items, tensors;
    char version[64], database[40], family[32], parameters[512], metrics[1024];
};

struct file_tensor {
    char name[32];
    uint32_t type, zero;
    uint64_t rows, cols, offset, bytes, checksum;
};

_Static_assert(sizeof(struct file_head) == 1720, "the format has no padding");
_Static_assert(sizeof(struct file_tensor) == 80, "the format has no padding");

/* Head, table, zeros and checksum of the most tensors there can be. */
enum {
    HEADER_BYTES_MAX =
        (1720 + REC_TENSORS_MAX * 80 + 8 + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT
};

struct file_header {
    union {
        unsigned char bytes[HEADER_BYTES_MAX];
        struct {
            struct file_head head;
            struct file_tensor table[REC_TENSORS_MAX];
        } part;
    };
    size_t used; /* bytes up to and with the checksum; the first tensor starts here */
};

static inline uint64_t rec_modelfile_padded(uint64_t bytes) {
    return (bytes + FILE_ALIGNMENT - 1) / FILE_ALIGNMENT * FILE_ALIGNMENT;
}

size_t rec_modelfile_header_bytes(uint32_t tensors);
/* What the last 8 bytes of a header must be. */
uint64_t rec_modelfile_checksum(const struct file_header *header);

/* The name of a text field that is not as the format says, or NULL. */
const char *rec_modelfile_unclean_field(const struct file_head *head);

#endif
