/* Training of a network of pairs: shuffled batches of positives, negatives drawn anew in each
 * epoch, early stopping.
 *
 * A positive is a user and an item with a weight above 0, added up over the user's events and at
 * most 1: a pair is taken as done or not, and done by halves for weak events. A negative is drawn
 * evenly from the items the user has not. Users who have everything have no negative: they are
 * passed over. */
#include <math.h>
#include <string.h>

#include "earlystop.h"
#include "missing.h"
#include "negatives.h"
#include "pairs.h"
#include "recsysd/data.h"

enum {
    EPOCH_STEPS_MIN = 64,
    LOOK_USERS_MAX = 2000, /* whom early stopping asks, at most */
    LOOK_PAIRS = 1000,     /* an answer to one of them takes as long as training on so many */
    DRAW = 64,             /* positives whose negatives come from one random stream */
    FIRST_EPOCH = 64,      /* streams of random numbers below start the weights */
};

struct positive {
    uint32_t user, item;
    float weight;
};

struct training {
    const struct rec_fit *fit;
    const struct rec_pairs_spec *spec;
    struct rec_earlystop stop;
    struct rec_csr *users;       /* what is fitted */
    struct rec_csr *held;        /* the same with what is held out; NULL: nothing is */
    const struct rec_csr *known; /* held, or users: nothing in it is a negative */
    struct rec_missing *missing; /* of known */
    struct positive *positive;   /* [count] in the order of the epoch */
    size_t count, batch_max;
    struct rec_tensors *tensors;
    struct rec_pairs_trainer *trainer;
    uint32_t *user, *item; /* of the batch, as in struct rec_pairs_sample */
    float *weight;
};

/* ---- positives and negatives -------------------------------------------------------- */

static bool has_everything(const struct rec_csr *known, uint32_t user) {
    return known->offset[user + 1] - known->offset[user] == known->cols;
}

/* Little data take small batches: Adam goes a step at a time, and an epoch needs some. */
static size_t batch_of(const struct rec_pairs_spec *spec, size_t positives) {
    size_t most = positives / EPOCH_STEPS_MIN;
    most = most < 1 ? 1 : most;
    return spec->batch < most ? spec->batch : most;
}

static enum rec_status make_positives(struct training *t, struct rec_error *err) {
    const struct rec_csr *csr = t->users;
    t->positive = rec_alloc_array((size_t)rec_csr_entries(csr), sizeof(*t->positive));
    if (t->positive == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %llu pairs",
                             t->spec->family->name, (unsigned long long)rec_csr_entries(csr));
    for (uint32_t u = 0; u < csr->rows; u++)
        for (uint64_t k = csr->offset[u]; k < csr->offset[u + 1] && !has_everything(t->known, u);
             k++)
            t->positive[t->count++] =
                (struct positive){u, csr->column[k], csr->value[k] < 1.0f ? csr->value[k] : 1.0f};
    t->batch_max = batch_of(t->spec, t->count);
    return REC_OK;
}

static uint64_t stream_of(size_t epoch, uint64_t place) {
    return ((uint64_t)epoch + FIRST_EPOCH) << 32 | place;
}

struct draw {
    struct training *t;
    size_t epoch, begin, n; /* the batch's first positive, and how many */
};

static void draw_task(void *context, size_t task, size_t worker) {
    const struct draw *draw = context;
    struct training *t = draw->t;
    size_t first = task * DRAW, last = draw->n - first < DRAW ? draw->n : first + DRAW;
    size_t pairs = t->trainer->pairs;
    uint32_t drawn[DRAW];
    struct rec_rng rng;
    (void)worker;
    rec_rng_init(&rng, t->fit->seed, stream_of(draw->epoch, draw->begin + first));
    for (size_t p = first; p < last; p++) {
        const struct positive *positive = &t->positive[draw->begin + p];
        t->user[p] = positive->user;
        t->weight[p] = positive->weight;
        t->item[p * pairs] = positive->item;
    }
    for (size_t k = 1; k < pairs; k++) {
        rec_missing_draw_all(t->missing, t->user + first, last - first, &rng, drawn);
        for (size_t p = first; p < last; p++)
            t->item[p * pairs + k] = drawn[p - first];
    }
}

static void shuffle(struct training *t, size_t epoch) {
    struct rec_rng rng;
    rec_rng_init(&rng, t->fit->seed, stream_of(epoch, UINT32_MAX));
    for (size_t i = t->count; i > 1; i--) {
        size_t j = i <= UINT32_MAX ? rec_rng_below(&rng, (uint32_t)i) : rec_rng_u64(&rng) % i;
        struct positive kept = t->positive[i - 1];
        t->positive[i - 1] = t->positive[j];
        t->positive[j] = kept;
    }
}

/* ---- the prior of users ------------------------------------------------------------------ */

/* Where users' embeddings lie, and how far around it, number by number: what a fold-in starts from
 * and is held to. A user counts by what is known of them. */
static void write_prior(struct training *t) {
    const struct rec_csr *csr = t->users;
    size_t width = t->spec->width;
    for (size_t c = 0; c < width; c++) {
        double sum = 0.0, squares = 0.0, total = 0.0;
        for (uint32_t u = 0; u < csr->rows; u++) {
            if (has_everything(t->known, u))
                continue;
            double n = (double)(csr->offset[u + 1] - csr->offset[u]);
            double x = (double)t->trainer->user_rows[u * width + c];
            total += n;
            sum += n * x;
            squares += n * x * x;
        }
        double mean = sum / total, variance = squares / total - mean * mean;
        t->trainer->prior[c] = (float)mean;
        t->trainer->prior[width + c] = (float)sqrt(variance > 0.0 ? variance : 0.0);
    }
}

/* ---- epochs ---------------------------------------------------------------------------------- */

static enum rec_status exploded(const struct training *t, size_t epoch, double loss,
                                struct rec_error *err) {
    return rec_error_set(err, REC_BAD_INPUT,
                         "%s: training has exploded: the loss in epoch %zu is %g; lower "
                         "learning_rate (%g)",
                         t->spec->family->name, epoch, loss, (double)t->spec->rate);
}

/* Whether a model may have these weights. */
static bool in_range(const struct rec_tensors *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        const float *value = tensors->tensor[i].data;
        for (uint64_t k = 0; k < tensors->tensor[i].rows * tensors->tensor[i].cols; k++)
            if (!(fabsf(value[k]) <= REC_PAIRS_VALUE_MAX))
                return false;
    }
    return true;
}

static enum rec_status run_epoch(struct training *t, size_t epoch, struct rec_error *err) {
    double sum = 0.0;
    shuffle(t, epoch);
    for (size_t begin = 0; begin < t->count; begin += t->batch_max) {
        size_t left = t->count - begin, n = left < t->batch_max ? left : t->batch_max;
        struct draw draw = {t, epoch, begin, n};
        const struct rec_pairs_sample sample = {n, t->user, t->item, t->weight};
        if (rec_progress_cancelled(t->fit->progress))
            return rec_error_set(err, REC_CANCELLED, "%s: cancelled in epoch %zu",
                                 t->spec->family->name, epoch);
        rec_pool_run(t->fit->pool, (n + DRAW - 1) / DRAW, draw_task, &draw);
        double loss = rec_pairs_step(t->trainer, &sample);
        if (!isfinite(loss))
            return exploded(t, epoch, loss, err);
        sum += loss * (double)n;
        rec_progress_report(t->fit->progress, "fit",
                            ((double)epoch - 1.0 + (double)(begin + n) / (double)t->count) /
                                (double)t->spec->epochs,
                            sum / (double)(begin + n));
    }
    write_prior(t);
    return in_range(t->tensors) ? REC_OK : exploded(t, epoch, sum / (double)t->count, err);
}

/* Epochs between two looks at held-out users, so that looking takes no longer than training. */
static size_t look_epochs(const struct training *t) {
    size_t users = t->users->rows < LOOK_USERS_MAX ? t->users->rows : LOOK_USERS_MAX;
    size_t pairs = t->count * t->trainer->pairs;
    return (users * LOOK_PAIRS + pairs - 1) / pairs;
}

static enum rec_status iterate(struct training *t, struct rec_error *err) {
    size_t look = look_epochs(t);
    enum rec_status st = REC_OK;
    rec_progress_report(t->fit->progress, "fit", 0.0, NAN);
    for (size_t epoch = 1; st == REC_OK && epoch <= t->spec->epochs && !t->stop.done; epoch++) {
        st = run_epoch(t, epoch, err);
        if (st == REC_OK && (epoch % look == 0 || epoch == t->spec->epochs))
            st = rec_earlystop_judge(&t->stop, t->tensors, epoch, err);
    }
    return st;
}

/* ---- before and after ----------------------------------------------------------------------- */

static enum rec_status prepare(struct training *t, struct rec_error *err) {
    enum rec_status st = rec_dataset_matrix(t->stop.train, &t->users, err);
    if (st == REC_OK && t->stop.on)
        st = rec_dataset_matrix(t->fit->data, &t->held, err);
    t->known = t->stop.on ? t->held : t->users;
    if (st == REC_OK)
        st = make_positives(t, err);
    if (st == REC_OK)
        st = rec_missing_create(t->known, &t->missing, err);
    if (st == REC_OK)
        st = rec_pairs_trainer_create(t->spec, t->fit, t->batch_max, t->tensors, &t->trainer, err);
    if (st != REC_OK)
        return st;
    t->user = rec_alloc_array(t->batch_max, sizeof(*t->user));
    t->weight = rec_alloc_array(t->batch_max, sizeof(*t->weight));
    t->item = rec_alloc_array(t->batch_max, t->trainer->pairs * sizeof(*t->item));
    if (t->user == NULL || t->weight == NULL || t->item == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for batches of %zu pairs",
                             t->spec->family->name, t->batch_max);
    return REC_OK;
}

/* A copy of the users' embeddings for the caller. */
static enum rec_status copy_users(const struct training *t, float **users, struct rec_error *err) {
    size_t floats = t->users->rows * t->spec->width;
    *users = rec_alloc_array(floats, sizeof(float));
    if (*users == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "%s: no memory for %u users",
                             t->spec->family->name, t->users->rows);
    memcpy(*users, t->trainer->user_rows, floats * sizeof(float));
    return REC_OK;
}

static void finish(struct training *t) {
    rec_pairs_trainer_destroy(&t->trainer);
    rec_csr_destroy(&t->users);
    rec_csr_destroy(&t->held);
    rec_alloc_free(t->positive);
    rec_missing_destroy(&t->missing);
    rec_alloc_free(t->user);
    rec_alloc_free(t->item);
    rec_alloc_free(t->weight);
}

enum rec_status rec_pairs_fit(const struct rec_fit *fit, const struct rec_pairs_spec *spec,
                              float **users, struct rec_tensors *out, struct rec_error *err) {
    struct training t = {.fit = fit, .spec = spec, .tensors = out};
    enum rec_status st = rec_negatives_check(fit->data, spec->family->name, err);
    if (st == REC_OK)
        st = rec_earlystop_begin(&t.stop, fit, spec->family, spec->patience, err);
    if (st != REC_OK)
        return st;
    st = prepare(&t, err);
    if (st == REC_OK)
        st = iterate(&t, err);
    if (st == REC_OK && users != NULL)
        st = copy_users(&t, users, err);
    finish(&t);
    rec_earlystop_end(&t.stop, st == REC_OK ? out : NULL);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}

/* The matrix, the positives, the trainer, and what early stopping keeps: two models beside it. */
size_t rec_pairs_fit_bytes(const struct rec_fit *fit, const struct rec_pairs_spec *spec) {
    double users = fit->data->users, items = fit->data->items;
    size_t events = (size_t)fit->data->offset[fit->data->users];
    size_t batch = batch_of(spec, events);
    double model = rec_pairs_open_bytes(spec, items) + 4.0 * (double)spec->width * items;
    double bytes = (double)events * (8.0 + sizeof(struct positive)) + 8.0 * users +
                   rec_missing_bytes(users, (double)events) +
                   rec_pairs_trainer_bytes(spec, users, items, batch, rec_pool_threads(fit->pool)) +
                   4.0 * (double)(batch * (3 + spec->negatives));
    /* of a model it counts half as much again, for a scan that these have not */
    bytes += spec->patience > 0 ? 8.0 * ((double)events + users) +
                                      (double)rec_earlystop_bytes(fit, (size_t)(model / 1.5))
                                : model;
    return bytes < (double)SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}
