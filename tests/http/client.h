/* A raw HTTP client for tests: it sends exactly the bytes it is told, however wrong they are, and
 * reads answers one by one. Every read has a deadline far beyond what is needed, so a hanging
 * server fails a test and does not hang it. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "recsysd/http.h"
#include "test.h"

static inline void nap_us(long us) {
    const struct timespec time = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

struct answer {
    int status; /* 0: the connection ended without an answer */
    char head[4096];
    char body[16384];
    size_t body_bytes;
};

struct client {
    int fd;
    char data[32768]; /* read, and not yet taken as an answer */
    size_t bytes;
};

static inline void client_open(struct client *client, unsigned port) {
    const struct timeval patience = {.tv_sec = 30};
    const int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client->bytes = 0;
    client->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(client->fd >= 0);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static inline void client_close(struct client *client) {
    close(client->fd);
}

/* False when the server has hung up. */
static inline bool client_send(struct client *client, const char *data, size_t bytes) {
    while (bytes > 0) {
        ssize_t n = send(client->fd, data, bytes, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

static inline bool client_say(struct client *client, const char *text) {
    return client_send(client, text, strlen(text));
}

/* More bytes from the server. False at the end of the stream or a reset. */
static inline bool client_fill(struct client *client) {
    ssize_t n;
    assert_true(client->bytes < sizeof(client->data) - 1);
    n = recv(client->fd, client->data + client->bytes, sizeof(client->data) - 1 - client->bytes, 0);
    if (n > 0)
        client->bytes += (size_t)n;
    client->data[client->bytes] = '\0';
    return n > 0;
}

/* The value of a header of the answer's head into out, or false. */
static inline bool answer_header(const struct answer *answer, const char *name, char *out,
                                 size_t out_bytes) {
    size_t n = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line != NULL && line[2] != '\0';
         line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
            continue;
        const char *value = line + 2 + n + 1 + strspn(line + 2 + n + 1, " ");
        snprintf(out, out_bytes, "%.*s", (int)strcspn(value, "\r\n"), value);
        return true;
    }
    return false;
}

/* The next answer. bodiless: the request was a HEAD. */
static inline struct answer client_read(struct client *client, bool bodiless) {
    struct answer answer = {0};
    char text[64];
    const char *end;
    size_t head_bytes;

    while ((end = client->bytes > 0 ? strstr(client->data, "\r\n\r\n") : NULL) == NULL)
        if (!client_fill(client))
            return answer;
    head_bytes = (size_t)(end - client->data) + 4;
    assert_true(head_bytes < sizeof(answer.head));
    memcpy(answer.head, client->data, head_bytes);
    assert_memory_equal(answer.head, "HTTP/1.", 7);
    answer.status = (int)strtol(answer.head + 9, NULL, 10);
    if (!bodiless && answer.status >= 200 &&
        answer_header(&answer, "Content-Length", text, sizeof(text)))
        answer.body_bytes = strtoul(text, NULL, 10);
    assert_true(answer.body_bytes < sizeof(answer.body));
    while (client->bytes < head_bytes + answer.body_bytes)
        assert_true(client_fill(client));
    memcpy(answer.body, client->data + head_bytes, answer.body_bytes);
    client->bytes -= head_bytes + answer.body_bytes;
    memmove(client->data, client->data + head_bytes + answer.body_bytes, client->bytes + 1);
    return answer;
}

/* Whether the server ends the connection, with nothing more to read. */
static inline bool client_ended(struct client *client) {
    return client->bytes == 0 && !client_fill(client);
}

/* One connection, one request, one answer. */
static inline struct answer ask(unsigned port, const char *request, size_t bytes) {
    struct client client;
    struct answer answer;
    client_open(&client, port);
    client_send(&client, request, bytes);
    answer = client_read(&client, false);
    client_close(&client);
    return answer;
}

static inline struct answer ask_text(unsigned port, const char *request) {
    return ask(port, request, strlen(request));
}

/* ---- a server ---------------------------------------------------------------- */

/* Says what it was called with: every part a handler sees, NULs as "\0". */
static inline void put(struct rec_http_exchange *exchange, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (text[i] == '\0')
            rec_http_append(exchange, "\\0", 2);
        else
            rec_http_append(exchange, text + i, 1);
}

static inline enum rec_http_verdict echo(void *context, struct rec_http_exchange *exchange) {
    (void)context;
    put(exchange, exchange->path, strlen(exchange->path));
    if (exchange->path_value != NULL) {
        put(exchange, " {", 2);
        put(exchange, exchange->path_value, exchange->path_value_bytes);
        put(exchange, "}", 1);
    }
    for (size_t i = 0; i < exchange->query_count; i++) {
        put(exchange, i == 0 ? " ?" : "&", i == 0 ? 2 : 1);
        put(exchange, exchange->query[i].name, strlen(exchange->query[i].name));
        put(exchange, "=", 1);
        put(exchange, exchange->query[i].value, exchange->query[i].value_bytes);
    }
    put(exchange, " body=", 6);
    put(exchange, exchange->body, exchange->body_bytes);
    exchange->answer_type = "text/plain";
    return REC_HTTP_ANSWERED;
}

static inline void plain_problem(struct rec_http_exchange *exchange, int status,
                                 const char *detail) {
    char text[320];
    int n = snprintf(text, sizeof(text), "%d: %s", status, detail);
    exchange->answer_type = "application/problem+json";
    rec_http_append(exchange, text, (size_t)n);
}

static inline struct rec_http_options server_options(const struct rec_http_route *routes,
                                                     size_t count) {
    return (struct rec_http_options){
        .listen = "127.0.0.1:0",
        .workers = 2,
        .connections = 4000,
        .idle_timeout_s = 30,
        .request_timeout_s = 30,
        .body_bytes_max = 64 * 1024,
        .routes = routes,
        .route_count = count,
        .problem = plain_problem,
    };
}

static inline struct rec_http *server_start(const struct rec_http_options *options) {
    struct rec_http *http = NULL;
    struct rec_error err = {0};
    if (rec_http_start(options, &http, &err) != REC_OK)
        fail_msg("%s", err.text);
    return http;
}

#endif
