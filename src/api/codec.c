/* JSON from outside. jansson parses; this file checks, and is the only one that knows jansson.
 *
 * Three things jansson leaves to us. It recurses, so nesting is measured before it starts. It
 * takes integers where we want ids: an id may be sent as an integer and is from here on a string,
 * put back into the tree so that its memory has one owner. And its messages know line and column
 * but not the member, so every reader here names the member it reads. Duplicate keys are refused
 * by JSON_REJECT_DUPLICATES, numbers that no double holds by the parser itself; NUL characters are
 * let through it only so that they can be refused by name. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recsysd/api.h"

#include "codec.h"

enum { NAME_BYTES = 128 };

static json_t *raw(const struct rec_json *value) {
    return (json_t *)(uintptr_t)value;
}

/* jansson tells a few failed allocations as bad JSON, and some as nothing at all. */
static _Thread_local bool out_of_memory;

static void *allocate(size_t bytes) {
    void *block = rec_alloc_array(bytes, 1);
    out_of_memory = out_of_memory || block == NULL;
    return block;
}

void rec_codec_init(void) {
    json_set_alloc_funcs(allocate, rec_alloc_free);
    json_object_seed(0); /* from the system's random numbers; before there are threads */
}

/* ---- parsing ------------------------------------------------------------------- */

/* Brackets in strings do not count. Malformed text may pass: the parser sees it next. */
static bool too_deep(const char *text, size_t bytes) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '[') && ++depth > REC_JSON_DEPTH_MAX)
            return true;
        else if (!quoted && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

enum rec_status rec_codec_parse(const char *text, size_t bytes, const char *where,
                                struct rec_json **out, struct rec_error *err) {
    json_error_t error;
    if (too_deep(text, bytes))
        return rec_error_set(err, REC_BAD_INPUT, "%s is nested deeper than %d levels", where,
                             REC_JSON_DEPTH_MAX);
    out_of_memory = false;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (root == NULL && out_of_memory)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to read %s of %zu bytes", where, bytes);
    if (root == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s is not valid JSON: %s (line %d, column %d)",
                             where, error.text, error.line, error.column);
    *out = (struct rec_json *)root;
    return REC_OK;
}

void rec_codec_free(struct rec_json **root) {
    if (root == NULL || *root == NULL)
        return;
    json_decref(raw(*root));
    *root = NULL;
}

bool rec_codec_is_object_text(const char *text) {
    struct rec_json *root = NULL;
    if (rec_codec_parse(text, strlen(text), "", &root, NULL) != REC_OK)
        return false;
    bool object = json_is_object(raw(root));
    rec_codec_free(&root);
    return object;
}

/* ---- names and values in messages -------------------------------------------------- */

enum { PLACE_BYTES = 48 };

/* "items[3]" or "line 18"; returns what goes between it and what stands in it. */
static const char *place_of(const struct rec_codec_at *at, char place[PLACE_BYTES]) {
    place[0] = '\0';
    if (at != NULL && at->list != NULL) {
        snprintf(place, PLACE_BYTES, "%s[%zu]", at->list, at->index);
        return ".";
    }
    if (at == NULL || at->line == 0)
        return "";
    snprintf(place, PLACE_BYTES, "line %zu", at->line);
    return ": ";
}

/* key "": the value that stands there itself. */
static const char *name_of(const struct rec_codec_at *at, const char *key, char name[NAME_BYTES]) {
    char outer[PLACE_BYTES], inner[PLACE_BYTES];
    const char *outer_mark = place_of(at == NULL ? NULL : at->within, outer);
    const char *inner_mark = place_of(at, inner);
    if (key[0] == '\0')
        inner_mark = inner[0] == '\0' ? "the body" : "";
    snprintf(name, NAME_BYTES, "%s%s%s%s%s", outer, outer_mark, inner, inner_mark, key);
    return name;
}

static const char *type_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something else";
}

static enum rec_status wrong_type(const struct rec_codec_at *at, const char *key,
                                  const json_t *value, const char *wanted, struct rec_error *err) {
    char name[NAME_BYTES];
    return rec_error_set(err, REC_BAD_INPUT, "%s is %s; it must be %s", name_of(at, key, name),
                         type_of(value), wanted);
}

/* ---- objects and arrays ---------------------------------------------------------------- */

enum rec_status rec_codec_object(const struct rec_json *value, const struct rec_codec_at *at,
                                 const char *const *names, size_t count, struct rec_error *err) {
    char name[NAME_BYTES];
    const char *key;
    json_t *member;
    if (!json_is_object(raw(value)))
        return wrong_type(at, "", raw(value), "an object", err);
    json_object_foreach(raw(value), key, member) {
        size_t n = 0;
        while (n < count && strcmp(key, names[n]) != 0)
            n++;
        if (n < count)
            continue;
        const char *near = rec_text_nearest(key, names, count);
        if (near != NULL)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "%s: unknown member '%.64s'; did you mean '%s'?",
                                 name_of(at, "", name), key, near);
        return rec_error_set(err, REC_BAD_INPUT, "%s: unknown member '%.64s'",
                             name_of(at, "", name), key);
    }
    return REC_OK;
}

struct rec_json *rec_codec_member(const struct rec_json *object, const char *key) {
    return (struct rec_json *)json_object_get(raw(object), key);
}

struct rec_json *rec_codec_next(struct rec_json *object, void **iterator, const char **key) {
    *iterator = *iterator == NULL ? json_object_iter(raw(object))
                                  : json_object_iter_next(raw(object), *iterator);
    if (*iterator == NULL)
        return NULL;
    *key = json_object_iter_key(*iterator);
    return (struct rec_json *)json_object_iter_value(*iterator);
}

enum rec_status rec_codec_array(const struct rec_json *object, const char *key,
                                const struct rec_codec_at *at, size_t min, size_t max,
                                struct rec_json **out, size_t *count, struct rec_error *err) {
    char name[NAME_BYTES];
    json_t *array = json_object_get(raw(object), key);
    *out = NULL;
    *count = 0;
    if (array == NULL)
        return REC_OK;
    if (!json_is_array(array))
        return wrong_type(at, key, array, "an array", err);
    size_t size = json_array_size(array);
    if (size < min)
        return rec_error_set(err, REC_BAD_INPUT, "%s has %zu elements; it needs at least %zu",
                             name_of(at, key, name), size, min);
    if (size > max)
        return rec_error_set(err, REC_LIMIT, "%s has %zu elements; the limit is %zu",
                             name_of(at, key, name), size, max);
    *out = (struct rec_json *)array;
    *count = size;
    return REC_OK;
}

struct rec_json *rec_codec_element(const struct rec_json *array, size_t index) {
    return (struct rec_json *)json_array_get(raw(array), index);
}

bool rec_codec_is_object(const struct rec_json *value) {
    return json_is_object(raw(value));
}

bool rec_codec_is_array(const struct rec_json *value) {
    return json_is_array(raw(value));
}

/* ---- ids and texts ----------------------------------------------------------------------- */

/* The name of the member is made only for a text that is refused: a batch has thousands. */
static enum rec_status check_text(const struct rec_codec_at *at, const char *key,
                                  const json_t *value, size_t bytes_max, struct rec_error *err) {
    const char *text = json_string_value(value);
    size_t bytes = json_string_length(value);
    char name[NAME_BYTES];
    if (rec_text_check_id("", text, bytes, NULL) != REC_OK)
        return rec_text_check_id(name_of(at, key, name), text, bytes, err);
    if (bytes > bytes_max)
        return rec_error_set(err, REC_BAD_INPUT, "%s has %zu bytes; the limit is %zu",
                             name_of(at, key, name), bytes, bytes_max);
    return REC_OK;
}

/* To JSON 5.0 is the integer 5, and some languages write it so; past 2^53 a double is no longer
 * exact, and what was meant is anybody's guess. */
static bool integer_of(const json_t *value, int64_t *out) {
    const double exact_max = 9007199254740992.0;
    double real = json_real_value(value);
    if (json_is_integer(value))
        *out = json_integer_value(value);
    else if (json_is_real(value) && fabs(real) <= exact_max && real == floor(real))
        *out = (int64_t)real;
    else
        return false;
    return true;
}

/* An integer becomes the string of its digits; *value is then the caller's to put into the tree. */
static enum rec_status id_of(const struct rec_codec_at *at, const char *key, json_t **value,
                             struct rec_error *err) {
    int64_t integer;
    if (integer_of(*value, &integer)) {
        char digits[24];
        snprintf(digits, sizeof(digits), "%" PRId64, integer);
        *value = json_string(digits);
        return *value != NULL ? REC_OK : rec_error_set(err, REC_NO_MEMORY, "no memory for an id");
    }
    if (!json_is_string(*value))
        return wrong_type(at, key, *value, "a string or an integer", err);
    return check_text(at, key, *value, REC_ID_BYTES_MAX, err);
}

enum rec_status rec_codec_id(struct rec_json *object, const char *key,
                             const struct rec_codec_at *at, bool required, const char **out,
                             struct rec_error *err) {
    char name[NAME_BYTES];
    json_t *sent = json_object_get(raw(object), key), *value = sent;
    if (value == NULL && required)
        return rec_error_set(err, REC_BAD_INPUT, "%s is missing", name_of(at, key, name));
    if (value == NULL)
        return REC_OK;
    enum rec_status st = id_of(at, key, &value, err);
    if (st != REC_OK)
        return st;
    if (value != sent && json_object_set_new(raw(object), key, value) != 0)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for an id");
    *out = json_string_value(value);
    return REC_OK;
}

enum rec_status rec_codec_element_id(struct rec_json *array, const struct rec_codec_at *at,
                                     const char **out, struct rec_error *err) {
    json_t *sent = json_array_get(raw(array), at->index), *value = sent;
    enum rec_status st = id_of(at, "", &value, err);
    if (st != REC_OK)
        return st;
    if (value != sent && json_array_set_new(raw(array), at->index, value) != 0)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for an id");
    *out = json_string_value(value);
    return REC_OK;
}

static enum rec_status check_prose(const struct rec_codec_at *at, const char *key,
                                   const json_t *value, size_t bytes_max, struct rec_error *err) {
    char name[NAME_BYTES];
    size_t bytes = json_string_length(value);
    if (bytes > bytes_max)
        return rec_error_set(err, REC_BAD_INPUT, "%s has %zu bytes; the limit is %zu",
                             name_of(at, key, name), bytes, bytes_max);
    if (strlen(json_string_value(value)) != bytes)
        return rec_error_set(err, REC_BAD_INPUT, "%s holds a NUL character",
                             name_of(at, key, name));
    return REC_OK;
}

enum rec_status rec_codec_text(const struct rec_json *object, const char *key,
                               const struct rec_codec_at *at, bool words, size_t bytes_max,
                               const char **out, struct rec_error *err) {
    json_t *value = json_object_get(raw(object), key);
    if (value == NULL)
        return REC_OK;
    if (!json_is_string(value))
        return wrong_type(at, key, value, "a string", err);
    enum rec_status st = words ? check_text(at, key, value, bytes_max, err)
                               : check_prose(at, key, value, bytes_max, err);
    if (st == REC_OK)
        *out = json_string_value(value);
    return st;
}

enum rec_status rec_codec_element_text(const struct rec_json *array, const struct rec_codec_at *at,
                                       size_t bytes_max, const char **out, struct rec_error *err) {
    json_t *value = json_array_get(raw(array), at->index);
    if (!json_is_string(value))
        return wrong_type(at, "", value, "a string", err);
    enum rec_status st = check_text(at, "", value, bytes_max, err);
    if (st == REC_OK)
        *out = json_string_value(value);
    return st;
}

/* ---- numbers and flags ---------------------------------------------------------------------- */

enum rec_status rec_codec_u32(const struct rec_json *object, const char *key, uint32_t min,
                              uint32_t max, uint32_t *out, struct rec_error *err) {
    json_t *value = json_object_get(raw(object), key);
    if (value == NULL)
        return REC_OK;
    int64_t number;
    if (!integer_of(value, &number))
        return wrong_type(NULL, key, value, "an integer", err);
    if (number < (int64_t)min || number > (int64_t)max)
        return rec_error_set(err, REC_BAD_INPUT, "%s is %" PRId64 "; it must be %u to %u", key,
                             number, min, max);
    *out = (uint32_t)number;
    return REC_OK;
}

enum rec_status rec_codec_bool(const struct rec_json *object, const char *key,
                               const struct rec_codec_at *at, bool *out, struct rec_error *err) {
    json_t *value = json_object_get(raw(object), key);
    if (value == NULL)
        return REC_OK;
    if (!json_is_boolean(value))
        return wrong_type(at, key, value, "true or false", err);
    *out = json_is_true(value);
    return REC_OK;
}

enum rec_status rec_codec_assignment(const struct rec_json *value, const char *key, char *out,
                                     size_t cap, struct rec_error *err) {
    json_t *given = raw(value);
    int n = -1;
    if (json_is_string(given) && strlen(json_string_value(given)) == json_string_length(given))
        n = snprintf(out, cap, "%s=%s", key, json_string_value(given));
    else if (json_is_integer(given))
        n = snprintf(out, cap, "%s=%lld", key, (long long)json_integer_value(given));
    else if (json_is_real(given))
        n = snprintf(out, cap, "%s=%.17g", key, json_real_value(given));
    else if (json_is_boolean(given))
        n = snprintf(out, cap, "%s=%s", key, json_is_true(given) ? "true" : "false");
    else if (!json_is_string(given))
        return rec_error_set(err, REC_BAD_INPUT,
                             "set: %.64s is %s; it must be a number, a string or a boolean", key,
                             type_of(given));
    if (n < 0 || (size_t)n >= cap)
        return rec_error_set(err, REC_BAD_INPUT, "set: the value of %.64s is not one", key);
    return REC_OK;
}

/* ---- interactions
 * -------------------------------------------------------------------------------- */

static enum rec_status known_type(const struct rec_weights *weights, const char *sent,
                                  const struct rec_codec_at *at, const char **out,
                                  struct rec_error *err) {
    char name[NAME_BYTES], known[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const char *type = weights->type[i].name;
        if (strcmp(type, sent) == 0) {
            *out = type;
            return REC_OK;
        }
        if (used + strlen(type) + 3 < sizeof(known))
            used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
                                     used == 0 ? "" : ", ", type);
    }
    return rec_error_set(err, REC_BAD_INPUT, "%s is '%.64s', which is not known; known are %s",
                         name_of(at, "type", name), sent, known);
}

static enum rec_status read_timestamp(const json_t *value, const struct rec_codec_at *at,
                                      int64_t now, int64_t *out, struct rec_error *err) {
    char name[NAME_BYTES];
    int64_t time = 0;
    bool number = integer_of(value, &time);
    if (!number && !json_is_string(value))
        return wrong_type(at, "timestamp", value, "Unix seconds or RFC 3339", err);
    if (!number && (strlen(json_string_value(value)) != json_string_length(value) ||
                    rec_clock_parse(json_string_value(value), &time) != REC_OK))
        return rec_error_set(err, REC_BAD_INPUT, "%s is '%.40s', which is not RFC 3339",
                             name_of(at, "timestamp", name), json_string_value(value));
    if (time < 0)
        return rec_error_set(err, REC_BAD_INPUT, "%s is %" PRId64 ", before 1970",
                             name_of(at, "timestamp", name), time);
    if (time > now + REC_TIMESTAMP_FUTURE_S_MAX)
        return rec_error_set(err, REC_BAD_INPUT,
                             "%s is %" PRId64 ", more than %d seconds ahead of the server's clock "
                             "(%" PRId64 ")",
                             name_of(at, "timestamp", name), time, REC_TIMESTAMP_FUTURE_S_MAX, now);
    *out = time;
    return REC_OK;
}

enum rec_status rec_codec_event(const struct rec_json *object, const struct rec_codec_at *at,
                                const struct rec_weights *weights, int64_t now,
                                struct rec_codec_event *out, struct rec_error *err) {
    char name[NAME_BYTES];
    json_t *value = json_object_get(raw(object), "value");
    json_t *time = json_object_get(raw(object), "timestamp");
    struct rec_codec_event event = {NULL, 1.0, now};
    const char *type = value != NULL ? "rating" : "view";

    enum rec_status st = rec_codec_text(object, "type", at, true, REC_TYPE_BYTES_MAX, &type, err);
    if (st == REC_OK)
        st = known_type(weights, type, at, &event.type, err);
    if (st != REC_OK)
        return st;
    if (value != NULL && !json_is_number(value))
        return wrong_type(at, "value", value, "a number", err);
    if (value == NULL && strcmp(type, "rating") == 0)
        return rec_error_set(err, REC_BAD_INPUT, "%s is missing; a rating needs one",
                             name_of(at, "value", name));
    if (value != NULL)
        event.value = json_number_value(value);
    if (!isfinite(event.value)) /* the parser refuses these; a second lock on the door */
        return rec_error_set(err, REC_BAD_INPUT, "%s is not finite", name_of(at, "value", name));
    if (time != NULL)
        st = read_timestamp(time, at, now, &event.timestamp, err);
    if (st == REC_OK)
        *out = event;
    return st;
}

enum rec_status rec_codec_interaction(struct rec_json *object, const struct rec_codec_at *at,
                                      const struct rec_weights *weights, int64_t now,
                                      struct rec_interaction *out, struct rec_error *err) {
    static const char *const names[] = {"user_id", "item_id",   "type",
                                        "value",   "timestamp", "event_id"};
    struct rec_interaction row = {0};
    struct rec_codec_event event = {0};
    enum rec_status st = rec_codec_object(object, at, names, 6, err);
    if (st == REC_OK)
        st = rec_codec_id(object, "user_id", at, true, &row.user_id, err);
    if (st == REC_OK)
        st = rec_codec_id(object, "item_id", at, true, &row.item_id, err);
    if (st == REC_OK)
        st = rec_codec_id(object, "event_id", at, false, &row.event_id, err);
    if (st == REC_OK)
        st = rec_codec_event(object, at, weights, now, &event, err);
    if (st != REC_OK)
        return st;
    row.type = event.type;
    row.value = event.value;
    row.timestamp = event.timestamp;
    *out = row;
    return REC_OK;
}

/* ---- NDJSON ----------------------------------------------------------------------------- */

bool rec_codec_next_line(const char *text, size_t bytes, size_t *at, size_t *line,
                         const char **start, size_t *length) {
    while (*at < bytes) {
        const char *begin = text + *at, *end = memchr(begin, '\n', bytes - *at);
        size_t n = end == NULL ? bytes - *at : (size_t)(end - begin);
        *at += n + 1;
        ++*line;
        if (n > 0 && begin[n - 1] == '\r')
            n--;
        if (n == 0)
            continue;
        *start = begin;
        *length = n;
        return true;
    }
    return false;
}

/* ---- NDJSON files, for import
 * --------------------------------------------------------------------- */

struct rec_codec_line {
    const struct rec_weights *weights; /* borrowed from the creator */
    struct rec_json *root;             /* of the last line: its strings are in use */
};

struct rec_codec_line *rec_codec_line_create(const struct rec_weights *weights) {
    struct rec_codec_line *line = rec_alloc_array(1, sizeof(*line));
    if (line != NULL)
        line->weights = weights;
    return line;
}

void rec_codec_line_destroy(struct rec_codec_line **line) {
    if (line == NULL || *line == NULL)
        return;
    rec_codec_free(&(*line)->root);
    rec_alloc_free(*line);
    *line = NULL;
}

enum rec_status rec_codec_line_parse(void *line, const char *text, size_t bytes,
                                     struct rec_interaction *out, struct rec_error *err) {
    struct rec_codec_line *self = line;
    rec_codec_free(&self->root);
    enum rec_status st = rec_codec_parse(text, bytes, "it", &self->root, err);
    if (st != REC_OK)
        return st;
    return rec_codec_interaction(self->root, NULL, self->weights, rec_clock_unix_s(), out, err);
}
