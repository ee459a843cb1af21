/* What a study says it is of, so that trials of different searches are never compared. */
#include <stdio.h>

#include "recsysd/tune.h"

enum { FACT_BYTES = 160 };
#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* source: Fowler, Noll and Vo's 1a. It has to tell data sets apart, not to withstand anybody. */
static uint64_t hash(uint64_t sum, const void *data, size_t bytes) {
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ at[i]) * FNV_PRIME;
    return sum;
}

/* By content and not by path: a data set may move, and a file may change. */
static void describe_data(const struct rec_split *split, char *out, size_t cap) {
    const struct rec_dataset *train = split->train;
    const struct rec_csr *test = split->test;
    size_t rows = (size_t)train->offset[train->users], asked = (size_t)rec_csr_entries(test);
    uint64_t sum = FNV_START;
    sum = hash(sum, train->offset, ((size_t)train->users + 1) * sizeof(*train->offset));
    sum = hash(sum, train->item, rows * sizeof(*train->item));
    sum = hash(sum, train->weight, rows * sizeof(*train->weight));
    sum = hash(sum, train->time, rows * sizeof(*train->time));
    sum = hash(sum, test->offset, ((size_t)test->rows + 1) * sizeof(*test->offset));
    sum = hash(sum, test->column, asked * sizeof(*test->column));
    (void)snprintf(out, cap, "%u users x %u items, %zu rows, %zu asked, checksum %016llx",
                   train->users, train->items, rows, asked, (unsigned long long)sum);
}

enum rec_status rec_tune_study_open(const char *path, const struct rec_tune_options *options,
                                    const char *protocol, const char *set, struct rec_study **out,
                                    struct rec_error *err) {
    char data[FACT_BYTES], metric[FACT_BYTES], seed[FACT_BYTES];
    describe_data(options->split, data, sizeof(data));
    (void)snprintf(metric, sizeof(metric), "%s@%u", options->metric->name, options->k);
    (void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)options->seed);
    const struct rec_study_fact facts[] = {{"model", options->space->family->name},
                                           {"protocol", protocol},
                                           {"data", data},
                                           {"metric", metric},
                                           {"values set", set},
                                           {"seed", seed}};
    return rec_study_open(path, facts, sizeof(facts) / sizeof(facts[0]), out, err);
}
