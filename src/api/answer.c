/* JSON written by hand, straight into the buffer that is sent.
 *
 * Lists are the hot path: a library that builds a tree and prints it takes thirty times as long
 * as the bytes need (20 items: 10 us against 0.3 us), so answers are written piece by piece, the
 * ids and titles from fragments that were escaped once when the item was stored. Nothing here
 * depends on the locale. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"

void rec_answer_init(struct rec_answer *answer, struct rec_http_exchange *exchange) {
    answer->exchange = exchange;
    answer->failed = false;
}

enum rec_status rec_answer_end(const struct rec_answer *answer, struct rec_error *err) {
    if (answer->failed)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the answer");
    return REC_OK;
}

bool rec_answer_grow(struct rec_answer *answer, size_t bytes) {
    if (answer->failed || rec_http_reserve(answer->exchange, bytes) != REC_OK)
        answer->failed = true;
    return !answer->failed;
}

void rec_answer_raw(struct rec_answer *answer, const char *text, size_t bytes) {
    if (bytes > 0)
        rec_answer_copy(answer, text, bytes);
}

/* ---- text ------------------------------------------------------------------ */

static void put_escaped(struct rec_answer *answer, unsigned char c) {
    char text[6] = {'\\', (char)c, 0, 0, 0, 0};
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"':
    case '\\':
        break;
    case '\n':
        text[1] = 'n';
        break;
    case '\t':
        text[1] = 't';
        break;
    default:
        memcpy(text, "\\u00", 4);
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        rec_answer_raw(answer, text, 6);
        return;
    }
    rec_answer_raw(answer, text, 2);
}

/* Valid UTF-8: runs that need no escape are copied whole. */
static void put_valid(struct rec_answer *answer, const char *text, size_t bytes) {
    size_t run = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        rec_answer_raw(answer, text + run, i - run);
        put_escaped(answer, c);
        run = i + 1;
    }
    rec_answer_raw(answer, text + run, bytes - run);
}

/* Bytes of the valid sequence at the start of text, 0 when there is none. */
static size_t valid_bytes(const char *text, size_t bytes) {
    for (size_t n = 1; n <= 4 && n <= bytes; n++)
        if (rec_text_utf8(text, n))
            return n;
    return 0;
}

static void put_repaired(struct rec_answer *answer, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes;) {
        size_t n = valid_bytes(text + i, bytes - i);
        if (n == 0)
            REC_ANSWER_LITERAL(answer, "\xef\xbf\xbd");
        else
            put_valid(answer, text + i, n);
        i += n == 0 ? 1 : n;
    }
}

/* Printable ASCII, and nothing to escape: most texts. */
static bool is_plain(const char *text, size_t bytes) {
    bool plain = true;
    for (size_t i = 0; i < bytes; i++)
        plain &= text[i] >= ' ' && text[i] < 0x7f && text[i] != '"' && text[i] != '\\';
    return plain;
}

void rec_answer_text(struct rec_answer *answer, const char *text, size_t bytes) {
    if (text == NULL) {
        REC_ANSWER_LITERAL(answer, "null");
        return;
    }
    REC_ANSWER_LITERAL(answer, "\"");
    if (is_plain(text, bytes))
        rec_answer_raw(answer, text, bytes);
    else if (rec_text_utf8(text, bytes))
        put_valid(answer, text, bytes);
    else
        put_repaired(answer, text, bytes);
    REC_ANSWER_LITERAL(answer, "\"");
}

void rec_answer_string(struct rec_answer *answer, const char *text) {
    rec_answer_text(answer, text, text == NULL ? 0 : strlen(text));
}

/* ---- numbers ----------------------------------------------------------------- */

/* The digits of value, at the end of a buffer of 20. Returns how many. */
static size_t digits_of(uint64_t value, char digits[20]) {
    size_t n = 0;
    do {
        digits[19 - n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return n;
}

void rec_answer_u64(struct rec_answer *answer, uint64_t value) {
    char digits[20];
    size_t n = digits_of(value, digits);
    rec_answer_raw(answer, digits + 20 - n, n);
}

void rec_answer_i64(struct rec_answer *answer, int64_t value) {
    if (value < 0)
        REC_ANSWER_LITERAL(answer, "-");
    rec_answer_u64(answer, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void rec_answer_bool(struct rec_answer *answer, bool value) {
    if (value)
        REC_ANSWER_LITERAL(answer, "true");
    else
        REC_ANSWER_LITERAL(answer, "false");
}

/* x * 10^n. One exact multiplication or division up to 10^22, the largest power of ten that is
 * a double; beyond, in steps, which costs a rounding each and matters to no score. */
static double scale10(double x, int n) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    for (; n > 22; n -= 22)
        x *= power[22];
    for (; n < -22; n += 22)
        x /= power[22];
    return n >= 0 ? x * power[n] : x / power[-n];
}

/* floor(log10(x)) for x > 0, not denormal. Estimated from the binary exponent, where 1233/4096 is
 * log10(2), which is the answer or one below it. */
static int exponent10(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int estimate = ((int)(bits >> 52) - 1023) * 1233 >> 12;
    return scale10(x, -estimate) >= 10.0 ? estimate + 1 : estimate;
}

/* Half the gap between a float and its neighbour, in parts of the float. Below a power of two it is
 * half as wide, which *even tells. */
static double half_gap(float magnitude, bool *even) {
    enum { IMPLIED = 1 << 23 };
    uint32_t bits;
    memcpy(&bits, &magnitude, sizeof(bits));
    uint32_t mantissa = bits < IMPLIED ? bits : (bits & (IMPLIED - 1)) | IMPLIED;
    *even = mantissa != IMPLIED;
    return 0.5 / (double)mantissa;
}

/* The mantissa of the shortest spelling of 7 to 9 digits: value = mantissa * 10^*shift, without
 * trailing zeros. What lies within half a gap of the value reads back to it and what lies further
 * does not; only where that is too close to tell, by what the roundings here may add up to, is it
 * read back. */
static uint32_t shortest(double x, float value, int exponent, int *shift) {
    static const double part[] = {0.01, 0.1, 1.0}, whole[] = {100.0, 10.0, 1.0};
    bool even;
    const double nine_digits = scale10(x, 8 - exponent), gap = nine_digits * half_gap(value, &even);
    const double sure = gap * (even ? 0.9999 : 0.4999), off = gap * 1.0001;
    uint32_t mantissa = 0;
    for (int i = 0; i < 3; i++) {
        *shift = exponent - 6 - i;
        mantissa = (uint32_t)(nine_digits * part[i] + 0.5);
        double distance = fabs((double)mantissa * whole[i] - nine_digits);
        if (distance < sure ||
            (distance < off && (float)scale10((double)mantissa, *shift) == value))
            break;
    }
    while (mantissa % 10 == 0) {
        mantissa /= 10;
        ++*shift;
    }
    return mantissa;
}

enum { DIGITS_MAX = 9 };

/* All that there may be, whatever there is: two moves instead of a call. */
static void copy_digits(char *out, const char digits[DIGITS_MAX]) {
    memcpy(out, digits, DIGITS_MAX);
}

/* digits [n] with the decimal point behind the first `point` of them, zeros where there are none */
static size_t put_fixed(char *out, const char *digits, int n, int point) {
    if (point <= 0) {
        memcpy(out, "0.0000", 6);
        copy_digits(out + 2 - point, digits);
        return (size_t)(2 - point + n);
    }
    copy_digits(out, digits);
    if (n <= point) {
        memset(out + n, '0', (size_t)(point - n));
        return (size_t)point;
    }
    out[point] = '.';
    copy_digits(out + point + 1, digits + point);
    return (size_t)n + 1;
}

static size_t put_scientific(char *out, const char *digits, int n, int exponent) {
    char text[20];
    size_t at = 0;
    out[at++] = digits[0];
    if (n > 1) {
        out[at++] = '.';
        memcpy(out + at, digits + 1, (size_t)n - 1);
        at += (size_t)n - 1;
    }
    out[at++] = 'e';
    if (exponent < 0)
        out[at++] = '-';
    size_t more = digits_of((uint64_t)abs(exponent), text);
    memcpy(out + at, text + 20 - more, more);
    return at + more;
}

size_t rec_answer_format_float(float value, char out[REC_ANSWER_FLOAT_BYTES]) {
    if (!isfinite(value) || value == 0.0f) {
        out[0] = '0';
        return 1;
    }
    float magnitude = fabsf(value);
    int shift;
    uint32_t mantissa =
        shortest((double)magnitude, magnitude, exponent10((double)magnitude), &shift);
    char digits[20 + DIGITS_MAX]; /* what is copied past the end is not counted */
    int n = (int)digits_of(mantissa, digits);
    const char *first = digits + 20 - n;
    memset(digits + 20, '0', DIGITS_MAX);
    int point = n + shift; /* digits before the decimal point */
    size_t sign = value < 0.0f;
    out[0] = '-';
    if (point > -5 && point <= 10)
        return sign + put_fixed(out + sign, first, n, point);
    return sign + put_scientific(out + sign, first, n, point - 1);
}

void rec_answer_float(struct rec_answer *answer, float value) {
    char text[REC_ANSWER_FLOAT_BYTES];
    rec_answer_raw(answer, text, rec_answer_format_float(value, text));
}

static char *copy(char *out, const char *text, size_t bytes) {
    memcpy(out, text, bytes);
    return out + bytes;
}

/* One look at the room left for all its parts: a list has a thousand of these. */
void rec_answer_element(struct rec_answer *answer, bool first, const char *id_json, size_t id_bytes,
                        const char *title_json, size_t title_bytes, const char *member,
                        float value) {
    size_t member_bytes = strlen(member);
    char *start =
        rec_answer_room(answer, id_bytes + title_bytes + member_bytes + 3 + REC_ANSWER_FLOAT_BYTES);
    if (start == NULL)
        return;
    char *out = copy(start, first ? "{" : ",{", first ? 1 : 2);
    out = copy(out, id_json, id_bytes);
    if (title_bytes > 0) {
        *out++ = ',';
        out = copy(out, title_json, title_bytes);
    }
    out = copy(out, member, member_bytes);
    out += rec_answer_format_float(value, out);
    answer->exchange->out_bytes += (size_t)(out - start);
}

/* Not on the hot path. The process keeps the C locale, so the point is a point. */
void rec_answer_double(struct rec_answer *answer, double value) {
    if (!isfinite(value)) {
        REC_ANSWER_LITERAL(answer, "null");
        return;
    }
    char text[32];
    int n = snprintf(text, sizeof(text), "%.15g", value);
    if (strtod(text, NULL) != value)
        n = snprintf(text, sizeof(text), "%.17g", value);
    rec_answer_raw(answer, text, (size_t)n);
}

void rec_answer_instant(struct rec_answer *answer, int64_t unix_s) {
    if (unix_s == 0)
        REC_ANSWER_LITERAL(answer, "null");
    else
        rec_answer_i64(answer, unix_s);
}
