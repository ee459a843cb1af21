/* openapi: the text of openapi.yaml, made a C array by the build. */
#ifndef RECSYSD_API_OPENAPI_H
#define RECSYSD_API_OPENAPI_H

#include <stddef.h>

extern const unsigned char rec_openapi_text[];
extern const size_t rec_openapi_bytes;

#endif
