/* Clocks, and RFC 3339 texts of Unix seconds. The calendar is computed here:
 * timegm() is not POSIX, and mktime() reads the time zone of the machine.
 * source: H. Hinnant, "chrono-compatible low-level date algorithms" (days_from_civil). */
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "recsysd/base.h"

enum { DAY_S = 86400, ERA_DAYS = 146097, EPOCH_DAYS = 719468 /* 0000-03-01 to 1970-01-01 */ };

uint64_t rec_clock_monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t rec_clock_unix_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t rec_clock_unix_s(void) {
    return rec_clock_unix_ms() / 1000;
}

/* Days since 1970-01-01; years from 0 on. March is month 0, so a leap day ends its year. */
static int64_t days_of(int year, int month, int day) {
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400 - (y < 0);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

void rec_clock_format(int64_t unix_s, char text[REC_CLOCK_TEXT_BYTES]) {
    const int64_t latest = 253402300799; /* 9999-12-31T23:59:59Z: four digits of year */
    int64_t s = unix_s < 0 ? 0 : unix_s > latest ? latest : unix_s;
    int64_t z = s / DAY_S + EPOCH_DAYS;
    int64_t era = z / ERA_DAYS, doe = z % ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int day = (int)(doy - (153 * mp + 2) / 5 + 1);
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    int year = (int)(yoe + era * 400 + (month <= 2));
    int second = (int)(s % DAY_S);
    (void)snprintf(text, REC_CLOCK_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02uZ",
                   (unsigned)year % 10000u, (unsigned)month % 100u, (unsigned)day % 100u,
                   (unsigned)(second / 3600) % 100u, (unsigned)(second / 60 % 60),
                   (unsigned)(second % 60));
}

/* Reads exactly `digits` digits and moves *text on. */
static bool read_digits(const char **text, int digits, int *out) {
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (!isdigit((unsigned char)**text))
            return false;
        value = value * 10 + (**text - '0');
    }
    *out = value;
    return true;
}

static bool read_char(const char **text, const char *allowed) {
    for (; *allowed != '\0'; allowed++)
        if (**text == *allowed) {
            (*text)++;
            return true;
        }
    return false;
}

static bool read_offset(const char **text, int *offset_s) {
    int hours, minutes, sign;
    if (read_char(text, "Zz")) {
        *offset_s = 0;
        return true;
    }
    if (read_char(text, "+"))
        sign = 1;
    else if (read_char(text, "-"))
        sign = -1;
    else
        return false;
    if (!read_digits(text, 2, &hours) || !read_char(text, ":") || !read_digits(text, 2, &minutes))
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

static bool read_fraction(const char **text) {
    int digit;
    if (!read_char(text, "."))
        return true;
    if (!read_digits(text, 1, &digit))
        return false;
    while (read_digits(text, 1, &digit)) {
    }
    return true;
}

enum rec_status rec_clock_parse(const char *text, int64_t *unix_s) {
    int year, month, day, hour, minute, second, offset_s;
    bool ok =
        read_digits(&text, 4, &year) && read_char(&text, "-") && read_digits(&text, 2, &month) &&
        read_char(&text, "-") && read_digits(&text, 2, &day) && read_char(&text, "Tt ") &&
        read_digits(&text, 2, &hour) && read_char(&text, ":") && read_digits(&text, 2, &minute) &&
        read_char(&text, ":") && read_digits(&text, 2, &second) && read_fraction(&text) &&
        read_offset(&text, &offset_s) && *text == '\0';
    if (!ok || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) ||
        hour > 23 || minute > 59 || second > 60 /* a leap second counts as the next one */)
        return REC_BAD_INPUT;

    *unix_s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    return REC_OK;
}
