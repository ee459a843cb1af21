/* Which models an evaluation compares: "popularity,als,big=als", and their parameters:
 * "big.factors=256". */
#include <stdlib.h>
#include <string.h>

#include "evaluate.h"

static enum rec_status add_model(const char *label, size_t label_bytes, const char *family,
                                 struct evaluate_model *models, size_t *count,
                                 struct rec_error *err) {
    if (*count == EVALUATE_MODELS_MAX)
        return rec_error_set(err, REC_LIMIT, "models: more than %d", EVALUATE_MODELS_MAX);
    struct evaluate_model *model = &models[*count];
    if (label_bytes == 0 || label_bytes >= sizeof(model->label) ||
        memchr(label, '.', label_bytes) != NULL)
        return rec_error_set(
            err, REC_BAD_INPUT, "models: '%.*s' is not a name of 1 to %d bytes without '.'",
            (int)(label_bytes < 60 ? label_bytes : 60), label, REC_REPORT_LABEL_BYTES - 1);
    memcpy(model->label, label, label_bytes);
    model->label[label_bytes] = '\0';
    for (size_t i = 0; i < *count; i++)
        if (strcmp(models[i].label, model->label) == 0)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "models: '%s' is given twice; one family can have several names: "
                                 "small=als,big=als",
                                 model->label);
    struct rec_error cause = {0};
    enum rec_status st = rec_family_find(rec_families, family, &model->family, &cause);
    if (st != REC_OK)
        return rec_error_set(err, REC_BAD_INPUT, "models: %s", cause.text);
    rec_params_defaults(model->family->params, model->family->param_count, &model->params);
    (*count)++;
    return REC_OK;
}

static enum rec_status read_one(const char *part, size_t bytes, struct evaluate_model *models,
                                size_t *count, struct rec_error *err) {
    char family[REC_REPORT_LABEL_BYTES];
    const char *equals = memchr(part, '=', bytes);
    const char *name = equals == NULL ? part : equals + 1;
    size_t name_bytes = bytes - (size_t)(name - part);
    if (name_bytes == 0 || name_bytes >= sizeof(family))
        return rec_error_set(err, REC_BAD_INPUT, "models: '%.*s' names no family",
                             (int)(bytes < 60 ? bytes : 60), part);
    memcpy(family, name, name_bytes);
    family[name_bytes] = '\0';
    size_t label_bytes = equals == NULL ? bytes : (size_t)(equals - part);
    return add_model(part, label_bytes, family, models, count, err);
}

static enum rec_status read_list(const char *text, struct evaluate_model *models, size_t *count,
                                 struct rec_error *err) {
    enum rec_status st = REC_OK;
    if (strcmp(text, "all") == 0) {
        for (size_t f = 0; st == REC_OK && rec_families[f] != NULL; f++)
            st = add_model(rec_families[f]->name, strlen(rec_families[f]->name),
                           rec_families[f]->name, models, count, err);
        return st;
    }
    for (const char *part = text; st == REC_OK;) {
        size_t bytes = strcspn(part, ",");
        st = read_one(part, bytes, models, count, err);
        if (part[bytes] == '\0')
            return st;
        part += bytes + 1;
    }
    return st;
}

enum rec_status evaluate_models_set(const char *text, struct evaluate_model *models, size_t count,
                                    struct rec_error *err) {
    const char *names[EVALUATE_MODELS_MAX];
    char label[REC_REPORT_LABEL_BYTES];
    size_t bytes = strcspn(text, ".=");
    if (text[bytes] != '.' || bytes == 0 || bytes >= sizeof(label))
        return rec_error_set(err, REC_BAD_INPUT, "set: '%.60s' is not MODEL.NAME=VALUE", text);
    memcpy(label, text, bytes);
    label[bytes] = '\0';
    for (size_t i = 0; i < count; i++) {
        names[i] = models[i].label;
        if (strcmp(names[i], label) == 0)
            return rec_params_set(&models[i].params, text + bytes + 1, err);
    }
    const char *near = rec_text_nearest(label, names, count);
    return rec_error_set(err, REC_BAD_INPUT, "set: '%s' is none of the models%s%s%s", label,
                         near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                         near == NULL ? "" : "?");
}

enum rec_status evaluate_models_read(const struct config *config, struct evaluate_model *models,
                                     size_t *count, struct rec_error *err) {
    *count = 0;
    enum rec_status st = read_list(config_text(config, SET_MODELS), models, count, err);
    for (size_t i = 0; st == REC_OK && i < config->list_count; i++)
        st = evaluate_models_set(config->list[i], models, *count, err);
    for (size_t i = 0; st == REC_OK && i < *count; i++) {
        struct rec_error cause = {0};
        if (rec_families_check(&models[i].params, &cause) != REC_OK)
            st = rec_error_set(err, cause.status, "set: %s: %s", models[i].label, cause.text);
    }
    return st;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

enum rec_status evaluate_ks_read(const char *text, uint32_t *ks, size_t *count,
                                 struct rec_error *err) {
    size_t read = 0, distinct = 0;
    for (const char *part = text;;) {
        char number[16];
        int64_t k;
        size_t bytes = strcspn(part, ",");
        if (read == REC_REPORT_KS_MAX || bytes >= sizeof(number))
            return rec_error_set(err, REC_BAD_INPUT, "k: '%.60s' is not up to %d whole numbers",
                                 text, REC_REPORT_KS_MAX);
        memcpy(number, part, bytes);
        number[bytes] = '\0';
        enum rec_status st = rec_text_i64("k", number, 1, REC_K_MAX, &k, err);
        if (st != REC_OK)
            return st;
        ks[read++] = (uint32_t)k;
        if (part[bytes] == '\0')
            break;
        part += bytes + 1;
    }
    qsort(ks, read, sizeof(*ks), by_value);
    for (size_t i = 0; i < read; i++)
        if (i == 0 || ks[i] != ks[i - 1])
            ks[distinct++] = ks[i];
    *count = distinct;
    return REC_OK;
}
