/* A worker reports 0 to 1 of its own part and knows nothing of the rest of the run; the span maps
 * that onto its place in the whole and passes cancellation through unchanged. */
#include "span.h"

static void relay(void *context, const char *phase, double fraction, double loss) {
    const struct rec_span *span = context;
    double part = fraction > 0.0 ? (fraction < 1.0 ? fraction : 1.0) : 0.0; /* NaN is 0 */
    rec_progress_report(span->outer, span->phase != NULL ? span->phase : phase,
                        span->from + (span->to - span->from) * part, loss);
}

void rec_span_init(struct rec_span *span, const struct rec_progress *outer, const char *phase,
                   double from, double to) {
    *span = (struct rec_span){.outer = outer,
                              .phase = phase,
                              .from = from,
                              .to = to,
                              .inner = {.report = relay,
                                        .context = span,
                                        .cancel = outer != NULL ? outer->cancel : NULL}};
}
