/* What the tests against golden numbers share: fit a family on the world of the numbers, ask it,
 * and compare, in every variant of the kernels that this processor runs. The numbers are of
 * tools/golden_*.py. A number that is off fails the running test, and the text names it. */
#ifndef RECSYSD_TESTS_FAMILIES_GOLDEN_H
#define RECSYSD_TESTS_FAMILIES_GOLDEN_H

#include "recsysd/data.h"
#include "recsysd/families.h"

struct golden_world {
    const struct rec_dataset_row *rows;
    size_t row_count;
    uint32_t users, items;
    uint64_t seed;
    struct rec_history history;
};

/* The world of the golden header that the test includes. */
#define GOLDEN_WORLD                                                                               \
    .rows = golden_rows, .row_count = COUNT(golden_rows), .users = GOLDEN_USERS,                   \
    .items = GOLDEN_ITEMS, .history = {golden_history, COUNT(golden_history), UINT32_MAX}

/* What is checked, for messages, and how far its numbers may be off: the sum of these. */
struct golden_row {
    const char *name;
    double of_largest; /* times the largest of the list */
    double of_each;    /* times the number itself */
    double always;
};

/* Of the history; NULL: not checked. */
struct golden_answers {
    const double *query; /* [query_floats] */
    size_t query_floats;
    const double *scores;  /* [items] */
    const double *shares;  /* [items x events] */
    const double *similar; /* [items x items] */
    bool others_only;      /* an item's likeness to itself says nothing */
};

/* parameters: as rec_params_read takes them. loss: the last one that was reported; NULL fine. */
struct rec_model *golden_fit(const struct golden_world *world, const struct rec_family *family,
                             const char *parameters, double *loss);

void golden_check(const struct golden_row *row, const char *what, const float *got,
                  const double *want, size_t n);
void golden_check_tensor(const struct golden_row *row, const struct rec_model *model,
                         const char *name, const double *want, size_t n);
/* want [items x items]: the rows of a model that answers with item_rows.h. */
void golden_check_item_rows(const struct golden_row *row, const struct rec_model *model,
                            const double *want);
void golden_check_answers(const struct golden_row *row, const struct golden_world *world,
                          const struct rec_model *model, const struct golden_answers *want);

/* What main returns: runs check in every variant of the kernels. */
int golden_main(void (*check)(void));

#endif
