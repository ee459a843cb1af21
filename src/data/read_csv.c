/* CSV by RFC 4180: quoted fields may hold commas, doubled quotes and line ends; lines end with
 * "\n" or "\r\n"; a byte order mark is passed over. Columns are found by the names in the header.
 *
 * A line without a quote, which is nearly every line, is cut at its commas by memchr. Only a line
 * with one is walked byte by byte. A quote that is never closed could swallow the rest of a file:
 * such a record is bad, and reading goes on behind its first line. */
#include <stdio.h>
#include <string.h>

#include "read.h"

enum { COLUMNS_MAX = 256 };

struct field {
    char *text;
    size_t bytes;
};

struct csv {
    struct rec_reader *reader;
    char *header; /* our copy, cut at the commas */
    struct field name[COLUMNS_MAX];
    size_t columns;
    struct field field[COLUMNS_MAX]; /* of the present record */
};

/* ---- records ------------------------------------------------------------------------------ */

enum quoting { FIELD_START, UNQUOTED, QUOTED, CLOSED };

/* Walks on through the record; state carries over, so no byte is walked twice when it grows. */
static enum quoting walk(const char *text, size_t from, size_t bytes, enum quoting state) {
    for (size_t i = from; i < bytes; i++) {
        char c = text[i];
        if (state == QUOTED)
            state = c == '"' ? CLOSED : QUOTED;
        else if (c == ',')
            state = FIELD_START;
        else if (c == '"' && state != UNQUOTED) /* opens, or is the second of a doubled quote */
            state = QUOTED;
        else
            state = UNQUOTED;
    }
    return state;
}

/* Joins lines until every quote is closed; *closed false: there are no such lines. */
static enum rec_status close_quotes(struct rec_reader *reader, char **text, size_t *bytes,
                                    bool *closed) {
    size_t first_bytes = *bytes, walked = 0;
    enum quoting state = FIELD_START;
    for (;;) {
        state = walk(*text, walked, *bytes, state);
        *closed = state != QUOTED;
        if (*closed)
            return REC_OK;
        walked = *bytes;
        enum rec_status st = rec_read_more(reader, text, bytes);
        if (st != REC_OK)
            return st;
        if (*text == NULL) {
            rec_read_rewind(reader, first_bytes);
            return REC_OK;
        }
    }
}

/* Cuts the quoted field at *from and takes its quotes away; false when text follows the closing
 * quote. *from moves behind the field. */
static bool cut_quoted(char **from, char *end, struct field *field) {
    char *read = *from + 1, *write = *from;
    field->text = write;
    for (;; read++) {
        if (*read == '"' && read[1] == '"')
            read++;
        else if (*read == '"')
            break;
        *write++ = *read;
    }
    read++; /* closed for certain: close_quotes saw to that */
    if (read != end && *read != ',')
        return false;
    *write = '\0';
    field->bytes = (size_t)(write - field->text);
    *from = read;
    return true;
}

/* Cuts a record into fields; returns how many, SIZE_MAX when a quoted field is malformed. Counts on
 * beyond the room, without keeping. */
static size_t cut(char *text, size_t bytes, struct field *fields, size_t room) {
    char *from = text, *end = text + bytes;
    for (size_t count = 0;; from++) {
        struct field spare, *field = count < room ? &fields[count] : &spare;
        count++;
        if (from < end && *from == '"') {
            if (!cut_quoted(&from, end, field))
                return SIZE_MAX;
        } else {
            char *comma = memchr(from, ',', (size_t)(end - from));
            field->text = from;
            from = comma == NULL ? end : comma;
            field->bytes = (size_t)(from - field->text);
        }
        if (from == end)
            return count;
        *from = '\0';
    }
}

/* The next record that has as many fields as the header; *found false at the end. */
static enum rec_status next_record(struct csv *csv, bool *found) {
    struct rec_reader *reader = csv->reader;
    for (*found = false;;) {
        char *text, reason[120];
        size_t bytes;
        bool closed = true;
        enum rec_status st = rec_read_line(reader, &text, &bytes);
        if (st != REC_OK || text == NULL)
            return st;
        if (bytes == 0)
            continue;
        if (memchr(text, '"', bytes) != NULL)
            st = close_quotes(reader, &text, &bytes, &closed);
        if (st != REC_OK)
            return st;

        size_t count = closed ? cut(text, bytes, csv->field, csv->columns) : 0;
        if (count == csv->columns) {
            *found = true;
            return REC_OK;
        }
        if (!closed)
            (void)snprintf(reason, sizeof(reason), "a quote is not closed");
        else if (count == SIZE_MAX)
            (void)snprintf(reason, sizeof(reason), "text follows a closing quote");
        else
            (void)snprintf(reason, sizeof(reason), "%zu columns; the header has %zu", count,
                           csv->columns);
        st = rec_read_bad(reader, reason);
        if (st != REC_OK)
            return st;
    }
}

/* ---- header --------------------------------------------------------------------------------- */

static enum rec_status read_header(struct csv *csv) {
    struct rec_reader *reader = csv->reader;
    char *text;
    size_t bytes;
    enum rec_status st = rec_read_line(reader, &text, &bytes);
    if (st != REC_OK)
        return st;
    if (text == NULL)
        return rec_error_set(reader->err, REC_BAD_INPUT, "%.60s: the file is empty", reader->file);
    if (bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    if (strlen(text) != bytes || !rec_text_utf8(text, bytes) ||
        walk(text, 0, bytes, FIELD_START) == QUOTED)
        return rec_error_set(reader->err, REC_BAD_INPUT,
                             "%.60s:1: the header is not one line of CSV text in UTF-8",
                             reader->file);
    csv->header = rec_alloc_text(text, bytes);
    if (csv->header == NULL)
        return rec_error_set(reader->err, REC_NO_MEMORY, "no memory for a header of %zu bytes",
                             bytes);
    csv->columns = cut(csv->header, bytes, csv->name, COLUMNS_MAX);
    if (csv->columns > COLUMNS_MAX)
        return rec_error_set(reader->err, REC_BAD_INPUT,
                             "%.60s:1: the header is malformed or has more than %d columns",
                             reader->file, COLUMNS_MAX);
    return REC_OK;
}

/* A column in use: where it is, and how messages call it. */
struct column {
    size_t index; /* SIZE_MAX: not there */
    char label[READ_LABEL_BYTES];
};

static enum rec_status find_column(const struct csv *csv, const char *name, struct column *out) {
    const struct rec_reader *reader = csv->reader;
    const char *names[COLUMNS_MAX];
    out->index = SIZE_MAX;
    if (name == NULL)
        return REC_OK;
    for (size_t i = 0; i < csv->columns; i++) {
        names[i] = csv->name[i].text;
        if (strcmp(names[i], name) != 0)
            continue;
        if (out->index != SIZE_MAX)
            return rec_error_set(reader->err, REC_BAD_INPUT,
                                 "%.60s:1: the header has two columns '%.60s'", reader->file, name);
        out->index = i;
    }
    if (out->index == SIZE_MAX) {
        const char *near = rec_text_nearest(name, names, csv->columns);
        if (near == NULL && csv->columns == 1)
            return rec_error_set(reader->err, REC_BAD_INPUT,
                                 "%.60s:1: the header has no column '%.60s', only '%.60s'; commas "
                                 "separate columns",
                                 reader->file, name, names[0]);
        return rec_error_set(reader->err, REC_BAD_INPUT,
                             "%.60s:1: the header has no column '%.60s'%s%.60s%s", reader->file,
                             name, near == NULL ? "" : "; did you mean '", near == NULL ? "" : near,
                             near == NULL ? "" : "'?");
    }
    (void)snprintf(out->label, sizeof(out->label), "column %.60s", name);
    return REC_OK;
}

static struct field field_of(const struct csv *csv, const struct column *column) {
    return csv->field[column->index];
}

/* ---- interactions
 * --------------------------------------------------------------------------------- */

struct row_columns {
    struct column user, item, value, timestamp, type, event;
    const char *type_name; /* of rows without a type column */
};

static enum rec_status find_row_columns(const struct csv *csv, const struct rec_read_columns *names,
                                        struct row_columns *out) {
    const struct rec_read_options *options = csv->reader->options;
    const struct {
        const char *name;
        struct column *column;
    } wanted[] = {{names->user, &out->user},   {names->item, &out->item},
                  {names->value, &out->value}, {names->timestamp, &out->timestamp},
                  {names->type, &out->type},   {names->event, &out->event}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        enum rec_status st = find_column(csv, wanted[i].name, wanted[i].column);
        if (st != REC_OK)
            return st;
    }
    out->type_name = options->default_type != NULL  ? options->default_type
                     : out->value.index != SIZE_MAX ? "rating"
                                                    : "view";
    return REC_OK;
}

static enum rec_status fill_ids(const struct csv *csv, const struct row_columns *columns,
                                struct rec_interaction *row, struct rec_error *why) {
    struct field user = field_of(csv, &columns->user), item = field_of(csv, &columns->item);
    enum rec_status st = rec_read_field_id(columns->user.label, user.text, user.bytes, why);
    if (st == REC_OK)
        st = rec_read_field_id(columns->item.label, item.text, item.bytes, why);
    row->user_id = user.text;
    row->item_id = item.text;
    if (st == REC_OK && columns->event.index != SIZE_MAX) {
        struct field event = field_of(csv, &columns->event);
        st = event.bytes == 0
                 ? REC_OK /* an empty cell: none */
                 : rec_read_field_id(columns->event.label, event.text, event.bytes, why);
        row->event_id = event.bytes == 0 ? NULL : event.text;
    }
    return st;
}

static enum rec_status fill_row(const struct csv *csv, const struct row_columns *columns,
                                struct rec_interaction *row, struct rec_error *why) {
    enum rec_status st = fill_ids(csv, columns, row, why);
    if (st == REC_OK && columns->value.index != SIZE_MAX) {
        struct field value = field_of(csv, &columns->value);
        st = rec_read_field_number(columns->value.label, value.text, value.bytes, &row->value, why);
    }
    if (st == REC_OK && columns->timestamp.index != SIZE_MAX) {
        struct field time = field_of(csv, &columns->timestamp);
        st = rec_read_field_time(columns->timestamp.label, time.text, time.bytes,
                                 csv->reader->options->now, &row->timestamp, why);
    }
    row->type = columns->type_name;
    if (st == REC_OK && columns->type.index != SIZE_MAX) {
        struct field type = field_of(csv, &columns->type);
        row->type = type.text;
        st = type.bytes == 0
                 ? rec_error_set(why, REC_BAD_INPUT, "%s: is empty", columns->type.label)
                 : rec_read_field_text(columns->type.label, type.text, type.bytes,
                                       REC_TYPE_BYTES_MAX, why);
    }
    return st;
}

static enum rec_status each_row(struct csv *csv, const struct row_columns *columns) {
    struct rec_error why; /* read only where it was set: clearing it would cost more than a row */
    for (;;) {
        bool found;
        enum rec_status st = next_record(csv, &found);
        if (st != REC_OK || !found)
            return st;
        why.status = REC_OK;
        if (csv->reader->options->skip_no_user && field_of(csv, &columns->user).bytes == 0)
            continue;
        if (fill_row(csv, columns, rec_read_row(csv->reader), &why) == REC_OK)
            st = rec_read_row_done(csv->reader);
        else
            st = rec_read_bad(csv->reader, why.text);
        if (st != REC_OK)
            return st;
    }
}

/* Opens the file and reads the header; the caller closes, also after a failure. */
static enum rec_status csv_open(struct csv *csv, struct rec_reader *reader, const char *path) {
    csv->reader = reader;
    enum rec_status st = rec_read_open(reader, path);
    return st == REC_OK ? read_header(csv) : st;
}

static void csv_close(struct csv *csv) {
    rec_read_close(csv->reader);
    rec_alloc_free(csv->header);
}

enum rec_status rec_read_csv_rows(struct rec_reader *reader, const char *path,
                                  const struct rec_read_columns *names) {
    struct csv csv = {.header = NULL};
    struct row_columns columns;
    enum rec_status st = csv_open(&csv, reader, path);
    if (st == REC_OK)
        st = find_row_columns(&csv, names, &columns);
    if (st == REC_OK)
        st = each_row(&csv, &columns);
    if (st == REC_OK)
        st = rec_read_flush(reader); /* type_name may be a name of the caller's */
    csv_close(&csv);
    return st;
}

/* ---- --columns
 * ---------------------------------------------------------------------------------------- */

/* "user=userId,item=movieId": keys of ours to names of the header, cut in place. */
static enum rec_status parse_columns(char *text, struct rec_read_columns *out,
                                     struct rec_error *err) {
    const struct {
        const char *key;
        const char **name;
    } keys[] = {{"user", &out->user},           {"item", &out->item}, {"value", &out->value},
                {"timestamp", &out->timestamp}, {"type", &out->type}, {"event", &out->event}};
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
    for (char *part = text; part != NULL;) {
        char *comma = strchr(part, ','), *equals = strchr(part, '=');
        if (comma != NULL)
            *comma = '\0';
        if (equals == NULL || (comma != NULL && equals > comma) || equals[1] == '\0')
            return rec_error_set(err, REC_BAD_INPUT, "columns: '%.60s' is not key=name", part);
        *equals = '\0';
        size_t k = 0;
        while (k < KEYS && strcmp(keys[k].key, part) != 0)
            k++;
        if (k == KEYS)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "columns: '%.60s' is none of user, item, value, timestamp, type, "
                                 "event",
                                 part);
        if (*keys[k].name != NULL)
            return rec_error_set(err, REC_BAD_INPUT, "columns: '%s' is given twice", part);
        *keys[k].name = equals + 1;
        part = comma == NULL ? NULL : comma + 1;
    }
    if (out->user == NULL || out->item == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "columns: '%s' is missing",
                             out->user == NULL ? "user" : "item");
    return REC_OK;
}

enum rec_status rec_read_csv(struct rec_reader *reader) {
    const struct rec_read_options *options = reader->options;
    const char *type = options->default_type;
    if (type != NULL && (*type == '\0' || strlen(type) > REC_TYPE_BYTES_MAX))
        return rec_error_set(reader->err, REC_BAD_INPUT, "type: '%.40s' is not 1 to %d bytes", type,
                             REC_TYPE_BYTES_MAX);
    if (options->columns == NULL)
        return rec_error_set(reader->err, REC_BAD_INPUT,
                             "columns: CSV needs the names of its columns, as in "
                             "--columns user=userId,item=movieId,value=rating,timestamp=timestamp");
    char *text = rec_alloc_text(options->columns, strlen(options->columns));
    if (text == NULL)
        return rec_error_set(reader->err, REC_NO_MEMORY, "no memory for the names of columns");

    struct rec_read_columns columns = {0};
    enum rec_status st = parse_columns(text, &columns, reader->err);
    if (st == REC_OK) {
        rec_read_expect(reader, options->path);
        st = rec_read_csv_rows(reader, options->path, &columns);
    }
    rec_alloc_free(text);
    return st;
}

/* ---- movies.csv
 * ------------------------------------------------------------------------------------------ */

static enum rec_status fill_movie(struct field id, struct field title, struct field genres,
                                  struct rec_item *item, const char **categories,
                                  struct rec_error *why) {
    enum rec_status st = rec_read_field_id("column movieId", id.text, id.bytes, why);
    if (st == REC_OK)
        st = rec_read_field_text("column title", title.text, title.bytes, REC_TITLE_BYTES_MAX, why);
    if (st == REC_OK)
        st = rec_read_field_genres("column genres", genres.text, genres.bytes, categories,
                                   &item->category_count, why);
    item->item_id = id.text;
    item->title = title.bytes == 0 ? NULL : title.text;
    return st;
}

static enum rec_status each_movie(struct csv *csv) {
    struct column id, title, genres;
    enum rec_status st = find_column(csv, "movieId", &id);
    if (st == REC_OK)
        st = find_column(csv, "title", &title);
    if (st == REC_OK)
        st = find_column(csv, "genres", &genres);
    while (st == REC_OK) {
        bool found;
        struct rec_error why = {.status = REC_OK};
        st = next_record(csv, &found);
        if (st != REC_OK || !found)
            return st;
        const char **categories;
        struct rec_item *item = rec_read_item(csv->reader, &categories);
        if (fill_movie(field_of(csv, &id), field_of(csv, &title), field_of(csv, &genres), item,
                       categories, &why) == REC_OK)
            st = rec_read_item_done(csv->reader);
        else
            st = rec_read_bad(csv->reader, why.text);
    }
    return st;
}

enum rec_status rec_read_csv_movies(struct rec_reader *reader, const char *path) {
    struct csv csv = {.header = NULL};
    enum rec_status st = csv_open(&csv, reader, path);
    if (st == REC_OK)
        st = each_movie(&csv);
    if (st == REC_OK)
        st = rec_read_flush(reader); /* the buffer is about to hold another file */
    csv_close(&csv);
    return st;
}
