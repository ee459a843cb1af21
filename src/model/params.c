/* Parameter tables. A family describes each of its parameters in one row; the command line, the
 * API, the tuner and model files all read that row, so none of them can disagree about a name, a
 * range or a default.
 *
 * Values are doubles whatever the type: the whole numbers of an INT, 0 or 1 for a BOOL, the index
 * for a CHOICE. Text is the form in which they travel, and it reads back to the same bits. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/model.h"

enum {
    NAME_BYTES_MAX = 47,   /* of a parameter in an assignment; longer ones are in no table */
    NUMBER_BYTES = 32,     /* "-1.7976931348623157e+308" and the NUL */
    LIST_BYTES = 300,      /* a list of choices, or of a table's names, in a message */
    ASSIGNMENT_BYTES = 96, /* a name, "=", a value and the NUL */
    DIGITS_EXACT_MAX = 17, /* so many digits tell any two doubles apart */
};

void rec_params_defaults(const struct rec_param *table, size_t count, struct rec_params *out) {
    assert(count <= REC_PARAMS_MAX);
    *out = (struct rec_params){.table = table, .count = count};
    for (size_t i = 0; i < count; i++)
        out->value[i] = table[i].standard;
}

/* The row's index, or `count`. */
static size_t find_row(const struct rec_params *params, const char *name) {
    size_t row = 0;
    while (row < params->count && strcmp(params->table[row].name, name) != 0)
        row++;
    return row;
}

void rec_params_mark(const struct rec_params *params, const char *assignment, bool *rows) {
    size_t bytes = strcspn(assignment, "=");
    for (size_t row = 0; row < params->count; row++) {
        const char *name = params->table[row].name;
        if (strlen(name) == bytes && memcmp(name, assignment, bytes) == 0)
            rows[row] = true;
    }
}

double rec_params_get(const struct rec_params *params, const char *name) {
    size_t row = find_row(params, name);
    assert(row < params->count);
    return params->value[row];
}

/* Puts a word behind those of a list of `cap` bytes; `used`, and the result, are how many it has.
 * What does not fit leaves a "..." and a full list. */
static size_t list_word(char *list, size_t cap, size_t used, const char *word) {
    static const char more[] = ", ...";
    if (used == cap)
        return cap;
    bool fits = used + strlen(word) + 2 * sizeof(more) < cap;
    int n = snprintf(list + used, cap - used, "%s%s", used == 0 ? "" : ", ", fits ? word : "...");
    return fits ? used + (size_t)n : cap;
}

static enum rec_status unknown_name(const struct rec_params *params, const char *name,
                                    struct rec_error *err) {
    const char *names[REC_PARAMS_MAX];
    char list[LIST_BYTES] = "";
    size_t used = 0;
    if (params->count == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "parameter '%s' is not known: this model takes no parameters", name);
    for (size_t i = 0; i < params->count; i++) {
        names[i] = params->table[i].name;
        used = list_word(list, sizeof(list), used, names[i]);
    }
    const char *nearest = rec_text_nearest(name, names, params->count);
    if (nearest == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "parameter '%s' is not known. Known: %s", name,
                             list);
    return rec_error_set(err, REC_BAD_INPUT, "parameter '%s' is not known; did you mean '%s'?",
                         name, nearest);
}

static enum rec_status read_bool(const struct rec_param *row, const char *text, double *out,
                                 struct rec_error *err) {
    if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
        *out = 1.0;
    else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        *out = 0.0;
    else
        return rec_error_set(err, REC_BAD_INPUT, "%s: '%.40s' is neither true nor false", row->name,
                             text);
    return REC_OK;
}

static enum rec_status read_choice(const struct rec_param *row, const char *text, double *out,
                                   struct rec_error *err) {
    char list[LIST_BYTES] = "";
    size_t used = 0;
    for (size_t i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *out = (double)i;
            return REC_OK;
        }
        used = list_word(list, sizeof(list), used, row->choices[i]);
    }
    return rec_error_set(err, REC_BAD_INPUT, "%s: '%.40s' is not one of: %s", row->name, text,
                         list);
}

static enum rec_status read_value(const struct rec_param *row, const char *text, double *out,
                                  struct rec_error *err) {
    switch (row->type) {
    case REC_PARAM_INT: {
        int64_t whole = 0;
        enum rec_status st =
            rec_text_i64(row->name, text, (int64_t)row->min, (int64_t)row->max, &whole, err);
        if (st == REC_OK)
            *out = (double)whole;
        return st;
    }
    case REC_PARAM_FLOAT:
        return rec_text_double(row->name, text, row->min, row->max, out, err);
    case REC_PARAM_BOOL:
        return read_bool(row, text, out, err);
    case REC_PARAM_CHOICE:
    case REC_PARAM_FAMILY:
        return read_choice(row, text, out, err);
    }
    return rec_error_set(err, REC_BAD_INPUT, "%s: a type no one knows", row->name);
}

/* ---- parameters of a family that a row chooses ------------------------------------------ */

static bool same_name(const char *a, const char *b) {
    size_t bytes = strcspn(a, "=");
    return bytes == strcspn(b, "=") && memcmp(a, b, bytes) == 0;
}

/* Takes the place of an earlier assignment to the same name. */
static enum rec_status set_nested(struct rec_params *params, const char *assignment,
                                  struct rec_error *err) {
    char text[sizeof(params->nested)];
    size_t used = 0, bytes = strlen(assignment);
    const char *at = params->nested;
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (!same_name(at, assignment)) {
            memcpy(text + used, at, word);
            used += word;
            text[used++] = ' ';
        }
        at += word;
    }
    if (strchr(assignment, ' ') != NULL || bytes >= ASSIGNMENT_BYTES)
        return rec_error_set(err, REC_BAD_INPUT, "'%.60s' has a space in it, or is too long",
                             assignment);
    if (used + bytes >= sizeof(text))
        return rec_error_set(err, REC_BAD_INPUT,
                             "'%.60s': the parameters of chosen families take more than %zu bytes",
                             assignment, sizeof(text) - 1);
    memcpy(text + used, assignment, bytes + 1);
    memcpy(params->nested, text, used + bytes + 1);
    return REC_OK;
}

enum rec_status rec_params_nested(const struct rec_params *params, const char *name,
                                  struct rec_params *out, struct rec_error *err) {
    char assignment[ASSIGNMENT_BYTES];
    size_t prefix = strlen(name);
    const char *at = params->nested;
    for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t word = strcspn(at, " ");
        if (word > prefix && word < sizeof(assignment) && memcmp(at, name, prefix) == 0 &&
            at[prefix] == '.') {
            struct rec_error reason = {.status = REC_OK};
            memcpy(assignment, at + prefix + 1, word - prefix - 1);
            assignment[word - prefix - 1] = '\0';
            if (rec_params_set(out, assignment, &reason) != REC_OK)
                return rec_error_set(err, reason.status, "%s: %s", name, reason.text);
        }
        at += word;
    }
    return REC_OK;
}

enum rec_status rec_params_set(struct rec_params *params, const char *assignment,
                               struct rec_error *err) {
    const char *sign = strchr(assignment, '=');
    if (sign == NULL || sign == assignment)
        return rec_error_set(err, REC_BAD_INPUT, "'%.60s' is not of the form name=value",
                             assignment);

    char name[NAME_BYTES_MAX + 1] = {0};
    size_t bytes = (size_t)(sign - assignment);
    memcpy(name, assignment, bytes < NAME_BYTES_MAX ? bytes : NAME_BYTES_MAX);
    if (bytes > NAME_BYTES_MAX)
        return unknown_name(params, name, err);

    char *dot = strchr(name, '.');
    if (dot != NULL)
        *dot = '\0';
    size_t row = find_row(params, name);
    bool chosen = row < params->count && params->table[row].type == REC_PARAM_FAMILY;
    if (dot != NULL)
        *dot = '.';
    if (dot != NULL && chosen)
        return set_nested(params, assignment, err);
    if (row == params->count || dot != NULL)
        return unknown_name(params, name, err);
    return read_value(&params->table[row], sign + 1, &params->value[row], err);
}

enum rec_status rec_params_read(struct rec_params *params, const char *text,
                                struct rec_error *err) {
    char assignment[ASSIGNMENT_BYTES];
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t bytes = strcspn(text, " ");
        if (bytes >= sizeof(assignment))
            return rec_error_set(err, REC_BAD_INPUT, "parameter '%.60s...' is too long", text);
        memcpy(assignment, text, bytes);
        assignment[bytes] = '\0';
        enum rec_status st = rec_params_set(params, assignment, err);
        if (st != REC_OK)
            return st;
        text += bytes;
    }
    return REC_OK;
}

#define WHOLE_MAX 1e9 /* beyond it the zeros are no help any more */

/* The shortest decimal that reads back to the same bits: 0.01, not 0.01000000000000000021, and 300,
 * not 3e+02. */
static void write_number(double value, char text[NUMBER_BYTES]) {
    if (fabs(value) <= WHOLE_MAX && floor(value) == value) {
        (void)snprintf(text, NUMBER_BYTES, "%.0f", value);
        return;
    }
    for (int digits = 1; digits <= DIGITS_EXACT_MAX; digits++) {
        (void)snprintf(text, NUMBER_BYTES, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

static const char *value_text(const struct rec_param *row, double value, char text[NUMBER_BYTES]) {
    switch (row->type) {
    case REC_PARAM_INT: /* never in exponent form, which reading an INT refuses */
        (void)snprintf(text, NUMBER_BYTES, "%lld", (long long)value);
        return text;
    case REC_PARAM_FLOAT:
        write_number(value, text);
        return text;
    case REC_PARAM_BOOL:
        return value != 0.0 ? "true" : "false";
    case REC_PARAM_CHOICE:
    case REC_PARAM_FAMILY:
        return row->choices[(size_t)value];
    }
    return "";
}

size_t rec_params_write(const struct rec_params *params, char *out, size_t cap) {
    size_t used = 0;
    if (cap > 0)
        out[0] = '\0';
    for (size_t i = 0; i < params->count; i++) {
        char number[NUMBER_BYTES];
        const struct rec_param *row = &params->table[i];
        size_t room = used < cap ? cap - used : 0;
        int n = snprintf(room > 0 ? out + used : NULL, room, "%s%s=%s", i == 0 ? "" : " ",
                         row->name, value_text(row, params->value[i], number));
        used += (size_t)n;
    }
    if (params->nested[0] != '\0') {
        size_t room = used < cap ? cap - used : 0;
        int n = snprintf(room > 0 ? out + used : NULL, room, " %s", params->nested);
        used += (size_t)n;
    }
    return used;
}
