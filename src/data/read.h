/* What the readers of the formats share (this room only). */
#ifndef RECSYSD_DATA_READ_H
#define RECSYSD_DATA_READ_H

#include "recsysd/data.h"

enum {
    READ_BUFFER_BYTES = 1 << 20,
    READ_BATCH_ROWS = 4096,
    READ_BATCH_ITEMS = 1024,
    READ_CATEGORIES = 8 * READ_BATCH_ITEMS,
    READ_TEXT_BYTES = 512 * 1024, /* copies made for one batch; several longest lines */
    READ_LABEL_BYTES = 80,        /* "column rating" */
};

/* One rec_read: the file now open, the batch now filled, what was met so far. */
struct rec_reader {
    const struct rec_read_options *options;
    struct rec_error *err;

    int fd;
    const char *path;
    const char *file; /* the path's last part, as messages name it */
    char *buffer;     /* [READ_BUFFER_BYTES + 1] */
    size_t start;     /* first byte not handed out yet */
    size_t end;       /* first byte not read yet */
    size_t record;    /* where the record handed out last begins */
    bool end_of_file;
    uint64_t line;        /* number of the line handed out last, from 1 */
    uint64_t record_line; /* number of the first line of that record */

    struct rec_interaction *rows; /* [READ_BATCH_ROWS] pointing into buffer or text */
    size_t row_count;
    struct rec_item *items; /* [READ_BATCH_ITEMS] */
    size_t item_count;
    const char **categories; /* [READ_CATEGORIES] those of items */
    size_t category_count;
    char *text; /* [READ_TEXT_BYTES] */
    size_t text_used;

    uint64_t rows_read, bad_rows, bytes, bytes_total, reported_ns;
};

/* ---- read.c: lines, batches, bad rows -------------------------------------------- */

/* Adds the file's size to bytes_total; NULL or a file that cannot be asked counts nothing. */
void rec_read_expect(struct rec_reader *reader, const char *path);
enum rec_status rec_read_open(struct rec_reader *reader, const char *path); /* "-": stdin */
void rec_read_close(struct rec_reader *reader);

/* The next line without its end, NUL-terminated; *text NULL at the end of the file. It and what
 * was pushed from it stay in place until a batch is handed over. Longer lines than
 * REC_READ_LINE_BYTES_MAX are bad rows. */
enum rec_status rec_read_line(struct rec_reader *reader, char **text, size_t *bytes);
/* Joins the next line to the present record, with the line end between them. *text NULL: there is
 * none, or the record would be too long; rec_read_rewind then goes back to behind its first line.
 */
enum rec_status rec_read_more(struct rec_reader *reader, char **text, size_t *bytes);
void rec_read_rewind(struct rec_reader *reader, size_t first_bytes);

/* A row to fill, counted by rec_read_row_done, which hands full batches over. */
struct rec_interaction *rec_read_row(struct rec_reader *reader);
enum rec_status rec_read_row_done(struct rec_reader *reader);
/* The same for an item with at most REC_ITEM_CATEGORIES_MAX categories, for which there is room at
 * item->categories. */
struct rec_item *rec_read_item(struct rec_reader *reader, const char ***categories);
enum rec_status rec_read_item_done(struct rec_reader *reader);
enum rec_status rec_read_flush(struct rec_reader *reader);

/* Room for a copy of `bytes` that lasts as long as the batch; hands the batch over first when
 * there is none (*out NULL on failure). bytes <= 2 * REC_READ_LINE_BYTES_MAX + 1. */
enum rec_status rec_read_text(struct rec_reader *reader, size_t bytes, char **out);

/* Counts the present record as bad: OK to go on, BAD_INPUT with file, line and reason when it is
 * one too many. */
enum rec_status rec_read_bad(struct rec_reader *reader, const char *reason);

/* ---- read_field.c ------------------------------------------------------------------ */

/* Each takes a NUL-terminated text and its length (a NUL inside makes them differ), and says
 * "<label>: <reason>" in why, whose text is only set on failure. */
enum rec_status rec_read_field_id(const char *label, const char *text, size_t bytes,
                                  struct rec_error *why);
enum rec_status rec_read_field_text(const char *label, const char *text, size_t bytes,
                                    size_t bytes_max, struct rec_error *why);
enum rec_status rec_read_field_number(const char *label, const char *text, size_t bytes,
                                      double *out, struct rec_error *why);
/* Unix seconds, RFC 3339, or 'YYYY-MM-DD HH:MM:SS' in UTC; from 1970 to a day after `now`. */
enum rec_status rec_read_field_time(const char *label, const char *text, size_t bytes, int64_t now,
                                    int64_t *out, struct rec_error *why);

/* "Comedy|Drama" into the item's categories [REC_ITEM_CATEGORIES_MAX]; cuts the text. */
enum rec_status rec_read_field_genres(const char *label, char *text, size_t bytes,
                                      const char **categories, size_t *count,
                                      struct rec_error *why);

/* ---- the formats -------------------------------------------------------------------- */

struct rec_read_columns { /* header names; NULL: none */
    const char *user, *item, *value, *timestamp, *type, *event;
};
enum rec_status rec_read_csv(struct rec_reader *reader);
enum rec_status rec_read_csv_rows(struct rec_reader *reader, const char *path,
                                  const struct rec_read_columns *columns);
enum rec_status rec_read_csv_movies(struct rec_reader *reader, const char *path);
enum rec_status rec_read_movielens(struct rec_reader *reader);
enum rec_status rec_read_movielens_1m(struct rec_reader *reader);
enum rec_status rec_read_ndjson(struct rec_reader *reader);
enum rec_status rec_read_user_lists(struct rec_reader *reader);

#endif
