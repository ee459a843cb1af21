/* The judge. The hold-out is the last liked event of users with enough of them, of a sample where
 * they are many; everything else is what models are fitted on and what is known of a user when
 * asked. The events held out are taken out of the dataset itself and put back in the end: a copy of
 * the rest would be as large as all that is there.
 *
 * A fair rival must not have seen the answers. The live model was fitted on all rows there were at
 * its training, so most of a hold-out is no question to it. Therefore:
 *
 *   1. When the held-out events of enough users were recorded after the live model's training,
 *      only those users are asked, and the live model itself is the rival: it cannot know them.
 *   2. Otherwise the rival is the live model's recipe, its family and parameters, fitted on the
 *      same train part as the candidate.
 *   3. When that recipe is the candidate's own, there is nothing to compare: the run is the same
 *      fit on more data, and is not judged.
 *
 * What the live model has seen is told by the order of arrival, which the store numbers, and not by
 * the events' times: clients send events late, and their clocks are wrong.
 *
 * Judging the live model on events it was fitted on would be simpler and would refuse nearly every
 * retrain. In case 1 the candidate also knows what other users did since, as it will when it
 * serves: that advantage is what a retrain is for.
 *
 * Only NDCG@10 decides; recall is written for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "span.h"

/* ---- the hold-out ------------------------------------------------------------------ */

#define NO_EVENT UINT64_MAX

static uint64_t last_liked(const struct rec_dataset *data, uint32_t user) {
    for (uint64_t e = data->offset[user + 1]; e > data->offset[user]; e--)
        if (data->weight[e - 1] > 0.0f)
            return e - 1;
    return NO_EVENT;
}

/* Walks the store's rows beside the dataset's events: both come by user, oldest first. */
struct arrivals {
    const struct rec_dataset *data;
    const struct rec_progress *progress;
    uint64_t snapshot; /* the dataset holds rows up to this number */
    uint64_t known;    /* the live model was fitted on rows up to this number */
    bool *unseen;      /* [users] */
    uint32_t user;
    uint64_t event, held_out;
};

static enum rec_status on_arrival(void *context, const struct rec_store_row *row) {
    struct arrivals *arrivals = context;
    if (row->sequence > arrivals->snapshot || row->user >= arrivals->data->users)
        return REC_OK; /* came after the snapshot */
    if (row->user != arrivals->user) {
        if (rec_progress_cancelled(arrivals->progress))
            return REC_CANCELLED;
        arrivals->user = row->user;
        arrivals->event = arrivals->data->offset[row->user];
        arrivals->held_out = last_liked(arrivals->data, row->user);
    }
    if (arrivals->event++ == arrivals->held_out)
        arrivals->unseen[row->user] = row->sequence > arrivals->known;
    return REC_OK;
}

/* Whether the item of an event comes up in no other of the user's: else it is no question. */
static bool is_new_to(const struct rec_dataset *data, uint32_t user, uint64_t event) {
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
        if (e != event && data->item[e] == data->item[event])
            return false;
    return true;
}

/* The event to hold out of this user's; NO_EVENT: the user is not asked. unseen NULL: all may be.
 */
static uint64_t question(const struct rec_dataset *data, const bool *unseen, uint32_t user) {
    uint64_t liked = 0;
    if (unseen != NULL && !unseen[user])
        return NO_EVENT;
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
        liked += data->weight[e] > 0.0f;
    if (liked < REC_JUDGE_POSITIVES_MIN)
        return NO_EVENT;
    uint64_t last = last_liked(data, user);
    return is_new_to(data, user, last) ? last : NO_EVENT;
}

static uint64_t count_questions(const struct rec_dataset *data, const bool *unseen) {
    uint64_t users = 0;
    for (uint32_t u = 0; u < data->users; u++)
        users += question(data, unseen, u) != NO_EVENT;
    return users;
}

static uint64_t step_of(uint64_t asked) {
    return (asked + REC_JUDGE_USERS_MAX - 1) / REC_JUDGE_USERS_MAX;
}

/* One event that is held out, to be put back. */
struct rec_held_out {
    uint64_t event; /* its place in the whole dataset */
    uint32_t user, item, time;
    float weight;
};

/* Every n-th of the users that can be asked, when they are too many. */
static enum rec_status choose_questions(const struct rec_dataset *data, const bool *unseen,
                                        uint64_t users, struct rec_holdout *out,
                                        struct rec_error *err) {
    uint64_t step = step_of(users), passed = 0;
    out->held = rec_alloc_array((users + step - 1) / step, sizeof(*out->held));
    if (out->held == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to judge on %llu users",
                             (unsigned long long)(users / step));
    for (uint32_t u = 0; u < data->users; u++) {
        uint64_t e = question(data, unseen, u);
        if (e != NO_EVENT && passed++ % step == 0)
            out->held[out->held_count++] =
                (struct rec_held_out){e, u, data->item[e], data->time[e], data->weight[e]};
    }
    return REC_OK;
}

static void move(struct rec_dataset *data, uint64_t to, uint64_t from, uint64_t count) {
    memmove(data->item + to, data->item + from, count * sizeof(*data->item));
    memmove(data->weight + to, data->weight + from, count * sizeof(*data->weight));
    memmove(data->time + to, data->time + from, count * sizeof(*data->time));
}

/* Each stretch between two held-out events moves down by as many as come before it. */
static void take_out(struct rec_dataset *data, const struct rec_held_out *held, size_t count) {
    uint64_t end = data->offset[data->users];
    for (size_t i = 0; i < count; i++) {
        uint64_t next = i + 1 < count ? held[i + 1].event : end;
        move(data, held[i].event - i, held[i].event + 1, next - held[i].event - 1);
        uint32_t last = i + 1 < count ? held[i + 1].user : data->users;
        for (uint32_t u = held[i].user + 1; u <= last; u++)
            data->offset[u] -= i + 1;
    }
}

static void put_back(struct rec_dataset *data, const struct rec_held_out *held, size_t count) {
    uint64_t end = data->offset[data->users] + count;
    for (size_t i = count; i-- > 0;) {
        uint64_t next = i + 1 < count ? held[i + 1].event : end;
        move(data, held[i].event + 1, held[i].event - i, next - held[i].event - 1);
        data->item[held[i].event] = held[i].item;
        data->weight[held[i].event] = held[i].weight;
        data->time[held[i].event] = held[i].time;
        uint32_t last = i + 1 < count ? held[i + 1].user : data->users;
        for (uint32_t u = held[i].user + 1; u <= last; u++)
            data->offset[u] += i + 1;
    }
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What the asked users have already, once each and rising, from a dataset without the questions. */
static void fill_seen(const struct rec_dataset *data, const struct rec_holdout *holdout,
                      struct rec_csr *seen) {
    uint64_t at = 0;
    uint32_t next = 0;
    for (size_t i = 0; i < holdout->held_count; i++) {
        uint32_t user = holdout->held[i].user;
        uint64_t begin = data->offset[user], count = data->offset[user + 1] - begin, first = at;
        while (next <= user)
            seen->offset[next++] = at;
        memcpy(seen->column + at, data->item + begin, count * sizeof(*seen->column));
        qsort(seen->column + at, (size_t)count, sizeof(*seen->column), by_number);
        for (uint64_t k = first; k < first + count; k++)
            if (k == first || seen->column[k] != seen->column[k - 1]) {
                seen->column[at] = seen->column[k];
                seen->value[at++] = 1.0f;
            }
    }
    while (next <= data->users)
        seen->offset[next++] = at;
}

static void fill_test(const struct rec_holdout *holdout, struct rec_csr *test) {
    uint32_t next = 0;
    for (size_t i = 0; i < holdout->held_count; i++) {
        while (next <= holdout->held[i].user)
            test->offset[next++] = i;
        test->column[i] = holdout->held[i].item;
        test->value[i] = 1.0f;
    }
    while (next <= test->rows)
        test->offset[next++] = holdout->held_count;
}

/* The split of the questions chosen: what is left of the dataset, seen and asked. */
static enum rec_status make_split(struct rec_dataset *data, struct rec_holdout *out,
                                  struct rec_error *err) {
    uint64_t entries = 0;
    struct rec_split *split = rec_alloc_array(1, sizeof(*split));
    if (split == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to judge");
    for (size_t i = 0; i < out->held_count; i++)
        entries += data->offset[out->held[i].user + 1] - data->offset[out->held[i].user];
    enum rec_status st = rec_csr_create(data->users, data->items, entries, &split->seen, err);
    if (st == REC_OK)
        st = rec_csr_create(data->users, data->items, out->held_count, &split->test, err);
    if (st != REC_OK) {
        rec_split_destroy(&split);
        return st;
    }
    take_out(data, out->held, out->held_count);
    fill_seen(data, out, split->seen);
    fill_test(out, split->test);
    split->train = split->history = data;
    split->test_rows = out->held_count;
    out->split = split;
    return REC_OK;
}

/* ---- the split of a search ------------------------------------------------------------- */

static uint64_t count_asked(const struct rec_csr *test) {
    uint64_t users = 0;
    for (uint32_t u = 0; u < test->rows; u++)
        users += test->offset[u + 1] > test->offset[u];
    return users;
}

/* Empties, in place, all but every n-th of the rows when they are too many. */
static void keep_asked(struct rec_csr *test, uint64_t asked) {
    uint64_t step = step_of(asked);
    uint64_t passed = 0, end = 0;
    uint64_t begin = test->offset[0];
    for (uint32_t u = 0; u < test->rows; u++) {
        uint64_t next = test->offset[u + 1];
        bool stays = next > begin && passed++ % step == 0;
        for (uint64_t i = begin; stays && i < next; i++, end++) {
            test->column[end] = test->column[i];
            test->value[end] = test->value[i];
        }
        test->offset[u + 1] = end;
        begin = next;
    }
}

enum rec_status rec_judge_search_split(const struct rec_dataset *data, struct rec_split **out,
                                       struct rec_error *err) {
    const struct rec_split_options options = {.kind = REC_SPLIT_LEAVE_LAST,
                                              .test_last = 1,
                                              .validation_last = 1,
                                              .user_events_min = REC_JUDGE_POSITIVES_MIN,
                                              .positives_only = true};
    struct rec_split *split = NULL;
    enum rec_status st = rec_split_make(data, &options, &split, err);
    if (st != REC_OK)
        return st;
    rec_csr_destroy(&split->test);
    split->test = split->validation;
    split->validation = NULL;
    split->test_rows = rec_csr_entries(split->test);
    uint64_t users = count_asked(split->test);
    if (users < REC_JUDGE_USERS_MIN) {
        rec_split_destroy(&split);
        return rec_error_set(err, REC_BAD_INPUT,
                             "tune: %llu users have enough history to judge trials on; it takes "
                             "%d. Train without tune, or record more interactions",
                             (unsigned long long)users, REC_JUDGE_USERS_MIN);
    }
    keep_asked(split->test, users);
    *out = split;
    return REC_OK;
}

/* ---- the rival --------------------------------------------------------------------------- */

static bool same_recipe(const struct rec_model *model, const struct rec_train_spec *spec) {
    if (model->family != spec->family || model->params.count != spec->params.count)
        return false;
    for (size_t i = 0; i < spec->params.count; i++)
        if (model->params.value[i] < spec->params.value[i] ||
            model->params.value[i] > spec->params.value[i])
            return false;
    return true;
}

/* Which users' held-out events the live model cannot have seen; *out stays NULL when there are too
 * few to ask. recorded 0 is a model that does not say what it was fitted on. */
static enum rec_status find_unseen(const struct rec_train_context *context,
                                   const struct rec_dataset *data, uint64_t recorded,
                                   const struct rec_generation *live, bool **out,
                                   struct rec_error *err) {
    struct arrivals arrivals = {.data = data,
                                .progress = context->progress,
                                .snapshot = recorded,
                                .known = live->info.recorded,
                                .user = REC_STORE_NONE};
    if (arrivals.known == 0 || recorded < arrivals.known + REC_JUDGE_USERS_MIN)
        return REC_OK;
    arrivals.unseen = rec_alloc_array(data->users, sizeof(*arrivals.unseen));
    if (arrivals.unseen == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to judge on %u users", data->users);

    const struct rec_store_scan scan = {.row = on_arrival, .context = &arrivals};
    enum rec_status st = rec_store_scan(context->store, &scan, err);
    if (st == REC_OK && count_questions(data, arrivals.unseen) >= REC_JUDGE_USERS_MIN)
        *out = arrivals.unseen;
    else
        rec_alloc_free(arrivals.unseen);
    return st;
}

static void choose_rival(const struct rec_generation *live, const struct rec_train_spec *candidate,
                         const bool *unseen, struct rec_holdout *holdout) {
    if (live == NULL)
        holdout->reason = "no model was live to compare with";
    else if (unseen != NULL)
        holdout->rival = REC_JUDGE_LIVE;
    else if (!same_recipe(live->model, candidate))
        holdout->rival = REC_JUDGE_RECIPE;
    else
        holdout->reason = "the recipe of the live model, and too few events since its training";
}

enum rec_status rec_judge_hold_out(const struct rec_train_context *context,
                                   const struct rec_train_spec *candidate, struct rec_dataset *data,
                                   uint64_t recorded, const struct rec_generation *live,
                                   struct rec_holdout *out, struct rec_error *err) {
    struct rec_holdout holdout = {.rival = REC_JUDGE_NOBODY};
    bool *unseen = NULL;
    uint64_t users = count_questions(data, NULL);
    if (users < REC_JUDGE_USERS_MIN) {
        holdout.reason = "too few users with enough history to judge";
        *out = holdout;
        return REC_OK;
    }
    enum rec_status st = REC_OK;
    if (live != NULL)
        st = find_unseen(context, data, recorded, live, &unseen, err);
    if (st == REC_OK) {
        choose_rival(live, candidate, unseen, &holdout);
        if (unseen != NULL)
            users = count_questions(data, unseen);
        st = choose_questions(data, unseen, users, &holdout, err);
    }
    if (st == REC_OK)
        st = make_split(data, &holdout, err);
    rec_alloc_free(unseen);
    if (st == REC_OK)
        *out = holdout;
    else
        rec_holdout_finish(&holdout);
    return st;
}

void rec_holdout_finish(struct rec_holdout *holdout) {
    if (holdout->split != NULL) {
        put_back(holdout->split->train, holdout->held, holdout->held_count);
        holdout->split->train = holdout->split->history = NULL; /* the caller's */
    }
    rec_split_destroy(&holdout->split);
    rec_alloc_free(holdout->held);
    holdout->held = NULL;
    holdout->held_count = 0;
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
                                .progress = &fitting.inner,
                                .memory_bytes_max = context->memory_bytes_max};
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
