/* Entity tags: a list is a function of the generation, the user's history, the catalogue and the
 * query, each of which has a version number, so a tag costs no look at the list itself and 304 is
 * answered before any scoring.
 *
 * The numbers count from the start of the process, so a tag also carries when that was: a tag of
 * an earlier run matches nothing. Tags are strong: equal versions give the same bytes. */
#include <string.h>

#include "conditional.h"

static uint64_t started; /* set once, before the first request */

void rec_conditional_init(void) {
    started = (uint64_t)rec_clock_unix_ms();
}

/* FNV-1a; a NUL after each part keeps "ab","c" apart from "a","bc". */
static uint64_t mix(uint64_t hash, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
    return hash * 0x100000001b3u;
}

/* In base 32: 13 digits hold 64 bits, so that four fit. Not printf: it would be a tenth of the time
 * of a request. */
enum { PARTS = 4, DIGITS_MAX = 13 };
_Static_assert(2 + PARTS * DIGITS_MAX + PARTS <= 64, "a tag has room for four numbers");

static char *put_part(char *out, uint64_t value, char mark) {
    static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
    int n = 1;
    while (n < DIGITS_MAX && value >> (5 * n) != 0)
        n++;
    for (int i = n - 1; i >= 0; i--)
        *out++ = digits[value >> (5 * i) & 31];
    *out++ = mark;
    return out;
}

void rec_conditional_tag(const struct rec_http_exchange *exchange, uint64_t serial,
                         uint64_t history_version, uint64_t catalogue_version, char etag[64]) {
    uint64_t hash = mix(0xcbf29ce484222325u, (const char *)&started, sizeof(started));
    for (size_t i = 0; i < exchange->query_count; i++) {
        hash = mix(hash, exchange->query[i].name, strlen(exchange->query[i].name));
        hash = mix(hash, exchange->query[i].value, exchange->query[i].value_bytes);
    }
    uint64_t part[PARTS] = {serial, history_version, catalogue_version, hash};
    char *out = etag;
    *out++ = '"';
    for (size_t i = 0; i < PARTS; i++)
        out = put_part(out, part[i], i == PARTS - 1 ? '"' : '-');
    *out = '\0';
}

/* RFC 9110, 13.1.2: a list of tags, compared weakly, or a star. */
static bool listed(const char *list, const char *etag) {
    size_t bytes = strlen(etag);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        if (*list == '*')
            return true;
        if (strncmp(list, "W/", 2) == 0)
            list += 2;
        if (*list != '"')
            return false;
        const char *end = strchr(list + 1, '"');
        if (end == NULL)
            return false;
        if ((size_t)(end + 1 - list) == bytes && memcmp(list, etag, bytes) == 0)
            return true;
        list = end + 1;
    }
    return false;
}

bool rec_conditional_unchanged(struct rec_http_exchange *exchange, const char *etag) {
    if (exchange->if_none_match == NULL || etag[0] == '\0' ||
        !listed(exchange->if_none_match, etag))
        return false;
    exchange->status = 304;
    exchange->out_bytes = 0;
    memcpy(exchange->etag, etag, sizeof(exchange->etag));
    return true;
}
