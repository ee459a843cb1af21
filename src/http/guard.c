/* The guard at the door: what a request head may look like before anything of it is believed. A
 * proxy in front and we must agree where each request ends, or a client can hide one request in
 * another; so every form two servers are known to read differently is refused, even where the
 * standard would let us repair it (RFC 9112, 6.3 and 11.2).
 *
 * libmicrohttpd 0.9 reads heads more freely than it lets us see. Verified on 0.9.75: it cuts a
 * value at a NUL, and it glues a folded line to the *name* of the header before, so that
 * "Content-Length: 5\r\n x" becomes a header "Content-Lengthx" and the body the next request. It
 * also takes a bare LF for a line end. All leave a trace: names and values are slices of one
 * buffer, so the pieces must lie side by side, with nothing between them but a colon, blanks and a
 * CRLF. `edge` walks along and checks that. Version 1.0.1, told to be strict, refuses them all. */
#include <string.h>
#include <strings.h>

#include "room.h"

static const char broken_lines[] =
    "a header is folded over several lines, does not end in CRLF, or holds a NUL";

enum { BLANKS_MAX = 16 * 1024 }; /* no buffer of a connection is larger than this */

static void refuse(struct rec_guard *guard, int status, const char *wrong) {
    if (guard->wrong != NULL)
        return;
    guard->wrong = wrong;
    guard->status = status;
}

/* tchar of RFC 9110, 5.6.2. */
static bool is_token(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return bytes > 0;
}

static bool has_control(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
            return true;
    return false;
}

bool rec_guard_target(const char *target, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)target[i] <= ' ' || target[i] == 0x7f)
            return false;
    return true;
}

/* Bytes from `from` to `to`, or a size no gap has when `to` is not behind. Pointers of different
 * blocks may not be compared as pointers. */
static size_t distance(const char *from, const char *to) {
    uintptr_t a = (uintptr_t)from, b = (uintptr_t)to;
    return b >= a && b - a <= BLANKS_MAX ? (size_t)(b - a) : SIZE_MAX;
}

/* The line before ended at edge; this name must follow its CRLF, and only a colon and blanks may
 * stand between name and value. */
static void check_seams(struct rec_guard *guard, const char *name, size_t name_bytes,
                        const char *value, size_t value_bytes) {
    size_t before = distance(guard->edge, name);
    size_t between = distance(name + name_bytes, value);

    if (before != 2 || between < 1 || between == SIZE_MAX) {
        refuse(guard, 400, broken_lines);
        guard->edge = NULL;
        return;
    }
    for (size_t i = 1; i < between; i++)
        if (name[name_bytes + i] != ' ' && name[name_bytes + i] != '\t')
            refuse(guard, 400, broken_lines);
    guard->edge = value + value_bytes;
}

static void note_length(struct rec_guard *guard, const char *value, size_t bytes) {
    guard->lengths++;
    guard->length = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (value[i] < '0' || value[i] > '9' || guard->length > (UINT64_MAX - 9) / 10) {
            refuse(guard, 400, "Content-Length is not a whole number of bytes");
            return;
        }
        guard->length = guard->length * 10 + (uint64_t)(value[i] - '0');
    }
    if (bytes == 0)
        refuse(guard, 400, "Content-Length is empty");
}

static void note_encoding(struct rec_guard *guard, const char *value, size_t bytes) {
    guard->encodings++;
    guard->chunked = bytes == 7 && strncasecmp(value, "chunked", 7) == 0;
    if (!guard->chunked)
        refuse(guard, 400, "Transfer-Encoding may only be chunked");
}

static bool is_name(const char *name, size_t bytes, const char *known) {
    return strncasecmp(name, known, bytes) == 0;
}

/* Only names of the right length are compared: most headers of a request are none of ours. */
static void note(struct rec_guard *guard, const char *name, size_t name_bytes,
                 struct rec_guard_value value) {
    switch (name_bytes) {
    case 4:
        guard->hosts += is_name(name, name_bytes, "Host");
        break;
    case 6:
        if (is_name(name, name_bytes, "Expect"))
            guard->expects = true;
        break;
    case 11:
        if (is_name(name, name_bytes, "traceparent"))
            guard->traceparent = value;
        break;
    case 12:
        if (is_name(name, name_bytes, "Content-Type")) {
            guard->content_type = value;
            guard->types++;
        } else if (is_name(name, name_bytes, "X-Request-ID")) {
            guard->request_id = value;
        }
        break;
    case 13:
        if (is_name(name, name_bytes, "Authorization")) {
            guard->authorization = value;
            guard->credentials++;
        } else if (is_name(name, name_bytes, "If-None-Match")) {
            guard->if_none_match = value;
        }
        break;
    case 14:
        if (is_name(name, name_bytes, "Content-Length"))
            note_length(guard, value.text, value.bytes);
        break;
    case 17:
        if (is_name(name, name_bytes, "Transfer-Encoding"))
            note_encoding(guard, value.text, value.bytes);
        break;
    default:
        break;
    }
}

void rec_guard_header(struct rec_guard *guard, const char *name, size_t name_bytes,
                      const char *value, size_t value_bytes) {
    if (value == NULL) {
        value = "";
        value_bytes = 0;
        guard->edge = NULL;
    }
    if (++guard->headers > REC_HTTP_HEADERS_MAX) {
        refuse(guard, 431, "more headers than the server takes");
        return;
    }
    if (guard->edge != NULL)
        check_seams(guard, name, name_bytes, value, value_bytes);
    if (!is_token(name, name_bytes))
        refuse(guard, 400, "a header name holds white space or another character it may not");
    if (has_control(value, value_bytes))
        refuse(guard, 400, "a header value holds a control character");
    note(guard, name, name_bytes, (struct rec_guard_value){value, value_bytes});
}

void rec_guard_end(struct rec_guard *guard, bool http_1_0, const char *head_end) {
    if (guard->edge != NULL && guard->wrong == NULL) {
        if (distance(guard->edge, head_end) != 4) /* two line ends */
            refuse(guard, 400, broken_lines);
    }
    if (guard->lengths > 1)
        refuse(guard, 400, "more than one Content-Length");
    if (guard->encodings > 1)
        refuse(guard, 400, "more than one Transfer-Encoding");
    if (guard->lengths > 0 && guard->encodings > 0)
        refuse(guard, 400, "Content-Length together with Transfer-Encoding");
    if (guard->encodings > 0 && http_1_0)
        refuse(guard, 400, "Transfer-Encoding in an HTTP/1.0 request");
    if (guard->hosts != 1 && !(http_1_0 && guard->hosts == 0))
        refuse(guard, 400, "a request needs exactly one Host header");
    if (guard->types > 1)
        refuse(guard, 400, "more than one Content-Type");
    if (guard->credentials > 1)
        refuse(guard, 400, "more than one Authorization");
}
