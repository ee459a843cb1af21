/* query: the parameters of a request target. */
#ifndef RECSYSD_API_QUERY_H
#define RECSYSD_API_QUERY_H

#include "recsysd/http.h"

/* Sorts the parameters into found [count], one for each of names [count], NULL where it was not
 * sent. BAD_INPUT names a parameter that is unknown (and the nearest known one) or sent twice. */
enum rec_status rec_query_read(const struct rec_http_exchange *exchange, const char *const *names,
                               size_t count, const struct rec_http_pair **found,
                               struct rec_error *err);
/* For operations that take none. */
enum rec_status rec_query_none(const struct rec_http_exchange *exchange, struct rec_error *err);

/* Readers of one parameter. pair NULL: *out stays as it is. */
enum rec_status rec_query_u32(const struct rec_http_pair *pair, uint32_t min, uint32_t max,
                              uint32_t *out, struct rec_error *err);
enum rec_status rec_query_bool(const struct rec_http_pair *pair, bool *out, struct rec_error *err);
/* 1 to bytes_max (at most REC_ID_BYTES_MAX) bytes of UTF-8 without control characters */
enum rec_status rec_query_text(const struct rec_http_pair *pair, size_t bytes_max, const char **out,
                               struct rec_error *err);
/* The same for the {part} of the path. */
enum rec_status rec_query_path(const struct rec_http_exchange *exchange, const char *name,
                               const char **out, struct rec_error *err);

#endif
