/* Checks of text that comes from outside: UTF-8, ids, numbers, near names. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/base.h"

/* Bytes of the sequence that `lead` starts, with the range its second byte must be in; that
 * range is what keeps out overlong forms, surrogates and code points past U+10FFFF (RFC 3629). */
static size_t sequence_bytes(unsigned char lead, unsigned char *second_min,
                             unsigned char *second_max) {
    *second_min = 0x80;
    *second_max = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf)
        return 2;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (lead == 0xe0)
            *second_min = 0xa0;
        if (lead == 0xed)
            *second_max = 0x9f;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (lead == 0xf0)
            *second_min = 0x90;
        if (lead == 0xf4)
            *second_max = 0x8f;
        return 4;
    }
    return 0;
}

bool rec_text_utf8(const char *text, size_t bytes) {
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    while (p < end) {
        if (*p == 0)
            return false;
        if (*p < 0x80) {
            p++;
            continue;
        }
        unsigned char low, high;
        size_t length = sequence_bytes(*p, &low, &high);
        if (length == 0 || (size_t)(end - p) < length || p[1] < low || p[1] > high)
            return false;
        for (size_t i = 2; i < length; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        p += length;
    }
    return true;
}

enum rec_status rec_text_check_id(const char *field, const char *text, size_t bytes,
                                  struct rec_error *err) {
    if (bytes == 0)
        return rec_error_set(err, REC_BAD_INPUT, "%s is empty", field);
    if (bytes > REC_ID_BYTES_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "%s has %zu bytes; the limit is %d", field, bytes,
                             REC_ID_BYTES_MAX);
    if (memchr(text, 0, bytes) != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s holds a NUL character", field);
    if (!rec_text_utf8(text, bytes))
        return rec_error_set(err, REC_BAD_INPUT, "%s is not valid UTF-8", field);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "%s holds the control character 0x%02x at byte %zu", field,
                                 (unsigned)(unsigned char)text[i], i);
    return REC_OK;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

enum rec_status rec_text_i64(const char *field, const char *text, int64_t min, int64_t max,
                             int64_t *out, struct rec_error *err) {
    const char *digits = *text == '-' ? text + 1 : text;
    bool ok = is_digit(*digits);
    for (const char *p = digits; ok && *p != '\0'; p++)
        ok = is_digit(*p);
    if (!ok)
        return rec_error_set(err, REC_BAD_INPUT, "%s: '%.40s' is not a whole number", field, text);

    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno != 0 || value < min || value > max)
        return rec_error_set(err, REC_BAD_INPUT, "%s: %.40s is not within %lld and %lld", field,
                             text, (long long)min, (long long)max);
    *out = value;
    return REC_OK;
}

/* Digits with an optional sign, point and exponent: what strtod takes besides (hex, inf, nan,
 * leading space) is refused. The process keeps the "C" locale, so the point is a point. */
static bool is_decimal(const char *p) {
    size_t digits = 0;
    if (*p == '-' || *p == '+')
        p++;
    for (; is_digit(*p); p++)
        digits++;
    if (*p == '.')
        for (p++; is_digit(*p); p++)
            digits++;
    if (digits == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        if (*p == '-' || *p == '+')
            p++;
        if (!is_digit(*p))
            return false;
        while (is_digit(*p))
            p++;
    }
    return *p == '\0';
}

enum rec_status rec_text_double(const char *field, const char *text, double min, double max,
                                double *out, struct rec_error *err) {
    if (!is_decimal(text))
        return rec_error_set(err, REC_BAD_INPUT, "%s: '%.40s' is not a number", field, text);
    double value = strtod(text, NULL);
    if (!isfinite(value) || value < min || value > max)
        return rec_error_set(err, REC_BAD_INPUT, "%s: %.40s is not within %g and %g", field, text,
                             min, max);
    *out = value;
    return REC_OK;
}

enum { NAME_BYTES = 48 };

/* Levenshtein distance, one row at a time; names longer than NAME_BYTES are far from all. */
static size_t edit_distance(const char *a, const char *b) {
    size_t m = strlen(a), n = strlen(b);
    size_t row[NAME_BYTES + 1];
    if (m > NAME_BYTES || n > NAME_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = substituted < best ? substituted : best;
        }
    }
    return row[n];
}

const char *rec_text_nearest(const char *text, const char *const *candidates, size_t count) {
    const char *nearest = NULL;
    size_t best = strlen(text) / 3 + 2; /* farther than this is another word */
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(text, candidates[i]);
        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}
