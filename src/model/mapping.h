/* A file's bytes in memory, mapped where that is safe and read where it is not. */
#ifndef RECSYSD_MODEL_MAPPING_H
#define RECSYSD_MODEL_MAPPING_H

#include "recsysd/base.h"

struct rec_mapping;

/* The whole file behind fd, which must be a regular one of this size, mapped. NULL without a reason
 * where it cannot be held safely: then it has to be read. fd is borrowed. */
struct rec_mapping *rec_mapping_create(int fd, size_t bytes);
const unsigned char *rec_mapping_bytes(const struct rec_mapping *mapping);
/* False once the bytes are a copy, as somebody is about to write to the file. For tests. */
bool rec_mapping_is_file(struct rec_mapping *mapping);
void rec_mapping_destroy(struct rec_mapping **mapping); /* NULL is fine */

#endif
