/* What libmicrohttpd alone does with a POST: reads the body, answers 201 and a few bytes. The limit
 * that bench_writes.sh shows beside POST /interactions.
 *
 * usage: hello_post PORT THREADS */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <microhttpd.h>

static const char body[] = "{\"accepted\":1,\"duplicates\":0}";
static int seen; /* its address marks a request whose head was read */

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request) {
    (void)context, (void)url, (void)method, (void)version, (void)upload;
    if (*request == NULL || *upload_bytes > 0) {
        *request = &seen;
        *upload_bytes = 0;
        return MHD_YES;
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof(body) - 1, (char *)body, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result queued = MHD_queue_response(connection, MHD_HTTP_CREATED, response);
    MHD_destroy_response(response);
    return queued;
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: hello_post PORT THREADS\n");
        return 2;
    }
    unsigned long port = strtoul(arguments[1], NULL, 10), threads = strtoul(arguments[2], NULL, 10);
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, (uint16_t)port, NULL, NULL, answer, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned int)threads, MHD_OPTION_END);
    if (daemon == NULL) {
        perror("hello_post: cannot start");
        return 1;
    }
    (void)pause();
    return 0;
}
