/* Goal: no request target, whatever its bytes, makes the decoder or the matcher leave its memory,
 * and what comes out is consistent: every value ends in a NUL, nothing decoded is longer than what
 * was sent, and a value the router found decodes.
 *
 *   fuzz_message CORPUS -max_total_time=30 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/http/room.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static enum rec_http_verdict no_handler(void *context, struct rec_http_exchange *exchange) {
    (void)context;
    (void)exchange;
    return REC_HTTP_ANSWERED;
}

static const struct rec_http_route routes[] = {
    {REC_HTTP_GET, "/items/{item_id}", "getItem", no_handler, NULL},
    {REC_HTTP_GET, "/models/{version}/activate", "activate", no_handler, NULL},
    {REC_HTTP_GET, "/recommend", "recommend", no_handler, NULL},
};

static void check(bool fine, const char *what) {
    if (!fine) {
        (void)fprintf(stderr, "fuzz_message: %s\n", what);
        abort();
    }
}

static void check_target(struct rec_message *message, const char *target, size_t bytes) {
    struct rec_http_exchange *exchange = &message->exchange;
    struct rec_router_match match;
    size_t total = 0;

    rec_message_reset(message, 0);
    if (rec_message_set_target(message, target, bytes, NULL) != REC_OK ||
        rec_message_decode_path(message, NULL) != REC_OK)
        return;
    match = rec_router_find(routes, sizeof(routes) / sizeof(routes[0]), REC_HTTP_GET, message->path,
                            message->path_bytes);
    if (match.value != NULL) {
        rec_message_decode_value(message, match.value, match.value_bytes);
        check(exchange->path_value_bytes > 0, "an empty {part} matched");
        check(exchange->path_value[exchange->path_value_bytes] == '\0', "{part} without a NUL");
    }
    if (rec_message_decode_query(message, NULL) != REC_OK)
        return;
    check(exchange->query_count <= REC_HTTP_QUERY_MAX, "too many parameters");
    for (size_t i = 0; i < exchange->query_count; i++) {
        const struct rec_http_pair *pair = &exchange->query[i];
        check(pair->value[pair->value_bytes] == '\0', "a value without a NUL");
        total += strlen(pair->name) + pair->value_bytes;
    }
    check(total <= bytes, "decoding made more of it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static struct rec_message message;
    char *target;

    /* the first byte says how much of the rest is a request id and a content type */
    if (bytes < 1)
        return 0;
    size_t head = data[0] < bytes - 1 ? data[0] : bytes - 1;
    target = rec_alloc_array(bytes, 1); /* an exact size, so that reading past the end is seen */
    if (target == NULL)
        return 0;
    memcpy(target, data + 1, bytes - 1);
    check_target(&message, target, bytes - 1);
    rec_message_set_id(&message, target, head, target, head, 1);
    check(strlen(message.exchange.request_id) <= REC_REQUEST_ID_BYTES_MAX, "a long request id");
    rec_message_set_type(&message, target, head);
    rec_alloc_free(target);
    return 0;
}
