/* span: a part of a longer piece of work, as a progress of its own. */
#ifndef RECSYSD_TRAIN_SPAN_H
#define RECSYSD_TRAIN_SPAN_H

#include "recsysd/base.h"

struct rec_span {
    const struct rec_progress *outer; /* borrowed; may be NULL */
    const char *phase;                /* NULL: the name the worker gives */
    double from, to;                  /* where 0 and 1 of the part lie in the whole */
    struct rec_progress inner;        /* to hand to the worker; points back here */
};

/* The span must not move while inner is in use. */
void rec_span_init(struct rec_span *span, const struct rec_progress *outer, const char *phase,
                   double from, double to);

#endif
