/* Which parameters matter: of each, how much of the variance of the trials' values it explains by
 * itself.
 *
 * Trials are put into bins by the parameter's place, as many in each, or by its choice, and those
 * where it is off into one of their own; what the means of the bins vary is compared with what all
 * trials vary, less what bins of random trials would vary (the omega squared of an analysis of
 * variance). It is the first order of a functional ANOVA (Hutter, Hoos and Leyton-Brown, 2014)
 * without its forest: with tens of trials a forest finds what it was grown to find. Effects of
 * parameters together are not seen, and neither is what lies where the search did not look. */
#include <stdlib.h>
#include <string.h>

#include "recsysd/tune.h"

enum { TRIALS_MIN = 10, BIN_TRIALS = 5, BINS_MAX = 6, CHOICES_MAX = 64 };

struct point {
    double unit, value;
};

static int by_unit(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    return (x->unit > y->unit) - (x->unit < y->unit);
}

/* Runs of points [count], in order: `end` says where each bin ends. Equal places stay together. */
static size_t make_bins(const struct rec_tune_dim *dim, const struct point *points, size_t count,
                        size_t end[CHOICES_MAX]) {
    size_t wanted = count / BIN_TRIALS < BINS_MAX ? count / BIN_TRIALS : BINS_MAX, bins = 0;
    for (size_t i = 1; i <= count; i++) {
        bool apart = i == count || points[i].unit > points[i - 1].unit;
        bool off = rec_tune_value(dim, points[i - 1].unit) <= 0.0;
        bool full = dim->choices > 0 || (dim->zero && off) || i * wanted >= (bins + 1) * count;
        if (apart && (full || i == count) && bins < CHOICES_MAX)
            end[bins++] = i;
    }
    end[bins - 1] = count;
    return bins;
}

static double mean_of(const struct point *points, size_t from, size_t to) {
    double sum = 0.0;
    for (size_t i = from; i < to; i++)
        sum += points[i].value;
    return sum / (double)(to - from);
}

static double explained(const struct rec_tune_dim *dim, struct point *points, size_t count) {
    size_t end[CHOICES_MAX];
    qsort(points, count, sizeof(*points), by_unit);
    size_t bins = make_bins(dim, points, count, end);
    double mean = mean_of(points, 0, count), all = 0.0, between = 0.0;
    for (size_t i = 0; i < count; i++)
        all += (points[i].value - mean) * (points[i].value - mean);
    for (size_t b = 0; b < bins; b++) {
        size_t from = b > 0 ? end[b - 1] : 0;
        double off = mean_of(points, from, end[b]) - mean;
        between += (double)(end[b] - from) * off * off;
    }
    if (bins < 2 || bins >= count || !(all > 0.0))
        return 0.0;
    double by_chance = (all - between) / (double)(count - bins);
    double share = (between - (double)(bins - 1) * by_chance) / (all + by_chance);
    return share > 0.0 ? (share < 1.0 ? share : 1.0) : 0.0;
}

enum rec_status rec_tune_importance(const struct rec_tune_space *space,
                                    const struct rec_tune_trial *trials, size_t count,
                                    double *shares, struct rec_error *err) {
    struct point *points = rec_alloc_array(count > 0 ? count : 1, sizeof(*points));
    if (points == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to compare %zu trials", count);
    for (size_t d = 0; d < space->count; d++) {
        size_t complete = 0;
        for (size_t t = 0; t < count; t++)
            if (trials[t].state == REC_STUDY_COMPLETE)
                points[complete++] = (struct point){
                    rec_tune_unit(&space->dim[d], trials[t].param[space->dim[d].row]),
                    trials[t].value};
        shares[d] = complete < TRIALS_MIN ? 0.0 : explained(&space->dim[d], points, complete);
    }
    rec_alloc_free(points);
    return REC_OK;
}
