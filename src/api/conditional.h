/* conditional: entity tags and If-None-Match. */
#ifndef RECSYSD_API_CONDITIONAL_H
#define RECSYSD_API_CONDITIONAL_H

#include "recsysd/http.h"

void rec_conditional_init(void);

/* Writes the tag of what the query of this exchange reads at these versions. */
void rec_conditional_tag(const struct rec_http_exchange *exchange, uint64_t serial,
                         uint64_t history_version, uint64_t catalogue_version, char etag[64]);

/* Whether the client holds it already; then the answer is 304 with this tag, and done. */
bool rec_conditional_unchanged(struct rec_http_exchange *exchange, const char *etag);

#endif
