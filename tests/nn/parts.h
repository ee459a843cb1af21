/* What the tests of nn share: matrices that clean up after themselves, and start. */
#ifndef RECSYSD_TESTS_NN_PARTS_H
#define RECSYSD_TESTS_NN_PARTS_H

#include "recsysd/nn.h"

/* Normal numbers; the rows are `gap` floats longer than the columns, and the gaps hold GUARD. */
#define GUARD 12345.0f
struct rec_matrix part_matrix(struct rec_rng *rng, size_t rows, size_t cols, size_t gap);
void part_check_gaps(const struct rec_matrix *matrix);
void part_free(struct rec_matrix *matrix);

/* rows x cols of normal numbers, its value owned: part_variable_free. */
struct rec_variable part_variable(struct rec_rng *rng, size_t rows, size_t cols);
void part_variable_free(struct rec_variable *variable);

/* A batch whose rows have 0 to 5 entries, some of them twice the same input. */
struct rec_batch *part_batch(struct rec_rng *rng, size_t rows, uint32_t inputs);

/* Targets with 0 to 4 items a row, of weights .2 to 2. */
struct rec_csr *part_targets(struct rec_rng *rng, uint32_t rows, uint32_t items);

/* Σ weight x, in double: a loss whose gradient is the weights. */
double part_weighted(const struct rec_matrix *x, const struct rec_matrix *weight);

int part_start(void **state); /* for cmocka_run_group_tests */

#endif
