/* Early stopping. The model is judged by the code that judges everything else (eval), as a model,
 * with the fold-in it will answer requests with: loss on held-out events is no measure of lists.
 *
 * Users are asked for their last liked event, because that is what comes next; every n-th of those
 * who have enough of them, so that the sample does not depend on a seed. */
#include "earlystop.h"

#include <string.h>

#include "recsysd/eval.h"

enum {
    KEPT_MIN = 2, /* liked events: users who would keep fewer are not asked */
    USERS_MAX = 2000,
    USERS_ENOUGH = 10, /* fewer tell nothing */
    CUT = 10,
};

/* The last liked event of a user who likes enough besides its item, or false. */
static bool last_liked(const struct rec_dataset *data, uint32_t user, uint64_t *event) {
    uint64_t begin = data->offset[user], end = data->offset[user + 1];
    size_t kept = 0;
    while (end > begin && !(data->weight[end - 1] > 0.0f))
        end--;
    if (end == begin)
        return false;
    *event = end - 1;
    for (uint64_t e = begin; e < end; e++)
        kept += data->weight[e] > 0.0f && data->item[e] != data->item[end - 1];
    return kept >= KEPT_MIN;
}

static size_t count_users(const struct rec_dataset *data) {
    size_t count = 0;
    uint64_t event;
    for (uint32_t u = 0; u < data->users; u++)
        count += last_liked(data, u, &event);
    return count;
}

/* Splits rows [all events] into what is kept, from the front, and what is held out, from the end.
 * An item is held out with all of the user's events of it. */
static size_t hold_out(const struct rec_dataset *data, size_t step, struct rec_dataset_row *rows) {
    uint64_t kept = 0, end = data->offset[data->users];
    size_t able = 0;
    for (uint32_t u = 0; u < data->users; u++) {
        uint64_t chosen = 0;
        bool asked = last_liked(data, u, &chosen) && able++ % step == 0;
        for (uint64_t e = data->offset[u]; e < data->offset[u + 1]; e++) {
            struct rec_dataset_row row = {u, data->item[e], data->time[e], data->weight[e]};
            if (asked && e == chosen)
                rows[--end] = row;
            else if (!asked || row.item != data->item[chosen])
                rows[kept++] = row;
        }
    }
    return (size_t)kept;
}

/* Two datasets and a split of them. */
static enum rec_status make_split(struct rec_earlystop *stop, const struct rec_dataset *data,
                                  size_t step, struct rec_error *err) {
    size_t events = (size_t)data->offset[data->users];
    struct rec_dataset_row *rows = rec_alloc_array(events, sizeof(*rows));
    if (rows == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to hold out users of %zu events",
                             events);
    size_t kept = hold_out(data, step, rows), asked = (count_users(data) + step - 1) / step;
    enum rec_status st =
        rec_dataset_from_rows(rows, kept, data->users, data->items, &stop->part, err);
    if (st == REC_OK)
        st = rec_dataset_from_rows(rows + events - asked, asked, data->users, data->items,
                                   &stop->held_out, err);
    rec_alloc_free(rows);
    if (st != REC_OK)
        return st;
    return rec_split_of_parts(stop->part, NULL, stop->held_out, false, &stop->split, err);
}

enum rec_status rec_earlystop_begin(struct rec_earlystop *stop, const struct rec_fit *fit,
                                    const struct rec_family *family, size_t patience,
                                    struct rec_error *err) {
    *stop = (struct rec_earlystop){
        .train = fit->data, .best = -1, .fit = fit, .family = family, .patience = patience};
    size_t able = patience == 0 ? 0 : count_users(fit->data);
    if (able < USERS_ENOUGH)
        return REC_OK;
    enum rec_status st = make_split(stop, fit->data, (able + USERS_MAX - 1) / USERS_MAX, err);
    if (st != REC_OK) {
        rec_earlystop_end(stop, NULL);
        return st;
    }
    stop->train = stop->part;
    stop->on = true;
    return REC_OK;
}

static enum rec_status evaluate(const struct rec_earlystop *stop, const struct rec_model *model,
                                double *ndcg, struct rec_error *err) {
    static const uint32_t k = CUT;
    const struct rec_progress *watched = stop->fit->progress;
    const struct rec_progress quiet = {.cancel = watched == NULL ? NULL : watched->cancel};
    const struct rec_evaluate_options options = {
        .ks = &k, .k_count = 1, .pool = stop->fit->pool, .progress = &quiet};
    struct rec_ranking ranking;
    enum rec_status st = rec_evaluate(model, stop->split, &options, &ranking, err);
    if (st == REC_OK)
        *ndcg = ranking.ndcg;
    return st;
}

/* Keeps the model or destroys it. */
static void settle(struct rec_earlystop *stop, struct rec_model *model, double ndcg) {
    if (ndcg > stop->best) {
        rec_model_destroy(&stop->model);
        stop->model = model;
        stop->best = ndcg;
        stop->since = 0;
        return;
    }
    rec_model_destroy(&model);
    stop->done = ++stop->since >= stop->patience;
}

enum rec_status rec_earlystop_judge(struct rec_earlystop *stop, const struct rec_tensors *now,
                                    size_t epoch, struct rec_error *err) {
    struct rec_tensors copy = {.count = 0};
    struct rec_model *model = NULL;
    double ndcg = 0;
    if (!stop->on)
        return REC_OK;
    enum rec_status st = rec_tensors_copy(now, &copy, err);
    if (st == REC_OK)
        st = rec_model_open(stop->family, stop->fit->data->items, stop->fit->params, &copy, &model,
                            err);
    if (st != REC_OK)
        return st;
    st = evaluate(stop, model, &ndcg, err);
    if (st != REC_OK) {
        rec_model_destroy(&model);
        return st;
    }
    settle(stop, model, ndcg);
    if (!rec_progress_judged(stop->fit->progress, epoch, ndcg))
        return rec_error_set(err, REC_CANCELLED, "given up after epoch %zu, at NDCG@10 %.4f", epoch,
                             ndcg);
    return REC_OK;
}

void rec_earlystop_end(struct rec_earlystop *stop, struct rec_tensors *out) {
    if (out != NULL && stop->model != NULL) {
        rec_tensors_finish(out);
        *out = stop->model->tensors;
        stop->model->tensors = (struct rec_tensors){.count = 0};
    }
    rec_model_destroy(&stop->model);
    rec_split_destroy(&stop->split);
    rec_dataset_destroy(&stop->part);
    rec_dataset_destroy(&stop->held_out);
    stop->train = NULL;
    stop->on = false;
}

size_t rec_earlystop_bytes(const struct rec_fit *fit, size_t tensor_bytes) {
    size_t events = (size_t)fit->data->offset[fit->data->users];
    size_t part = events * (2 * sizeof(uint32_t) + sizeof(float));
    /* the rows that the part is made of; later the best model and the one looked at, with the scan
     * of its vectors beside it */
    size_t begin = part + events * sizeof(struct rec_dataset_row);
    size_t later = 2 * part + 2 * (tensor_bytes + tensor_bytes / 2);
    return begin > later ? begin : later;
}
