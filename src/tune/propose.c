/* Which parameters to try next: a tree-structured Parzen estimator.
 * source: Bergstra, Bardenet, Bengio and Kegl, "Algorithms for hyper-parameter optimization", 2011,
 *         section 4.
 *
 * Trials are parted into a few good ones and the rest. Of each parameter, by itself, two densities
 * are made, l(x) of the good and g(x) of the rest; of places drawn from l the one with the greatest
 * l(x) / g(x) is taken, which maximises the expected improvement (equation 14). Densities are
 * mixtures of normals on [0, 1], one for each trial and a wide one for what nobody has looked at,
 * each as wide as the gap to its farther neighbour; of choices, counts with one for each
 * beforehand.
 *
 * By itself, since with tens of trials the joint density of ten parameters is mostly holes. A trial
 * that was pruned or failed is among the rest. Those that still run are in no density, as nothing
 * is known of them yet: only their own places are not proposed again.
 *
 * Where draws find nothing new, a space that is small is gone through place by place, so that no
 * place of it is left out and a search knows when it is done. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/tune.h"

enum {
    DRAWS = 8,     /* places drawn from l; with more it is greedier, and found less in 40 trials */
    REDRAWS = 100, /* proposals that were tried already, before random places are */
    KERNELS_MAX = 100,              /* no width is below 1 / this, or 1 / (trials + 1) */
    SMALL_MAX = 4 * REC_TRIALS_MAX, /* places; of more than this, draws keep finding new ones */
};
#define GOOD_SHARE 0.1

/* ---- what was tried ------------------------------------------------------------------- */

static int rank_of(const struct rec_tune_trial *trial) {
    return trial->state == REC_STUDY_COMPLETE ? 0 : trial->state == REC_STUDY_PRUNED ? 1 : 2;
}

/* Better first; by number where that says nothing, so that the order of ending does not matter. */
static int by_quality(const void *a, const void *b) {
    const struct rec_tune_trial *x = *(const struct rec_tune_trial *const *)a;
    const struct rec_tune_trial *y = *(const struct rec_tune_trial *const *)b;
    if (rank_of(x) != rank_of(y))
        return rank_of(x) - rank_of(y);
    if (x->value > y->value || x->value < y->value)
        return x->value > y->value ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static bool is_same(const struct rec_tune_space *space, const double *a, const double *b) {
    for (size_t d = 0; d < space->count; d++) {
        size_t row = space->dim[d].row;
        if (a[row] < b[row] || a[row] > b[row])
            return false;
    }
    return true;
}

static bool is_new(const struct rec_tune_space *space, const struct rec_tune_trial *trials,
                   size_t count, const struct rec_tune_asked *asked,
                   const struct rec_params *params) {
    for (size_t t = 0; t < count; t++)
        if (is_same(space, trials[t].param, params->value))
            return false;
    for (size_t t = 0; t < asked->running_count; t++)
        if (is_same(space, asked->running[t]->param, params->value))
            return false;
    return true;
}

/* ---- densities ---------------------------------------------------------------------------- */

struct density {
    size_t count;  /* kernels */
    double *at;    /* [count] */
    double *width; /* [count] */
    double *mass;  /* [count] of the kernel, within [0, 1] */
};

static double normal_below(double x) {
    return 0.5 * erfc(-x * 0.70710678118654752);
}

static int by_place(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The kernels of trials [count], and the wide one. */
static void fill(struct density *density, const struct rec_tune_dim *dim,
                 const struct rec_tune_trial *const *trials, size_t count) {
    double least = 1.0 / (double)(count + 1 < KERNELS_MAX ? count + 1 : KERNELS_MAX);
    for (size_t t = 0; t < count; t++)
        density->at[t] = rec_tune_unit(dim, trials[t]->param[dim->row]);
    density->at[count] = 0.5;
    qsort(density->at, count + 1, sizeof(double), by_place);
    density->count = count + 1;
    bool wide = false;
    for (size_t i = 0; i <= count; i++) {
        double at = density->at[i];
        double left = i > 0 ? at - density->at[i - 1] : 0.0;
        double right = i < count ? density->at[i + 1] - at : 0.0;
        density->width[i] = fmin(fmax(fmax(left, right), least), 1.0);
        if (!wide && at >= 0.5) {
            density->width[i] = 1.0;
            wide = true;
        }
        density->mass[i] = normal_below((1.0 - at) / density->width[i]) -
                           normal_below((0.0 - at) / density->width[i]);
    }
}

/* Up to a factor that is the same everywhere. */
static double density_at(const struct density *density, double x) {
    double sum = 0.0;
    for (size_t i = 0; i < density->count; i++) {
        double z = (x - density->at[i]) / density->width[i];
        sum += exp(-0.5 * z * z) / (density->width[i] * density->mass[i]);
    }
    return sum / (double)density->count;
}

static double draw(const struct density *density, struct rec_rng *rng) {
    size_t i = rec_rng_below(rng, (uint32_t)density->count);
    for (int tries = 0; tries < REDRAWS; tries++) {
        double x = density->at[i] + density->width[i] * (double)rec_rng_normal(rng);
        if (x >= 0.0 && x <= 1.0)
            return x;
    }
    return density->at[i];
}

/* ---- the estimator ------------------------------------------------------------------------- */

struct estimator {
    const struct rec_tune_space *space;
    const struct rec_tune_trial **order; /* [count] better first */
    size_t count, good;
    struct density l, g;
    double *block;
};

static double propose_number(struct estimator *e, const struct rec_tune_dim *dim,
                             struct rec_rng *rng) {
    double best = -INFINITY, place = 0.5;
    fill(&e->l, dim, e->order, e->good);
    fill(&e->g, dim, e->order + e->good, e->count - e->good);
    for (int i = 0; i < DRAWS; i++) {
        double x = draw(&e->l, rng);
        double gain = log(density_at(&e->l, x)) - log(density_at(&e->g, x));
        if (gain > best) {
            best = gain;
            place = x;
        }
    }
    return place;
}

/* How often the trials had a choice, with one beforehand, as a share. */
static double share_of(const struct rec_tune_dim *dim, const struct rec_tune_trial *const *trials,
                       size_t count, size_t choice) {
    double had = 1.0;
    for (size_t t = 0; t < count; t++)
        had += (size_t)trials[t]->param[dim->row] == choice;
    return had / (double)(count + dim->choices);
}

static size_t draw_choice(const struct estimator *e, const struct rec_tune_dim *dim,
                          struct rec_rng *rng) {
    double left = (double)rec_rng_uniform(rng);
    for (size_t c = 0; c + 1 < dim->choices; c++) {
        left -= share_of(dim, e->order, e->good, c);
        if (left < 0.0)
            return c;
    }
    return dim->choices - 1;
}

static double propose_choice(const struct estimator *e, const struct rec_tune_dim *dim,
                             struct rec_rng *rng) {
    double best = -INFINITY;
    size_t chosen = 0;
    for (int i = 0; i < DRAWS; i++) {
        size_t choice = draw_choice(e, dim, rng);
        double gain = share_of(dim, e->order, e->good, choice) /
                      share_of(dim, e->order + e->good, e->count - e->good, choice);
        if (gain > best) {
            best = gain;
            chosen = choice;
        }
    }
    return (double)chosen;
}

static void propose_all(struct estimator *e, struct rec_rng *rng, struct rec_params *out) {
    for (size_t d = 0; d < e->space->count; d++) {
        const struct rec_tune_dim *dim = &e->space->dim[d];
        out->value[dim->row] = dim->choices > 0 ? propose_choice(e, dim, rng)
                                                : rec_tune_value(dim, propose_number(e, dim, rng));
    }
}

static void draw_all(const struct rec_tune_space *space, struct rec_rng *rng,
                     struct rec_params *out) {
    for (size_t d = 0; d < space->count; d++)
        out->value[space->dim[d].row] =
            rec_tune_value(&space->dim[d], (double)rec_rng_uniform(rng));
}

static enum rec_status estimator_init(struct estimator *e, const struct rec_tune_space *space,
                                      const struct rec_tune_trial *trials, size_t count,
                                      struct rec_error *err) {
    size_t kernels = count + 1;
    *e = (struct estimator){.space = space, .count = count};
    e->order = rec_alloc_array(count, sizeof(*e->order));
    e->block = rec_alloc_array(kernels, 6 * sizeof(double));
    if (e->order == NULL || e->block == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to propose parameters");
    e->l = (struct density){
        .at = e->block, .width = e->block + kernels, .mass = e->block + 2 * kernels};
    e->g = (struct density){.at = e->block + 3 * kernels,
                            .width = e->block + 4 * kernels,
                            .mass = e->block + 5 * kernels};
    for (size_t t = 0; t < count; t++)
        e->order[t] = &trials[t];
    qsort(e->order, count, sizeof(*e->order), by_quality);
    e->good = (size_t)ceil(GOOD_SHARE * (double)count);
    return REC_OK;
}

static void estimator_finish(struct estimator *e) {
    rec_alloc_free(e->order);
    rec_alloc_free(e->block);
}

/* ---- small spaces -------------------------------------------------------------------------- */

/* 0: too many to be gone through, as fractions are. */
static size_t places_of(const struct rec_tune_dim *dim) {
    double span = dim->max - dim->min;
    if (dim->choices > 0)
        return dim->choices;
    return dim->whole && span < SMALL_MAX ? (size_t)span + 1 + dim->zero : 0;
}

static double value_at(const struct rec_tune_dim *dim, size_t place) {
    if (dim->choices > 0)
        return (double)place;
    if (dim->zero && place == 0)
        return 0.0;
    return dim->min + (double)(place - dim->zero);
}

/* 0: it is not small. */
static size_t count_places(const struct rec_tune_space *space) {
    size_t places = 1;
    for (size_t d = 0; d < space->count; d++) {
        places *= places_of(&space->dim[d]);
        if (places == 0 || places > SMALL_MAX)
            return 0;
    }
    return places;
}

static void take_place(const struct rec_tune_space *space, size_t place, struct rec_params *out) {
    for (size_t d = 0; d < space->count; d++) {
        const struct rec_tune_dim *dim = &space->dim[d];
        out->value[dim->row] = value_at(dim, place % places_of(dim));
        place /= places_of(dim);
    }
}

/* Looks at every place of a small space, from a random one on. */
static bool find_new(const struct rec_tune_space *space, const struct rec_tune_trial *trials,
                     size_t count, const struct rec_tune_asked *asked, struct rec_rng *rng,
                     struct rec_params *out) {
    size_t places = count_places(space);
    size_t first = places == 0 ? 0 : rec_rng_below(rng, (uint32_t)places);
    for (size_t i = 0; i < places; i++) {
        take_place(space, (first + i) % places, out);
        if (is_new(space, trials, count, asked, out))
            return true;
    }
    return false;
}

/* ---- what others call ---------------------------------------------------------------------- */

enum rec_status rec_tune_propose(const struct rec_tune_space *space,
                                 const struct rec_tune_trial *trials, size_t count,
                                 const struct rec_tune_asked *asked, struct rec_params *out,
                                 struct rec_error *err) {
    struct estimator e = {.count = 0};
    struct rec_rng rng;
    bool found = asked->number == 0 && is_new(space, trials, count, asked, &space->start);
    bool informed = asked->number >= REC_TUNE_WARM_UP && count >= REC_TUNE_WARM_UP / 2;
    struct rec_params params = space->start;
    enum rec_status st =
        informed && !found ? estimator_init(&e, space, trials, count, err) : REC_OK;
    rec_rng_init(&rng, asked->seed, asked->number);
    for (int i = 0; st == REC_OK && !found && i < 2 * REDRAWS; i++) {
        if (informed && i < REDRAWS)
            propose_all(&e, &rng, &params);
        else
            draw_all(space, &rng, &params);
        found = is_new(space, trials, count, asked, &params);
    }
    estimator_finish(&e);
    if (st != REC_OK)
        return st;
    found = found || find_new(space, trials, count, asked, &rng, &params);
    if (!found)
        return rec_error_set(err, REC_NOT_FOUND, "%s: nothing new is left to try",
                             space->family->name);
    *out = params;
    return REC_OK;
}
