/* Single fields: ids, texts, numbers, times. Most are short, plain ASCII and plain decimals: those
 * take a short path of their own, and all others the complete checks of base. */
#include <string.h>

#include "read.h"

/* ---- texts -------------------------------------------------------------------------- */

static bool is_plain(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7f)
            return false;
    return true;
}

enum rec_status rec_read_field_id(const char *label, const char *text, size_t bytes,
                                  struct rec_error *why) {
    if (bytes > 0 && bytes <= REC_ID_BYTES_MAX && is_plain(text, bytes))
        return REC_OK;
    char field[READ_LABEL_BYTES + 8];
    size_t used = strnlen(label, READ_LABEL_BYTES - 1);
    memcpy(field, label, used);
    memcpy(field + used, ": id", sizeof(": id"));
    return rec_text_check_id(field, text, bytes, why);
}

enum rec_status rec_read_field_text(const char *label, const char *text, size_t bytes,
                                    size_t bytes_max, struct rec_error *why) {
    if (bytes > bytes_max)
        return rec_error_set(why, REC_BAD_INPUT, "%s: %zu bytes are over the limit of %zu", label,
                             bytes, bytes_max);
    if (is_plain(text, bytes))
        return REC_OK;
    if (memchr(text, 0, bytes) != NULL)
        return rec_error_set(why, REC_BAD_INPUT, "%s: a NUL character", label);
    if (!rec_text_utf8(text, bytes))
        return rec_error_set(why, REC_BAD_INPUT, "%s: not valid UTF-8", label);
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return rec_error_set(why, REC_BAD_INPUT, "%s: the control character 0x%02x", label,
                                 (unsigned)(unsigned char)text[i]);
    return REC_OK;
}

enum rec_status rec_read_field_genres(const char *label, char *text, size_t bytes,
                                      const char **categories, size_t *count,
                                      struct rec_error *why) {
    *count = 0;
    if (bytes == 0 || strcmp(text, "(no genres listed)") == 0)
        return REC_OK;
    for (char *end = text + bytes, *from = text; from <= end;) {
        char *bar = memchr(from, '|', (size_t)(end - from));
        char *stop = bar == NULL ? end : bar;
        if (*count == REC_ITEM_CATEGORIES_MAX)
            return rec_error_set(why, REC_BAD_INPUT, "%s: more than %d categories", label,
                                 REC_ITEM_CATEGORIES_MAX);
        if (stop == from)
            return rec_error_set(why, REC_BAD_INPUT, "%s: an empty category", label);
        enum rec_status st =
            rec_read_field_text(label, from, (size_t)(stop - from), REC_CATEGORY_BYTES_MAX, why);
        if (st != REC_OK)
            return st;
        *stop = '\0';
        categories[(*count)++] = from;
        from = stop + 1;
    }
    return REC_OK;
}

/* ---- numbers -------------------------------------------------------------------------- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* [-]digits[.digits] of at most 15 digits. Such a mantissa and such a power of ten are both exact
 * in a double, so one division rounds correctly: the result is that of strtod.
 * source: Clinger, "How to read floating point numbers accurately", 1990 */
static bool read_short_decimal(const char *text, size_t bytes, double *out) {
    static const double power[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = text, *end = text + bytes;
    bool negative = p < end && *p == '-';
    p += negative;
    if (end - p > 16)
        return false;
    uint64_t mantissa = 0;
    size_t digits = 0, fraction = 0;
    for (; p < end && is_digit(*p); p++, digits++)
        mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++, digits++, fraction++)
            mantissa = mantissa * 10 + (uint64_t)(*p - '0');
    if (p != end || digits == 0 || digits > 15)
        return false;
    double value = (double)mantissa / power[fraction];
    *out = negative ? -value : value;
    return true;
}

enum rec_status rec_read_field_number(const char *label, const char *text, size_t bytes,
                                      double *out, struct rec_error *why) {
    const double most = 1.7976931348623157e308;
    if (read_short_decimal(text, bytes, out))
        return REC_OK;
    if (bytes == 0)
        return rec_error_set(why, REC_BAD_INPUT, "%s: is empty", label);
    if (strlen(text) != bytes)
        return rec_error_set(why, REC_BAD_INPUT, "%s: a NUL character", label);
    return rec_text_double(label, text, -most, most, out, why);
}

/* ---- times ------------------------------------------------------------------------------ */

/* Whole seconds; a fraction, as exports of data frames have it ("978300760.0"), is dropped. */
static bool read_seconds(const char *text, size_t bytes, int64_t *out) {
    const char *p = text, *end = text + bytes;
    bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || end - p > 18)
        return false;
    int64_t value = 0;
    const char *first = p;
    for (; p < end && is_digit(*p); p++)
        value = value * 10 + (*p - '0');
    if (p == first)
        return false;
    if (p < end && *p == '.')
        for (p++; p < end && is_digit(*p); p++) {
        }
    *out = negative ? -value : value;
    return p == end;
}

/* RFC 3339; without an offset, as databases and spreadsheets write it, it is UTC. */
static bool read_date(const char *text, size_t bytes, int64_t *out) {
    char zoned[64];
    if (strlen(text) != bytes)
        return false;
    if (rec_clock_parse(text, out) == REC_OK)
        return true;
    if (bytes + 2 > sizeof(zoned))
        return false;
    memcpy(zoned, text, bytes);
    memcpy(zoned + bytes, "Z", sizeof("Z"));
    return rec_clock_parse(zoned, out) == REC_OK;
}

enum rec_status rec_read_field_time(const char *label, const char *text, size_t bytes, int64_t now,
                                    int64_t *out, struct rec_error *why) {
    int64_t time;
    if (!read_seconds(text, bytes, &time) && !read_date(text, bytes, &time)) {
        if (bytes == 0)
            return rec_error_set(why, REC_BAD_INPUT, "%s: is empty", label);
        return rec_error_set(why, REC_BAD_INPUT,
                             "%s: '%.40s' is not a time: Unix seconds, RFC 3339 or 'YYYY-MM-DD "
                             "HH:MM:SS'",
                             label, text);
    }
    if (time < 0)
        return rec_error_set(why, REC_BAD_INPUT, "%s: %.40s is before 1970", label, text);
    if (time > now + REC_TIMESTAMP_FUTURE_S_MAX)
        return rec_error_set(
            why, REC_BAD_INPUT, "%s: %.40s is more than a day in the future%s", label, text,
            now < time / 100 && time / 1000 <= now ? " (milliseconds? Unix seconds are expected)"
                                                   : "");
    *out = time;
    return REC_OK;
}
