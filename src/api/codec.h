/* codec: JSON that came from outside, read with every member checked. */
#ifndef RECSYSD_API_CODEC_H
#define RECSYSD_API_CODEC_H

#include "recsysd/api.h"

/* A parsed value. Only codec.c knows that it is jansson's. */
struct rec_json;

/* Where a value stands, for messages; made into text only when there is something to say.
 * NULL: "user_id"; in a list: "interactions[17].user_id", and lists nest; on a line of NDJSON:
 * "line 18: user_id". */
struct rec_codec_at {
    const struct rec_codec_at *within; /* what holds the list; NULL: the body */
    const char *list;
    size_t index;
    size_t line; /* of NDJSON, from 1; then there is no list */
};

/* Counts jansson's memory with ours. Once, before anything is parsed. */
void rec_codec_init(void);

/* An object or an array. where: "the body", "line 18"
 * owns:   *out is new, for rec_codec_free()
 * errors: BAD_INPUT (malformed, a key twice, a number no double or int64 holds, nested deeper than
 *         REC_JSON_DEPTH_MAX) with line and column; NO_MEMORY */
enum rec_status rec_codec_parse(const char *text, size_t bytes, const char *where,
                                struct rec_json **out, struct rec_error *err);
void rec_codec_free(struct rec_json **root);

/* BAD_INPUT unless it is an object whose members are all among names [count]. */
enum rec_status rec_codec_object(const struct rec_json *value, const struct rec_codec_at *at,
                                 const char *const *names, size_t count, struct rec_error *err);
/* The member, NULL when it is not there. */
struct rec_json *rec_codec_member(const struct rec_json *object, const char *key);
/* Walks an object: i = 0, 1, ... until it returns NULL. Of any type. */
struct rec_json *rec_codec_next(struct rec_json *object, void **iterator, const char **key);
/* The member as an array of min to max elements; *out NULL when it is not there. More are LIMIT. */
enum rec_status rec_codec_array(const struct rec_json *object, const char *key,
                                const struct rec_codec_at *at, size_t min, size_t max,
                                struct rec_json **out, size_t *count, struct rec_error *err);
struct rec_json *rec_codec_element(const struct rec_json *array, size_t index);
bool rec_codec_is_object(const struct rec_json *value);
bool rec_codec_is_array(const struct rec_json *value);

/* Readers of one member. Where it is not there *out stays as it is, unless it is required. Strings
 * live as long as the tree. */
enum rec_status rec_codec_id(struct rec_json *object, const char *key,
                             const struct rec_codec_at *at, bool required, const char **out,
                             struct rec_error *err);
enum rec_status rec_codec_element_id(struct rec_json *array, const struct rec_codec_at *at,
                                     const char **out, struct rec_error *err);
/* 1 to bytes_max bytes without control characters (`words`), or 0 to bytes_max without NUL */
enum rec_status rec_codec_text(const struct rec_json *object, const char *key,
                               const struct rec_codec_at *at, bool words, size_t bytes_max,
                               const char **out, struct rec_error *err);
enum rec_status rec_codec_element_text(const struct rec_json *array, const struct rec_codec_at *at,
                                       size_t bytes_max, const char **out, struct rec_error *err);
enum rec_status rec_codec_u32(const struct rec_json *object, const char *key, uint32_t min,
                              uint32_t max, uint32_t *out, struct rec_error *err);
enum rec_status rec_codec_bool(const struct rec_json *object, const char *key,
                               const struct rec_codec_at *at, bool *out, struct rec_error *err);
/* "name=value" of a number, a string or a boolean; BAD_INPUT for anything else */
enum rec_status rec_codec_assignment(const struct rec_json *value, const char *key, char *out,
                                     size_t cap, struct rec_error *err);

/* Type, value and timestamp, with their defaults: no type is "rating" with a value and "view"
 * without; no value is 1; no timestamp is now. The type is one that weights know, and points into
 * weights. */
struct rec_codec_event {
    const char *type;
    double value;
    int64_t timestamp;
};
enum rec_status rec_codec_event(const struct rec_json *object, const struct rec_codec_at *at,
                                const struct rec_weights *weights, int64_t now,
                                struct rec_codec_event *out, struct rec_error *err);

/* One interaction; strings live as long as the tree. */
enum rec_status rec_codec_interaction(struct rec_json *object, const struct rec_codec_at *at,
                                      const struct rec_weights *weights, int64_t now,
                                      struct rec_interaction *out, struct rec_error *err);

/* Steps through the lines of NDJSON that are not blank: *at and *line start at 0; false at the end.
 */
bool rec_codec_next_line(const char *text, size_t bytes, size_t *at, size_t *line,
                         const char **start, size_t *length);

/* Whether text is one JSON object; stored metrics are checked before they go into an answer. */
bool rec_codec_is_object_text(const char *text);

#endif
