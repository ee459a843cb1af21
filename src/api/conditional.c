/* Entity tags: a list is a function of the generation, the user's history, the catalogue and the
 * query, each of which has a version number, so a tag costs no look at the list itself and 304 is
 * answered before any scoring.
 *
 * The numbers count from the start of the process, so a tag also carries when that was: a tag of
 * an earlier run matches nothing. Tags are strong: equal versions give the same bytes. */
#include <stdio.h>
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

void rec_conditional_tag(const struct rec_http_exchange *exchange, uint64_t serial,
                         uint64_t history_version, uint64_t catalogue_version, char etag[64]) {
    uint64_t hash = mix(0xcbf29ce484222325u, (const char *)&started, sizeof(started));
    for (size_t i = 0; i < exchange->query_count; i++) {
        hash = mix(hash, exchange->query[i].name, strlen(exchange->query[i].name));
        hash = mix(hash, exchange->query[i].value, exchange->query[i].value_bytes);
    }
    int n = snprintf(etag, 64, "\"%llx-%llx-%llx-%016llx\"", (unsigned long long)serial,
                     (unsigned long long)history_version, (unsigned long long)catalogue_version,
                     (unsigned long long)hash);
    if (n < 0 || n >= 64)
        etag[0] = '\0'; /* versions nobody reaches; better no tag than half of one */
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
