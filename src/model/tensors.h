/* What modelfile.c needs to know of tensors beyond the door. */
#ifndef RECSYSD_MODEL_TENSORS_H
#define RECSYSD_MODEL_TENSORS_H

#include "recsysd/model.h"

size_t rec_tensors_element_bytes(enum rec_tensor_type type);  /* 0: no such type */
const char *rec_tensors_type_name(enum rec_tensor_type type); /* "f32", static */

/* False when rows x cols elements are more bytes than memory can address. */
bool rec_tensors_bytes(enum rec_tensor_type type, uint64_t rows, uint64_t cols, size_t *out);

#endif
