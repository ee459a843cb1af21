/* One worker: an epoll thread of libmicrohttpd, and all this project knows of that library. It has
 * no listening socket, gets its connections from listener.c and shares nothing with the other
 * workers that a request would touch. A request passes through three callbacks on its worker's
 * thread: on_target (the request line is in), on_call (head, body pieces, end) and on_done (the
 * answer is sent or the connection lost). Its memory, a call, comes from the worker's spares and
 * goes back there.
 *
 * Verified on libmicrohttpd 0.9.75, and relied on:
 * - All callbacks of a connection run on its daemon's thread. on_done comes when the last byte of
 *   the answer is with the kernel, or never will be: so the response can borrow our buffer.
 * - A response queued in the first call, before the body, ends the connection after it.
 * - on_connection hears of the end before the socket is closed.
 * - Resuming before the handler that suspended has returned is safe: it only sets a flag.
 * - A broken request line (no version, no target) is answered 400 by the library or just closed; we
 *   are not asked. */
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "room.h"

enum {
    /* Head, response head, and the window of the body: a target at its cap and 12 KB of headers
     * beside it. The library clears all of it after every request: 16 KiB less than its default was
     * worth 0.4 us. */
    CONNECTION_MEMORY_BYTES = 24 * 1024,
    SPARE_CALLS_MAX = 64,
    /* A body over the cap is read and dropped up to here, so that the client, who is still
     * sending, gets to read the 413 instead of a reset. */
    DROPPED_BODY_BYTES_MAX = 64 * 1024 * 1024,
    /* Version 1.0 refuses heads the guard would refuse, and more, when told to be strict. 0.9
     * closes without an answer on some of them, where the guard answers 400. */
    STRICT = MHD_VERSION >= 0x01000000 ? 1 : 0,
    SEAMS_VISIBLE = MHD_VERSION < 0x01000000,
};

enum call_stage { STAGE_HEAD, STAGE_BODY, STAGE_LATER, STAGE_ANSWERED };
enum call_later { LATER_OPEN, LATER_SUSPENDED, LATER_FINISHED };

struct rec_call {
    struct rec_message message; /* first, so a handler's exchange is its call */
    struct rec_call *next;      /* in the worker's spares */
    struct rec_worker *worker;
    struct MHD_Connection *connection;
    struct rec_watch_entry *watch;
    const struct rec_http_route *route;
    const char *target_at; /* where the library keeps it; only compared, never read */
    uint64_t began_ns, received_bytes;
    enum call_stage stage;
    atomic_int later; /* who comes second, the handler's return or rec_http_finish, resumes */
};

/* ---- calls and connections ------------------------------------------------------------ */

static struct rec_call *call_take(struct rec_worker *worker) {
    struct rec_call *call = worker->spare;
    if (call != NULL) {
        worker->spare = call->next;
        worker->spares--;
        return call;
    }
    return rec_alloc_array(1, sizeof(*call));
}

static void call_free(struct rec_call *call) {
    rec_message_finish(&call->message);
    rec_alloc_free(call);
}

static void call_give(struct rec_worker *worker, struct rec_call *call) {
    if (worker->spares == SPARE_CALLS_MAX) {
        call_free(call);
        return;
    }
    call->next = worker->spare;
    worker->spare = call;
    worker->spares++;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    struct rec_worker *worker = context;
    const union MHD_ConnectionInfo *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct rec_watch_entry *entry = *socket_context;
        rec_watch_close(&worker->connections, &entry);
        *socket_context = NULL;
        atomic_fetch_sub(&worker->open, 1);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return;
    *socket_context = rec_watch_open(&worker->connections, info->connect_fd);
    if (*socket_context == NULL)
        shutdown(info->connect_fd, SHUT_RDWR); /* unwatched, it could stay for ever */
}

/* The query is ours to read, from the message's copy. The library would make a list of it in the
 * connection's memory, and where some 300 parameters fill that, 0.9.75 never answers. */
static void hide_query(const char *target) {
    char *mark = (char *)(uintptr_t)target; /* in the library's own read buffer */
    while ((mark = strchr(mark, '&')) != NULL)
        *mark = '+';
}

static void *on_target(void *context, const char *target, struct MHD_Connection *connection) {
    struct rec_worker *worker = context;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct rec_error err = {0};
    struct rec_call *call;
    enum rec_status st;

    if (info == NULL || info->socket_context == NULL || target == NULL)
        return NULL;
    call = call_take(worker);
    if (call == NULL)
        return NULL;
    atomic_fetch_add(&worker->in_flight, 1);
    rec_message_reset(&call->message, worker->index);
    call->worker = worker;
    call->connection = connection;
    call->watch = info->socket_context;
    call->route = NULL;
    call->target_at = target;
    call->received_bytes = 0;
    call->stage = STAGE_HEAD;
    atomic_store_explicit(&call->later, LATER_OPEN, memory_order_relaxed);
    call->began_ns = rec_clock_monotonic_ns();
    rec_watch_mark(call->watch, REC_WATCH_RECEIVING, call->began_ns);

    st = rec_message_set_target(&call->message, target, strlen(target), &err);
    hide_query(target);
    if (st != REC_OK) {
        int status = st == REC_LIMIT ? 414 : st == REC_BAD_INPUT ? 400 : 503;
        rec_message_refuse(&call->message, status, "%s", err.text);
        call->message.close = true;
    }
    return call;
}

static void on_done(void *context, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code) {
    struct rec_worker *worker = context;
    struct rec_call *call = *state;
    (void)connection;
    (void)code;
    if (call == NULL)
        return;
    *state = NULL;
    /* A client that hung up while it was LATER is done without a look at it in on_call: what the
     * other thread wrote is ours to see from here on. */
    (void)atomic_load(&call->later);
    rec_watch_mark(call->watch, REC_WATCH_WAITING, rec_clock_monotonic_ns());
    call_give(worker, call);
    atomic_fetch_sub(&worker->in_flight, 1);
}

/* on_target has what was sent; the library need not decode its copy. */
static size_t leave_escaped(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- the answer ------------------------------------------------------------------------ */

static void add_header(struct MHD_Response *response, const char *name, const char *value) {
    if (value[0] != '\0')
        MHD_add_response_header(response, name, value);
}

/* A 304 should not say `Content-Length: 0`, for that is not the length of what the client has (RFC
 * 9110, 8.6). Version 1.0 can be told; 0.9.75 leaves it out only when the length is unknown, and
 * then either ends the connection or sends a last chunk that no client expects. */
static struct MHD_Response *build_body(const struct rec_http_exchange *exchange) {
    bool bodiless = exchange->status == 204 || exchange->status == 304;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        bodiless ? 0 : exchange->out_bytes, exchange->out, MHD_RESPMEM_PERSISTENT);
#if MHD_VERSION >= 0x01000000
    if (response != NULL && exchange->status == 304)
        MHD_set_response_options(response, MHD_RF_HEAD_ONLY_RESPONSE, MHD_RO_END);
#endif
    return response;
}

static struct MHD_Response *build(const struct rec_call *call) {
    const struct rec_http_exchange *exchange = &call->message.exchange;
    bool bodiless = exchange->status == 204 || exchange->status == 304;
    struct MHD_Response *response = build_body(exchange);
    char number[16];

    if (response == NULL)
        return NULL;
    if (!bodiless && exchange->out_bytes > 0)
        add_header(response, "Content-Type", exchange->answer_type);
    add_header(response, "X-Request-ID", exchange->request_id);
    add_header(response, "ETag", exchange->etag);
    add_header(response, "Location", exchange->location);
    add_header(response, "Allow", exchange->allow);
    if (exchange->retry_after_s > 0) {
        snprintf(number, sizeof(number), "%d", exchange->retry_after_s);
        add_header(response, "Retry-After", number);
    }
    if (call->message.close || atomic_load(call->worker->draining))
        add_header(response, "Connection", "close");
    return response;
}

/* What http found wrong, or answers itself (OPTIONS), takes the place of a handler's answer. */
static void settle_refusal(struct rec_call *call) {
    struct rec_message *message = &call->message;
    const struct rec_http_options *options = call->worker->options;

    message->exchange.status = message->refusal;
    message->exchange.out_bytes = 0;
    if (message->refusal >= 400 && options->problem != NULL)
        options->problem(&message->exchange, message->refusal, message->detail);
}

static enum MHD_Result answer(struct rec_call *call) {
    struct rec_http_exchange *exchange = &call->message.exchange;
    const struct rec_http_options *options = call->worker->options;
    struct MHD_Response *response;
    enum MHD_Result result;
    uint64_t now_ns;

    if (call->message.refusal != 0)
        settle_refusal(call);
    now_ns = rec_clock_monotonic_ns();
    if (options->observe != NULL)
        options->observe(options->context, call->route, exchange, now_ns - call->began_ns);
    rec_watch_mark(call->watch, REC_WATCH_SENDING, now_ns);
    call->stage = STAGE_ANSWERED;
    response = build(call);
    if (response == NULL)
        return MHD_NO;
    result = MHD_queue_response(call->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the head ---------------------------------------------------------------------------- */

static enum MHD_Result on_header(void *context, enum MHD_ValueKind kind, const char *name,
                                 size_t name_bytes, const char *value, size_t value_bytes) {
    (void)kind;
    rec_guard_header(context, name, name_bytes, value, value_bytes);
    return MHD_YES;
}

/* Fills the guard from the head, and looks for NULs the library has cut at: target, version and
 * headers must lie side by side in its buffer (guard.c says why). */
static void inspect(struct rec_call *call, const char *method, const char *version,
                    struct rec_guard *guard) {
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const struct rec_message *message = &call->message;
    bool seams = SEAMS_VISIBLE != 0 && size != NULL && message->target_bytes > 0;

    if (seams && (uintptr_t)version != (uintptr_t)call->target_at + message->target_bytes + 1) {
        guard->wrong = "the request target holds a NUL";
        guard->status = 400;
    }
    guard->edge = seams ? version + strlen(version) : NULL;
    MHD_get_connection_values_n(call->connection, MHD_HEADER_KIND, on_header, guard);
    rec_guard_end(guard, strcmp(version, "HTTP/1.0") == 0,
                  seams ? method + size->header_size : NULL);
    if (message->target_bytes > 0 && !rec_guard_target(message->target, message->target_bytes) &&
        guard->wrong == NULL) {
        guard->wrong = "the request target holds white space or a control character";
        guard->status = 400;
    }
}

static void refuse_from(struct rec_message *message, enum rec_status st,
                        const struct rec_error *err) {
    rec_message_refuse(message, st == REC_NO_MEMORY ? 503 : 400, "%s", err->text);
}

/* OPTIONS on a path we have, or on the whole server (`*`). */
static bool answer_options(struct rec_message *message, unsigned methods) {
    if (message->exchange.method != REC_HTTP_OPTIONS || methods == 0)
        return false;
    rec_router_allow(methods, message->exchange.allow, sizeof(message->exchange.allow));
    message->refusal = 204;
    return true;
}

/* What may come in a body for the chosen route. */
static void check_body(struct rec_call *call, const struct rec_guard *guard) {
    struct rec_message *message = &call->message;
    const size_t body_bytes_max = call->worker->options->body_bytes_max;

    if (guard->length > body_bytes_max) {
        rec_message_refuse(message, 413, "the body may have at most %zu bytes, and has %llu",
                           body_bytes_max, (unsigned long long)guard->length);
        message->close = true;
    }
    if (call->route == NULL || call->route->body_types == NULL ||
        (guard->length == 0 && !guard->chunked))
        return;
    if (!rec_router_takes(call->route->body_types, message->content_type))
        rec_message_refuse(message, 415, "%s%.64s; the body may be %s",
                           message->content_type[0] == '\0' ? "the body has no Content-Type"
                                                            : "unsupported Content-Type: ",
                           message->content_type, call->route->body_types);
}

static void choose_route(struct rec_call *call) {
    struct rec_message *message = &call->message;
    struct rec_http_exchange *exchange = &message->exchange;
    const struct rec_http_options *options = call->worker->options;
    struct rec_router_match match;
    struct rec_error err = {0};
    enum rec_status st = rec_message_decode_path(message, &err);

    if (st != REC_OK) {
        refuse_from(message, st, &err);
        return;
    }
    if (strcmp(exchange->path, "*") == 0 && answer_options(message, 1u << REC_HTTP_GET))
        return;
    match = rec_router_find(options->routes, options->route_count, exchange->method, message->path,
                            message->path_bytes);
    if (match.route == NULL && answer_options(message, match.methods))
        return;
    if (match.methods == 0) {
        rec_message_refuse(message, 404, "nothing is served at this path");
        return;
    }
    if (match.route == NULL) {
        rec_router_allow(match.methods, exchange->allow, sizeof(exchange->allow));
        rec_message_refuse(message, 405, "this path takes %s", exchange->allow);
        return;
    }
    call->route = match.route;
    if (match.value != NULL)
        rec_message_decode_value(message, match.value, match.value_bytes);
    st = rec_message_decode_query(message, &err);
    if (st != REC_OK)
        refuse_from(message, st, &err);
}

/* The first call: everything that can be refused without the body is. Returns whether the answer
 * has to go out now, because we cannot tell where the request ends, or because the client waits
 * for a word before it sends its body. */
static bool read_head(struct rec_call *call, const char *method, const char *version) {
    struct rec_message *message = &call->message;
    struct rec_http_exchange *exchange = &message->exchange;
    struct rec_guard guard = {0};

    inspect(call, method, version, &guard);
    exchange->method = rec_router_method(method);
    exchange->if_none_match = guard.if_none_match.text;
    exchange->authorization = guard.authorization.text;
    if (guard.content_type.text != NULL)
        rec_message_set_type(message, guard.content_type.text, guard.content_type.bytes);
    rec_message_set_id(message, guard.request_id.text, guard.request_id.bytes,
                       guard.traceparent.text, guard.traceparent.bytes,
                       rec_rng_u64(&call->worker->rng));
    if (guard.wrong != NULL) {
        message->refusal = 0; /* whatever else was wrong, this is why we hang up */
        rec_message_refuse(message, guard.status, "%s", guard.wrong);
        message->close = true;
        return true;
    }
    if (message->refusal == 0)
        choose_route(call);
    check_body(call, &guard);
    return message->refusal >= 400 && (guard.expects || guard.length > DROPPED_BODY_BYTES_MAX);
}

/* ---- body and handler ---------------------------------------------------------------------- */

/* A piece of the body. False: this client will not stop; hang up. */
static bool read_body(struct rec_call *call, const char *data, size_t bytes) {
    struct rec_message *message = &call->message;
    const size_t body_bytes_max = call->worker->options->body_bytes_max;

    call->received_bytes += bytes;
    if (call->received_bytes > DROPPED_BODY_BYTES_MAX)
        return false;
    if (call->received_bytes > body_bytes_max) {
        rec_message_refuse(message, 413, "the body may have at most %zu bytes", body_bytes_max);
        message->close = true;
        return true;
    }
    if (message->refusal != 0 || call->route == NULL || call->route->body_types == NULL)
        return true;
    if (rec_message_append_body(message, data, bytes) != REC_OK)
        rec_message_refuse(message, 503, "out of memory");
    return true;
}

static enum MHD_Result handle(struct rec_call *call) {
    struct rec_worker *worker = call->worker;
    int expected = LATER_OPEN;

    /* Before the look at stopping: rec_http_stop sets that, then waits for running. */
    atomic_fetch_add(&worker->running, 1);
    if (atomic_load(worker->stopping)) {
        atomic_fetch_sub(&worker->running, 1);
        return MHD_NO;
    }
    rec_watch_mark(call->watch, REC_WATCH_WORKING, 0);
    if (call->route->handler(worker->options->context, &call->message.exchange) ==
        REC_HTTP_ANSWERED) {
        atomic_fetch_sub(&worker->running, 1);
        return answer(call);
    }
    call->stage = STAGE_LATER;
    if (atomic_load(&call->later) == LATER_FINISHED)
        return answer(call);
    MHD_suspend_connection(call->connection);
    if (!atomic_compare_exchange_strong(&call->later, &expected, LATER_SUSPENDED))
        MHD_resume_connection(call->connection); /* finished between the two looks */
    return MHD_YES;
}

void rec_http_finish(struct rec_http_exchange *exchange) {
    struct rec_call *call = (struct rec_call *)exchange;
    struct rec_worker *worker = call->worker;
    struct MHD_Connection *connection = call->connection;

    /* From here on the call is the worker's, unless it sleeps until we wake it. */
    if (atomic_exchange(&call->later, LATER_FINISHED) == LATER_SUSPENDED)
        MHD_resume_connection(connection);
    atomic_fetch_sub(&worker->running, 1); /* last: rec_http_stop may free the worker now */
}

static enum MHD_Result on_call(void *context, struct MHD_Connection *connection, const char *url,
                               const char *method, const char *version, const char *data,
                               size_t *data_bytes, void **state) {
    struct rec_call *call = *state;
    (void)context;
    (void)connection;
    (void)url;
    if (call == NULL)
        return MHD_NO;
    switch (call->stage) {
    case STAGE_HEAD:
        call->stage = STAGE_BODY;
        return read_head(call, method, version) ? answer(call) : MHD_YES;
    case STAGE_BODY:
        if (*data_bytes > 0) {
            size_t bytes = *data_bytes;
            *data_bytes = 0;
            return read_body(call, data, bytes) ? MHD_YES : MHD_NO;
        }
        return call->message.refusal != 0 ? answer(call) : handle(call);
    case STAGE_LATER:
        return atomic_load(&call->later) == LATER_FINISHED ? answer(call) : MHD_YES;
    case STAGE_ANSWERED:
        break;
    }
    return MHD_YES;
}

/* ---- the worker ----------------------------------------------------------------------- */

enum rec_status rec_worker_start(struct rec_worker *worker, uint64_t seed, struct rec_error *err) {
    size_t index = worker->index;
    rec_rng_init(&worker->rng, seed, index);
    if (rec_watch_list_init(&worker->connections) != REC_OK)
        return rec_error_set(err, REC_NO_MEMORY, "http: worker %zu", index);
    worker->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC | MHD_USE_TURBO |
            MHD_ALLOW_SUSPEND_RESUME,
        0, NULL, NULL, on_call, worker, MHD_OPTION_NOTIFY_CONNECTION, on_connection, worker,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, worker, MHD_OPTION_NOTIFY_COMPLETED, on_done,
        worker, MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
        worker->options->idle_timeout_s, MHD_OPTION_STRICT_FOR_CLIENT, (int)STRICT,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        /* ours counts over all workers; a refusal here would not be reported */
        MHD_OPTION_CONNECTION_LIMIT, worker->options->connections + 1024u, MHD_OPTION_END);
    if (worker->daemon == NULL) {
        rec_watch_list_finish(&worker->connections);
        return rec_error_set(err, REC_IO,
                             "http: worker %zu does not start (threads or files used up?)", index);
    }
    return REC_OK;
}

/* Acceptor's thread. The library closes the socket when it fails, and says so only here. */
void rec_worker_take(struct rec_worker *worker, int fd, const void *address,
                     unsigned address_bytes) {
    atomic_fetch_add(&worker->open, 1);
    if (MHD_add_connection(worker->daemon, fd, address, address_bytes) != MHD_YES)
        atomic_fetch_sub(&worker->open, 1);
}

void rec_worker_stop(struct rec_worker *worker) {
    MHD_stop_daemon(worker->daemon);
    while (worker->spare != NULL) {
        struct rec_call *call = worker->spare;
        worker->spare = call->next;
        call_free(call);
    }
    rec_watch_list_finish(&worker->connections);
}
