/* Lists, a line a user: "user item item item ...", as graph and sequence recommenders publish their
 * data. The order in the line is the order in time, and the only time there is: the n-th item gets
 * the timestamp n, so rows of one user keep their order and nothing pretends to be a date.
 *
 * Every row weighs what `default_type` weighs, "order" when it is not given. A user may have
 * several lines; a user alone on a line has no rows. */
#include <string.h>

#include "read.h"

#define SPACES " \t"

static enum rec_status list_rows(struct rec_reader *reader, const char *type, char *text) {
    char *rest = text;
    const char *user = NULL;
    struct rec_error why = {0};
    int64_t position = 0;
    for (;;) {
        rest += strspn(rest, SPACES);
        size_t bytes = strcspn(rest, SPACES);
        if (bytes == 0)
            return REC_OK;
        char *word = rest;
        rest += bytes;
        if (*rest != '\0')
            *rest++ = '\0';
        if (rec_read_field_id(user == NULL ? "user" : "item", word, bytes, &why) != REC_OK)
            return rec_read_bad(reader, why.text);
        if (user == NULL) {
            user = word;
            continue;
        }
        struct rec_interaction *row = rec_read_row(reader);
        row->user_id = user;
        row->item_id = word;
        row->type = type;
        row->timestamp = ++position;
        enum rec_status st = rec_read_row_done(reader);
        if (st != REC_OK)
            return st;
    }
}

static enum rec_status each_list(struct rec_reader *reader, const char *type) {
    for (;;) {
        char *text;
        size_t bytes;
        enum rec_status st = rec_read_line(reader, &text, &bytes);
        if (st != REC_OK || text == NULL)
            return st;
        if (strlen(text) != bytes)
            st = rec_read_bad(reader, "a NUL character");
        else
            st = list_rows(reader, type, text);
        if (st != REC_OK)
            return st;
    }
}

enum rec_status rec_read_user_lists(struct rec_reader *reader) {
    const char *type = reader->options->default_type;
    if (type == NULL)
        type = "order";
    if (*type == '\0' || strlen(type) > REC_TYPE_BYTES_MAX)
        return rec_error_set(reader->err, REC_BAD_INPUT, "type: '%.40s' is not 1 to %d bytes", type,
                             REC_TYPE_BYTES_MAX);
    rec_read_expect(reader, reader->options->path);
    enum rec_status st = rec_read_open(reader, reader->options->path);
    if (st == REC_OK)
        st = each_list(reader, type);
    if (st == REC_OK)
        st = rec_read_flush(reader);
    rec_read_close(reader);
    return st;
}
