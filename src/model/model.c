/* Making a model: fit, then open. A fitted model is opened exactly as one that came from a file,
 * so what a family checks and caches there is tested by every training run. */
#include <stdio.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/model.h"

enum rec_status rec_model_open(const struct rec_family *family, uint32_t items,
                               const struct rec_params *params, struct rec_tensors *tensors,
                               struct rec_model **out, struct rec_error *err) {
    struct rec_model *model = rec_alloc_array(1, sizeof(*model));
    if (model == NULL) {
        rec_tensors_finish(tensors);
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a %s model", family->name);
    }
    model->family = family;
    model->items = items;
    model->params = *params;
    model->tensors = *tensors;
    *tensors = (struct rec_tensors){.count = 0};

    enum rec_status st = family->open(model, err);
    if (st != REC_OK) {
        rec_tensors_finish(&model->tensors);
        rec_alloc_free(model);
        return st;
    }
    if (model->vectors != NULL)
        st = rec_scan_create(model->vectors, items, model->query_floats, &model->scan, err);
    if (st != REC_OK) {
        rec_model_destroy(&model);
        return st;
    }
    *out = model;
    return REC_OK;
}

void rec_model_destroy(struct rec_model **model_pointer) {
    struct rec_model *model = *model_pointer;
    if (model == NULL)
        return;
    *model_pointer = NULL;
    rec_scan_destroy(&model->scan);
    if (model->family->close != NULL)
        model->family->close(model);
    rec_tensors_finish(&model->tensors);
    rec_alloc_free(model);
}

/* What no family can learn from. */
static enum rec_status check_data(const struct rec_dataset *data, struct rec_error *err) {
    if (data->items == 0)
        return rec_error_set(err, REC_BAD_INPUT, "nothing to learn from: the catalogue is empty");
    if (data->items > REC_ITEMS_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "%u items are more than the limit of %d",
                             data->items, REC_ITEMS_MAX);
    uint64_t events = data->offset[data->users];
    for (uint64_t i = 0; i < events; i++)
        if (data->weight[i] > 0.0f)
            return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "nothing to learn from: none of the %llu interactions of %u users weighs "
                         "more than 0; weights and rating-min say what one weighs",
                         (unsigned long long)events, data->users);
}

/* Before it starts: a fit that the kernel kills takes the daemon with it. */
static enum rec_status check_memory(const struct rec_family *family, const struct rec_fit *fit,
                                    struct rec_error *err) {
    if (fit->memory_bytes_max == 0 || family->fit_bytes == NULL)
        return REC_OK;
    size_t bytes = family->fit_bytes(fit);
    if (bytes <= fit->memory_bytes_max)
        return REC_OK;
    return rec_error_set(err, REC_LIMIT,
                         "%s: training on %u items and %u users takes about %.0f MB of memory, the "
                         "cap is %.0f MB; raise it (memory-mb), or choose a model or parameters "
                         "that need less",
                         family->name, fit->data->items, fit->data->users, (double)bytes / 1048576,
                         (double)fit->memory_bytes_max / 1048576);
}

enum rec_status rec_model_fit(const struct rec_family *family, const struct rec_fit *fit,
                              struct rec_model **out, struct rec_error *err) {
    struct rec_tensors tensors = {.count = 0};
    if (fit->start != NULL && !family->goes_on)
        return rec_error_set(err, REC_BAD_INPUT,
                             "%s does not go on from an earlier model; leave the start out",
                             family->name);
    enum rec_status st = check_data(fit->data, err);
    if (st != REC_OK)
        return st;
    st = check_memory(family, fit, err);
    if (st != REC_OK)
        return st;
    st = family->fit(fit, &tensors, err);
    if (st != REC_OK)
        return st;
    return rec_model_open(family, fit->data->items, fit->params, &tensors, out, err);
}

enum rec_status rec_family_find(const struct rec_family *const *families, const char *name,
                                const struct rec_family **out, struct rec_error *err) {
    enum { NAMES_MAX = 64, LIST_BYTES = 320 };
    const char *names[NAMES_MAX];
    char list[LIST_BYTES] = "";
    size_t count = 0, used = 0;
    for (; families[count] != NULL && count < NAMES_MAX; count++) {
        names[count] = families[count]->name;
        if (strcmp(names[count], name) == 0) {
            *out = families[count];
            return REC_OK;
        }
        int n = snprintf(list + used, sizeof(list) - used, "%s%s", count == 0 ? "" : ", ",
                         names[count]);
        used = used + (size_t)n < sizeof(list) ? used + (size_t)n : sizeof(list) - 1;
    }
    const char *nearest = rec_text_nearest(name, names, count);
    if (nearest != NULL)
        return rec_error_set(err, REC_BAD_INPUT,
                             "model '%.40s' is not known; did you mean '%s'? Known: %s", name,
                             nearest, list);
    return rec_error_set(err, REC_BAD_INPUT, "model '%.40s' is not known. Known: %s", name, list);
}
