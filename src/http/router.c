/* Which route answers. Paths are compared as sent, one decoded character at a time, so that an id
 * with %2F in it stays inside its segment while /%72ecommend is still /recommend. A table of some
 * thirty rows, most of which differ in their second character, needs no tree. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "room.h"

static const char *const method_names[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"};

enum rec_http_method rec_router_method(const char *name) {
    for (size_t i = 0; i < REC_HTTP_OTHER; i++)
        if (strcmp(name, method_names[i]) == 0)
            return (enum rec_http_method)i;
    return REC_HTTP_OTHER;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether path [bytes] begins with the character `want`, plain or escaped; *step is what it
 * takes. An escaped slash is not a slash. */
static bool same(const char *path, size_t bytes, char want, size_t *step) {
    *step = 1;
    if (path[0] == want)
        return want != '%';
    if (path[0] != '%' || want == '/' || bytes < 3)
        return false;
    *step = 3;
    return hex_value(path[1]) * 16 + hex_value(path[2]) == (unsigned char)want;
}

static bool matches(const char *pattern, const char *path, size_t bytes,
                    struct rec_router_match *match) {
    size_t at = 0, step;

    match->value = NULL;
    match->value_bytes = 0;
    while (*pattern != '\0') {
        if (*pattern == '{') {
            match->value = path + at;
            while (at < bytes && path[at] != '/')
                at++;
            match->value_bytes = (size_t)(path + at - match->value);
            if (match->value_bytes == 0)
                return false;
            pattern = strchr(pattern, '}') + 1;
            continue;
        }
        if (at == bytes || !same(path + at, bytes - at, *pattern, &step))
            return false;
        at += step;
        pattern++;
    }
    return at == bytes;
}

struct rec_router_match rec_router_find(const struct rec_http_route *routes, size_t count,
                                        enum rec_http_method method, const char *path,
                                        size_t bytes) {
    struct rec_router_match best = {0}, next;
    bool exact = false; /* best is for the method itself, not GET for a HEAD */

    for (size_t i = 0; i < count; i++) {
        if (bytes > 1 && path[1] != routes[i].path[1] && path[1] != '%' && routes[i].path[1] != '{')
            continue; /* most end here, and a call for each would show in a profile */
        if (!matches(routes[i].path, path, bytes, &next))
            continue;
        best.methods |= 1u << routes[i].method;
        bool same_method = routes[i].method == method;
        if (!same_method && !(method == REC_HTTP_HEAD && routes[i].method == REC_HTTP_GET))
            continue;
        bool better = best.route == NULL || (same_method && !exact) ||
                      (same_method == exact && best.value != NULL && next.value == NULL);
        if (!better)
            continue;
        best.route = &routes[i];
        best.value = next.value;
        best.value_bytes = next.value_bytes;
        exact = same_method;
    }
    return best;
}

void rec_router_allow(unsigned methods, char *out, size_t out_bytes) {
    size_t n = 0;
    if ((methods & 1u << REC_HTTP_GET) != 0)
        methods |= 1u << REC_HTTP_HEAD;
    methods |= 1u << REC_HTTP_OPTIONS;
    out[0] = '\0';
    for (size_t i = 0; i < REC_HTTP_OTHER; i++) {
        if ((methods & 1u << i) == 0)
            continue;
        int wrote = snprintf(out + n, out_bytes - n, "%s%s", n > 0 ? ", " : "", method_names[i]);
        assert(wrote > 0 && (size_t)wrote < out_bytes - n);
        n += (size_t)wrote;
    }
}

bool rec_router_takes(const char *types, const char *type) {
    size_t want = strlen(type);
    while (want > 0 && *types != '\0') {
        size_t n;
        types += strspn(types, " ,");
        n = strcspn(types, " ,");
        if (n == want && memcmp(types, type, n) == 0)
            return true;
        types += n;
    }
    return false;
}

void rec_router_check(const struct rec_http_route *routes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *open = strchr(routes[i].path, '{');
        assert(routes[i].path[0] == '/' && routes[i].handler != NULL);
        assert(routes[i].method < REC_HTTP_OTHER);
        if (open == NULL)
            continue;
        const char *shut = strchr(open, '}');
        assert(open[-1] == '/' && shut != NULL && (shut[1] == '\0' || shut[1] == '/'));
        assert(strchr(shut, '{') == NULL);
    }
}
