/* api: the route table, the handlers, the JSON codec and problem+json. It turns
 * HTTP messages into use cases and their results into answers. */
#ifndef RECSYSD_API_H
#define RECSYSD_API_H

#include "recsysd/base.h"
#include "recsysd/http.h"
#include "recsysd/serve.h"
#include "recsysd/telemetry.h"
#include "recsysd/train.h"

/* What handlers work with; every pointer is borrowed and outlives the server. */
struct rec_api {
    struct rec_serve *serve;
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_versions *versions;
    struct rec_scheduler *scheduler;
    const struct rec_weights *weights;
    const char *build_version;
    atomic_bool draining; /* readiness answers 503 from here on */
};

/* Registers the metrics. Once per process, before the server starts. */
void rec_api_init(struct rec_api *api);

/* routes.c: all operations of openapi.yaml. */
extern const struct rec_http_route rec_api_routes[];
extern const size_t rec_api_route_count;

/* problem.c: for struct rec_http_options. */
void rec_problem_http(struct rec_http_exchange *exchange, int status, const char *detail);
void rec_api_observe(void *context, const struct rec_http_route *route,
                     const struct rec_http_exchange *exchange, uint64_t elapsed_ns);

/* codec.c: one interaction of NDJSON, for rec_read_set_ndjson(). Strings of *out live until the
 * next call with the same context (struct rec_codec_line *). */
struct rec_codec_line;
struct rec_codec_line *rec_codec_line_create(const struct rec_weights *weights);
void rec_codec_line_destroy(struct rec_codec_line **line);
enum rec_status rec_codec_line_parse(void *line, const char *text, size_t bytes,
                                     struct rec_interaction *out, struct rec_error *err);

#endif
