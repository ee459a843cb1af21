/* What a reading gave, written down as text, so that a table can say what is expected. */
#ifndef RECSYSD_TESTS_DATA_RECORD_H
#define RECSYSD_TESTS_DATA_RECORD_H

#include "files.h"

struct record {
    char text[4096]; /* a line per row or item: "user item type value timestamp[ event]" */
    char bad[4096];  /* a line per bad row: they come at once, while rows wait for their batch */
    uint64_t rows, bytes, bytes_total;
};

static inline void record_add(char text[4096], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static inline void record_add(char text[4096], const char *fmt, ...) {
    size_t used = strlen(text);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text + used, 4096 - used, fmt, args); /* long readings: the beginning */
    va_end(args);
}

static inline enum rec_status record_rows(void *context, const struct rec_interaction *rows,
                                          size_t count, struct rec_error *err) {
    struct record *record = context;
    (void)err;
    for (size_t i = 0; i < count; i++, record->rows++)
        record_add(record->text, "%s %s %s %g %lld%s%s\n", rows[i].user_id, rows[i].item_id,
                   rows[i].type, rows[i].value, (long long)rows[i].timestamp,
                   rows[i].event_id == NULL ? "" : " ",
                   rows[i].event_id == NULL ? "" : rows[i].event_id);
    return REC_OK;
}

static inline enum rec_status record_items(void *context, const struct rec_item *items,
                                           size_t count, struct rec_error *err) {
    struct record *record = context;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        record_add(record->text, "item %s [%s]", items[i].item_id,
                   items[i].title == NULL ? "NULL" : items[i].title);
        for (size_t c = 0; c < items[i].category_count; c++)
            record_add(record->text, " {%s}", items[i].categories[c]);
        record_add(record->text, "\n");
    }
    return REC_OK;
}

static inline void record_bad(void *context, const struct rec_bad_row *bad) {
    struct record *record = context;
    record_add(record->bad, "bad %s:%llu: %s\n", bad->file, (unsigned long long)bad->line,
               bad->text);
}

static inline void record_progress(void *context, uint64_t rows, uint64_t bytes,
                                   uint64_t bytes_total) {
    struct record *record = context;
    (void)rows;
    record->bytes = bytes;
    record->bytes_total = bytes_total;
}

/* Whether the reading gave what the lines say; those that begin with "bad" are the bad rows. */
static inline bool record_gives(const struct record *record, const char *lines) {
    char text[4096] = "", bad[4096] = "";
    while (*lines != '\0') {
        size_t bytes = strcspn(lines, "\n") + 1;
        record_add(strncmp(lines, "bad ", 4) == 0 ? bad : text, "%.*s", (int)bytes, lines);
        lines += bytes;
    }
    return strcmp(record->text, text) == 0 && strcmp(record->bad, bad) == 0;
}

enum { TEST_NOW = 1000000000 };

static inline struct rec_read_options record_options(struct record *record, enum rec_format format,
                                                     const char *path) {
    memset(record, 0, sizeof(*record));
    return (struct rec_read_options){.format = format,
                                     .path = path,
                                     .columns = "user=user,item=item",
                                     .now = TEST_NOW,
                                     .rows = record_rows,
                                     .items = record_items,
                                     .bad = record_bad,
                                     .progress = record_progress,
                                     .context = record};
}

#endif
