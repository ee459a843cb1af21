/* The evaluation protocols on the MovieLens data sets, as splits: what is fitted, what is asked. */
#ifndef RECSYSD_TESTS_EVAL_PROTOCOLS_H
#define RECSYSD_TESTS_EVAL_PROTOCOLS_H

#include "recsysd/data.h"

struct protocol {
    const char *name;
    const char *folder; /* of its data set */
    enum rec_format format;
    bool positives_only; /* rows that were not liked are no part of it */
    struct rec_split_options split;
};

/* last-out (ml-latest-small: last liked movie of users with three, the one before for validation)
 * and last-five (ml-1m: last five ratings, liked ones count, tested on users 1 to 2999). */
extern const struct protocol protocols[];
extern const size_t protocol_count;

/* The data sets' folder: RECSYSD_TEST_DATA, or shared/data beside the source tree. */
const char *protocols_data(void);
/* NOT_FOUND, saying what was looked for, where the data set is absent. */
enum rec_status protocol_split(const struct protocol *protocol, struct rec_split **out,
                               struct rec_error *err);

#endif
