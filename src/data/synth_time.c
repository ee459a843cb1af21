/* Made-up rows in the order of a log. They are made twice: once to count those of each hour, once
 * to put each into its hour's place; then an hour at a time is sorted. So nothing is held twice,
 * and what is sorted fits a cache. */
#include <stdlib.h>

#include "recsysd/data.h"

enum { HOUR_S = 3600, HOURS = REC_SYNTH_DAYS * 24 + 1 }; /* the last takes what comes after it */

struct by_time {
    struct rec_synth_row *rows; /* NULL: count */
    uint64_t *offset;           /* [HOURS + 1] */
};

static enum rec_status place(void *context, const struct rec_synth_row *rows, size_t count,
                             struct rec_error *err) {
    const struct by_time *b = context;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        uint32_t hour = (rows[i].time - REC_SYNTH_BEGIN_S) / HOUR_S;
        if (hour >= HOURS)
            hour = HOURS - 1;
        if (b->rows == NULL)
            b->offset[hour + 1]++;
        else
            b->rows[b->offset[hour]++] = rows[i];
    }
    return REC_OK;
}

/* No user has two rows at a time. */
static int compare(const void *left, const void *right) {
    const struct rec_synth_row *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->user > b->user) - (a->user < b->user);
}

enum rec_status rec_synth_by_time(const struct rec_synth_options *options, rec_synth_fn fn,
                                  void *context, struct rec_error *err) {
    struct by_time b = {.offset = rec_alloc_array(HOURS + 1, sizeof(*b.offset))};
    enum rec_status st = REC_OK;
    if (b.offset == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to order rows by time");
    st = rec_synth_run(options, place, &b, err);
    for (size_t h = 0; h < HOURS; h++)
        b.offset[h + 1] += b.offset[h];
    if (st == REC_OK) {
        b.rows = rec_alloc_array((size_t)options->interactions, sizeof(*b.rows));
        st = b.rows != NULL ? rec_synth_run(options, place, &b, err)
                            : rec_error_set(err, REC_NO_MEMORY,
                                            "no memory to order %llu rows by time; --order user "
                                            "takes none",
                                            (unsigned long long)options->interactions);
    }
    uint64_t begin = 0; /* each offset has moved to its hour's end */
    for (size_t h = 0; st == REC_OK && h < HOURS; begin = b.offset[h++]) {
        size_t count = (size_t)(b.offset[h] - begin);
        if (count == 0)
            continue;
        qsort(b.rows + begin, count, sizeof(*b.rows), compare);
        st = fn(context, b.rows + begin, count, err);
    }
    rec_alloc_free(b.rows);
    rec_alloc_free(b.offset);
    return st;
}
