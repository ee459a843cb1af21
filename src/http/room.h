/* What the files of this room share: the whole of an exchange (a handler sees only its public
 * part), the guard's notes on a head, the connections the watchdog looks after, the listener. No
 * libmicrohttpd type here: that library stays inside worker.c. */
#ifndef RECSYSD_HTTP_ROOM_H
#define RECSYSD_HTTP_ROOM_H

#include <pthread.h>

#include "recsysd/http.h"

/* ---- message.c: one exchange with its memory ---------------------------------- */

struct rec_message {
    struct rec_http_exchange exchange; /* first, so a handler's exchange is its message */

    char *target; /* as sent: [target_bytes] and a NUL */
    size_t target_bytes, target_cap;
    const char *path; /* its path as sent: [path_bytes], within target */
    size_t path_bytes;
    const char *query; /* what follows the `?`: [query_bytes], or NULL */
    size_t query_bytes;

    char *text; /* everything decoded; sized for the worst case before the first byte */
    size_t text_bytes, text_cap;
    struct rec_http_pair *pairs;
    size_t pairs_cap;
    char *body;
    size_t body_cap;
    char content_type[128];

    /* What http itself will answer instead of the handler; 0: nothing to say so far. */
    int refusal;
    bool close; /* Connection: close */
    char detail[200];
};

/* Makes a zeroed or used message ready for the next request; keeps its memory, except what an
 * unusual request made large. */
void rec_message_reset(struct rec_message *message, size_t worker);
void rec_message_finish(struct rec_message *message);

/* The first refusal wins: what was wrong first explains what followed. */
void rec_message_refuse(struct rec_message *message, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Keeps the request target and finds path and query in it. errors: NO_MEMORY; BAD_INPUT for a
 * target that is neither a path, an absolute http URI nor `*` */
enum rec_status rec_message_set_target(struct rec_message *message, const char *target,
                                       size_t bytes, struct rec_error *err);

/* exchange.path, .path_value and .query from the target. errors: BAD_INPUT naming the parameter,
 * LIMIT for too many of them, NO_MEMORY */
enum rec_status rec_message_decode_path(struct rec_message *message, struct rec_error *err);
void rec_message_decode_value(struct rec_message *message, const char *raw, size_t bytes);
enum rec_status rec_message_decode_query(struct rec_message *message, struct rec_error *err);

enum rec_status rec_message_append_body(struct rec_message *message, const char *data,
                                        size_t bytes);

/* Lower-case media type without parameters, cut to what fits (and then it matches no route). */
void rec_message_set_type(struct rec_message *message, const char *value, size_t bytes);

/* X-Request-ID when it is sane, else traceparent's trace id, else 16 hex digits of `spare`. */
void rec_message_set_id(struct rec_message *message, const char *request_id, size_t id_bytes,
                        const char *traceparent, size_t trace_bytes, uint64_t spare);

/* ---- router.c ------------------------------------------------------------------ */

struct rec_router_match {
    const struct rec_http_route *route; /* NULL: path or method unknown */
    unsigned methods;                   /* bit 1 << rec_http_method: what the path takes */
    const char *value;                  /* what {part} matched, as sent: [value_bytes]; or NULL */
    size_t value_bytes;
};

/* Finds the route of a path as sent. A fixed path wins over one with a {part}; GET serves HEAD. */
struct rec_router_match rec_router_find(const struct rec_http_route *routes, size_t count,
                                        enum rec_http_method method, const char *path,
                                        size_t bytes);
enum rec_http_method rec_router_method(const char *name);
/* The Allow header of `methods`, with HEAD where GET is and OPTIONS always. */
void rec_router_allow(unsigned methods, char *out, size_t out_bytes);
/* Whether `type` is one of the comma-separated `types`. */
bool rec_router_takes(const char *types, const char *type);
/* Our own table: asserts that every path has the form the matcher knows. */
void rec_router_check(const struct rec_http_route *routes, size_t count);

/* ---- guard.c ------------------------------------------------------------------- */

struct rec_guard_value {
    const char *text; /* NULL: the header was not sent */
    size_t bytes;
};

/* Notes on one request head, taken header by header. Borrows the values. */
struct rec_guard {
    const char *edge;  /* end of the piece before, where pieces must lie side by side; or NULL */
    const char *wrong; /* what the client did wrong, static; NULL: nothing so far */
    int status;        /* the answer to it: 400 or 431 */
    unsigned headers, hosts, lengths, encodings, types, credentials;
    bool chunked, expects;
    uint64_t length;
    struct rec_guard_value content_type, if_none_match, authorization, request_id, traceparent;
};

void rec_guard_header(struct rec_guard *guard, const char *name, size_t name_bytes,
                      const char *value, size_t value_bytes);
/* The head is complete. head_end: one past its last byte, used only while edge is not NULL. */
void rec_guard_end(struct rec_guard *guard, bool http_1_0, const char *head_end);
bool rec_guard_target(const char *target, size_t bytes); /* no control character, no space */

/* ---- watchdog.c: the connections of a server and how long each may take --------- */

enum rec_watch_phase {
    REC_WATCH_WAITING,   /* for a request line */
    REC_WATCH_RECEIVING, /* headers or body */
    REC_WATCH_WORKING,   /* ours: no deadline */
    REC_WATCH_SENDING,
};

struct rec_watch_entry {
    struct rec_watch_entry *next, *previous; /* under the list's lock */
    int fd;
    uint64_t opened_ms;
    _Atomic uint64_t clock; /* when the phase began, in ms << 2, and the phase */
};

struct rec_watch_list {
    pthread_mutex_t lock; /* holds off closing: an fd in the list is open and ours */
    struct rec_watch_entry *first;
};

enum rec_status rec_watch_list_init(struct rec_watch_list *list);
void rec_watch_list_finish(struct rec_watch_list *list);
/* NULL when out of memory. */
struct rec_watch_entry *rec_watch_open(struct rec_watch_list *list, int fd);
void rec_watch_close(struct rec_watch_list *list, struct rec_watch_entry **entry);
void rec_watch_mark(struct rec_watch_entry *entry, enum rec_watch_phase phase, uint64_t now_ns);

/* Ends the connections that wait for a request and have no byte of one. */
void rec_watch_hush(struct rec_watch_list *list);
void rec_watch_cut(struct rec_watch_list *list); /* ends all of them, at once */

struct rec_watchdog;
enum rec_status rec_watchdog_start(struct rec_watch_list *lists, size_t count, size_t stride,
                                   unsigned idle_s, unsigned request_s, struct rec_watchdog **out,
                                   struct rec_error *err);
void rec_watchdog_stop(struct rec_watchdog **watchdog);

/* ---- listener.c: the listening socket and the thread that accepts ---------------- */

/* Takes the connection, or returns false when there is no room for it. */
typedef bool (*rec_listener_take_fn)(void *context, int fd, const void *address,
                                     unsigned address_bytes);

struct rec_listener;
enum rec_status rec_listener_open(const char *listen, struct rec_listener **out,
                                  struct rec_error *err);
unsigned rec_listener_port(const struct rec_listener *listener);
enum rec_status rec_listener_run(struct rec_listener *listener, rec_listener_take_fn take,
                                 void *context, struct rec_error *err);
/* Accepts what is in the backlog, then closes it. NULL is fine. */
void rec_listener_close(struct rec_listener **listener);

/* ---- worker.c: one epoll thread; the only file that knows libmicrohttpd ------------ */

struct rec_worker {
    struct rec_watch_list connections;
    const struct rec_http_options *options; /* the server's, like the two below */
    const atomic_bool *draining, *stopping;
    struct MHD_Daemon *daemon;
    size_t index;
    struct rec_call *spare; /* worker's thread only, like spares and rng */
    size_t spares;
    struct rec_rng rng;
    atomic_size_t open;      /* connections accepted for this worker and not yet closed */
    atomic_size_t in_flight; /* requests whose line is in and whose answer is not sent */
    atomic_size_t running;   /* handlers that have not answered, LATER included */
    char apart[64];          /* keeps workers off each other's cache lines */
};

/* The caller has set options, draining, stopping and index. */
enum rec_status rec_worker_start(struct rec_worker *worker, uint64_t seed, struct rec_error *err);
void rec_worker_take(struct rec_worker *worker, int fd, const void *address,
                     unsigned address_bytes);
/* Call when running is 0 and stays so. */
void rec_worker_stop(struct rec_worker *worker);

#endif
