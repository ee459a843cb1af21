/* Training of bpr and biased-mf: what is the same in both. Pairs are dealt into strata (strata.h),
 * epochs go over them at a rate that may fall, early stopping looks at the items now and then.
 *
 * Users' rows are thrown away at the end. The models answer for histories, so a user who is erased
 * leaves nothing behind in them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mf.h"

enum { JUDGE_EVERY = 5 }; /* epochs; a look costs about as much as one */

/* Numbers of mean 0 in the first `factors` of each row, one stream a row: the start of an item does
 * not depend on how many there are. side: 0 items, 1 users */
static void init_rows(const struct rec_mf_training *t, float *rows, size_t count, uint64_t side) {
    size_t factors = t->width - 1;
    float sigma = (float)rec_params_get(t->fit->params, "sigma") / sqrtf((float)factors);
    for (size_t row = 0; row < count; row++) {
        struct rec_rng rng;
        rec_rng_init(&rng, t->fit->seed, side << 61 | UINT64_C(1) << 60 | row);
        for (size_t k = 0; k < factors; k++)
            rows[row * t->width + k] = sigma * rec_rng_normal(&rng);
    }
}

/* cause, remedy: what is said of a number that is out of range, before and behind it */
static enum rec_status check_rows(const struct rec_mf_training *t, const char *cause,
                                  const char *remedy, struct rec_error *err) {
    for (size_t i = 0; i < t->matrix->cols * t->width; i++)
        if (!(fabsf(t->items[i]) <= REC_MF_VALUE_MAX))
            return rec_error_set(err, REC_BAD_INPUT, "%s: %s: factor %zu of item %zu is %g; %s",
                                 t->family->name, cause, i % t->width, i / t->width,
                                 (double)t->items[i], remedy);
    return REC_OK;
}

/* Goes on from an earlier model's items; those it does not know stay as they were made. */
static enum rec_status continue_from(struct rec_mf_training *t, const struct rec_tensors *start,
                                     struct rec_error *err) {
    const struct rec_tensor *rows = NULL;
    if (start == NULL)
        return REC_OK;
    enum rec_status st =
        rec_tensors_get(start, "item_factors", REC_TENSOR_F32, 0, t->width, &rows, err);
    if (st != REC_OK)
        return st;
    if (rows->rows > t->matrix->cols)
        return rec_error_set(err, REC_BAD_INPUT,
                             "%s: the model to start from knows %llu items, the data has %u",
                             t->family->name, (unsigned long long)rows->rows, t->matrix->cols);
    memcpy(t->items, rows->data, rows->rows * t->width * sizeof(*t->items));
    return check_rows(t, "the model to start from is out of the range of numbers",
                      "train without it", err);
}

static enum rec_status make_rows(struct rec_mf_training *t, struct rec_tensors *out,
                                 struct rec_error *err) {
    void *rows = NULL;
    enum rec_status st =
        rec_tensors_add(out, "item_factors", REC_TENSOR_F32, t->matrix->cols, t->width, &rows, err);
    if (st != REC_OK)
        return st;
    t->items = rows;
    t->users = rec_alloc_array(t->matrix->rows, t->width * sizeof(*t->users));
    if (t->users == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %u users x %zu factors",
                             t->family->name, t->matrix->rows, t->width - 1);
    init_rows(t, t->items, t->matrix->cols, 0);
    init_rows(t, t->users, t->matrix->rows, 1);
    return continue_from(t, t->fit->start, err);
}

enum rec_status rec_mf_begin(struct rec_mf_training *t, const struct rec_fit *fit,
                             const struct rec_family *family, float weight_max, double popular,
                             double exponent, struct rec_tensors *out, struct rec_error *err) {
    *t = (struct rec_mf_training){
        .fit = fit, .family = family, .width = (size_t)rec_params_get(fit->params, "factors") + 1};
    enum rec_status st = rec_earlystop_begin(
        &t->stop, fit, family, (size_t)rec_params_get(fit->params, "early_stop"), err);
    if (st == REC_OK)
        st = rec_dataset_matrix(t->stop.train, &t->matrix, err);
    if (st != REC_OK)
        return st;
    /* A step is no longer for what was done a hundred times. */
    for (uint64_t k = 0; k < rec_csr_entries(t->matrix); k++)
        if (t->matrix->value[k] > weight_max)
            t->matrix->value[k] = weight_max;
    if (t->stop.on)
        st = rec_dataset_matrix(fit->data, &t->known, err);
    if (st == REC_OK)
        st = rec_missing_create(t->stop.on ? t->known : t->matrix, &t->missing, err);
    if (st != REC_OK)
        return st;
    const struct rec_strata_options options = {.matrix = t->matrix,
                                               .missing = t->missing,
                                               .popular = popular,
                                               .exponent = exponent,
                                               .seed = fit->seed,
                                               .pool = fit->pool,
                                               .progress = fit->progress};
    st = rec_strata_create(&options, &t->strata, err);
    return st == REC_OK ? make_rows(t, out, err) : st;
}

static enum rec_status run_epoch(struct rec_mf_training *t, size_t epoch, rec_strata_fn fn,
                                 void *context, double *loss, struct rec_error *err) {
    double sum = 0.0, steps = 0.0;
    memset(t->loss, 0, sizeof(t->loss));
    memset(t->steps, 0, sizeof(t->steps));
    if (!rec_strata_epoch(t->strata, epoch, fn, context))
        return rec_error_set(err, REC_CANCELLED, "%s: cancelled in epoch %zu", t->family->name,
                             epoch + 1);
    for (size_t b = 0; b < REC_STRATA_BLOCKS_MAX; b++) {
        sum += t->loss[b];
        steps += t->steps[b];
    }
    *loss = steps > 0.0 ? sum / steps : 0.0;
    if (!isfinite(*loss))
        return rec_error_set(err, REC_BAD_INPUT,
                             "%s: training has exploded: the loss in epoch %zu is %g; lower "
                             "learning_rate (%g)",
                             t->family->name, epoch + 1, *loss,
                             rec_params_get(t->fit->params, "learning_rate"));
    return REC_OK;
}

/* Where the loss is still a number, but numbers are not that a model may have. */
static enum rec_status check_epoch(const struct rec_mf_training *t, size_t epoch, double loss,
                                   struct rec_error *err) {
    char cause[96];
    (void)snprintf(cause, sizeof(cause), "training has exploded: the loss in epoch %zu is %g",
                   epoch + 1, loss);
    return check_rows(t, cause, "lower learning_rate, or raise the regularization", err);
}

enum rec_status rec_mf_epochs(struct rec_mf_training *t, rec_strata_fn fn, void *context,
                              const struct rec_tensors *now, struct rec_error *err) {
    const struct rec_params *params = t->fit->params;
    size_t epochs = (size_t)rec_params_get(params, "epochs");
    double loss = NAN, rate = rec_params_get(params, "learning_rate");
    double decay = rec_params_get(params, "decay");
    enum rec_status st = REC_OK;
    rec_progress_report(t->fit->progress, "fit", 0.0, loss);
    for (size_t epoch = 0; st == REC_OK && epoch < epochs && !t->stop.done; epoch++) {
        t->rate = rate * (1.0 - decay * (double)epoch / (double)epochs);
        st = run_epoch(t, epoch, fn, context, &loss, err);
        if (st != REC_OK)
            break;
        rec_progress_report(t->fit->progress, "fit", (double)(epoch + 1) / (double)epochs, loss);
        if ((epoch + 1) % JUDGE_EVERY != 0 && epoch + 1 != epochs)
            continue;
        st = check_epoch(t, epoch, loss, err);
        if (st == REC_OK)
            st = rec_earlystop_judge(&t->stop, now, epoch + 1, err);
    }
    return st;
}

void rec_mf_end(struct rec_mf_training *t, struct rec_tensors *out) {
    rec_earlystop_end(&t->stop, out);
    rec_strata_destroy(&t->strata);
    rec_missing_destroy(&t->missing);
    rec_csr_destroy(&t->known);
    rec_csr_destroy(&t->matrix);
    rec_alloc_free(t->users);
    t->users = NULL;
}

static uint64_t count_liked(const struct rec_dataset *data) {
    uint64_t liked = 0;
    for (uint64_t e = 0; e < data->offset[data->users]; e++)
        liked += data->weight[e] > 0.0f;
    return liked;
}

/* The matrix, its pairs twice, the rows of both sides, and what early stopping holds. Pairs are at
 * most as many as liked events. */
size_t rec_mf_fit_bytes(const struct rec_fit *fit, double row_floats) {
    double users = fit->data->users, items = fit->data->items;
    double width = rec_params_get(fit->params, "factors") + 1.0;
    uint64_t liked = count_liked(fit->data);
    double bytes = 8.0 * ((double)liked + users) + 4.0 * width * row_floats * (users + items) +
                   (double)rec_strata_bytes(liked, fit->data->items) +
                   rec_missing_bytes(users, (double)liked);
    if (rec_params_get(fit->params, "early_stop") > 0)
        bytes += 8.0 * ((double)liked + users) +
                 (double)rec_earlystop_bytes(fit, (size_t)(4.0 * width * items));
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
