/* What the two neighbourhood families share: how a matrix of interactions is weighted before rows
 * are compared. As in the search for texts, a row is a document and its columns are terms: for
 * item-knn a row is an item and its terms are users, for user-knn the other way round.
 *
 * source: tf-idf: Salton and Buckley, "Term-weighting approaches in automatic text retrieval",
 * 1988; BM25: Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond",
 *         2009, equation 3.15. Inside the room only. */
#ifndef FAMILIES_KNN_H
#define FAMILIES_KNN_H

#include "recsysd/linalg.h"
#include "recsysd/model.h"

/* Weights of users and items beyond this are refused: squares and sums then stay finite. */
#define REC_KNN_VALUE_MAX 1e12f

/* The choices of `weighting`. */
enum { REC_KNN_NONE, REC_KNN_TF_IDF, REC_KNN_BM25 };
extern const char *const rec_knn_weightings[];

/* Rows of the parameter tables. */
/* clang-format off */
#define REC_KNN_WEIGHTING_PARAMS(weighting, k1, b)                                                 \
    {"weighting", REC_PARAM_CHOICE, 0, REC_KNN_BM25, false, weighting, rec_knn_weightings,         \
     "how much an interaction says before rows are compared: none, tf-idf, bm25"},                 \
    {"k1", REC_PARAM_FLOAT, 1e-3, 1e4, true, k1, NULL,                                             \
     "bm25: how far repeated interactions go on to count"},                                        \
    {"b", REC_PARAM_FLOAT, 0, 1, false, b, NULL,                                                   \
     "bm25: how much those who do a lot are discounted, 0 to 1"}
#define REC_KNN_SHRINKAGE_PARAM(shrinkage)                                                         \
    {"shrinkage", REC_PARAM_FLOAT, 0, 1e6, false, shrinkage, NULL,                                 \
     "pulls likeness that rests on little data to zero"}

/* And where a tuner searches them. */
#define REC_KNN_TUNE                                                                               \
    {.name = "k1", .min = 0.1, .max = 300, .log_scale = true},                                     \
    {.name = "shrinkage", .min = 1, .max = 1000, .log_scale = true, .zero = true}
/* clang-format on */

struct rec_knn_weighting {
    int kind;
    double k1, b;
    double average; /* length of a document, the sum of its row */
    double *idf;    /* [terms] */
};

/* From the matrix itself, rows of which are the documents; empty rows do not count. */
enum rec_status rec_knn_weighting_init(struct rec_knn_weighting *weighting,
                                       const struct rec_params *params,
                                       const struct rec_csr *documents, struct rec_error *err);
void rec_knn_weighting_finish(struct rec_knn_weighting *weighting); /* repeated calls are fine */

/* What a term that a document of this length has x > 0 of weighs there: > 0. */
double rec_knn_weight(const struct rec_knn_weighting *weighting, double x, double length,
                      uint32_t term);

/* The sum of a row. */
double rec_knn_length(const struct rec_csr *documents, uint32_t row);

/* users x items, checked. errors: BAD_INPUT for weights beyond REC_KNN_VALUE_MAX, with the pair. */
enum rec_status rec_knn_matrix(const struct rec_fit *fit, const char *family, struct rec_csr **out,
                               struct rec_error *err);

/* Interactions that the matrix is made of. */
double rec_knn_events(const struct rec_dataset *data);

#endif
