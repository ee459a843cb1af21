/* The log: one logfmt line an event on stderr, which systemd and containers
 * collect. A line is built on the stack and written with one call, so lines of
 * different threads never mix and logging never allocates. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "recsysd/base.h"

enum { LINE_BYTES = 1024 };

static atomic_int level_min = REC_LOG_INFO;

void rec_log_set_level(enum rec_log_level level) {
    atomic_store(&level_min, (int)level);
}

static const char *level_name(enum rec_log_level level) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

/* A value may come from outside: a control character must not forge a line. */
static void defuse(char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = ' ';
}

void rec_log_event(enum rec_log_level level, const char *event, const char *fmt, ...) {
    if ((int)level < atomic_load(&level_min))
        return;

    char line[LINE_BYTES];
    int64_t now_ms = rec_clock_unix_ms();
    char stamp[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(now_ms / 1000, stamp);
    int head = snprintf(line, sizeof(line), "time=%.19s.%03dZ level=%s event=%s ", stamp,
                        (int)(now_ms % 1000), level_name(level), event);
    size_t used = head < 0 ? 0 : (size_t)head;
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;

    va_list args;
    va_start(args, fmt);
    int body = vsnprintf(line + used, sizeof(line) - used - 1, fmt, args);
    va_end(args);
    if (body > 0)
        used += (size_t)body;
    if (used > sizeof(line) - 2)
        used = sizeof(line) - 2;

    defuse(line, used);
    line[used++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, used);
    (void)written; /* there is nowhere left to report it */
}
