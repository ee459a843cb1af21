/* Training by BPR: stochastic gradient ascent over pairs dealt into strata (strata.h), one sampled
 * negative a pair and epoch.
 *
 * The last number of a user's row is 1 and stays 1, the last of an item's row is its bias: so the
 * bias needs no code of its own. It is not regularised by itself: it has the item's rates.
 *
 * Users' rows are thrown away at the end. The model answers for histories, so a user who is erased
 * leaves nothing behind in it. */
#include <math.h>
#include <string.h>

#include "bpr.h"
#include "earlystop.h"
#include "recsysd/families.h"
#include "strata.h"

enum {
    JUDGE_EVERY = 5, /* epochs; a look costs about as much as one */
    GROUP = 16,      /* pairs whose negatives are drawn together */
};

/* What multiplies a row in each step, 1 - rate x regularization, and the rate itself. */
struct rates {
    float rate, user, positive, negative;
};

struct training {
    const struct rec_fit *fit;
    size_t width, candidates;
    struct rec_csr *matrix;
    struct rec_strata *strata;
    float *users, *items; /* [users x width] [items x width] */
    struct rates rates;
    double loss[REC_STRATA_BLOCKS_MAX];
    double pairs[REC_STRATA_BLOCKS_MAX];
};

/* ---- a step ----------------------------------------------------------------------- */

static void update(float *restrict x, float *restrict positive, float *restrict negative, size_t n,
                   const struct rates *rates, float slope) {
    const float step = rates->rate * slope;
    const float keep_x = rates->user, keep_p = rates->positive, keep_n = rates->negative;
    for (size_t k = 0; k < n; k++) {
        float a = x[k], p = positive[k], q = negative[k];
        x[k] = keep_x * a + step * (p - q);
        positive[k] = keep_p * p + step * a;
        negative[k] = keep_n * q - step * a;
    }
    x[n - 1] = 1.0f;
}

/* The negative with the highest score of those drawn: it is the one that pushes the positive down
 * in a list. source: Zhang, Chen, Wang and Yu, "Optimizing top-N collaborative filtering via
 * dynamic negative item sampling", SIGIR 2013. */
static float *hardest(const struct training *t, const uint32_t *drawn, const float *x,
                      float *score) {
    float *best = NULL;
    for (size_t c = 0; c < t->candidates; c++) {
        if (drawn[c] == UINT32_MAX)
            continue;
        float *row = t->items + drawn[c] * t->width, s = rec_kernels_dot(x, row, t->width);
        if (best == NULL || s > *score) {
            best = row;
            *score = s;
        }
    }
    return best;
}

/* exp(-margin) of a pair before its step: the odds that the order is wrong; 0 without a step. */
static float learn_pair(const struct training *t, const struct rec_strata_pair *pair,
                        const uint32_t *drawn) {
    float *x = t->users + pair->user * t->width, *positive = t->items + pair->item * t->width;
    float score = 0.0f, *negative = hardest(t, drawn, x, &score);
    if (negative == NULL)
        return 0.0f;
    float margin = rec_kernels_dot(x, positive, t->width) - score;
    float wrong = expf(margin < -30.0f ? 30.0f : -margin);
    update(x, positive, negative, t->width, &t->rates, pair->value * wrong / (1.0f + wrong));
    return wrong;
}

static void learn_cell(void *context, struct rec_strata_cell *cell) {
    struct training *t = context;
    uint32_t drawn[GROUP * REC_BPR_CANDIDATES_MAX];
    double odds = 1.0; /* a product of 1 + exp(-margin): one logarithm for many of them */
    for (size_t begin = 0; begin < cell->count; begin += GROUP) {
        size_t count = cell->count - begin < GROUP ? cell->count - begin : GROUP;
        const struct rec_strata_pair *pairs = cell->pairs + begin;
        rec_strata_negatives(cell, pairs, count, t->candidates, drawn);
        for (size_t i = 0; i < count; i++)
            odds *= 1.0 + (double)learn_pair(t, &pairs[i], drawn + i * t->candidates);
        if (!(odds < 1e20)) { /* a group adds at most 16 times 13.1 digits */
            t->loss[cell->number] += log(odds);
            odds = 1.0;
        }
    }
    t->loss[cell->number] += log(odds);
    t->pairs[cell->number] += (double)cell->count;
}

/* ---- epochs ------------------------------------------------------------------------- */

static struct rates rates_of(const struct rec_params *params, double rate) {
    return (struct rates){(float)rate,
                          (float)(1.0 - rate * rec_params_get(params, "user_regularization")),
                          (float)(1.0 - rate * rec_params_get(params, "positive_regularization")),
                          (float)(1.0 - rate * rec_params_get(params, "negative_regularization"))};
}

static enum rec_status run_epoch(struct training *t, size_t epoch, size_t epochs, double *loss,
                                 struct rec_error *err) {
    const struct rec_params *params = t->fit->params;
    double rate = rec_params_get(params, "learning_rate"), sum = 0.0, pairs = 0.0;
    rate *= 1.0 - rec_params_get(params, "decay") * (double)epoch / (double)epochs;
    t->rates = rates_of(params, rate);
    memset(t->loss, 0, sizeof(t->loss));
    memset(t->pairs, 0, sizeof(t->pairs));
    if (!rec_strata_epoch(t->strata, epoch, learn_cell, t))
        return rec_error_set(err, REC_CANCELLED, "bpr: cancelled in epoch %zu", epoch + 1);
    for (size_t b = 0; b < REC_STRATA_BLOCKS_MAX; b++) {
        sum += t->loss[b];
        pairs += t->pairs[b];
    }
    *loss = pairs > 0.0 ? sum / pairs : 0.0;
    if (!isfinite(*loss))
        return rec_error_set(err, REC_BAD_INPUT,
                             "bpr: the loss is %g in epoch %zu; lower learning_rate (it is %g)",
                             *loss, epoch + 1, rec_params_get(params, "learning_rate"));
    return REC_OK;
}

static enum rec_status run_epochs(struct training *t, struct rec_earlystop *stop,
                                  const struct rec_tensors *now, struct rec_error *err) {
    size_t epochs = (size_t)rec_params_get(t->fit->params, "epochs");
    double loss = NAN;
    enum rec_status st = REC_OK;
    rec_progress_report(t->fit->progress, "fit", 0.0, loss);
    for (size_t epoch = 0; st == REC_OK && epoch < epochs && !stop->done; epoch++) {
        st = run_epoch(t, epoch, epochs, &loss, err);
        if (st != REC_OK)
            break;
        rec_progress_report(t->fit->progress, "fit", (double)(epoch + 1) / (double)epochs, loss);
        if ((epoch + 1) % JUDGE_EVERY == 0 || epoch + 1 == epochs) {
            st = rec_mf_check("bpr", t->items, t->matrix->cols, t->width, err);
            if (st == REC_OK)
                st = rec_earlystop_judge(stop, now, epoch + 1, err);
        }
    }
    return st;
}

/* ---- before and after ------------------------------------------------------------------ */

/* An interaction counts for as much as its weight, at most 1: a step is no longer for what was
 * done a hundred times. */
static void cap_weights(struct rec_csr *matrix) {
    for (uint64_t k = 0; k < rec_csr_entries(matrix); k++)
        if (matrix->value[k] > 1.0f)
            matrix->value[k] = 1.0f;
}

/* Goes on from an earlier model's items; those it does not know stay as they were made. */
static enum rec_status continue_from(struct training *t, const struct rec_tensors *start,
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
                             "bpr: the model to start from knows %llu items, the data has %u",
                             (unsigned long long)rows->rows, t->matrix->cols);
    memcpy(t->items, rows->data, rows->rows * t->width * sizeof(*t->items));
    return rec_mf_check("bpr", t->items, t->matrix->cols, t->width, err);
}

static enum rec_status make_strata(struct training *t, const struct rec_dataset *data,
                                   struct rec_error *err) {
    static const double popular[] = {0.0, 1.0, 0.5}; /* as the choices of "negatives" */
    const struct rec_params *params = t->fit->params;
    enum rec_status st = rec_dataset_matrix(data, &t->matrix, err);
    if (st != REC_OK)
        return st;
    cap_weights(t->matrix);
    const struct rec_strata_options options = {
        .matrix = t->matrix,
        .popular = popular[(size_t)rec_params_get(params, "negatives")],
        .exponent = rec_params_get(params, "exponent"),
        .seed = t->fit->seed,
        .pool = t->fit->pool,
        .progress = t->fit->progress};
    return rec_strata_create(&options, &t->strata, err);
}

static enum rec_status make_rows(struct training *t, struct rec_tensors *out,
                                 struct rec_error *err) {
    size_t users = t->matrix->rows, items = t->matrix->cols, factors = t->width - 1;
    float sigma = (float)rec_params_get(t->fit->params, "sigma") / sqrtf((float)factors);
    void *rows = NULL;
    enum rec_status st =
        rec_tensors_add(out, "item_factors", REC_TENSOR_F32, items, t->width, &rows, err);
    if (st != REC_OK)
        return st;
    t->items = rows;
    t->users = rec_alloc_array(users, t->width * sizeof(*t->users));
    if (t->users == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "bpr: no memory for %zu users x %zu factors",
                             users, factors);
    rec_mf_init(t->items, items, factors, t->width, sigma, t->fit->seed, 0);
    rec_mf_init(t->users, users, factors, t->width, sigma, t->fit->seed, 1);
    for (size_t u = 0; u < users; u++)
        t->users[u * t->width + factors] = 1.0f;
    return REC_OK;
}

static void finish(struct training *t) {
    rec_strata_destroy(&t->strata);
    rec_csr_destroy(&t->matrix);
    rec_alloc_free(t->users);
}

enum rec_status rec_bpr_fit_users(const struct rec_fit *fit, struct rec_tensors *out, float **users,
                                  struct rec_error *err) {
    struct training t = {.fit = fit,
                         .width = (size_t)rec_params_get(fit->params, "factors") + 1,
                         .candidates = (size_t)rec_params_get(fit->params, "candidates")};
    struct rec_earlystop stop;
    enum rec_status st = rec_earlystop_begin(
        &stop, fit, &rec_bpr_family, (size_t)rec_params_get(fit->params, "early_stop"), err);
    if (st != REC_OK)
        return st;
    st = make_strata(&t, stop.train, err);
    if (st == REC_OK)
        st = make_rows(&t, out, err);
    if (st == REC_OK)
        st = continue_from(&t, fit->start, err);
    if (st == REC_OK)
        st = run_epochs(&t, &stop, out, err);
    rec_earlystop_end(&stop, st == REC_OK ? out : NULL);
    if (st == REC_OK && users != NULL) {
        *users = t.users;
        t.users = NULL;
    }
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

enum rec_status rec_bpr_fit(const struct rec_fit *fit, struct rec_tensors *out,
                            struct rec_error *err) {
    return rec_bpr_fit_users(fit, out, NULL, err);
}

/* The matrix, its pairs twice, the rows of both sides, and what early stopping holds. Pairs are at
 * most as many as events. */
size_t rec_bpr_fit_bytes(const struct rec_fit *fit) {
    double users = fit->data->users, items = fit->data->items;
    double width = rec_params_get(fit->params, "factors") + 1.0;
    uint64_t events = fit->data->offset[fit->data->users];
    double bytes = 8.0 * ((double)events + users) + 4.0 * width * (users + items) +
                   (double)rec_strata_bytes(events, fit->data->items);
    if (rec_params_get(fit->params, "early_stop") > 0)
        bytes += (double)rec_earlystop_bytes(fit, (size_t)(4.0 * width * items));
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
