/* The listening socket and the one thread that accepts. We accept ourselves because libmicrohttpd's
 * own thread pool lets all workers accept from one socket and leaves them unbalanced: 8 connections
 * on 4 workers, one took all. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4: the flags without two more system calls and without a gap */
#endif
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "room.h"

enum { NO_FILES_PAUSE_MS = 50 };

struct rec_listener {
    int fd;
    int wake[2]; /* a byte in it ends the thread */
    bool running;
    pthread_t thread;
    rec_listener_take_fn take;
    void *context;
};

/* ---- the address ------------------------------------------------------------------ */

/* "127.0.0.1:8080" or "[::1]:8080" into host and port. */
static bool split(const char *listen, char *host, size_t host_bytes, const char **port) {
    const char *colon = strrchr(listen, ':');
    const char *begin = listen, *end = colon;

    if (colon == NULL || colon == listen || colon[1] == '\0')
        return false;
    if (listen[0] == '[') {
        if (end[-1] != ']')
            return false;
        begin++;
        end--;
    } else if (strchr(listen, ':') != colon) {
        return false; /* a bare IPv6 address: which colon ends it is anyone's guess */
    }
    if (end <= begin || (size_t)(end - begin) >= host_bytes)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *port = colon + 1;
    return true;
}

/* A bound, listening, non-blocking socket, or -1 with errno. */
static int bind_to(const struct addrinfo *info) {
    const int on = 1;
    int saved;
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    info->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static enum rec_status parse(const char *listen, char *host, size_t host_bytes, const char **port,
                             struct rec_error *err) {
    int64_t number;
    if (!split(listen, host, host_bytes, port))
        return rec_error_set(err, REC_BAD_INPUT,
                             "listen: '%s' is not ADDR:PORT, for example 127.0.0.1:8080 or "
                             "[::1]:8080",
                             listen);
    return rec_text_i64("listen", *port, 0, 65535, &number, err);
}

enum rec_status rec_listener_check(const char *listen, struct rec_error *err) {
    char host[256];
    const char *port;
    return parse(listen, host, sizeof(host), &port, err);
}

static enum rec_status open_socket(const char *listen, int *out, struct rec_error *err) {
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port = NULL;
    int code, fd = -1;

    if (parse(listen, host, sizeof(host), &port, err) != REC_OK)
        return REC_BAD_INPUT;
    code = getaddrinfo(host, port, &hints, &found);
    if (code != 0)
        return rec_error_set(err, REC_IO, "listen address '%s': %s", listen, gai_strerror(code));
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next)
        fd = bind_to(info);
    code = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return rec_error_set(err, REC_IO, "cannot listen on %s: %s%s", listen, strerror(code),
                             code == EADDRINUSE ? "; stop the other program or choose another port"
                                                : "");
    *out = fd;
    return REC_OK;
}

enum rec_status rec_listener_open(const char *listen, struct rec_listener **out,
                                  struct rec_error *err) {
    enum rec_status st;
    struct rec_listener *listener = rec_alloc_array(1, sizeof(*listener));
    if (listener == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "http: the listener");
    listener->fd = listener->wake[0] = listener->wake[1] = -1;
    if (pipe2(listener->wake, O_CLOEXEC) != 0) {
        st = rec_error_set(err, REC_IO, "http: no pipe: %s", strerror(errno));
        goto fail;
    }
    st = open_socket(listen, &listener->fd, err);
    if (st != REC_OK)
        goto fail;
    *out = listener;
    return REC_OK;

fail:
    rec_listener_close(&listener);
    return st;
}

unsigned rec_listener_port(const struct rec_listener *listener) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    if (getsockname(listener->fd, (struct sockaddr *)&address, &bytes) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* ---- the thread --------------------------------------------------------------------- */

/* Over the cap: one honest line, without waiting for the client to take it. What it has sent is
 * read away first, or closing would reset the connection and lose the answer. */
static void turn_away(int fd) {
    static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                               "Retry-After: 1\r\nContent-Length: 0\r\n\r\n";
    char sink[4096];
    if (send(fd, full, sizeof(full) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        shutdown(fd, SHUT_WR);
        while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) == (ssize_t)sizeof(sink)) {
        }
    }
    close(fd);
}

/* Accepts what is there. False: out of files or memory, so the caller must pause, for poll() would
 * report the same connection again at once. */
static bool accept_all(struct rec_listener *listener) {
    for (;;) {
        struct sockaddr_storage address;
        socklen_t bytes = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        if (!listener->take(listener->context, fd, &address, (unsigned)bytes))
            turn_away(fd);
    }
}

static void *run(void *context) {
    struct rec_listener *listener = context;
    struct pollfd fds[2] = {{.fd = listener->wake[0], .events = POLLIN},
                            {.fd = listener->fd, .events = POLLIN}};
    for (;;) {
        int ready = poll(fds, 2, -1);
        if (ready < 0)
            continue;
        bool good = accept_all(listener); /* also before the end: the backlog is answered */
        if (fds[0].revents != 0)
            return NULL;
        if (!good)
            poll(fds, 1, NO_FILES_PAUSE_MS);
    }
}

enum rec_status rec_listener_run(struct rec_listener *listener, rec_listener_take_fn take,
                                 void *context, struct rec_error *err) {
    assert(!listener->running);
    listener->take = take;
    listener->context = context;
    if (pthread_create(&listener->thread, NULL, run, listener) != 0)
        return rec_error_set(err, REC_NO_MEMORY, "http: no thread to accept connections");
    listener->running = true;
    return REC_OK;
}

void rec_listener_close(struct rec_listener **listener) {
    struct rec_listener *gone = *listener;
    if (gone == NULL)
        return;
    if (gone->running) {
        ssize_t wrote = write(gone->wake[1], "", 1);
        assert(wrote == 1);
        (void)wrote;
        pthread_join(gone->thread, NULL);
    }
    if (gone->fd >= 0)
        close(gone->fd);
    if (gone->wake[0] >= 0) {
        close(gone->wake[0]);
        close(gone->wake[1]);
    }
    rec_alloc_free(gone);
    *listener = NULL;
}
