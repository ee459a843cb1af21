/* GET /metrics and GET /openapi.yaml, and what is counted.
 *
 * Requests are counted by operation and class of status, timed by operation; what matched no route
 * counts as operation "none", so a client that guesses paths cannot make new series. Gauges are
 * read when somebody asks. */
#include <stdio.h>
#include <string.h>

#include "answer.h"
#include "handlers.h"
#include "openapi.h"
#include "problem.h"
#include "query.h"

enum { ROUTES_MAX = 40, CLASSES = 4, LABELS_BYTES = 64 };

static struct rec_counter requests[ROUTES_MAX + 1][CLASSES]; /* 2xx 3xx 4xx 5xx */
static struct rec_histogram durations[ROUTES_MAX + 1];
static char request_labels[ROUTES_MAX + 1][CLASSES][LABELS_BYTES];
static char duration_labels[ROUTES_MAX + 1][LABELS_BYTES];

static struct rec_counter lists[] = {
    {.name = "recsysd_lists_total",
     .help = "Lists answered, by source",
     .labels = "source=\"personal\""},
    {.name = "recsysd_lists_total",
     .help = "Lists answered, by source",
     .labels = "source=\"popular\""},
};
static struct rec_counter accepted = {
    .name = "recsysd_interactions_accepted_total",
    .help = "Interactions recorded, durable when they are counted",
};
static struct rec_counter repeated = {
    .name = "recsysd_interactions_duplicates_total",
    .help = "Interactions whose event_id was there already",
};

enum { SERIAL, TRAINED_AT, USERS, ITEMS, INTERACTIONS, HISTORIES, CACHE, GAUGES };
static struct rec_gauge gauges[GAUGES] = {
    {.name = "recsysd_generation_serial", .help = "Models made live since the start; 0: none is"},
    {.name = "recsysd_model_trained_at_seconds", .help = "When the live model was trained"},
    {.name = "recsysd_users", .help = "Users known"},
    {.name = "recsysd_items", .help = "Items known"},
    {.name = "recsysd_interactions", .help = "Interactions stored"},
    {.name = "recsysd_history_bytes", .help = "Memory of the histories"},
    {.name = "recsysd_query_cache_bytes", .help = "Memory of the cached queries"},
};

static void register_requests(void) {
    for (size_t i = 0; i <= rec_api_route_count; i++)
        for (size_t class = 0; class < CLASSES; class ++) {
            const char *operation = i < rec_api_route_count ? rec_api_routes[i].operation : "none";
            snprintf(request_labels[i][class], LABELS_BYTES, "operation=\"%s\",status=\"%zuxx\"",
                     operation, class + 2);
            requests[i][class].name = "recsysd_http_requests_total";
            requests[i][class].help = "Requests answered, by operation and class of status";
            requests[i][class].labels = request_labels[i][class];
            rec_telemetry_register_counter(&requests[i][class]);
        }
}

static void register_durations(void) {
    for (size_t i = 0; i <= rec_api_route_count; i++) {
        snprintf(duration_labels[i], LABELS_BYTES, "operation=\"%s\"",
                 i < rec_api_route_count ? rec_api_routes[i].operation : "none");
        durations[i].name = "recsysd_http_request_duration_seconds";
        durations[i].help = "From the head of the request to its answer";
        durations[i].labels = duration_labels[i];
        rec_telemetry_register_histogram(&durations[i]);
    }
}

void rec_handle_metrics_init(void) {
    register_requests();
    register_durations();
    for (size_t i = 0; i < 2; i++)
        rec_telemetry_register_counter(&lists[i]);
    rec_telemetry_register_counter(&accepted);
    rec_telemetry_register_counter(&repeated);
    for (size_t i = 0; i < GAUGES; i++)
        rec_telemetry_register_gauge(&gauges[i]);
}

void rec_api_observe(void *context, const struct rec_http_route *route,
                     const struct rec_http_exchange *exchange, uint64_t elapsed_ns) {
    (void)context;
    size_t i = route == NULL ? rec_api_route_count : (size_t)(route - rec_api_routes);
    int class = exchange->status / 100;
    if (class < 2 || class > 5)
        class = 5;
    rec_counter_add(&requests[i][class - 2], 1);
    rec_histogram_observe(&durations[i], elapsed_ns);
}

void rec_handle_metrics_list(bool personal) {
    rec_counter_add(&lists[personal ? 0 : 1], 1);
}

void rec_handle_metrics_recorded(uint64_t new_rows, uint64_t duplicates) {
    rec_counter_add(&accepted, new_rows);
    rec_counter_add(&repeated, duplicates);
}

static void refresh(struct rec_api *api) {
    struct rec_serve_counts counts;
    struct rec_generation *generation = rec_slot_acquire(api->slot);
    rec_gauge_set(&gauges[SERIAL], generation == NULL ? 0 : (int64_t)generation->serial);
    rec_gauge_set(&gauges[TRAINED_AT], generation == NULL ? 0 : generation->info.trained_at);
    rec_slot_release(api->slot, &generation);

    rec_serve_counts(api->serve, &counts);
    rec_gauge_set(&gauges[USERS], counts.users);
    rec_gauge_set(&gauges[ITEMS], counts.items);
    rec_gauge_set(&gauges[INTERACTIONS], (int64_t)counts.interactions);
    rec_gauge_set(&gauges[HISTORIES], (int64_t)counts.history_bytes);
    rec_gauge_set(&gauges[CACHE], (int64_t)counts.query_cache_bytes);
}

/* Counters grow between the two passes, and with them their digits. */
enum { GROWTH_BYTES = 4096 };

REC_HANDLER(rec_handle_metrics_get) {
    struct rec_error err = {0};
    enum rec_status st = rec_query_none(exchange, &err);
    if (st != REC_OK)
        return rec_problem_verdict(exchange, st, &err);
    refresh(context);
    size_t room = rec_telemetry_write(NULL, 0) + GROWTH_BYTES;
    if (rec_http_reserve(exchange, room) != REC_OK)
        return rec_problem_verdict(exchange, REC_NO_MEMORY, NULL);
    size_t bytes = rec_telemetry_write(exchange->out + exchange->out_bytes, room);
    exchange->out_bytes += bytes < room ? bytes : room - 1;
    exchange->answer_type = "text/plain; version=0.0.4";
    return REC_HTTP_ANSWERED;
}

REC_HANDLER(rec_handle_metrics_openapi) {
    struct rec_error err = {0};
    struct rec_answer answer;
    (void)context;
    enum rec_status st = rec_query_none(exchange, &err);
    if (st == REC_OK) {
        rec_answer_init(&answer, exchange);
        rec_answer_raw(&answer, (const char *)rec_openapi_text, rec_openapi_bytes);
        st = rec_answer_end(&answer, &err);
        exchange->answer_type = "application/yaml";
    }
    return rec_problem_verdict(exchange, st, &err);
}
