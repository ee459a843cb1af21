/* Every operation there is, one row each. openapi.yaml lists the same ones, and
 * tools/check_openapi fails when it does not. */
#include "codec.h"
#include "conditional.h"
#include "handlers.h"

#define JSON          "application/json"
#define JSON_OR_LINES "application/json, application/x-ndjson"

const struct rec_http_route rec_api_routes[] = {
    {REC_HTTP_GET, "/recommend", "recommend", rec_handle_recommend_get, NULL},
    {REC_HTTP_POST, "/recommend", "recommendFor", rec_handle_recommend_post, JSON},
    {REC_HTTP_GET, "/similar-items", "similarItems", rec_handle_similar_get, NULL},
    {REC_HTTP_POST, "/interactions", "recordInteractions", rec_handle_interactions_post,
     JSON_OR_LINES},
    {REC_HTTP_GET, "/interactions", "listInteractions", rec_handle_interactions_get, NULL},
    {REC_HTTP_DELETE, "/users/{user_id}", "eraseUser", rec_handle_users_delete, NULL},
    {REC_HTTP_POST, "/items", "putItems", rec_handle_items_post, JSON_OR_LINES},
    {REC_HTTP_GET, "/items/{item_id}", "getItem", rec_handle_items_get, NULL},
    {REC_HTTP_PUT, "/items/{item_id}", "putItem", rec_handle_items_put, JSON},
    {REC_HTTP_DELETE, "/items/{item_id}", "deleteItem", rec_handle_items_delete, NULL},
    {REC_HTTP_GET, "/health", "health", rec_handle_health_ready, NULL},
    {REC_HTTP_GET, "/health/live", "live", rec_handle_health_live, NULL},
    {REC_HTTP_GET, "/health/ready", "ready", rec_handle_health_ready, NULL},
    {REC_HTTP_POST, "/reload", "reload", rec_handle_models_reload, NULL},
    {REC_HTTP_POST, "/retrain", "retrain", rec_handle_jobs_start, JSON},
    {REC_HTTP_GET, "/jobs", "listJobs", rec_handle_jobs_list, NULL},
    {REC_HTTP_GET, "/jobs/{id}", "getJob", rec_handle_jobs_get, NULL},
    {REC_HTTP_DELETE, "/jobs/{id}", "cancelJob", rec_handle_jobs_cancel, NULL},
    {REC_HTTP_GET, "/models", "listModels", rec_handle_models_list, NULL},
    {REC_HTTP_POST, "/models/{version}/activate", "activateModel", rec_handle_models_activate,
     NULL},
    {REC_HTTP_GET, "/metrics", "metrics", rec_handle_metrics_get, NULL},
    {REC_HTTP_GET, "/openapi.yaml", "openapi", rec_handle_metrics_openapi, NULL},
};
const size_t rec_api_route_count = sizeof(rec_api_routes) / sizeof(rec_api_routes[0]);

void rec_api_init(struct rec_api *api) {
    (void)api; /* what it holds is for the handlers */
    rec_codec_init();
    rec_conditional_init();
    rec_handle_metrics_init();
}
