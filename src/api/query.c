/* The parameters of a request target: each is known, sent once, and read exactly, or the request
 * is refused. A misspelt parameter that is passed over in silence costs its sender an afternoon. */
#include <string.h>

#include "query.h"

static enum rec_status unknown(const char *name, const char *const *names, size_t count,
                               struct rec_error *err) {
    const char *near = count == 0 ? NULL : rec_text_nearest(name, names, count);
    if (near != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "unknown parameter '%.64s'; did you mean '%s'?",
                             name, near);
    if (count == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "unknown parameter '%.64s': there are none for this path", name);
    return rec_error_set(err, REC_BAD_INPUT, "unknown parameter '%.64s'", name);
}

enum rec_status rec_query_read(const struct rec_http_exchange *exchange, const char *const *names,
                               size_t count, const struct rec_http_pair **found,
                               struct rec_error *err) {
    for (size_t n = 0; n < count; n++)
        found[n] = NULL;
    for (size_t i = 0; i < exchange->query_count; i++) {
        const struct rec_http_pair *pair = &exchange->query[i];
        size_t n = 0;
        while (n < count && strcmp(pair->name, names[n]) != 0)
            n++;
        if (n == count)
            return unknown(pair->name, names, count, err);
        if (found[n] != NULL)
            return rec_error_set(err, REC_BAD_INPUT, "%s was sent twice", names[n]);
        found[n] = pair;
    }
    return REC_OK;
}

enum rec_status rec_query_none(const struct rec_http_exchange *exchange, struct rec_error *err) {
    return exchange->query_count == 0 ? REC_OK : unknown(exchange->query[0].name, NULL, 0, err);
}

enum rec_status rec_query_u32(const struct rec_http_pair *pair, uint32_t min, uint32_t max,
                              uint32_t *out, struct rec_error *err) {
    if (pair == NULL)
        return REC_OK;
    if (strlen(pair->value) != pair->value_bytes)
        return rec_error_set(err, REC_BAD_INPUT, "%s holds a NUL character", pair->name);
    int64_t value;
    enum rec_status st = rec_text_i64(pair->name, pair->value, min, max, &value, err);
    if (st == REC_OK)
        *out = (uint32_t)value;
    return st;
}

enum rec_status rec_query_bool(const struct rec_http_pair *pair, bool *out, struct rec_error *err) {
    if (pair == NULL)
        return REC_OK;
    bool yes = strcmp(pair->value, "true") == 0, no = strcmp(pair->value, "false") == 0;
    if ((!yes && !no) || strlen(pair->value) != pair->value_bytes)
        return rec_error_set(err, REC_BAD_INPUT, "%s is '%.64s'; it must be true or false",
                             pair->name, pair->value);
    *out = yes;
    return REC_OK;
}

static enum rec_status check(const char *name, const char *text, size_t bytes, size_t bytes_max,
                             struct rec_error *err) {
    enum rec_status st = rec_text_check_id(name, text, bytes, err);
    if (st == REC_OK && bytes > bytes_max)
        return rec_error_set(err, REC_BAD_INPUT, "%s has %zu bytes; the limit is %zu", name, bytes,
                             bytes_max);
    return st;
}

enum rec_status rec_query_text(const struct rec_http_pair *pair, size_t bytes_max, const char **out,
                               struct rec_error *err) {
    if (pair == NULL)
        return REC_OK;
    enum rec_status st = check(pair->name, pair->value, pair->value_bytes, bytes_max, err);
    if (st == REC_OK)
        *out = pair->value;
    return st;
}

enum rec_status rec_query_path(const struct rec_http_exchange *exchange, const char *name,
                               const char **out, struct rec_error *err) {
    enum rec_status st =
        check(name, exchange->path_value, exchange->path_value_bytes, REC_ID_BYTES_MAX, err);
    if (st == REC_OK)
        *out = exchange->path_value;
    return st;
}
