/* recsysd serve: wires the rooms together, serves until SIGTERM, then drains.
 *
 * Order of start: store, model, histories, HTTP; the socket opens last, so the
 * first request finds everything. Order of stop is the reverse: no new requests,
 * answers in flight, training, then the store, whose close commits what is queued. */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "app.h"
#include "recsysd/api.h"
#include "recsysd/tune.h"

struct daemon {
    struct rec_weights weights;
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_versions *versions;
    struct rec_serve *serve;
    struct rec_scheduler *scheduler;
    struct rec_http *http;
    struct rec_api api;
    char model_path[PATH_MAX];
    bool model_given;
};

/* ---- checks before anything starts ------------------------------------------------ */

/* By its text, without asking a name server: 127.0.0.1.example.org is somebody else's. */
static bool is_loopback(const char *listen) {
    size_t host = strspn(listen, "0123456789.");
    bool ipv4 = strncmp(listen, "127.", 4) == 0 && listen[host] == ':';
    return ipv4 || strncmp(listen, "[::1]:", 6) == 0 || strncmp(listen, "localhost:", 10) == 0;
}

static enum rec_status check_settings(const struct config *config, struct rec_weights *weights,
                                      struct rec_error *err) {
    const char *listen = config_text(config, SET_LISTEN);
    const struct rec_family *family = NULL;
    struct rec_params params;
    enum rec_status st = app_weights(config, weights, err);
    if (st == REC_OK)
        st = rec_family_find(rec_families, config_text(config, SET_RETRAIN_MODEL), &family, err);
    if (st == REC_OK) {
        rec_params_defaults(family->params, family->param_count, &params);
        st = rec_params_read(&params, config_text(config, SET_RETRAIN_SET), err);
    }
    if (st == REC_OK)
        st = rec_families_check(&params, err);
    if (st == REC_OK)
        st = rec_listener_check(listen, err);
    if (st == REC_OK && !is_loopback(listen) && !config_flag(config, SET_ALLOW_REMOTE))
        st = rec_error_set(
            err, REC_BAD_INPUT,
            "listen: %.60s is not a loopback address, and whoever reaches it may read "
            "and write everything; put a proxy in front, or set allow-remote to say "
            "that this is wanted",
            listen);
    return st;
}

/* ---- start ---------------------------------------------------------------------------- */

static enum rec_status start_store(struct daemon *d, const struct config *config,
                                   struct rec_error *err) {
    struct rec_store_options options = {.path = config_text(config, SET_DB),
                                        .create = config_flag(config, SET_CREATE),
                                        .writable = true};
    enum rec_status st = rec_store_open(&options, &d->store, err);
    if (st != REC_OK)
        return st;
    d->slot = rec_slot_create();
    return d->slot != NULL ? REC_OK : rec_error_set(err, REC_NO_MEMORY, "no memory for the slot");
}

/* A model file that was named must be good. The one beside the database may not be there yet: then
 * lists are popular items until the first retraining. */
static enum rec_status start_model(struct daemon *d, const struct config *config,
                                   struct rec_error *err) {
    app_model_path(config, SET_MODEL_FILE, d->model_path, sizeof(d->model_path));
    d->model_given = config_text(config, SET_MODEL_FILE)[0] != '\0';
    struct rec_versions_options options = {.model_path = d->model_path,
                                           .keep = (size_t)config_integer(config, SET_KEEP),
                                           .store = d->store,
                                           .slot = d->slot};
    struct rec_model_info info;
    struct rec_error missing = {0};
    enum rec_status st = rec_versions_create(&options, &d->versions, err);
    if (st != REC_OK)
        return st;
    st = rec_versions_reload(d->versions, &info, &missing);
    if (st == REC_NOT_FOUND && !d->model_given) {
        rec_log_event(REC_LOG_INFO, "model_none", "path=\"%s\" lists=popular", d->model_path);
        return REC_OK;
    }
    if (st != REC_OK)
        return rec_error_set(err, st, "%s", missing.text);
    rec_log_event(REC_LOG_INFO, "model_live", "family=%s version=%s items=%u", info.family,
                  info.version, info.items);
    return REC_OK;
}

static enum rec_status start_serving(struct daemon *d, const struct config *config, size_t workers,
                                     struct rec_error *err) {
    struct rec_serve_options options = {
        .store = d->store,
        .slot = d->slot,
        .weights = &d->weights,
        .workers = workers,
        .scorers = workers,
        .query_cache_bytes = (size_t)config_integer(config, SET_QUERY_CACHE) << 20,
    };
    return rec_serve_create(&options, &d->serve, err);
}

static enum rec_status start_training(struct daemon *d, const struct config *config,
                                      struct rec_error *err) {
    struct rec_scheduler_options options = {
        .store = d->store,
        .slot = d->slot,
        .versions = d->versions,
        .weights = &d->weights,
        .threads = app_threads(config_integer(config, SET_THREADS), REC_THREADS_MAX),
        .memory_bytes_max = app_memory(config),
        .tolerance = config_number(config, SET_TOLERANCE),
        .family = config_text(config, SET_RETRAIN_MODEL),
        .parameters = config_text(config, SET_RETRAIN_SET),
        .every_minutes = (unsigned)config_integer(config, SET_RETRAIN_EVERY),
        .after_recorded = (uint64_t)config_integer(config, SET_RETRAIN_AFTER),
        .search = rec_tune_before_training,
    };
    return rec_scheduler_create(&options, &d->scheduler, err);
}

static enum rec_status start_http(struct daemon *d, const struct config *config, size_t workers,
                                  struct rec_error *err) {
    d->api = (struct rec_api){.serve = d->serve,
                              .store = d->store,
                              .slot = d->slot,
                              .versions = d->versions,
                              .scheduler = d->scheduler,
                              .weights = &d->weights,
                              .build_version = RECSYSD_VERSION};
    rec_api_init(&d->api);
    struct rec_http_options options = {
        .listen = config_text(config, SET_LISTEN),
        .workers = workers,
        .connections = (unsigned)config_integer(config, SET_CONNECTIONS),
        .idle_timeout_s = (unsigned)config_integer(config, SET_IDLE_TIMEOUT),
        .request_timeout_s = (unsigned)config_integer(config, SET_REQUEST_TIMEOUT),
        .body_bytes_max = (size_t)config_integer(config, SET_BODY_BYTES),
        .routes = rec_api_routes,
        .route_count = rec_api_route_count,
        .problem = rec_problem_http,
        .observe = rec_api_observe,
        .context = &d->api,
    };
    return rec_http_start(&options, &d->http, err);
}

static enum rec_status start(struct daemon *d, const struct config *config, struct rec_error *err) {
    size_t workers = app_threads(config_integer(config, SET_WORKERS), REC_HTTP_WORKERS_MAX);
    enum rec_status st = start_store(d, config, err);
    if (st == REC_OK)
        st = start_model(d, config, err);
    if (st == REC_OK)
        st = start_serving(d, config, workers, err);
    if (st == REC_OK)
        st = start_training(d, config, err);
    if (st == REC_OK)
        st = start_http(d, config, workers, err);
    return st;
}

/* ---- run and stop ------------------------------------------------------------------------ */

static void reload(struct daemon *d) {
    struct rec_model_info info;
    struct rec_error err = {0};
    (void)sd_notify(0, "RELOADING=1");
    if (rec_versions_reload(d->versions, &info, &err) == REC_OK)
        rec_log_event(REC_LOG_INFO, "reload", "family=%s version=%s", info.family, info.version);
    else
        rec_log_event(REC_LOG_ERROR, "reload_refused", "reason=\"%s\"", err.text);
    (void)sd_notify(0, "READY=1");
}

/* Every thread is started with these blocked, so only this wait receives them. */
static void wait_for_stop(struct daemon *d, const sigset_t *signals) {
    for (;;) {
        int number = 0;
        if (sigwait(signals, &number) != 0)
            continue;
        if (number != SIGHUP) {
            rec_log_event(REC_LOG_INFO, "stopping", "signal=%d", number);
            return;
        }
        reload(d);
    }
}

static void drain(struct daemon *d, unsigned timeout_s) {
    (void)sd_notify(0, "STOPPING=1");
    atomic_store(&d->api.draining, true);
    rec_scheduler_stop(d->scheduler);
    size_t cut = rec_http_drain(d->http, timeout_s);
    rec_http_stop(&d->http);
    rec_log_event(cut == 0 ? REC_LOG_INFO : REC_LOG_WARN, "drained", "requests_cut=%zu", cut);
}

static void finish(struct daemon *d) {
    rec_http_stop(&d->http);
    rec_scheduler_destroy(&d->scheduler);
    if (d->store != NULL)
        rec_store_flush(d->store);
    rec_store_close(&d->store); /* the last write's done() still touches serve */
    rec_serve_destroy(&d->serve);
    rec_versions_destroy(&d->versions);
    rec_slot_destroy(&d->slot);
}

static sigset_t block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signals;
}

int cmd_serve(const struct config *config) {
    static struct daemon d; /* outlives every thread that borrows from it */
    struct rec_error err = {0};

    if (check_settings(config, &d.weights, &err) != REC_OK) {
        (void)app_fail(&err);
        return EXIT_USAGE;
    }
    if (config_flag(config, SET_CHECK_CONFIG)) {
        config_print(stdout, config, FOR_SERVE);
        return EXIT_DONE;
    }

    uint64_t started_ns = rec_clock_monotonic_ns();
    sigset_t signals = block_signals();
    if (start(&d, config, &err) != REC_OK) {
        int code = app_fail(&err);
        finish(&d);
        return code;
    }
    struct rec_serve_counts counts;
    rec_serve_counts(d.serve, &counts);
    rec_log_event(REC_LOG_INFO, "ready",
                  "listen=%s port=%u users=%u items=%u interactions=%llu ms=%llu",
                  config_text(config, SET_LISTEN), rec_http_port(d.http), counts.users,
                  counts.items, (unsigned long long)counts.interactions,
                  (unsigned long long)((rec_clock_monotonic_ns() - started_ns) / 1000000));
    (void)sd_notify(0, "READY=1");

    wait_for_stop(&d, &signals);
    drain(&d, (unsigned)config_integer(config, SET_DRAIN_TIMEOUT));
    finish(&d);
    rec_log_event(REC_LOG_INFO, "stopped", "code=0");
    return EXIT_DONE;
}
