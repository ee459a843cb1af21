/* How long a connection may take. libmicrohttpd's own timeout is about inactivity: a client that
 * sends a byte now and then lives for ever (verified on 0.9.75). So every connection carries one
 * word, the phase it is in and since when; the workers store it, and one thread compares it with
 * the clock and shuts what is late. The socket is only shut, never closed, here: the worker sees
 * the end of the stream and closes it, and the list's lock keeps the number from being reused
 * between looking and shutting. */
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "room.h"

enum {
    TICK_MS = 200,
    FRESH_MS = 250, /* a connection this young may have its first request on the way */
};

struct rec_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop; /* under lock */
    char *lists;
    size_t count, stride;
    uint64_t limit_ms[REC_WATCH_SENDING + 1]; /* of each phase; 0: none */
};

/* ---- the list --------------------------------------------------------------------- */

enum rec_status rec_watch_list_init(struct rec_watch_list *list) {
    list->first = NULL;
    return pthread_mutex_init(&list->lock, NULL) == 0 ? REC_OK : REC_NO_MEMORY;
}

void rec_watch_list_finish(struct rec_watch_list *list) {
    while (list->first != NULL) {
        struct rec_watch_entry *entry = list->first;
        rec_watch_close(list, &entry);
    }
    pthread_mutex_destroy(&list->lock);
}

struct rec_watch_entry *rec_watch_open(struct rec_watch_list *list, int fd) {
    uint64_t now_ns = rec_clock_monotonic_ns();
    struct rec_watch_entry *entry = rec_alloc_array(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    entry->fd = fd;
    entry->opened_ms = now_ns / 1000000;
    rec_watch_mark(entry, REC_WATCH_WAITING, now_ns);
    pthread_mutex_lock(&list->lock);
    entry->next = list->first;
    if (list->first != NULL)
        list->first->previous = entry;
    list->first = entry;
    pthread_mutex_unlock(&list->lock);
    return entry;
}

void rec_watch_close(struct rec_watch_list *list, struct rec_watch_entry **entry) {
    struct rec_watch_entry *gone = *entry;
    if (gone == NULL)
        return;
    *entry = NULL;
    pthread_mutex_lock(&list->lock);
    if (gone->previous != NULL)
        gone->previous->next = gone->next;
    else
        list->first = gone->next;
    if (gone->next != NULL)
        gone->next->previous = gone->previous;
    pthread_mutex_unlock(&list->lock);
    rec_alloc_free(gone);
}

void rec_watch_mark(struct rec_watch_entry *entry, enum rec_watch_phase phase, uint64_t now_ns) {
    atomic_store_explicit(&entry->clock, now_ns / 1000000 << 2 | phase, memory_order_relaxed);
}

/* Nothing of a request has reached us: neither libmicrohttpd's buffer, by the phase, nor the
 * socket's. */
static bool is_idle(const struct rec_watch_entry *entry, uint64_t now_ms) {
    char byte;
    uint64_t clock = atomic_load_explicit(&entry->clock, memory_order_relaxed);
    if ((clock & 3) != REC_WATCH_WAITING || now_ms - entry->opened_ms < FRESH_MS)
        return false;
    return recv(entry->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* Only the reading side is shut, so a request that slips in meanwhile is still read (Linux keeps
 * what has arrived) and can be answered. */
void rec_watch_hush(struct rec_watch_list *list) {
    uint64_t now_ms = rec_clock_monotonic_ns() / 1000000;
    pthread_mutex_lock(&list->lock);
    for (struct rec_watch_entry *entry = list->first; entry != NULL; entry = entry->next)
        if (is_idle(entry, now_ms))
            shutdown(entry->fd, SHUT_RD);
    pthread_mutex_unlock(&list->lock);
}

void rec_watch_cut(struct rec_watch_list *list) {
    pthread_mutex_lock(&list->lock);
    for (struct rec_watch_entry *entry = list->first; entry != NULL; entry = entry->next)
        shutdown(entry->fd, SHUT_RDWR);
    pthread_mutex_unlock(&list->lock);
}

/* ---- the thread --------------------------------------------------------------------- */

static void bite(const struct rec_watchdog *watchdog, struct rec_watch_list *list) {
    uint64_t now_ms = rec_clock_monotonic_ns() / 1000000;

    pthread_mutex_lock(&list->lock);
    for (struct rec_watch_entry *entry = list->first; entry != NULL; entry = entry->next) {
        uint64_t clock = atomic_load_explicit(&entry->clock, memory_order_relaxed);
        uint64_t limit_ms = watchdog->limit_ms[clock & 3], since_ms = clock >> 2;
        /* a worker may have marked a phase after we read the time */
        if (limit_ms > 0 && now_ms > since_ms && now_ms - since_ms > limit_ms)
            shutdown(entry->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&list->lock);
}

static void *run(void *context) {
    struct rec_watchdog *watchdog = context;
    struct timespec until;

    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->stop) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_MS * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_nsec -= 1000000000L;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&watchdog->wake, &watchdog->lock, &until);
        if (watchdog->stop)
            break;
        pthread_mutex_unlock(&watchdog->lock);
        for (size_t i = 0; i < watchdog->count; i++)
            bite(watchdog,
                 (struct rec_watch_list *)(void *)(watchdog->lists + i * watchdog->stride));
        pthread_mutex_lock(&watchdog->lock);
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

static bool cond_init(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    bool good;
    if (pthread_condattr_init(&attr) != 0)
        return false;
    good = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return good;
}

/* While it waits, a connection may send the first bytes of a request line, which nobody tells us
 * about. One that is silent ends after idle_s by libmicrohttpd's timeout; so one that is still
 * here after that has begun a request, at the latest idle_s after the wait began, and has
 * request_s from then. */
enum rec_status rec_watchdog_start(struct rec_watch_list *lists, size_t count, size_t stride,
                                   unsigned idle_s, unsigned request_s, struct rec_watchdog **out,
                                   struct rec_error *err) {
    struct rec_watchdog *watchdog = rec_alloc_array(1, sizeof(*watchdog));
    if (watchdog == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "http: the watchdog");
    watchdog->lists = (char *)lists;
    watchdog->count = count;
    watchdog->stride = stride;
    if (request_s > 0) {
        uint64_t request_ms = (uint64_t)request_s * 1000;
        watchdog->limit_ms[REC_WATCH_WAITING] = (uint64_t)idle_s * 1000 + request_ms;
        watchdog->limit_ms[REC_WATCH_RECEIVING] = request_ms;
        watchdog->limit_ms[REC_WATCH_SENDING] = (uint64_t)idle_s * 1000 + request_ms;
    }
    if (pthread_mutex_init(&watchdog->lock, NULL) != 0)
        goto no_lock;
    if (!cond_init(&watchdog->wake))
        goto no_cond;
    if (pthread_create(&watchdog->thread, NULL, run, watchdog) != 0)
        goto no_thread;
    *out = watchdog;
    return REC_OK;

no_thread:
    pthread_cond_destroy(&watchdog->wake);
no_cond:
    pthread_mutex_destroy(&watchdog->lock);
no_lock:
    rec_alloc_free(watchdog);
    return rec_error_set(err, REC_NO_MEMORY, "http: no thread for the watchdog");
}

void rec_watchdog_stop(struct rec_watchdog **watchdog) {
    struct rec_watchdog *gone = *watchdog;
    if (gone == NULL)
        return;
    pthread_mutex_lock(&gone->lock);
    gone->stop = true;
    pthread_cond_signal(&gone->wake);
    pthread_mutex_unlock(&gone->lock);
    pthread_join(gone->thread, NULL);
    pthread_cond_destroy(&gone->wake);
    pthread_mutex_destroy(&gone->lock);
    rec_alloc_free(gone);
    *watchdog = NULL;
}
