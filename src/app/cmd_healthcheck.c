/* recsysd healthcheck: asks GET /health/ready and exits 0 when it says 200. For
 * container engines and scripts that have no curl. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app.h"

enum { TIMEOUT_S = 5 };

/* "127.0.0.1:8080" or "[::1]:8080". A daemon that listens on every address is asked on loopback. */
static bool split_address(const char *listen, char host[256], char port[8]) {
    const char *colon = strrchr(listen, ':');
    const char *start = listen, *end = colon;
    if (colon == NULL || strlen(colon + 1) >= 8)
        return false;
    if (*start == '[' && end > start && end[-1] == ']') {
        start++;
        end--;
    }
    size_t bytes = (size_t)(end - start);
    if (bytes >= 256)
        return false;
    memcpy(host, start, bytes);
    host[bytes] = '\0';
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "*") == 0)
        (void)snprintf(host, 256, "127.0.0.1");
    if (strcmp(host, "::") == 0)
        (void)snprintf(host, 256, "::1");
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

static int connect_to(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return -1;
    for (struct addrinfo *a = found; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* The answer's status, 0 when there was none. */
static int ask(int fd) {
    static const char request[] =
        "GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    char answer[64] = {0};
    int status = 0;
    size_t used = 0;
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(request) - 1)
        return 0;
    while (used < sizeof(answer) - 1) {
        ssize_t n = recv(fd, answer + used, sizeof(answer) - 1 - used, 0);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    return sscanf(answer, "HTTP/1.%*c %3d", &status) == 1 ? status : 0;
}

int cmd_healthcheck(const struct config *config) {
    const char *listen = config_text(config, SET_LISTEN);
    char host[256], port[8];
    if (!split_address(listen, host, port)) {
        (void)fprintf(stderr, "recsysd healthcheck: '%s' is not ADDR:PORT\n", listen);
        return EXIT_USAGE;
    }
    int fd = connect_to(host, port);
    int status = fd >= 0 ? ask(fd) : 0;
    if (fd >= 0)
        close(fd);
    if (status == 200)
        return EXIT_DONE;
    if (status == 0)
        (void)fprintf(stderr, "recsysd healthcheck: no answer from %s\n", listen);
    else
        (void)fprintf(stderr, "recsysd healthcheck: %s is not ready (status %d)\n", listen, status);
    return EXIT_FAILED;
}
