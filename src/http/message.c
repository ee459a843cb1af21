/* One exchange and its memory: the request target decoded, the body gathered, the answer's buffer
 * grown. A message lives on after its request and serves the next one, so a server in steady state
 * allocates nothing here. Decoding never guesses: a bad percent escape is refused, a NUL stays
 * visible as bytes past strlen(), and whether text is UTF-8 is for the handlers to judge. */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "room.h"

enum {
    BODY_KEPT_BYTES = 64 * 1024, /* a recycled message keeps buffers up to these sizes */
    OUT_KEPT_BYTES = 256 * 1024,
    TRACEPARENT_BYTES = 55, /* 00-<32 hex>-<16 hex>-<2 hex> */
    TRACE_ID_BYTES = 32,
};

/* ---- memory --------------------------------------------------------------------- */

void rec_message_finish(struct rec_message *message) {
    rec_alloc_free(message->target);
    rec_alloc_free(message->text);
    rec_alloc_free(message->pairs);
    rec_alloc_free(message->body);
    rec_alloc_free(message->exchange.out);
    *message = (struct rec_message){0};
}

static void drop_large(char **block, size_t *cap, size_t kept) {
    if (*cap <= kept)
        return;
    rec_alloc_free(*block);
    *block = NULL;
    *cap = 0;
}

void rec_message_reset(struct rec_message *message, size_t worker) {
    struct rec_http_exchange *exchange = &message->exchange;

    drop_large(&message->body, &message->body_cap, BODY_KEPT_BYTES);
    drop_large(&exchange->out, &exchange->out_cap, OUT_KEPT_BYTES);
    *exchange = (struct rec_http_exchange){
        .method = REC_HTTP_OTHER,
        .path = "",
        .body = "",
        .content_type = message->content_type,
        .worker = worker,
        .status = 200,
        .answer_type = "application/json",
        .out = exchange->out,
        .out_cap = exchange->out_cap,
    };
    message->target_bytes = message->path_bytes = message->query_bytes = message->text_bytes = 0;
    message->path = message->query = NULL;
    message->content_type[0] = '\0';
    message->refusal = 0;
    message->close = false;
    message->detail[0] = '\0';
}

void rec_message_refuse(struct rec_message *message, int status, const char *fmt, ...) {
    va_list args;
    if (message->refusal != 0)
        return;
    message->refusal = status;
    va_start(args, fmt);
    vsnprintf(message->detail, sizeof(message->detail), fmt, args);
    va_end(args);
}

enum rec_status rec_http_reserve(struct rec_http_exchange *exchange, size_t more) {
    if (more > SIZE_MAX - exchange->out_bytes)
        return REC_NO_MEMORY;
    if (exchange->out_bytes + more <= exchange->out_cap)
        return REC_OK;
    return rec_alloc_grow(&exchange->out, &exchange->out_cap, exchange->out_bytes + more, 1, NULL);
}

enum rec_status rec_http_append(struct rec_http_exchange *exchange, const char *text,
                                size_t bytes) {
    enum rec_status st = rec_http_reserve(exchange, bytes);
    if (st != REC_OK)
        return st;
    if (bytes > 0)
        memcpy(exchange->out + exchange->out_bytes, text, bytes);
    exchange->out_bytes += bytes;
    return REC_OK;
}

enum rec_status rec_message_append_body(struct rec_message *message, const char *data,
                                        size_t bytes) {
    struct rec_http_exchange *exchange = &message->exchange;
    enum rec_status st;

    if (bytes >= SIZE_MAX - exchange->body_bytes)
        return REC_NO_MEMORY;
    st = rec_alloc_grow(&message->body, &message->body_cap, exchange->body_bytes + bytes + 1, 1,
                        NULL);
    if (st != REC_OK)
        return st;
    memcpy(message->body + exchange->body_bytes, data, bytes);
    exchange->body_bytes += bytes;
    message->body[exchange->body_bytes] = '\0';
    exchange->body = message->body;
    return REC_OK;
}

/* ---- the target -------------------------------------------------------------------- */

/* Where the path of an absolute URI begins: RFC 9112, 3.2.2, asks every server to take them. */
static size_t authority_end(const char *target, size_t bytes) {
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i]);
        if (bytes < n || strncasecmp(target, schemes[i], n) != 0)
            continue;
        while (n < bytes && target[n] != '/' && target[n] != '?')
            n++;
        return n;
    }
    return 0;
}

enum rec_status rec_message_set_target(struct rec_message *message, const char *target,
                                       size_t bytes, struct rec_error *err) {
    enum rec_status st;
    const char *mark;
    size_t begin;

    /* Decoded text is never longer than what was sent; path and {part} may both hold all of it,
     * and every piece ends in a NUL of its own. */
    if (bytes > REC_HTTP_TARGET_BYTES_MAX)
        return rec_error_set(err, REC_LIMIT, "the request target may have at most %d bytes",
                             REC_HTTP_TARGET_BYTES_MAX);
    st = rec_alloc_grow(&message->target, &message->target_cap, bytes + 1, 1, err);
    if (st != REC_OK)
        return st;
    st = rec_alloc_grow(&message->text, &message->text_cap, 2 * bytes + 4, 1, err);
    if (st != REC_OK)
        return st;

    memcpy(message->target, target, bytes);
    message->target[bytes] = '\0';
    message->target_bytes = bytes;
    begin = authority_end(message->target, bytes);
    mark = memchr(message->target + begin, '?', bytes - begin);
    message->path = message->target + begin;
    message->path_bytes = mark != NULL ? (size_t)(mark - message->path) : bytes - begin;
    message->query = mark != NULL ? mark + 1 : NULL;
    message->query_bytes = mark != NULL ? bytes - (size_t)(mark + 1 - message->target) : 0;
    if (begin > 0 && message->path_bytes == 0) {
        message->path = "/";
        message->path_bytes = 1;
    }
    if (message->path_bytes > 0 && message->path[0] == '/')
        return REC_OK;
    if (bytes == 1 && target[0] == '*')
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "the request target must be a path that begins with '/'");
}

/* ---- decoding ------------------------------------------------------------------------ */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Appends raw [bytes] decoded to the message's text, with a NUL. False: a bad percent escape. */
static bool decode(struct rec_message *message, const char *raw, size_t bytes, bool plus_is_space,
                   const char **text, size_t *text_bytes) {
    char *out = message->text + message->text_bytes;
    size_t n = 0;

    assert(bytes < message->text_cap - message->text_bytes);
    for (size_t i = 0; i < bytes; i++) {
        char c = raw[i];
        if (c == '%') {
            int high = i + 2 < bytes ? hex_digit(raw[i + 1]) : -1;
            int low = i + 2 < bytes ? hex_digit(raw[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    message->text_bytes += n + 1;
    *text = out;
    *text_bytes = n;
    return true;
}

enum rec_status rec_message_decode_path(struct rec_message *message, struct rec_error *err) {
    size_t bytes;
    if (decode(message, message->path, message->path_bytes, false, &message->exchange.path, &bytes))
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "the path holds a '%%' that is not followed by two hex digits");
}

void rec_message_decode_value(struct rec_message *message, const char *raw, size_t bytes) {
    struct rec_http_exchange *exchange = &message->exchange;
    bool good =
        decode(message, raw, bytes, false, &exchange->path_value, &exchange->path_value_bytes);
    assert(good); /* part of a path that was decoded before */
    (void)good;
}

/* A parameter's name for an error text: printable ASCII whatever was sent. */
static void printable(const char *name, size_t bytes, char *out, size_t out_bytes) {
    size_t n = bytes < out_bytes - 1 ? bytes : out_bytes - 1;
    for (size_t i = 0; i < n; i++)
        out[i] =
            name[i] > ' ' && name[i] < 0x7f && name[i] != '"' && name[i] != '\\' ? name[i] : '?';
    out[n] = '\0';
}

static enum rec_status decode_pair(struct rec_message *message, const char *raw, size_t bytes,
                                   struct rec_error *err) {
    struct rec_http_pair *pair = &message->pairs[message->exchange.query_count];
    const char *equals = memchr(raw, '=', bytes);
    size_t name_bytes = equals != NULL ? (size_t)(equals - raw) : bytes;
    size_t ignored;
    char name[41];

    *pair = (struct rec_http_pair){.value = ""};
    if (decode(message, raw, name_bytes, true, &pair->name, &ignored) &&
        (equals == NULL || decode(message, equals + 1, bytes - name_bytes - 1, true, &pair->value,
                                  &pair->value_bytes))) {
        message->exchange.query_count++;
        return REC_OK;
    }
    printable(raw, name_bytes, name, sizeof(name));
    return rec_error_set(err, REC_BAD_INPUT,
                         "query parameter '%s': a '%%' is not followed by two hex digits", name);
}

enum rec_status rec_message_decode_query(struct rec_message *message, struct rec_error *err) {
    struct rec_http_exchange *exchange = &message->exchange;
    const char *raw = message->query;
    size_t left = message->query_bytes;
    enum rec_status st;

    while (left > 0) {
        const char *mark = memchr(raw, '&', left);
        size_t bytes = mark != NULL ? (size_t)(mark - raw) : left;
        if (bytes > 0) { /* `a=1&&b=2` and a last `&` are harmless */
            if (exchange->query_count == REC_HTTP_QUERY_MAX)
                return rec_error_set(err, REC_LIMIT, "more than %d query parameters",
                                     REC_HTTP_QUERY_MAX);
            st = rec_alloc_grow(&message->pairs, &message->pairs_cap, exchange->query_count + 1,
                                sizeof(message->pairs[0]), err);
            if (st != REC_OK)
                return st;
            exchange->query = message->pairs;
            st = decode_pair(message, raw, bytes, err);
            if (st != REC_OK)
                return st;
        }
        raw += mark != NULL ? bytes + 1 : bytes;
        left -= mark != NULL ? bytes + 1 : bytes;
    }
    return REC_OK;
}

/* ---- fields of the head --------------------------------------------------------------- */

void rec_message_set_type(struct rec_message *message, const char *value, size_t bytes) {
    size_t n = 0;
    for (size_t i = 0; i < bytes && value[i] != ';'; i++) {
        char c = value[i];
        if (c == ' ' || c == '\t')
            continue;
        if (n == sizeof(message->content_type) - 1)
            break;
        message->content_type[n++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    message->content_type[n] = '\0';
}

static bool sane_id(const char *text, size_t bytes) {
    if (bytes == 0 || bytes > REC_REQUEST_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++)
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return false;
    return true;
}

/* W3C Trace Context, 3.2: any version, the id in lower-case hex and not all zero. */
static bool sane_trace(const char *text, size_t bytes) {
    bool nonzero = false;
    if (bytes < TRACEPARENT_BYTES || text[2] != '-' || text[3 + TRACE_ID_BYTES] != '-')
        return false;
    for (size_t i = 3; i < 3 + TRACE_ID_BYTES; i++) {
        if (hex_digit(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F'))
            return false;
        nonzero = nonzero || text[i] != '0';
    }
    return nonzero;
}

void rec_message_set_id(struct rec_message *message, const char *request_id, size_t id_bytes,
                        const char *traceparent, size_t trace_bytes, uint64_t spare) {
    char *id = message->exchange.request_id;
    if (request_id != NULL && sane_id(request_id, id_bytes)) {
        memcpy(id, request_id, id_bytes);
        id[id_bytes] = '\0';
    } else if (traceparent != NULL && sane_trace(traceparent, trace_bytes)) {
        memcpy(id, traceparent + 3, TRACE_ID_BYTES);
        id[TRACE_ID_BYTES] = '\0';
    } else {
        for (size_t i = 0; i < 16; i++)
            id[i] = "0123456789abcdef"[spare >> (60 - 4 * i) & 15];
        id[16] = '\0';
    }
}
