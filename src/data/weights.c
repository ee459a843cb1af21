/* Weights of interaction types, and the one rule of what a rating says. */
#include <string.h>

#include "recsysd/data.h"

#define WEIGHT_MAX 1000.0

void rec_weights_defaults(struct rec_weights *weights) {
    *weights = (struct rec_weights){
        .type = {{"view", 0.2f, false},
                 {"click", 0.3f, false},
                 {"to_cart", 0.6f, false},
                 {"favorite", 1.0f, false},
                 {"order", 1.0f, false},
                 {"rating", 1.0f, false}},
        .count = 6,
        .rating_min = 4.0,
    };
}

/* The row of the type, or weights->count. */
static size_t find_type(const struct rec_weights *weights, const char *type) {
    size_t i = 0;
    while (i < weights->count && strcmp(weights->type[i].name, type) != 0)
        i++;
    return i;
}

static bool is_name(const char *name) {
    size_t allowed = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_.-");
    return allowed > 0 && name[allowed] == '\0';
}

/* One "order=1", given by its bounds; `part` is where it is copied to be cut. */
static enum rec_status set_one(struct rec_weights *weights, const char *text, size_t bytes,
                               struct rec_error *err) {
    char part[REC_TYPE_BYTES_MAX + 64];
    if (bytes >= sizeof(part))
        return rec_error_set(err, REC_BAD_INPUT, "weights: '%.40s' is too long", text);
    memcpy(part, text, bytes);
    part[bytes] = '\0';
    char *value = strchr(part, '=');
    if (value == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "weights: '%s' is not type=weight", part);
    *value++ = '\0';
    if (!is_name(part) || strlen(part) > REC_TYPE_BYTES_MAX)
        return rec_error_set(err, REC_BAD_INPUT,
                             "weights: '%.40s' is not a type: 1 to %d letters, digits, '_', '.' "
                             "or '-'",
                             part, REC_TYPE_BYTES_MAX);

    char field[REC_TYPE_BYTES_MAX + 16] = "weight of ";
    memcpy(field + strlen(field), part, strlen(part) + 1);
    double weight = 0.0;
    bool by_value = strcmp(value, "value") == 0;
    enum rec_status st =
        by_value ? REC_OK : rec_text_double(field, value, 0.0, WEIGHT_MAX, &weight, err);
    if (st != REC_OK)
        return st;
    size_t row = find_type(weights, part);
    if (row == REC_TYPES_MAX)
        return rec_error_set(err, REC_LIMIT, "weights: '%s' would be type %d; the limit is %d",
                             part, REC_TYPES_MAX + 1, REC_TYPES_MAX);
    memcpy(weights->type[row].name, part, strlen(part) + 1);
    weights->type[row].weight = (float)weight;
    weights->type[row].by_value = by_value;
    if (row == weights->count)
        weights->count++;
    return REC_OK;
}

enum rec_status rec_weights_set(struct rec_weights *weights, const char *text,
                                struct rec_error *err) {
    struct rec_weights changed = *weights; /* all of the text counts, or nothing */
    for (;;) {
        size_t bytes = strcspn(text, ",");
        enum rec_status st = set_one(&changed, text, bytes, err);
        if (st != REC_OK)
            return st;
        if (text[bytes] == '\0')
            break;
        text += bytes + 1;
    }
    *weights = changed;
    return REC_OK;
}

bool rec_weights_known(const struct rec_weights *weights, const char *type) {
    return find_type(weights, type) < weights->count;
}

/* False for a type that is not known, which has no row. */
bool rec_weights_by_value(const struct rec_weights *weights, const char *type) {
    size_t row = find_type(weights, type);
    return row < weights->count && weights->type[row].by_value;
}

float rec_weights_of(const struct rec_weights *weights, const char *type, double value) {
    /* Written so that a NaN, should one get here, is not a like. */
    if (strcmp(type, "rating") == 0 && !(value >= weights->rating_min))
        return REC_WEIGHT_DISLIKED;
    size_t row = find_type(weights, type);
    if (row == weights->count)
        return 0.0f;
    if (!weights->type[row].by_value)
        return weights->type[row].weight;
    return !(value > 0.0) ? 0.0f : value < WEIGHT_MAX ? (float)value : (float)WEIGHT_MAX;
}
