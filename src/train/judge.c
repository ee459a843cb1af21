/* The judge. The hold-out is the last liked event of every user with enough of them; everything
 * else is what models are fitted on and what is known of a user when asked.
 *
 * A fair rival must not have seen the answers. The live model was fitted on all data up to its own
 * training, so most of a hold-out is no question to it. Therefore:
 *
 *   1. When enough users did their held-out event after the live model was trained, only those
 *      users are asked, and the live model itself is the rival: it cannot know these events.
 *   2. Otherwise the rival is the live model's recipe, its family and parameters, fitted on the
 *      same train part as the candidate.
 *   3. When that recipe is the candidate's own, there is nothing to compare: the run is the same
 *      fit on more data, and is not judged.
 *
 * Judging the live model on events it was fitted on would be simpler and would refuse nearly every
 * retrain. In case 1 the candidate also knows what other users did since, as it will when it
 * serves: that advantage is what a retrain is for.
 *
 * Only NDCG@10 decides; recall is written for people. */
#include <math.h>
#include <stdio.h>

#include "judge.h"
#include "span.h"

/* ---- the hold-out ------------------------------------------------------------------ */

static int64_t last_liked(const struct rec_dataset *data, uint32_t user) {
    for (uint64_t i = data->offset[user + 1]; i > data->offset[user]; i--)
        if (data->weight[i - 1] > 0.0f)
            return (int64_t)data->time[i - 1];
    return -1;
}

static bool is_asked(const struct rec_csr *test, const struct rec_dataset *data, uint32_t user,
                     int64_t after) {
    return test->offset[user + 1] > test->offset[user] && last_liked(data, user) > after;
}

static uint64_t count_asked(const struct rec_csr *test, const struct rec_dataset *data,
                            int64_t after) {
    uint64_t users = 0;
    for (uint32_t u = 0; u < test->rows; u++)
        users += is_asked(test, data, u, after);
    return users;
}

/* Empties, in place, the rows of users who are not asked: those whose event is not after `after`,
 * and, of the rest, all but every n-th when they are too many. Returns how many remain. */
static uint64_t keep_asked(struct rec_csr *test, const struct rec_dataset *data, int64_t after,
                           uint64_t eligible) {
    uint64_t step = (eligible + REC_JUDGE_USERS_MAX - 1) / REC_JUDGE_USERS_MAX;
    uint64_t seen = 0, kept = 0, end = 0;
    uint64_t begin = test->offset[0];
    for (uint32_t u = 0; u < test->rows; u++) {
        uint64_t next = test->offset[u + 1];
        bool asked = next > begin && last_liked(data, u) > after && seen++ % step == 0;
        for (uint64_t i = begin; asked && i < next; i++, end++) {
            test->column[end] = test->column[i];
            test->value[end] = test->value[i];
        }
        kept += asked;
        test->offset[u + 1] = end;
        begin = next;
    }
    return kept;
}

static bool same_recipe(const struct rec_model *model, const struct rec_train_spec *spec) {
    if (model->family != spec->family || model->params.count != spec->params.count)
        return false;
    for (size_t i = 0; i < spec->params.count; i++)
        if (model->params.value[i] < spec->params.value[i] ||
            model->params.value[i] > spec->params.value[i])
            return false;
    return true;
}

static void choose_rival(const struct rec_dataset *data, const struct rec_generation *live,
                         const struct rec_train_spec *candidate, struct rec_holdout *holdout) {
    struct rec_csr *test = holdout->split->test;
    const int64_t any = -2; /* before every time */
    int64_t after = any;
    uint64_t eligible = count_asked(test, data, any);
    holdout->rival = REC_JUDGE_NOBODY;
    if (eligible < REC_JUDGE_USERS_MIN) {
        holdout->reason = "too few users with enough history to judge";
        rec_split_destroy(&holdout->split);
        return;
    }

    if (live == NULL) {
        holdout->reason = "no model was live to compare with";
    } else {
        uint64_t fresh = count_asked(test, data, live->info.trained_at);
        if (fresh >= REC_JUDGE_USERS_MIN) {
            holdout->rival = REC_JUDGE_LIVE;
            after = live->info.trained_at;
            eligible = fresh;
        } else if (!same_recipe(live->model, candidate)) {
            holdout->rival = REC_JUDGE_RECIPE;
        } else {
            holdout->reason = "the recipe of the live model, and too few events since its training";
        }
    }
    holdout->users = keep_asked(test, data, after, eligible);
}

enum rec_status rec_judge_hold_out(const struct rec_dataset *data,
                                   const struct rec_generation *live,
                                   const struct rec_train_spec *candidate, struct rec_holdout *out,
                                   struct rec_error *err) {
    const struct rec_split_options options = {.kind = REC_SPLIT_LEAVE_LAST,
                                              .test_last = 1,
                                              .user_events_min = REC_JUDGE_POSITIVES_MIN,
                                              .positives_only = true};
    struct rec_holdout holdout = {0};
    enum rec_status st = rec_split_make(data, &options, &holdout.split, err);
    if (st != REC_OK)
        return st;
    choose_rival(data, live, candidate, &holdout);
    *out = holdout;
    return REC_OK;
}

void rec_holdout_finish(struct rec_holdout *holdout) {
    rec_split_destroy(&holdout->split);
}

/* ---- the comparison ------------------------------------------------------------------ */

static enum rec_status measure(const struct rec_train_context *context,
                               const struct rec_model *model, const struct rec_split *split,
                               const struct rec_progress *progress, struct rec_ranking *out,
                               struct rec_error *err) {
    static const uint32_t k = REC_JUDGE_K;
    const struct rec_evaluate_options options = {
        .ks = &k, .k_count = 1, .pool = context->pool, .progress = progress};
    enum rec_status st = rec_evaluate(model, split, &options, out, err);
    if (st == REC_OK && !isfinite(out->ndcg))
        return rec_error_set(err, REC_CORRUPT, "judging %s gave an NDCG@%u that is not a number",
                             model->family->name, k);
    return st;
}

/* The live model's recipe, fitted on what the candidate was fitted on, and measured. */
static enum rec_status measure_recipe(const struct rec_train_context *context,
                                      const struct rec_train_spec *spec,
                                      const struct rec_holdout *holdout,
                                      const struct rec_model *live,
                                      const struct rec_progress *progress, struct rec_ranking *out,
                                      struct rec_error *err) {
    struct rec_span fitting, measuring;
    rec_span_init(&fitting, progress, NULL, 0.0, 0.9);
    rec_span_init(&measuring, progress, NULL, 0.9, 1.0);
    const struct rec_fit fit = {.data = holdout->split->train,
                                .params = &live->params,
                                .seed = spec->seed,
                                .pool = context->pool,
                                .progress = &fitting.inner};
    struct rec_model *rival = NULL;
    enum rec_status st = rec_model_fit(live->family, &fit, &rival, err);
    if (st == REC_OK)
        st = measure(context, rival, holdout->split, &measuring.inner, out, err);
    rec_model_destroy(&rival);
    return st;
}

static int write_ranking(const char *name, const struct rec_ranking *ranking, char *out,
                         size_t cap) {
    return snprintf(out, cap, ",\"%s\":{\"ndcg@%u\":%.6g,\"recall@%u\":%.6g,\"users\":%llu}", name,
                    ranking->k, ranking->ndcg, ranking->k, ranking->recall,
                    (unsigned long long)ranking->users);
}

static void write_metrics(const struct rec_holdout *holdout, const struct rec_ranking *candidate,
                          const struct rec_ranking *rival, char metrics[1024]) {
    char measured[200], compared[200] = "";
    (void)write_ranking("candidate", candidate, measured, sizeof(measured));
    if (holdout->rival == REC_JUDGE_NOBODY) {
        (void)snprintf(metrics, 1024, "{\"judged\":false,\"reason\":\"%s\"%s}", holdout->reason,
                       measured);
        return;
    }
    (void)write_ranking("live", rival, compared, sizeof(compared));
    (void)snprintf(metrics, 1024, "{\"judged\":true,\"against\":\"%s\"%s%s}",
                   holdout->rival == REC_JUDGE_LIVE ? "live model" : "live recipe", measured,
                   compared);
}

void rec_judge_write_unjudged(const char *reason, char metrics[1024]) {
    (void)snprintf(metrics, 1024, "{\"judged\":false,\"reason\":\"%s\"}", reason);
}

enum rec_status
rec_judge_compare(const struct rec_train_context *context, const struct rec_train_spec *spec,
                  const struct rec_holdout *holdout, const struct rec_model *candidate,
                  const struct rec_generation *live, const struct rec_progress *progress,
                  char metrics[1024], struct rec_error *err) {
    struct rec_ranking ours = {0}, theirs = {0};
    struct rec_span first, second;
    rec_span_init(&first, progress, NULL, 0.0, 0.3);
    rec_span_init(&second, progress, NULL, 0.3, 1.0);

    enum rec_status st = measure(context, candidate, holdout->split, &first.inner, &ours, err);
    if (st == REC_OK && holdout->rival == REC_JUDGE_LIVE)
        st = measure(context, live->model, holdout->split, &second.inner, &theirs, err);
    if (st == REC_OK && holdout->rival == REC_JUDGE_RECIPE)
        st = measure_recipe(context, spec, holdout, live->model, &second.inner, &theirs, err);
    if (st != REC_OK)
        return st;

    write_metrics(holdout, &ours, &theirs, metrics);
    if (holdout->rival != REC_JUDGE_NOBODY && ours.ndcg < theirs.ndcg * (1.0 - spec->tolerance))
        return rec_error_set(err, REC_NOT_BETTER,
                             "NDCG@%d %.4f of the candidate is below %.4f of the live model by "
                             "more than the tolerance of %g",
                             REC_JUDGE_K, ours.ndcg, theirs.ndcg, spec->tolerance);
    return REC_OK;
}
