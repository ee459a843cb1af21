/* The set of named tensors that a fitted model is. One shape for every family, so that saving,
 * loading and checking are written once (modelfile.c) and a family adds none of it. */
#include <assert.h>
#include <string.h>

#include "mapping.h"
#include "recsysd/model.h"
#include "tensors.h"

/* Smaller blocks of rec_alloc_array have only malloc's alignment; a tensor's data has 64. */
enum { ALIGNED_FROM_BYTES = 1024 };

size_t rec_tensors_element_bytes(enum rec_tensor_type type) {
    switch (type) {
    case REC_TENSOR_F32:
    case REC_TENSOR_U32:
        return 4;
    case REC_TENSOR_U64:
        return 8;
    case REC_TENSOR_U8:
        return 1;
    }
    return 0;
}

const char *rec_tensors_type_name(enum rec_tensor_type type) {
    static const char *const names[] = {[REC_TENSOR_F32] = "f32",
                                        [REC_TENSOR_U32] = "u32",
                                        [REC_TENSOR_U64] = "u64",
                                        [REC_TENSOR_U8] = "u8"};
    return (size_t)type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

bool rec_tensors_bytes(enum rec_tensor_type type, uint64_t rows, uint64_t cols, size_t *out) {
    size_t cells, bytes;
    if (__builtin_mul_overflow(rows, cols, &cells) ||
        __builtin_mul_overflow(cells, rec_tensors_element_bytes(type), &bytes))
        return false;
    *out = bytes;
    return true;
}

static const struct rec_tensor *find(const struct rec_tensors *tensors, const char *name) {
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->tensor[i].name, name) == 0)
            return &tensors->tensor[i];
    return NULL;
}

enum rec_status rec_tensors_add(struct rec_tensors *tensors, const char *name,
                                enum rec_tensor_type type, uint64_t rows, uint64_t cols,
                                void **data, struct rec_error *err) {
    struct rec_tensor added = {.type = type, .rows = rows, .cols = cols};
    size_t name_bytes = strlen(name), bytes;
    assert(tensors->block == NULL && tensors->mapping == NULL && tensors->count < REC_TENSORS_MAX);
    assert(name_bytes > 0 && name_bytes < sizeof(added.name) && find(tensors, name) == NULL);

    memcpy(added.name, name, name_bytes);
    if (rec_tensors_bytes(type, rows, cols, &bytes))
        added.data = rec_alloc_array(bytes < ALIGNED_FROM_BYTES ? ALIGNED_FROM_BYTES : bytes, 1);
    if (added.data == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the tensor '%s' [%llu x %llu] %s",
                             name, (unsigned long long)rows, (unsigned long long)cols,
                             rec_tensors_type_name(type));
    tensors->tensor[tensors->count++] = added;
    *data = added.data;
    return REC_OK;
}

enum rec_status rec_tensors_copy(const struct rec_tensors *tensors, struct rec_tensors *out,
                                 struct rec_error *err) {
    enum rec_status st = REC_OK;
    for (size_t i = 0; st == REC_OK && i < tensors->count; i++) {
        const struct rec_tensor *t = &tensors->tensor[i];
        size_t bytes = 0;
        void *data = NULL;
        st = rec_tensors_add(out, t->name, t->type, t->rows, t->cols, &data, err);
        if (st == REC_OK && rec_tensors_bytes(t->type, t->rows, t->cols, &bytes) && bytes > 0)
            memcpy(data, t->data, bytes);
    }
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

enum rec_status rec_tensors_get(const struct rec_tensors *tensors, const char *name,
                                enum rec_tensor_type type, uint64_t rows, uint64_t cols,
                                const struct rec_tensor **out, struct rec_error *err) {
    const struct rec_tensor *found = find(tensors, name);
    if (found == NULL)
        return rec_error_set(err, REC_CORRUPT, "the tensor '%s' is missing", name);
    if (found->type != type)
        return rec_error_set(err, REC_CORRUPT, "the tensor '%s' holds %s, expected %s", name,
                             rec_tensors_type_name(found->type), rec_tensors_type_name(type));
    if ((rows != 0 && found->rows != rows) || (cols != 0 && found->cols != cols))
        return rec_error_set(err, REC_CORRUPT,
                             "the tensor '%s' is [%llu x %llu], expected [%llu x %llu] (0: any)",
                             name, (unsigned long long)found->rows, (unsigned long long)found->cols,
                             (unsigned long long)rows, (unsigned long long)cols);
    *out = found;
    return REC_OK;
}

void rec_tensors_finish(struct rec_tensors *tensors) {
    if (tensors->block == NULL && tensors->mapping == NULL)
        for (size_t i = 0; i < tensors->count; i++)
            rec_alloc_free(tensors->tensor[i].data);
    rec_alloc_free(tensors->block);
    rec_mapping_destroy(&tensors->mapping);
    *tensors = (struct rec_tensors){.count = 0};
}
