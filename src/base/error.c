/* Errors: one list of kinds, and a fixed-size text for people. */
#include <stdio.h>

#include "recsysd/base.h"

enum rec_status rec_error_set(struct rec_error *err, enum rec_status status, const char *fmt, ...) {
    if (err == NULL || err->status != REC_OK)
        return status;

    va_list args;
    va_start(args, fmt);
    err->status = status;
    (void)vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    return status;
}

const char *rec_error_text(enum rec_status status) {
#define STATUS_TEXT(name, text)                                                                    \
    case REC_##name:                                                                               \
        return text;
    switch (status) { REC_STATUS_MAP(STATUS_TEXT) }
#undef STATUS_TEXT
    return "unknown status";
}

const char *rec_error_name(enum rec_status status) {
    static const char *const names[] = {
        [REC_OK] = "ok",
        [REC_BAD_INPUT] = "bad_input",
        [REC_NOT_FOUND] = "not_found",
        [REC_NO_MODEL] = "no_model",
        [REC_CONFLICT] = "conflict",
        [REC_LIMIT] = "limit",
        [REC_BUSY] = "busy",
        [REC_NO_MEMORY] = "no_memory",
        [REC_IO] = "io",
        [REC_CORRUPT] = "corrupt",
        [REC_NOT_BETTER] = "not_better",
        [REC_CANCELLED] = "cancelled",
    };
    return (size_t)status < sizeof(names) / sizeof(names[0]) ? names[status] : "unknown";
}
