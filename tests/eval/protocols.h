/* The evaluation protocols on their data sets, as splits: what is fitted, what is asked. */
#ifndef RECSYSD_TESTS_EVAL_PROTOCOLS_H
#define RECSYSD_TESTS_EVAL_PROTOCOLS_H

#include "recsysd/data.h"

struct protocol {
    const char *name; /* of the preset */
    const char *path; /* of its data set, in the data sets' folder */
    enum rec_format format;
};

extern const struct protocol protocols[];
extern const size_t protocol_count;

/* The data sets' folder: RECSYSD_TEST_DATA, or shared/data beside the source tree. */
const char *protocols_data(void);
/* NOT_FOUND, saying what was looked for, where the data set is absent. */
enum rec_status protocol_split(const struct protocol *protocol, struct rec_split **out,
                               struct rec_error *err);
/* The same for the validation part. */
enum rec_status protocol_split_validation(const struct protocol *protocol, struct rec_split **out,
                                          struct rec_error *err);
/* The data set by a protocol of one's own. */
enum rec_status protocol_split_as(const struct protocol *protocol, const struct rec_protocol *own,
                                  bool on_validation, struct rec_split **out,
                                  struct rec_error *err);

#endif
