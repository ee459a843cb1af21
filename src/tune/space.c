/* Parameter tables as places in [0, 1], on which random numbers and kernel densities make sense:
 * a regularisation is as far from .1 at 1 as at .01. */
#include <math.h>
#include <string.h>

#include "recsysd/tune.h"

#define ZERO_SHARE 0.2  /* of [0, 1], where a parameter can be switched off */
#define LOG_AROUND 30.0 /* how far from its default a FLOAT that is not listed is searched */
#define WHOLE_LESS 8.0  /* the same of an INT, */
#define WHOLE_MORE 4.0  /* whose cost grows with it */

static const struct rec_tune_range *find_range(const struct rec_family *family, const char *name) {
    const struct rec_tune_range *range = family->tune;
    for (; range != NULL && range->name != NULL; range++)
        if (strcmp(range->name, name) == 0)
            return range;
    return NULL;
}

/* The rule for what a family does not list, as model.h has it. */
static bool plain_range(const struct rec_param *row, struct rec_tune_dim *dim) {
    double standard = row->standard;
    if (row->log_scale && standard > 0.0) {
        bool whole = row->type == REC_PARAM_INT;
        double least = whole ? floor(standard / WHOLE_LESS) : standard / LOG_AROUND;
        dim->min = fmax(fmax(row->min, whole ? 1.0 : 0.0), least);
        dim->max = fmin(row->max, standard * (whole ? WHOLE_MORE : LOG_AROUND));
        dim->log_scale = true;
        return dim->min > 0.0;
    }
    dim->min = row->min;
    dim->max = row->max;
    return row->type == REC_PARAM_FLOAT && row->max - row->min <= 1.0;
}

static bool listed_range(const struct rec_tune_range *range, struct rec_tune_dim *dim) {
    dim->min = range->min;
    dim->max = range->max;
    dim->log_scale = range->log_scale;
    dim->zero = range->zero;
    return true;
}

/* False: it is left at its value. */
static bool make_dim(const struct rec_family *family, size_t row, struct rec_tune_dim *dim) {
    const struct rec_param *param = &family->params[row];
    const struct rec_tune_range *range = find_range(family, param->name);
    *dim = (struct rec_tune_dim){.row = row};
    switch (param->type) {
    case REC_PARAM_INT:
    case REC_PARAM_FLOAT:
        dim->whole = param->type == REC_PARAM_INT;
        return (range != NULL ? listed_range(range, dim) : plain_range(param, dim)) &&
               dim->min < dim->max;
    case REC_PARAM_BOOL:
        dim->choices = 2;
        return range == NULL;
    case REC_PARAM_CHOICE:
        while (param->choices[dim->choices] != NULL)
            dim->choices++;
        return range == NULL && dim->choices > 1;
    case REC_PARAM_FAMILY:
        return false;
    }
    return false;
}

enum rec_status rec_tune_space_init(struct rec_tune_space *space, const struct rec_family *family,
                                    const struct rec_params *start, const bool *fixed,
                                    struct rec_error *err) {
    *space = (struct rec_tune_space){.family = family, .start = *start};
    for (size_t row = 0; row < family->param_count; row++)
        if ((fixed == NULL || !fixed[row]) && make_dim(family, row, &space->dim[space->count]))
            space->count++;
    if (space->count == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "%s: there is nothing to search: it has no parameter that is worth a "
                             "search, or all are set",
                             family->name);
    return REC_OK;
}

/* Where a whole number is in the middle of its part, and the ends have as much of it as others. */
static void bounds(const struct rec_tune_dim *dim, double *low, double *high) {
    double margin = dim->whole ? 0.5 : 0.0;
    *low = dim->min - margin;
    *high = dim->max + margin;
    if (dim->log_scale) {
        *low = log(*low);
        *high = log(*high);
    }
}

static double clip(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double rec_tune_unit(const struct rec_tune_dim *dim, double value) {
    double low, high, from = dim->zero ? ZERO_SHARE : 0.0;
    if (dim->choices > 0)
        return clip((value + 0.5) / (double)dim->choices, 0.0, 1.0);
    if (dim->zero && value <= 0.0)
        return ZERO_SHARE / 2.0;
    bounds(dim, &low, &high);
    double at = dim->log_scale ? log(fmax(value, dim->min)) : value;
    return from + (1.0 - from) * clip((at - low) / (high - low), 0.0, 1.0);
}

/* To three digits: no search can tell .01 from .01000371, and people have to read and type it. */
static double short_of(double value) {
    if (!(fabs(value) > 0.0))
        return 0.0;
    double power = pow(10.0, 2.0 - floor(log10(fabs(value))));
    return round(value * power) / power;
}

double rec_tune_value(const struct rec_tune_dim *dim, double unit) {
    double low, high, from = dim->zero ? ZERO_SHARE : 0.0;
    unit = clip(unit, 0.0, 1.0);
    if (dim->choices > 0)
        return fmin(floor(unit * (double)dim->choices), (double)(dim->choices - 1));
    if (unit < from)
        return 0.0;
    bounds(dim, &low, &high);
    double at = low + (high - low) * (unit - from) / (1.0 - from);
    double value = dim->log_scale ? exp(at) : at;
    return clip(dim->whole ? round(value) : short_of(value), dim->min, dim->max);
}
