/* The way from tensors to a model, shared by fitting (model.c) and loading (modelfile.c). */
#ifndef RECSYSD_MODEL_OPEN_H
#define RECSYSD_MODEL_OPEN_H

#include "recsysd/model.h"

/* owns: takes *tensors and leaves the set empty, also on failure
 * errors: NO_MEMORY, CORRUPT (the family refuses the tensors) */
enum rec_status rec_model_open(const struct rec_family *family, uint32_t items,
                               const struct rec_params *params, struct rec_tensors *tensors,
                               struct rec_model **out, struct rec_error *err);

#endif
