/* Weights of interactions for the neighbourhood families; see knn.h.
 *
 *   none     w = x
 *   tf-idf   w = √x idf
 *   bm25     w = x (k1 + 1) / (x + k1 (1 - b + b length / average)) idf
 *
 * with idf = log(1 + N / n) for a term that n of the N documents have. The idf usual with bm25,
 * log((N - n + ½) / (n + ½)), is negative for terms that half of the documents have: in texts these
 * say nothing, but a film half of the users saw, or a user who saw half of the films, still does.
 */
#include "knn.h"

#include <math.h>

#include "recsysd/data.h"

const char *const rec_knn_weightings[] = {
    [REC_KNN_NONE] = "none", [REC_KNN_TF_IDF] = "tf-idf", [REC_KNN_BM25] = "bm25", NULL};

enum rec_status rec_knn_weighting_init(struct rec_knn_weighting *weighting,
                                       const struct rec_params *params,
                                       const struct rec_csr *documents, struct rec_error *err) {
    double sum = 0.0, count = 0.0, *idf = rec_alloc_array(documents->cols, sizeof(*idf));
    if (idf == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the weights of %u columns",
                             documents->cols);
    for (uint32_t row = 0; row < documents->rows; row++) {
        sum += rec_knn_length(documents, row);
        count += documents->offset[row] < documents->offset[row + (size_t)1];
    }
    for (uint64_t k = 0; k < rec_csr_entries(documents); k++)
        idf[documents->column[k]] += 1.0;
    for (uint32_t term = 0; term < documents->cols; term++)
        if (idf[term] > 0.0)
            idf[term] = log1p(count / idf[term]);
    *weighting = (struct rec_knn_weighting){
        .kind = (int)rec_params_get(params, "weighting"),
        .k1 = rec_params_get(params, "k1"),
        .b = rec_params_get(params, "b"),
        .average = sum / count,
        .idf = idf,
    };
    return REC_OK;
}

void rec_knn_weighting_finish(struct rec_knn_weighting *weighting) {
    rec_alloc_free(weighting->idf);
    weighting->idf = NULL;
}

double rec_knn_weight(const struct rec_knn_weighting *weighting, double x, double length,
                      uint32_t term) {
    if (weighting->kind == REC_KNN_NONE)
        return x;
    if (weighting->kind == REC_KNN_TF_IDF)
        return sqrt(x) * weighting->idf[term];
    double b = weighting->b, slope = weighting->k1 * (1.0 - b + b * length / weighting->average);
    return x * (weighting->k1 + 1.0) / (x + slope) * weighting->idf[term];
}

double rec_knn_length(const struct rec_csr *documents, uint32_t row) {
    double sum = 0.0;
    for (uint64_t k = documents->offset[row]; k < documents->offset[row + (size_t)1]; k++)
        sum += (double)documents->value[k];
    return sum;
}

enum rec_status rec_knn_matrix(const struct rec_fit *fit, const char *family, struct rec_csr **out,
                               struct rec_error *err) {
    rec_progress_report(fit->progress, "fit", 0.0, (double)NAN);
    if (rec_progress_cancelled(fit->progress))
        return rec_error_set(err, REC_CANCELLED, "%s: cancelled", family);
    struct rec_csr *matrix = NULL;
    enum rec_status st = rec_dataset_matrix(fit->data, &matrix, err);
    for (uint32_t user = 0; st == REC_OK && user < matrix->rows; user++)
        for (uint64_t k = matrix->offset[user]; k < matrix->offset[user + (size_t)1]; k++)
            if (!(matrix->value[k] <= REC_KNN_VALUE_MAX))
                st = rec_error_set(err, REC_BAD_INPUT,
                                   "%s: the weight of user %u and item %u is %g, the limit is %g; "
                                   "lower the weights",
                                   family, user, matrix->column[k], (double)matrix->value[k],
                                   (double)REC_KNN_VALUE_MAX);
    if (st != REC_OK) {
        rec_csr_destroy(&matrix);
        return st;
    }
    *out = matrix;
    return REC_OK;
}

double rec_knn_events(const struct rec_dataset *data) {
    double events = 0.0;
    for (uint64_t e = 0; e < data->offset[data->users]; e++)
        events += data->weight[e] > 0.0f;
    return events;
}
