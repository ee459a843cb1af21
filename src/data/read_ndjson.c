/* NDJSON: one interaction a line, in the shape of POST /interactions. The parser is set from
 * outside. What it gives lasts until the next line, so the texts are copied once for the batch. */
#include <string.h>

#include "read.h"

static rec_ndjson_fn parse_line;
static void *parse_context;

void rec_read_set_ndjson(rec_ndjson_fn fn, void *context) {
    parse_line = fn;
    parse_context = context;
}

static size_t size_of(const char *text) {
    return text == NULL ? 0 : strlen(text) + 1;
}

/* Copies the text to *to and moves on. */
static const char *keep(const char *text, char **to) {
    if (text == NULL)
        return NULL;
    size_t bytes = size_of(text);
    char *copy = *to;
    memcpy(copy, text, bytes);
    *to += bytes;
    return copy;
}

static enum rec_status push(struct rec_reader *reader, const struct rec_interaction *parsed) {
    char *to;
    enum rec_status st = rec_read_text(reader,
                                       size_of(parsed->user_id) + size_of(parsed->item_id) +
                                           size_of(parsed->event_id) + size_of(parsed->type),
                                       &to);
    if (st != REC_OK)
        return st;
    struct rec_interaction *row = rec_read_row(reader);
    *row = *parsed;
    row->user_id = keep(parsed->user_id, &to);
    row->item_id = keep(parsed->item_id, &to);
    row->event_id = keep(parsed->event_id, &to);
    row->type = keep(parsed->type, &to);
    return rec_read_row_done(reader);
}

static bool is_blank(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        if (text[i] != ' ' && text[i] != '\t')
            return false;
    return true;
}

enum rec_status rec_read_ndjson(struct rec_reader *reader) {
    char *text;
    size_t bytes;
    if (parse_line == NULL)
        return rec_error_set(reader->err, REC_BAD_INPUT, "ndjson: no parser is set");
    rec_read_expect(reader, reader->options->path);
    enum rec_status st = rec_read_open(reader, reader->options->path);
    while (st == REC_OK) {
        st = rec_read_line(reader, &text, &bytes);
        if (st != REC_OK || text == NULL)
            break;
        if (is_blank(text, bytes))
            continue;
        struct rec_interaction parsed = {.value = 1.0, .timestamp = reader->options->now};
        struct rec_error why = {.status = REC_OK};
        enum rec_status parse = parse_line(parse_context, text, bytes, &parsed, &why);
        if (parse == REC_OK)
            st = push(reader, &parsed);
        else if (parse == REC_BAD_INPUT || parse == REC_LIMIT)
            st = rec_read_bad(reader, why.text);
        else
            st = rec_error_set(reader->err, parse, "%s", why.text);
    }
    if (st == REC_OK && reader->line == 0)
        st = rec_error_set(reader->err, REC_BAD_INPUT, "%.60s: the file is empty", reader->file);
    if (st == REC_OK)
        st = rec_read_flush(reader);
    rec_read_close(reader);
    return st;
}
