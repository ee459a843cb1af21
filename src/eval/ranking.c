/* Ranking metrics of one list against the items that were relevant, with binary gain.
 * source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002 (NDCG);
 * the other definitions stand beside their lines, since names like MAP@k mean different things in
 * different libraries. */
#include <math.h>
#include <stdio.h>

#include "recsysd/eval.h"

#define METRIC(name, help, of_lists)                                                               \
    { #name, help, offsetof(struct rec_ranking, name), of_lists }
const struct rec_metric rec_metrics[] = {
    METRIC(precision, "share of the list that was relevant", false),
    METRIC(recall, "share of the relevant items that were in the list", false),
    METRIC(ndcg, "relevant items found, more the higher they stand; 1: the best order", false),
    METRIC(map, "mean precision at the places of the relevant items", false),
    METRIC(mrr, "one over the place of the first relevant item", false),
    METRIC(hit, "share of users with a relevant item in their list", false),
    METRIC(coverage, "share of all items that were recommended to anybody", true),
    METRIC(avg_popularity, "mean number of train rows of recommended items", true),
    METRIC(novelty, "mean -log2 of the share of users who had the item", true),
};
#undef METRIC
const size_t rec_metric_count = sizeof(rec_metrics) / sizeof(rec_metrics[0]);

double rec_metric_get(const struct rec_metric *metric, const struct rec_ranking *ranking) {
    return *(const double *)(const void *)((const char *)ranking + metric->offset);
}

static bool holds(const uint32_t *sorted, size_t count, uint32_t item) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] < item)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && sorted[low] == item;
}

void rec_ranking_add(struct rec_ranking *sum, const uint32_t *list, size_t list_count,
                     const uint32_t *relevant, size_t relevant_count) {
    if (relevant_count == 0)
        return; /* nothing could be found: the user says nothing about the list */
    size_t shown = list_count < sum->k ? list_count : sum->k;
    size_t findable = relevant_count < sum->k ? relevant_count : sum->k;
    size_t hits = 0;
    double gain = 0.0, ideal = 0.0, precisions = 0.0, first = 0.0;
    for (size_t i = 0; i < findable; i++)
        ideal += 1.0 / log2((double)i + 2.0);
    for (size_t i = 0; i < shown; i++) {
        if (!holds(relevant, relevant_count, list[i]))
            continue;
        hits++;
        gain += 1.0 / log2((double)i + 2.0);
        precisions += (double)hits / (double)(i + 1);
        if (hits == 1)
            first = 1.0 / (double)(i + 1);
    }
    sum->precision += (double)hits / (double)sum->k; /* a short list is not a precise one */
    sum->recall += (double)hits / (double)relevant_count;
    sum->ndcg += gain / ideal;
    sum->map += precisions / (double)findable;
    sum->mrr += first;
    sum->hit += hits > 0 ? 1.0 : 0.0;
    sum->users++;
}

void rec_ranking_merge(struct rec_ranking *sum, const struct rec_ranking *more) {
    sum->precision += more->precision;
    sum->recall += more->recall;
    sum->ndcg += more->ndcg;
    sum->map += more->map;
    sum->mrr += more->mrr;
    sum->hit += more->hit;
    sum->users += more->users;
}

void rec_ranking_finish(struct rec_ranking *sum) {
    if (sum->users == 0)
        return;
    double users = (double)sum->users;
    sum->precision /= users;
    sum->recall /= users;
    sum->ndcg /= users;
    sum->map /= users;
    sum->mrr /= users;
    sum->hit /= users;
}

size_t rec_ranking_write_json(const struct rec_ranking *ranking, char *out, size_t cap) {
    int bytes =
        snprintf(out, cap,
                 "{\"k\": %u, \"users\": %llu, \"ndcg\": %.6g, \"recall\": %.6g, "
                 "\"precision\": %.6g, \"map\": %.6g, \"mrr\": %.6g, \"hit\": %.6g, "
                 "\"coverage\": %.6g, \"avg_popularity\": %.6g, \"novelty\": %.6g}",
                 ranking->k, (unsigned long long)ranking->users, ranking->ndcg, ranking->recall,
                 ranking->precision, ranking->map, ranking->mrr, ranking->hit, ranking->coverage,
                 ranking->avg_popularity, ranking->novelty);
    return bytes < 0 ? 0 : (size_t)bytes;
}
