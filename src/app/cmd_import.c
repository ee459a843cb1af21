/* recsysd import: a data set into the database, in one transaction.
 *
 * It holds the database's one-writer lock, so it is refused while a daemon
 * serves the file; that daemon takes NDJSON at POST /interactions instead. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "recsysd/api.h"
#include "recsysd/store.h"

enum { BAD_LISTED_MAX = 20 };

struct import {
    struct rec_store_import *target;
    struct progress_line line;
    uint64_t rows, added, items, bad;
    const struct rec_weights *weights;
    int64_t now;        /* time of rows that have none */
    bool timed;         /* some row has another */
    uint64_t unweighed; /* rows of types that have no weight; the first of those types */
    char unweighed_type[REC_TYPE_BYTES_MAX + 1];
};

static enum rec_status on_rows(void *context, const struct rec_interaction *rows, size_t count,
                               struct rec_error *err) {
    struct import *import = context;
    import->rows += count;
    for (size_t i = 0; i < count; i++) {
        import->timed = import->timed || rows[i].timestamp != import->now;
        if (rec_weights_known(import->weights, rows[i].type))
            continue;
        if (import->unweighed++ == 0)
            (void)snprintf(import->unweighed_type, sizeof(import->unweighed_type), "%s",
                           rows[i].type);
    }
    return rec_store_import_rows(import->target, rows, count, &import->added, err);
}

static enum rec_status on_items(void *context, const struct rec_item *items, size_t count,
                                struct rec_error *err) {
    struct import *import = context;
    import->items += count;
    return rec_store_import_items(import->target, items, count, err);
}

static void on_bad(void *context, const struct rec_bad_row *bad) {
    struct import *import = context;
    if (import->bad++ < BAD_LISTED_MAX)
        (void)fprintf(stderr, "skipped %s:%llu: %s\n", bad->file, (unsigned long long)bad->line,
                      bad->text);
    else if (import->bad == BAD_LISTED_MAX + 1)
        (void)fputs("skipped more rows; only the first ones are listed\n", stderr);
}

static void on_progress(void *context, uint64_t rows, uint64_t bytes, uint64_t bytes_total) {
    struct import *import = context;
    char detail[96], count[32], rate[32];
    double elapsed_s = (double)(rec_clock_monotonic_ns() - import->line.started_ns) / 1e9;
    (void)snprintf(detail, sizeof(detail), "%s rows  %s rows/s", format_count(rows, count),
                   format_count((uint64_t)((double)rows / (elapsed_s > 0 ? elapsed_s : 1)), rate));
    progress_draw(&import->line, "import",
                  bytes_total > 0 ? (double)bytes / (double)bytes_total : -1.0, detail);
}

static enum rec_status read_into(struct import *import, const struct config *config,
                                 struct rec_error *err) {
    const char *columns = config_text(config, SET_COLUMNS), *type = config_text(config, SET_TYPE);
    struct rec_read_options options = {
        .path = config->positional[0],
        .columns = columns[0] != '\0' ? columns : NULL,
        .default_type = type[0] != '\0' ? type : NULL,
        .skip_bad_max = (uint64_t)config_integer(config, SET_SKIP_BAD),
        .now = import->now,
        .rows = on_rows,
        .items = on_items,
        .bad = on_bad,
        .progress = on_progress,
        .context = import,
    };
    enum rec_status st = rec_format_parse(config_text(config, SET_FORMAT), &options.format, err);
    /* the order in a line of a list is that of time */
    import->timed = options.format == REC_FORMAT_USER_LISTS;
    if (st == REC_OK)
        st = rec_read(&options, err);
    if (st == REC_OK && import->rows == 0)
        st = rec_error_set(err, REC_BAD_INPUT, "%.200s: there are no interactions in it%s",
                           config->positional[0],
                           import->bad > 0 ? " but the bad rows that were skipped" : "");
    return st;
}

static void print_summary(const struct import *import, const struct config *config) {
    char added[32], known[32], items[32], rate[32];
    double seconds = (double)(rec_clock_monotonic_ns() - import->line.started_ns) / 1e9;
    (void)printf(
        "%s: %s interactions added, %s already there, %s catalogue items, "
        "%llu bad rows skipped; %.2f s, %s rows/s, committed\n",
        config_text(config, SET_DB), format_count(import->added, added),
        format_count(import->rows - import->added, known), format_count(import->items, items),
        (unsigned long long)import->bad, seconds,
        format_count((uint64_t)((double)import->rows / (seconds > 0 ? seconds : 1)), rate));
    if (!import->timed && import->rows > 1)
        (void)fputs("note: the rows have no times; all have that of the import, and their order in "
                    "the file says what is recent\n",
                    stderr);
    if (import->unweighed > 0)
        (void)fprintf(stderr,
                      "note: %s rows have types without a weight, such as '%s': no model learns "
                      "from them unless train and serve get --weights %s=W\n",
                      format_count(import->unweighed, added), import->unweighed_type,
                      import->unweighed_type);
}

static enum rec_status import_all(struct import *import, struct rec_store *store,
                                  const struct config *config, struct rec_error *err) {
    enum rec_status st = rec_store_import_begin(store, &import->target, err);
    if (st != REC_OK)
        return st;
    st = read_into(import, config, err);
    enum rec_status end = rec_store_import_end(&import->target, st == REC_OK, err);
    return st != REC_OK ? st : end;
}

/* A database that this import has made, and that it failed to fill, is in nobody's way. Its lock is
 * still held: nobody else has begun to write to it. */
static void remove_made(const char *path) {
    static const char *const endings[] = {"", "-wal", "-shm", ".lock"};
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (snprintf(name, sizeof(name), "%s%s", path, endings[i]) < (int)sizeof(name))
            (void)unlink(name);
}

int cmd_import(const struct config *config) {
    struct rec_store_options options = {
        .path = config_text(config, SET_DB), .create = true, .writable = true};
    struct rec_store *store = NULL;
    struct rec_codec_line *line = NULL;
    struct import import = {0};
    struct rec_weights weights;
    struct rec_error err = {0};
    enum rec_status st;

    if (config->positional_count == 0 || config_text(config, SET_FORMAT)[0] == '\0') {
        (void)fputs("recsysd import: give --format FORMAT and the PATH to read; see "
                    "recsysd import --help\n",
                    stderr);
        return EXIT_USAGE;
    }
    import.weights = &weights;
    import.now = rec_clock_unix_s();
    bool made = access(options.path, F_OK) != 0;
    progress_start(&import.line, config_flag(config, SET_PROGRESS));
    st = app_weights(config, &weights, &err);
    if (st == REC_OK) {
        line = rec_codec_line_create(&weights);
        if (line == NULL)
            st = rec_error_set(&err, REC_NO_MEMORY, "no memory to read lines");
    }
    if (st == REC_OK) {
        rec_read_set_ndjson(rec_codec_line_parse, line);
        st = rec_store_open(&options, &store, &err);
    }
    if (st == REC_OK)
        st = import_all(&import, store, config, &err);
    progress_end(&import.line);
    if (st != REC_OK && store != NULL && made)
        remove_made(options.path);
    rec_store_close(&store);
    rec_codec_line_destroy(&line);
    if (st != REC_OK) {
        (void)app_fail(&err);
        (void)fputs("nothing of it was kept\n", stderr);
        return st == REC_BAD_INPUT ? EXIT_USAGE : EXIT_FAILED;
    }
    print_summary(&import, config);
    return EXIT_DONE;
}
