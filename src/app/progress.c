/* The progress line of long work. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

enum { BAR = 24 };
#define REDRAW_NS 100000000u  /* ten times a second is smooth enough */
#define PLAIN_NS  5000000000u /* a log wants fewer lines */

const char *format_count(uint64_t n, char out[32]) {
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

void progress_start(struct progress_line *line, bool wanted) {
    memset(line, 0, sizeof(*line));
    line->terminal = isatty(STDERR_FILENO);
    line->wanted = wanted || line->terminal;
    line->started_ns = line->drawn_ns = rec_clock_monotonic_ns();
}

static void format_eta(double fraction, double elapsed_s, char out[32]) {
    if (fraction <= 0.0 || fraction >= 1.0)
        out[0] = '\0';
    else
        (void)snprintf(out, 32, "  %.0f s left", elapsed_s * (1.0 - fraction) / fraction);
}

void progress_draw(struct progress_line *line, const char *phase, double fraction,
                   const char *detail) {
    uint64_t now = rec_clock_monotonic_ns();
    if (!line->wanted || now - line->drawn_ns < (line->terminal ? REDRAW_NS : PLAIN_NS))
        return;
    line->drawn_ns = now;

    char eta[32];
    format_eta(fraction, (double)(now - line->started_ns) / 1e9, eta);
    if (!line->terminal) {
        if (fraction < 0.0)
            (void)fprintf(stderr, "%s: %s\n", phase, detail);
        else
            (void)fprintf(stderr, "%s: %3.0f %%  %s%s\n", phase, 100.0 * fraction, detail, eta);
        return;
    }
    char bar[BAR + 1];
    int full = fraction < 0.0 ? 0 : (int)(fraction * BAR);
    for (int i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = '\0';
    (void)fprintf(stderr, "\r\033[K%-9s [%s] %3.0f %%  %s%s", phase, bar,
                  fraction < 0.0 ? 0.0 : 100.0 * fraction, detail, eta);
    line->shown = true;
}

void progress_end(struct progress_line *line) {
    if (line->terminal && line->shown)
        (void)fputs("\r\033[K", stderr);
}
