/* Reading of outside formats: what all of them share.
 *
 * A file is read through one buffer of 1 MiB. A line is handed out where it lies and ended with a
 * NUL there, so an id on its way to the database is never copied; the batch that points into the
 * buffer is handed over before the buffer moves. Memory is the same for a file of any size, and a
 * line without an end is a bad row after 64 KiB.
 *
 * A bad row says file, line, column and reason. It repeats numbers and dates, which help to find
 * the fault, and no ids, which may be a person's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read.h"

#define REPORT_EVERY_NS 100000000u

enum rec_status rec_format_parse(const char *name, enum rec_format *out, struct rec_error *err) {
    static const char *const names[] = {
        [REC_FORMAT_MOVIELENS] = "movielens",
        [REC_FORMAT_MOVIELENS_1M] = "movielens-1m",
        [REC_FORMAT_CSV] = "csv",
        [REC_FORMAT_NDJSON] = "ndjson",
        [REC_FORMAT_USER_LISTS] = "user-lists",
    };
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum rec_format)i;
            return REC_OK;
        }
    const char *near = rec_text_nearest(name, names, COUNT);
    return rec_error_set(err, REC_BAD_INPUT,
                         "format: '%.40s' is none of movielens, movielens-1m, csv, ndjson, "
                         "user-lists%s%s%s",
                         name, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                         near == NULL ? "" : "?");
}

/* ---- batches --------------------------------------------------------------------------- */

static void report_progress(struct rec_reader *reader, bool last) {
    const struct rec_read_options *options = reader->options;
    if (options->progress == NULL)
        return;
    uint64_t now_ns = rec_clock_monotonic_ns();
    if (!last && now_ns - reader->reported_ns < REPORT_EVERY_NS)
        return;
    reader->reported_ns = now_ns;
    options->progress(options->context, reader->rows_read, reader->bytes, reader->bytes_total);
}

enum rec_status rec_read_flush(struct rec_reader *reader) {
    const struct rec_read_options *options = reader->options;
    enum rec_status st = REC_OK;
    if (reader->item_count > 0 && options->items != NULL)
        st = options->items(options->context, reader->items, reader->item_count, reader->err);
    if (st == REC_OK && reader->row_count > 0)
        st = options->rows(options->context, reader->rows, reader->row_count, reader->err);
    reader->rows_read += reader->row_count;
    reader->row_count = reader->item_count = reader->category_count = reader->text_used = 0;
    report_progress(reader, false);
    return st;
}

struct rec_interaction *rec_read_row(struct rec_reader *reader) {
    struct rec_interaction *row = &reader->rows[reader->row_count];
    *row = (struct rec_interaction){.value = 1.0, .timestamp = reader->options->now};
    return row;
}

enum rec_status rec_read_row_done(struct rec_reader *reader) {
    return ++reader->row_count == READ_BATCH_ROWS ? rec_read_flush(reader) : REC_OK;
}

struct rec_item *rec_read_item(struct rec_reader *reader, const char ***categories) {
    struct rec_item *item = &reader->items[reader->item_count];
    *categories = reader->categories + reader->category_count;
    *item = (struct rec_item){.categories = *categories};
    return item;
}

enum rec_status rec_read_item_done(struct rec_reader *reader) {
    reader->category_count += reader->items[reader->item_count++].category_count;
    bool full = reader->item_count == READ_BATCH_ITEMS ||
                reader->category_count + REC_ITEM_CATEGORIES_MAX > READ_CATEGORIES;
    return full ? rec_read_flush(reader) : REC_OK;
}

enum rec_status rec_read_text(struct rec_reader *reader, size_t bytes, char **out) {
    *out = NULL;
    if (READ_TEXT_BYTES - reader->text_used < bytes) {
        enum rec_status st = rec_read_flush(reader);
        if (st != REC_OK)
            return st;
    }
    *out = reader->text + reader->text_used;
    reader->text_used += bytes;
    return REC_OK;
}

/* ---- bad rows ------------------------------------------------------------------------------ */

/* A quoted value is the file's: what a terminal or a log could not show becomes '?'. */
static void make_printable(char *text) {
    bool utf8 = rec_text_utf8(text, strlen(text));
    for (char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8))
            *c = '?';
    }
}

enum rec_status rec_read_bad(struct rec_reader *reader, const char *reason) {
    const struct rec_read_options *options = reader->options;
    struct rec_bad_row bad = {.file = reader->file, .line = reader->record_line};
    size_t bytes = strnlen(reason, sizeof(bad.text) - 1);
    memcpy(bad.text, reason, bytes);
    make_printable(bad.text);

    unsigned long long line = bad.line, allowed = options->skip_bad_max;
    if (++reader->bad_rows > options->skip_bad_max) {
        if (allowed == 0)
            return rec_error_set(reader->err, REC_BAD_INPUT,
                                 "%.60s:%llu: %s (--skip-bad N passes over up to N bad rows)",
                                 bad.file, line, bad.text);
        return rec_error_set(reader->err, REC_BAD_INPUT,
                             "%.60s:%llu: %s (more bad rows than the %llu to be skipped)", bad.file,
                             line, bad.text, allowed);
    }
    if (options->bad != NULL)
        options->bad(options->context, &bad);
    return REC_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

void rec_read_expect(struct rec_reader *reader, const char *path) {
    struct stat about;
    if (path != NULL && stat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0)
        reader->bytes_total += (uint64_t)about.st_size;
}

enum rec_status rec_read_open(struct rec_reader *reader, const char *path) {
    bool standard_input = strcmp(path, "-") == 0;
    reader->path = standard_input ? "standard input" : path;
    const char *slash = strrchr(path, '/');
    reader->file = standard_input ? "stdin" : slash != NULL && slash[1] != '\0' ? slash + 1 : path;
    reader->start = reader->end = reader->record = 0;
    reader->line = reader->record_line = 0;
    reader->end_of_file = false;
    reader->fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return rec_error_set(reader->err, REC_IO, "cannot open %s: %s", path, strerror(errno));
    return REC_OK;
}

void rec_read_close(struct rec_reader *reader) {
    if (reader->fd > STDIN_FILENO)
        (void)close(reader->fd); /* read only: nothing can be lost */
    reader->fd = -1;
}

/* Reads on, keeping what lies from `keep` on (at most a longest record), which moves to the
 * front. */
static enum rec_status fill_buffer(struct rec_reader *reader, size_t keep) {
    enum rec_status st = rec_read_flush(reader);
    if (st != REC_OK)
        return st;
    memmove(reader->buffer, reader->buffer + keep, reader->end - keep);
    reader->start -= keep;
    reader->end -= keep;
    reader->record = 0;

    ssize_t got;
    do
        got = read(reader->fd, reader->buffer + reader->end, READ_BUFFER_BYTES - reader->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return rec_error_set(reader->err, REC_IO, "cannot read %s: %s", reader->path,
                             strerror(errno));
    reader->end_of_file = got == 0;
    reader->end += (size_t)got;
    reader->bytes += (uint64_t)got;
    return REC_OK;
}

/* ---- lines ---------------------------------------------------------------------------------- */

/* Passes over the rest of a line that is too long, through any number of buffers. */
static enum rec_status skip_line(struct rec_reader *reader) {
    for (;;) {
        char *from = reader->buffer + reader->start;
        char *newline = memchr(from, '\n', reader->end - reader->start);
        if (newline != NULL) {
            reader->start = (size_t)(newline - reader->buffer) + 1;
            return REC_OK;
        }
        reader->start = reader->end;
        if (reader->end_of_file)
            return REC_OK;
        enum rec_status st = fill_buffer(reader, reader->end);
        if (st != REC_OK)
            return st;
    }
}

/* Looks for the end of the line at reader->start, reading on where needed, in a record that began
 * at reader->record. *stop: where the line ends (its '\n', or the end of the file); past the cap
 * when the record gets too long. */
static enum rec_status find_stop(struct rec_reader *reader, size_t *stop) {
    enum {
        FAR = REC_READ_LINE_BYTES_MAX + 2
    }; /* the end of a longest line, "\r\n", is still near */
    for (;;) {
        size_t end = reader->end - reader->record > FAR ? reader->record + FAR : reader->end;
        char *newline = end > reader->start
                            ? memchr(reader->buffer + reader->start, '\n', end - reader->start)
                            : NULL;
        if (newline != NULL) {
            *stop = (size_t)(newline - reader->buffer);
            return REC_OK;
        }
        if (reader->end_of_file || end - reader->record == FAR) {
            *stop = end;
            return REC_OK;
        }
        enum rec_status st = fill_buffer(reader, reader->record);
        if (st != REC_OK)
            return st;
    }
}

/* Hands out the record that ends at stop; false when it is too long. */
static bool take_record(struct rec_reader *reader, size_t stop, char **text, size_t *bytes) {
    size_t end = stop;
    if (end > reader->record && reader->buffer[end - 1] == '\r')
        end--;
    if (end - reader->record > REC_READ_LINE_BYTES_MAX)
        return false;
    reader->buffer[end] = '\0'; /* at most buffer[READ_BUFFER_BYTES], which is there for this */
    reader->start = stop < reader->end ? stop + 1 : stop;
    reader->line++;
    *text = reader->buffer + reader->record;
    *bytes = end - reader->record;
    return true;
}

enum rec_status rec_read_line(struct rec_reader *reader, char **text, size_t *bytes) {
    *text = NULL;
    for (;;) {
        size_t stop;
        reader->record = reader->start;
        reader->record_line = reader->line + 1;
        enum rec_status st = find_stop(reader, &stop);
        if (st != REC_OK)
            return st;
        if (stop == reader->record && stop == reader->end)
            return REC_OK; /* nothing left */
        if (take_record(reader, stop, text, bytes))
            return REC_OK;

        char reason[60];
        (void)snprintf(reason, sizeof(reason), "the line is longer than %d bytes",
                       REC_READ_LINE_BYTES_MAX);
        reader->line++;
        st = skip_line(reader);
        if (st == REC_OK)
            st = rec_read_bad(reader, reason);
        if (st != REC_OK)
            return st;
    }
}

enum rec_status rec_read_more(struct rec_reader *reader, char **text, size_t *bytes) {
    /* Puts back what the NUL replaced: the '\r' before the line end, or the '\n' itself. */
    size_t end = reader->record + *bytes;
    *text = NULL;
    if (end == reader->end)
        return REC_OK;
    reader->buffer[end] = end + 1 == reader->start ? '\n' : '\r';

    size_t stop;
    enum rec_status st = find_stop(reader, &stop);
    if (st == REC_OK && !(stop == reader->start && stop == reader->end))
        (void)take_record(reader, stop, text, bytes);
    return st;
}

void rec_read_rewind(struct rec_reader *reader, size_t first_bytes) {
    char *from = reader->buffer + reader->record + first_bytes;
    char *newline = memchr(from, '\n', reader->end - reader->record - first_bytes);
    reader->start = newline == NULL ? reader->end : (size_t)(newline - reader->buffer) + 1;
    reader->line = reader->record_line;
}

/* ---- rec_read
 * -------------------------------------------------------------------------------------- */

static enum rec_status reader_init(struct rec_reader *reader) {
    reader->buffer = rec_alloc_array(READ_BUFFER_BYTES + 1, 1);
    reader->rows = rec_alloc_array(READ_BATCH_ROWS, sizeof(*reader->rows));
    reader->items = rec_alloc_array(READ_BATCH_ITEMS, sizeof(*reader->items));
    reader->categories = rec_alloc_array(READ_CATEGORIES, sizeof(*reader->categories));
    reader->text = rec_alloc_array(READ_TEXT_BYTES, 1);
    if (reader->buffer == NULL || reader->rows == NULL || reader->items == NULL ||
        reader->categories == NULL || reader->text == NULL)
        return rec_error_set(reader->err, REC_NO_MEMORY, "no memory to read %.200s",
                             reader->options->path);
    return REC_OK;
}

static void reader_finish(struct rec_reader *reader) {
    rec_read_close(reader);
    rec_alloc_free(reader->buffer);
    rec_alloc_free(reader->rows);
    rec_alloc_free(reader->items);
    rec_alloc_free(reader->categories);
    rec_alloc_free(reader->text);
}

static enum rec_status read_format(struct rec_reader *reader) {
    switch (reader->options->format) {
    case REC_FORMAT_MOVIELENS:
        return rec_read_movielens(reader);
    case REC_FORMAT_MOVIELENS_1M:
        return rec_read_movielens_1m(reader);
    case REC_FORMAT_CSV:
        return rec_read_csv(reader);
    case REC_FORMAT_NDJSON:
        return rec_read_ndjson(reader);
    case REC_FORMAT_USER_LISTS:
        return rec_read_user_lists(reader);
    }
    return rec_error_set(reader->err, REC_BAD_INPUT, "unknown format");
}

enum rec_status rec_read(const struct rec_read_options *options, struct rec_error *err) {
    struct rec_reader reader = {.options = options, .err = err, .fd = -1};
    enum rec_status st = reader_init(&reader);
    if (st == REC_OK)
        st = read_format(&reader);
    if (st == REC_OK)
        st = rec_read_flush(&reader);
    if (st == REC_OK)
        report_progress(&reader, true);
    reader_finish(&reader);
    return st;
}
