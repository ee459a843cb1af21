/* handlers: one function an operation of openapi.yaml.
 *
 * A handler does three things: read, run, write. It knows no SQL, no model and no status of HTTP:
 * problem.c turns what it returns into the answer. */
#ifndef RECSYSD_API_HANDLERS_H
#define RECSYSD_API_HANDLERS_H

#include "recsysd/api.h"

#define REC_HANDLER(name)                                                                          \
    enum rec_http_verdict name(void *context, struct rec_http_exchange *exchange)

REC_HANDLER(rec_handle_recommend_get);
REC_HANDLER(rec_handle_recommend_post);
REC_HANDLER(rec_handle_similar_get);
REC_HANDLER(rec_handle_interactions_post);
REC_HANDLER(rec_handle_interactions_get);
REC_HANDLER(rec_handle_users_delete);
REC_HANDLER(rec_handle_items_get);
REC_HANDLER(rec_handle_items_put);
REC_HANDLER(rec_handle_items_delete);
REC_HANDLER(rec_handle_items_post);
REC_HANDLER(rec_handle_health_ready);
REC_HANDLER(rec_handle_health_live);
REC_HANDLER(rec_handle_models_reload);
REC_HANDLER(rec_handle_models_list);
REC_HANDLER(rec_handle_models_activate);
REC_HANDLER(rec_handle_jobs_start);
REC_HANDLER(rec_handle_jobs_list);
REC_HANDLER(rec_handle_jobs_get);
REC_HANDLER(rec_handle_jobs_cancel);
REC_HANDLER(rec_handle_metrics_get);
REC_HANDLER(rec_handle_metrics_openapi);

/* Metrics (handle_metrics.c): registered once, and what handlers feed. */
void rec_handle_metrics_init(void);
void rec_handle_metrics_list(bool personal);
void rec_handle_metrics_recorded(uint64_t accepted, uint64_t duplicates);

#endif
