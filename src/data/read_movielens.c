/* The MovieLens directories: ratings.csv and movies.csv (latest), ratings.dat and movies.dat (1M).
 *
 * The .dat files separate with "::", have no header and no quotes, and their titles are Latin-1.
 * Latin-1 is the first 256 code points of Unicode, so each of its bytes from 0x80 on is two bytes
 * of UTF-8; no converter can be missing on the machine. A line that is valid UTF-8 already (some
 * mirrors re-encode) is left as it is.
 *
 * Movies come first, so that every item has its title when its first rating arrives. */
#include <stdio.h>
#include <string.h>

#include "read.h"

enum { PATH_BYTES = 4096, DAT_FIELDS = 4 };

struct dat_field {
    char *text;
    size_t bytes;
};

static enum rec_status join_path(struct rec_reader *reader, const char *file, char *path) {
    int bytes = snprintf(path, PATH_BYTES, "%s/%s", reader->options->path, file);
    if (bytes < 0 || bytes >= PATH_BYTES)
        return rec_error_set(reader->err, REC_BAD_INPUT, "the path %.60s... is too long",
                             reader->options->path);
    return REC_OK;
}

enum rec_status rec_read_movielens(struct rec_reader *reader) {
    static const struct rec_read_columns columns = {
        .user = "userId", .item = "movieId", .value = "rating", .timestamp = "timestamp"};
    char movies[PATH_BYTES], ratings[PATH_BYTES];
    bool catalogue = reader->options->items != NULL;
    enum rec_status st = join_path(reader, "movies.csv", movies);
    if (st == REC_OK)
        st = join_path(reader, "ratings.csv", ratings);
    if (st != REC_OK)
        return st;
    rec_read_expect(reader, catalogue ? movies : NULL);
    rec_read_expect(reader, ratings);
    if (catalogue)
        st = rec_read_csv_movies(reader, movies);
    return st == REC_OK ? rec_read_csv_rows(reader, ratings, &columns) : st;
}

/* ---- the .dat files ---------------------------------------------------------------- */

/* Cuts at "::" and returns how many fields there are; the last one takes what is left when
 * `fields` are found, so a title may hold "::" only if it is not the last. */
static size_t cut_dat(char *text, size_t bytes, struct dat_field *field) {
    char *from = text, *end = text + bytes;
    size_t count = 0;
    for (;;) {
        char *stop = from;
        while (stop < end && !(stop[0] == ':' && stop[1] == ':')) /* text[bytes] is a NUL */
            stop++;
        if (count < DAT_FIELDS)
            field[count] = (struct dat_field){from, (size_t)(stop - from)};
        count++;
        if (stop >= end)
            return count;
        *stop = '\0';
        from = stop + 2;
    }
}

static enum rec_status fill_rating(const struct dat_field *field, int64_t now,
                                   struct rec_interaction *row, struct rec_error *why) {
    enum rec_status st = rec_read_field_id("column user", field[0].text, field[0].bytes, why);
    if (st == REC_OK)
        st = rec_read_field_id("column movie", field[1].text, field[1].bytes, why);
    if (st == REC_OK)
        st =
            rec_read_field_number("column rating", field[2].text, field[2].bytes, &row->value, why);
    if (st == REC_OK)
        st = rec_read_field_time("column timestamp", field[3].text, field[3].bytes, now,
                                 &row->timestamp, why);
    row->user_id = field[0].text;
    row->item_id = field[1].text;
    row->type = "rating";
    return st;
}

static enum rec_status fill_movie(const struct dat_field *field, struct rec_item *item,
                                  const char **categories, struct rec_error *why) {
    enum rec_status st = rec_read_field_id("column movie", field[0].text, field[0].bytes, why);
    if (st == REC_OK)
        st = rec_read_field_text("column title", field[1].text, field[1].bytes, REC_TITLE_BYTES_MAX,
                                 why);
    if (st == REC_OK)
        st = rec_read_field_genres("column genres", field[2].text, field[2].bytes, categories,
                                   &item->category_count, why);
    item->item_id = field[0].text;
    item->title = field[1].bytes == 0 ? NULL : field[1].text;
    return st;
}

static enum rec_status bad_count(struct rec_reader *reader, size_t count, size_t wanted) {
    char reason[80];
    (void)snprintf(reason, sizeof(reason), "%zu columns separated by '::'; %zu are expected", count,
                   wanted);
    return rec_read_bad(reader, reason);
}

static enum rec_status rating_line(struct rec_reader *reader, char *text, size_t bytes) {
    struct dat_field field[DAT_FIELDS];
    struct rec_error why;
    size_t count = cut_dat(text, bytes, field);
    if (count != 4)
        return bad_count(reader, count, 4);
    why.status = REC_OK; /* its text is read only where it was set */
    if (fill_rating(field, reader->options->now, rec_read_row(reader), &why) == REC_OK)
        return rec_read_row_done(reader);
    return rec_read_bad(reader, why.text);
}

/* A copy in UTF-8 that lasts as long as the batch. */
static enum rec_status latin1_to_utf8(struct rec_reader *reader, char **text, size_t *bytes) {
    char *to;
    enum rec_status st = rec_read_text(reader, 2 * *bytes + 1, &to);
    if (st != REC_OK)
        return st;
    const unsigned char *from = (const unsigned char *)*text, *end = from + *bytes;
    *text = to;
    for (; from < end; from++) {
        if (*from >= 0x80) {
            *to++ = (char)(0xc0 | *from >> 6);
            *to++ = (char)(0x80 | (*from & 0x3f));
        } else {
            *to++ = (char)*from;
        }
    }
    *to = '\0';
    *bytes = (size_t)(to - *text);
    return REC_OK;
}

static enum rec_status movie_line(struct rec_reader *reader, char *text, size_t bytes) {
    if (memchr(text, 0, bytes) == NULL && !rec_text_utf8(text, bytes)) {
        enum rec_status st = latin1_to_utf8(reader, &text, &bytes);
        if (st != REC_OK)
            return st;
    }
    struct dat_field field[DAT_FIELDS];
    struct rec_error why = {.status = REC_OK};
    const char **categories;
    size_t count = cut_dat(text, bytes, field);
    if (count != 3)
        return bad_count(reader, count, 3);
    struct rec_item *item = rec_read_item(reader, &categories);
    if (fill_movie(field, item, categories, &why) == REC_OK)
        return rec_read_item_done(reader);
    return rec_read_bad(reader, why.text);
}

static enum rec_status each_line(struct rec_reader *reader, const char *path,
                                 enum rec_status (*line)(struct rec_reader *, char *, size_t)) {
    char *text;
    size_t bytes;
    enum rec_status st = rec_read_open(reader, path);
    while (st == REC_OK) {
        st = rec_read_line(reader, &text, &bytes);
        if (st != REC_OK || text == NULL)
            break;
        if (bytes > 0)
            st = line(reader, text, bytes);
    }
    if (st == REC_OK && reader->line == 0)
        st = rec_error_set(reader->err, REC_BAD_INPUT, "%.60s: the file is empty", reader->file);
    if (st == REC_OK)
        st = rec_read_flush(reader); /* the buffer is about to hold another file */
    rec_read_close(reader);
    return st;
}

enum rec_status rec_read_movielens_1m(struct rec_reader *reader) {
    char movies[PATH_BYTES], ratings[PATH_BYTES];
    bool catalogue = reader->options->items != NULL;
    enum rec_status st = join_path(reader, "movies.dat", movies);
    if (st == REC_OK)
        st = join_path(reader, "ratings.dat", ratings);
    if (st != REC_OK)
        return st;
    rec_read_expect(reader, catalogue ? movies : NULL);
    rec_read_expect(reader, ratings);
    if (catalogue)
        st = each_line(reader, movies, movie_line);
    return st == REC_OK ? each_line(reader, ratings, rating_line) : st;
}
