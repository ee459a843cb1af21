/* http: sockets, limits, the smuggling guard, messages and the router. It knows
 * no recommendations. libmicrohttpd behind it, and none of its types here. */
#ifndef RECSYSD_HTTP_H
#define RECSYSD_HTTP_H

#include "recsysd/base.h"

/* ---- messages (message.c) -------------------------------------------------- */

enum rec_http_method {
    REC_HTTP_GET,
    REC_HTTP_HEAD,
    REC_HTTP_POST,
    REC_HTTP_PUT,
    REC_HTTP_DELETE,
    REC_HTTP_OPTIONS,
    REC_HTTP_OTHER
};

struct rec_http_pair {
    const char *name, *value; /* percent-decoded; value is "" for `?name` */
    size_t value_bytes;       /* longer than strlen(value) when a NUL was sent */
};

/* One request and its answer: made when the headers are in, gone when the answer is sent. */
struct rec_http_exchange {
    /* the request; read only for handlers */
    enum rec_http_method method;
    const char *path;                  /* decoded, as matched */
    const struct rec_http_pair *query; /* [query_count], in order, repeats kept */
    size_t query_count;
    const char *path_value; /* what {name} of the route matched, decoded; or NULL */
    size_t path_value_bytes;
    const char *body; /* [body_bytes], also NUL-terminated */
    size_t body_bytes;
    const char *content_type;  /* lower-case media type without parameters; "" if none */
    const char *if_none_match; /* or NULL */
    const char *authorization; /* or NULL */
    char request_id[REC_REQUEST_ID_BYTES_MAX +
                    1]; /* X-Request-ID or traceparent's, else made here */
    size_t worker;      /* 0 .. workers-1: index of per-worker scratch */

    /* the answer; the handler fills it */
    int status;              /* 200 unless set */
    const char *answer_type; /* static string; application/json unless set */
    char etag[64];           /* empty: none */
    char location[128];      /* empty: none */
    char allow[64];          /* empty: none */
    int retry_after_s;       /* 0: none */
    char *out;               /* [out_cap], grown by rec_http_reserve */
    size_t out_bytes, out_cap;
};

/* Room for `more` bytes behind out_bytes. NO_MEMORY leaves what was written. */
enum rec_status rec_http_reserve(struct rec_http_exchange *exchange, size_t more);
enum rec_status rec_http_append(struct rec_http_exchange *exchange, const char *text, size_t bytes);

/* ---- routes (router.c) ------------------------------------------------------- */

enum rec_http_verdict {
    REC_HTTP_ANSWERED, /* the answer is in the exchange */
    REC_HTTP_LATER,    /* another thread will call rec_http_finish exactly once */
};
typedef enum rec_http_verdict (*rec_http_handler_fn)(void *context,
                                                     struct rec_http_exchange *exchange);

struct rec_http_route {
    enum rec_http_method method;
    const char *path;      /* "/users/{user_id}": at most one {part}, a whole segment, which may be
                              followed by more fixed segments; ids in it are percent-encoded */
    const char *operation; /* operationId of openapi.yaml; also the metric label */
    rec_http_handler_fn handler;
    const char *body_types; /* comma-separated media types the body may have, NULL: takes no body */
};

/* Called for errors http itself finds (404, 405, 413, 415, 400 of the guard ...): writes the
 * problem+json. */
typedef void (*rec_http_problem_fn)(struct rec_http_exchange *exchange, int status,
                                    const char *detail);
/* Called once per request after the answer is settled. route NULL: none matched. */
typedef void (*rec_http_observe_fn)(void *context, const struct rec_http_route *route,
                                    const struct rec_http_exchange *exchange, uint64_t elapsed_ns);

/* ---- server (server.c, guard.c, watchdog.c) ------------------------------------ */

struct rec_http_options {
    const char *listen;      /* "127.0.0.1:8080", "[::1]:8080"; port 0: any */
    size_t workers;          /* 1 .. REC_HTTP_WORKERS_MAX */
    unsigned connections;    /* cap over all workers */
    unsigned idle_timeout_s; /* a connection that sends nothing */
    unsigned
        request_timeout_s; /* from first byte to last byte of one request: slow senders end here */
    size_t body_bytes_max;
    const struct rec_http_route *routes;
    size_t route_count;
    rec_http_problem_fn problem;
    rec_http_observe_fn observe;
    void *context; /* passed to handlers and observe */
};

/* BAD_INPUT unless it is ADDR:PORT with a port up to 65535. Whether the address is one of this
 * machine's, only rec_http_start() can tell. */
enum rec_status rec_listener_check(const char *listen, struct rec_error *err);

struct rec_http;
/* Listening and serving when it returns. errors: IO naming the address (in use, not ours). */
enum rec_status rec_http_start(const struct rec_http_options *options, struct rec_http **out,
                               struct rec_error *err);
unsigned rec_http_port(const struct rec_http *http);

/* Answers a request whose handler said LATER. threads: any */
void rec_http_finish(struct rec_http_exchange *exchange);

/* Stops accepting, answers what is in flight (keep-alive connections are closed after their
 * answer), waits at most timeout_s, then closes the rest. Returns how many requests were cut. */
size_t rec_http_drain(struct rec_http *http, unsigned timeout_s);
void rec_http_stop(struct rec_http **http);

#endif
