/* The server: workers under one acceptor. It starts them, gives each new connection to the worker
 * that has the fewest, and ends them in order: first nobody is let in, then what is in flight is
 * answered, then the doors are shut. */
#include <time.h>
#include <unistd.h>

#include "room.h"

enum { DRAIN_POLL_MS = 5 };

struct rec_http {
    struct rec_http_options options;
    struct rec_listener *listener;
    struct rec_watchdog *watchdog;
    unsigned port;
    size_t turn; /* acceptor only: which worker is asked first */
    size_t workers_started;
    atomic_bool draining, stopping;
    struct rec_worker workers[]; /* [options.workers] */
};

static size_t total_open(struct rec_http *http) {
    size_t open = 0;
    for (size_t i = 0; i < http->workers_started; i++)
        open += atomic_load(&http->workers[i].open);
    return open;
}

static size_t total_in_flight(struct rec_http *http) {
    size_t requests = 0;
    for (size_t i = 0; i < http->workers_started; i++)
        requests += atomic_load(&http->workers[i].in_flight);
    return requests;
}

static size_t total_running(struct rec_http *http) {
    size_t running = 0;
    for (size_t i = 0; i < http->workers_started; i++)
        running += atomic_load(&http->workers[i].running);
    return running;
}

/* Acceptor's thread: to the worker with the fewest connections, in turn when they are equal. */
static bool take_connection(void *context, int fd, const void *address, unsigned address_bytes) {
    struct rec_http *http = context;
    struct rec_worker *best = NULL;

    if (total_open(http) >= http->options.connections)
        return false;
    for (size_t i = 0; i < http->options.workers; i++) {
        struct rec_worker *worker = &http->workers[(http->turn + i) % http->options.workers];
        if (best == NULL || atomic_load(&worker->open) < atomic_load(&best->open))
            best = worker;
    }
    http->turn = best->index + 1;
    rec_worker_take(best, fd, address, address_bytes);
    return true;
}

static enum rec_status check_options(const struct rec_http_options *options,
                                     struct rec_error *err) {
    if (options->workers < 1 || options->workers > REC_HTTP_WORKERS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "http workers: %zu is not within 1 to %d",
                             options->workers, REC_HTTP_WORKERS_MAX);
    if (options->connections < 1 || options->connections > REC_HTTP_CONNECTIONS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "http connections: %u is not within 1 to %d",
                             options->connections, REC_HTTP_CONNECTIONS_MAX);
    rec_router_check(options->routes, options->route_count);
    return REC_OK;
}

enum rec_status rec_http_start(const struct rec_http_options *options, struct rec_http **out,
                               struct rec_error *err) {
    struct rec_http *http;
    uint64_t seed =
        rec_clock_monotonic_ns() ^ (uint64_t)rec_clock_unix_ms() << 20 ^ (uint64_t)getpid() << 48;
    enum rec_status st = check_options(options, err);

    if (st != REC_OK)
        return st;
    http = rec_alloc_extra(sizeof(*http), options->workers, sizeof(http->workers[0]));
    if (http == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "http: the server");
    http->options = *options;

    st = rec_listener_open(options->listen, &http->listener, err);
    if (st != REC_OK)
        goto fail;
    http->port = rec_listener_port(http->listener);
    for (size_t i = 0; i < options->workers; i++) {
        struct rec_worker *worker = &http->workers[i];
        worker->index = i;
        worker->options = &http->options;
        worker->draining = &http->draining;
        worker->stopping = &http->stopping;
        st = rec_worker_start(worker, seed, err);
        if (st != REC_OK)
            goto fail;
        http->workers_started++;
    }
    st = rec_watchdog_start(&http->workers[0].connections, options->workers,
                            sizeof(http->workers[0]), options->idle_timeout_s,
                            options->request_timeout_s, &http->watchdog, err);
    if (st != REC_OK)
        goto fail;
    st = rec_listener_run(http->listener, take_connection, http, err);
    if (st != REC_OK)
        goto fail;
    *out = http;
    return REC_OK;

fail:
    rec_http_stop(&http);
    return st;
}

unsigned rec_http_port(const struct rec_http *http) {
    return http->port;
}

static void pause_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

size_t rec_http_drain(struct rec_http *http, unsigned timeout_s) {
    const uint64_t end_ns = rec_clock_monotonic_ns() + (uint64_t)timeout_s * 1000000000u;
    size_t cut;

    atomic_store(&http->draining, true); /* answers close their connections from here on */
    rec_listener_close(&http->listener);
    while (total_open(http) > 0 && rec_clock_monotonic_ns() < end_ns) {
        for (size_t i = 0; i < http->workers_started; i++)
            rec_watch_hush(&http->workers[i].connections);
        pause_ms(DRAIN_POLL_MS);
    }
    cut = total_in_flight(http);
    for (size_t i = 0; i < http->workers_started; i++)
        rec_watch_cut(&http->workers[i].connections);
    return cut;
}

/* Waits for handlers that said LATER: their exchange is in another thread's hands, and a suspended
 * connection must be resumed before its daemon may stop. */
void rec_http_stop(struct rec_http **http) {
    struct rec_http *gone = *http;
    if (gone == NULL)
        return;
    *http = NULL;
    rec_listener_close(&gone->listener);
    atomic_store(&gone->stopping, true);
    for (size_t i = 0; i < gone->workers_started; i++)
        rec_watch_cut(&gone->workers[i].connections);
    while (total_running(gone) > 0)
        pause_ms(1);
    rec_watchdog_stop(&gone->watchdog);
    for (size_t i = 0; i < gone->workers_started; i++)
        rec_worker_stop(&gone->workers[i]);
    rec_alloc_free(gone);
}
