/* recsysd synth: made-up interactions of any size, as CSV that `import` and `evaluate` read. What
 * they are like is told in src/data/synth.c and in docs/ALGORITHMS.md.
 *
 * Written to standard output, or beside FILE and renamed when whole: a run that was stopped leaves
 * no file that looks like all of it. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "app.h"

enum { BUFFER_BYTES = 1 << 20, ROW_BYTES_MAX = 64 };
#define HEADER "user,item,timestamp\n"

struct synth {
    FILE *out;
    char path[PATH_MAX], temp[PATH_MAX]; /* temp empty: standard output */
    char *buffer;
    size_t used;
    uint64_t rows, rows_total;
    struct progress_line line;
};

/* ---- rows as text ----------------------------------------------------------------- */

/* A number, then `end`. Digits come in pairs: half the divisions. */
static char *put(char *to, uint32_t number, char end) {
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    char digits[10];
    size_t at = sizeof(digits);
    for (; number >= 100; number /= 100) {
        at -= 2;
        memcpy(digits + at, pairs + (size_t)2 * (number % 100), 2);
    }
    at -= 2;
    memcpy(digits + at, pairs + (size_t)2 * number, 2);
    at += number < 10;
    memcpy(to, digits + at, sizeof(digits) - at);
    to += sizeof(digits) - at;
    *to++ = end;
    return to;
}

static enum rec_status flush(struct synth *synth, struct rec_error *err) {
    size_t bytes = synth->used;
    synth->used = 0;
    if (fwrite(synth->buffer, 1, bytes, synth->out) != bytes)
        return rec_error_set(err, REC_IO, "cannot write %s: %s",
                             synth->temp[0] != '\0' ? synth->temp : "to standard output",
                             strerror(errno));
    return REC_OK;
}

static void report(struct synth *synth) {
    char detail[96], count[32], rate[32];
    double elapsed_s = (double)(rec_clock_monotonic_ns() - synth->line.started_ns) / 1e9;
    (void)snprintf(
        detail, sizeof(detail), "%s rows  %s rows/s", format_count(synth->rows, count),
        format_count((uint64_t)((double)synth->rows / (elapsed_s > 0 ? elapsed_s : 1)), rate));
    progress_draw(&synth->line, "synth", (double)synth->rows / (double)synth->rows_total, detail);
}

/* Ids count from 1, as people do. */
static enum rec_status on_rows(void *context, const struct rec_synth_row *rows, size_t count,
                               struct rec_error *err) {
    struct synth *synth = context;
    enum rec_status st = REC_OK;
    for (size_t i = 0; st == REC_OK && i < count; i++) {
        char *to = synth->buffer + synth->used;
        to = put(to, rows[i].user + 1, ',');
        to = put(to, rows[i].item + 1, ',');
        to = put(to, rows[i].time, '\n');
        synth->used = (size_t)(to - synth->buffer);
        if (synth->used > BUFFER_BYTES - ROW_BYTES_MAX)
            st = flush(synth, err);
    }
    synth->rows += count;
    report(synth);
    return st;
}

/* ---- the file ------------------------------------------------------------------------ */

static enum rec_status open_out(struct synth *synth, const char *path, struct rec_error *err) {
    if (path[0] == '\0' || strcmp(path, "-") == 0) {
        synth->out = stdout;
        return REC_OK;
    }
    int n = snprintf(synth->temp, sizeof(synth->temp), "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof(synth->temp)) {
        synth->temp[0] = '\0';
        return rec_error_set(err, REC_BAD_INPUT, "out: the path is too long");
    }
    (void)snprintf(synth->path, sizeof(synth->path), "%s", path);
    synth->out = fopen(synth->temp, "wx");
    if (synth->out == NULL)
        return rec_error_set(err, REC_IO, "out: cannot make %.300s: %s", synth->temp,
                             strerror(errno));
    return REC_OK;
}

/* Closes; the file gets its name when all went well. */
static enum rec_status close_out(struct synth *synth, enum rec_status st, struct rec_error *err) {
    if (synth->out == NULL)
        return st;
    bool written = synth->temp[0] != '\0' ? fclose(synth->out) == 0 : fflush(synth->out) == 0;
    if (st == REC_OK && !written)
        st = rec_error_set(err, REC_IO, "out: cannot write: %s", strerror(errno));
    if (synth->temp[0] == '\0')
        return st;
    if (st == REC_OK && rename(synth->temp, synth->path) != 0)
        st =
            rec_error_set(err, REC_IO, "out: cannot name %.300s: %s", synth->path, strerror(errno));
    if (st != REC_OK)
        (void)unlink(synth->temp);
    return st;
}

/* ---- the command --------------------------------------------------------------------- */

static enum rec_status write_all(struct synth *synth, const struct config *config,
                                 struct rec_error *err) {
    const struct rec_synth_options options = {
        .users = (uint32_t)config_integer(config, SET_USERS),
        .items = (uint32_t)config_integer(config, SET_ITEMS),
        .interactions = (uint64_t)config_integer(config, SET_INTERACTIONS),
        .seed = (uint64_t)config_integer(config, SET_SEED),
        .clusters = (uint32_t)config_integer(config, SET_CLUSTERS),
        .exponent = config_number(config, SET_EXPONENT),
        .activity = config_number(config, SET_ACTIVITY),
        .taste = config_number(config, SET_TASTE)};
    const char *order = config_text(config, SET_ORDER);
    bool by_time = strcmp(order, "time") == 0;
    if (!by_time && strcmp(order, "user") != 0)
        return rec_error_set(err, REC_BAD_INPUT, "order: '%.40s' is neither user nor time", order);
    synth->rows_total = options.interactions;
    synth->buffer = rec_alloc_array(BUFFER_BYTES, 1);
    if (synth->buffer == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to write rows");
    memcpy(synth->buffer, HEADER, sizeof(HEADER) - 1);
    synth->used = sizeof(HEADER) - 1;
    enum rec_status st = by_time ? rec_synth_by_time(&options, on_rows, synth, err)
                                 : rec_synth_run(&options, on_rows, synth, err);
    return st == REC_OK ? flush(synth, err) : st;
}

int cmd_synth(const struct config *config) {
    struct synth synth = {0};
    struct rec_error err = {0};
    progress_start(&synth.line, config_flag(config, SET_PROGRESS));
    enum rec_status st = open_out(&synth, config_text(config, SET_OUT), &err);
    if (st == REC_OK)
        st = write_all(&synth, config, &err);
    st = close_out(&synth, st, &err);
    progress_end(&synth.line);
    rec_alloc_free(synth.buffer);
    if (st != REC_OK) {
        (void)app_fail(&err);
        return st == REC_BAD_INPUT ? EXIT_USAGE : EXIT_FAILED;
    }
    if (synth.temp[0] != '\0') {
        char rows[32], rate[32];
        double seconds = (double)(rec_clock_monotonic_ns() - synth.line.started_ns) / 1e9;
        (void)fprintf(
            stderr, "%s: %s rows; %.2f s, %s rows/s\n", synth.path, format_count(synth.rows, rows),
            seconds,
            format_count((uint64_t)((double)synth.rows / (seconds > 0 ? seconds : 1)), rate));
    }
    return EXIT_DONE;
}
