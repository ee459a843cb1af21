/* Evaluation of a model on a split: a full ranking for every tested user, as serving would do it.
 *
 * Users go in batches: one pass over a block of items scores all of them, which is what makes a
 * matrix product of it. A task is a fixed number of users, never a share of them per thread, and
 * its sums are added up in task order: the same bits come out for any number of threads. What
 * threads share besides is a set of bits (items recommended to anybody), where order is nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/eval.h"

enum {
    BATCH_USERS = 32,   /* scored together, and one task */
    BLOCK_ITEMS = 4096, /* with BATCH_USERS: 512 KiB of scores, which stay in the cache */
};

/* What one worker needs; one block of memory for all of it is allocated per array. */
struct scratch {
    float *queries;          /* [BATCH_USERS x query_floats] */
    float *query_scratch;    /* [scratch_floats] */
    float *scores;           /* [BATCH_USERS x BLOCK_ITEMS] */
    uint64_t *masks;         /* [BATCH_USERS x mask_words] */
    struct rec_event *event; /* [REC_HISTORY_SCORED_MAX] */
    struct rec_ranked *kept; /* [BATCH_USERS x k_max] */
    uint32_t *list;          /* [k_max] */
};

/* Sums of one task at one cut-off. */
struct task_sum {
    struct rec_ranking ranking;
    uint64_t popularity, recommended;
    double novelty;
};

struct evaluation {
    const struct rec_model *model;
    const struct rec_split *split;
    const struct rec_evaluate_options *options;
    const struct rec_csr *relevant;
    uint32_t items; /* that the model ranks */
    uint32_t k_max;
    size_t mask_words;

    uint32_t *users; /* [user_count] those with a relevant item */
    size_t user_count, tasks;
    uint32_t *train_count;     /* [catalogue] events of weight > 0 */
    float *popular;            /* [catalogue] the same, as scores */
    double *novelty;           /* [catalogue] -log2 of the share of users who have the item */
    struct rec_ranking *each;  /* [user_count x k_count] single users; NULL: nobody asks */
    struct task_sum *sums;     /* [tasks x k_count] */
    _Atomic uint64_t *covered; /* [k_count x mask_words] */
    struct scratch *scratch;   /* [workers] */
    size_t workers;
};

/* ---- one batch of users ------------------------------------------------------------- */

/* The newest events of what is known of the user. */
static struct rec_history history_of(const struct rec_dataset *known, uint32_t user,
                                     struct rec_event *events) {
    uint64_t first = known->offset[user], end = known->offset[user + 1];
    if (end - first > REC_HISTORY_SCORED_MAX)
        first = end - REC_HISTORY_SCORED_MAX;
    for (uint64_t e = first; e < end; e++)
        events[e - first] = (struct rec_event){known->item[e], known->weight[e], known->time[e]};
    return (struct rec_history){.events = events, .count = (size_t)(end - first), .user = user};
}

/* All items but the seen ones. */
static void set_mask(const struct evaluation *evaluation, uint32_t user, uint64_t *mask) {
    const struct rec_csr *seen = evaluation->split->seen;
    memset(mask, 0xff, evaluation->mask_words * sizeof(*mask));
    for (uint64_t s = seen->offset[user]; s < seen->offset[user + 1]; s++)
        mask[seen->column[s] / 64] &= ~(UINT64_C(1) << seen->column[s] % 64);
}

/* Ranks for queries that the model answers, packed at the front: slot[i] is whose the i-th is. */
static void scan_model(const struct evaluation *evaluation, struct scratch *scratch,
                       const size_t *slot, size_t count, struct rec_topk *top) {
    const struct rec_model *model = evaluation->model;
    for (uint32_t first = 0; count > 0 && first < evaluation->items; first += BLOCK_ITEMS) {
        uint32_t left = evaluation->items - first;
        uint32_t block = left < BLOCK_ITEMS ? left : BLOCK_ITEMS;
        model->family->score(model, scratch->queries, count, first, block, scratch->scores);
        for (size_t i = 0; i < count; i++)
            rec_topk_scan(&top[slot[i]], scratch->scores + i * block, first, block,
                          scratch->masks + slot[i] * evaluation->mask_words);
    }
}

/* Adds one finished list to the task's sums. */
static void add_list(struct evaluation *evaluation, size_t at, const struct rec_topk *top,
                     uint32_t *list, struct task_sum *sums) {
    uint32_t user = evaluation->users[at];
    const struct rec_csr *relevant = evaluation->relevant;
    uint64_t from = relevant->offset[user];
    size_t relevant_count = (size_t)(relevant->offset[user + 1] - from);
    for (size_t i = 0; i < top->count; i++)
        list[i] = top->kept[i].item;
    for (size_t c = 0; c < evaluation->options->k_count; c++) {
        struct task_sum *sum = &sums[c];
        _Atomic uint64_t *covered = evaluation->covered + c * evaluation->mask_words;
        struct rec_ranking one = {.k = sum->ranking.k};
        rec_ranking_add(&one, list, top->count, relevant->column + from, relevant_count);
        rec_ranking_merge(&sum->ranking, &one);
        if (evaluation->each != NULL)
            evaluation->each[at * evaluation->options->k_count + c] = one;
        for (size_t i = 0; i < top->count && i < sum->ranking.k; i++) {
            uint64_t bit = UINT64_C(1) << list[i] % 64;
            _Atomic uint64_t *word = &covered[list[i] / 64];
            /* A look first: most items are there already, and a plain read shares the line. */
            if ((atomic_load_explicit(word, memory_order_relaxed) & bit) == 0)
                atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
            sum->popularity += evaluation->train_count[list[i]];
            sum->novelty += evaluation->novelty[list[i]];
            sum->recommended++;
        }
    }
}

static void run_task(void *context, size_t task, size_t worker) {
    struct evaluation *evaluation = context;
    const struct rec_evaluate_options *options = evaluation->options;
    if (rec_progress_cancelled(options->progress))
        return;
    const struct rec_model *model = evaluation->model;
    const struct rec_split *split = evaluation->split;
    struct scratch *scratch = &evaluation->scratch[worker];
    const uint32_t *users = evaluation->users + task * BATCH_USERS;
    size_t left = evaluation->user_count - task * BATCH_USERS;
    size_t count = left < BATCH_USERS ? left : BATCH_USERS;

    struct rec_topk top[BATCH_USERS];
    size_t slot[BATCH_USERS], answered = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *mask = scratch->masks + i * evaluation->mask_words;
        float *query = scratch->queries + answered * model->query_floats;
        struct rec_history history = history_of(split->history, users[i], scratch->event);
        rec_topk_init(&top[i], scratch->kept + i * evaluation->k_max, evaluation->k_max);
        set_mask(evaluation, users[i], mask);
        if (model->family->query(model, &history, query, scratch->query_scratch))
            slot[answered++] = i;
        else
            rec_topk_scan(&top[i], evaluation->popular, 0, split->train->items, mask);
    }
    scan_model(evaluation, scratch, slot, answered, top);
    for (size_t i = 0; i < count; i++) {
        rec_topk_finish(&top[i]);
        add_list(evaluation, task * BATCH_USERS + i, &top[i], scratch->list,
                 evaluation->sums + task * options->k_count);
    }
    if (worker == 0) /* the caller's thread: reports come one after the other */
        rec_progress_report(options->progress, "evaluate",
                            (double)(task + 1) / (double)evaluation->tasks, (double)NAN);
}

/* ---- before and after ------------------------------------------------------------------- */

static void scratch_finish(struct scratch *scratch) {
    rec_alloc_free(scratch->queries);
    rec_alloc_free(scratch->query_scratch);
    rec_alloc_free(scratch->scores);
    rec_alloc_free(scratch->masks);
    rec_alloc_free(scratch->event);
    rec_alloc_free(scratch->kept);
    rec_alloc_free(scratch->list);
}

static bool scratch_init(const struct evaluation *evaluation, struct scratch *scratch) {
    const struct rec_model *model = evaluation->model;
    size_t k_max = evaluation->k_max;
    /* One float more where a family has none: a pointer for it all the same. */
    scratch->queries = rec_alloc_array(BATCH_USERS * (model->query_floats + 1), sizeof(float));
    scratch->query_scratch = rec_alloc_array(model->scratch_floats + 1, sizeof(float));
    scratch->scores = rec_alloc_array((size_t)BATCH_USERS * BLOCK_ITEMS, sizeof(float));
    scratch->masks = rec_alloc_array(BATCH_USERS * evaluation->mask_words, sizeof(*scratch->masks));
    scratch->event = rec_alloc_array(REC_HISTORY_SCORED_MAX, sizeof(*scratch->event));
    scratch->kept = rec_alloc_array(BATCH_USERS * k_max, sizeof(*scratch->kept));
    scratch->list = rec_alloc_array(k_max, sizeof(*scratch->list));
    return scratch->queries != NULL && scratch->query_scratch != NULL && scratch->scores != NULL &&
           scratch->masks != NULL && scratch->event != NULL && scratch->kept != NULL &&
           scratch->list != NULL;
}

static void evaluation_finish(struct evaluation *evaluation) {
    for (size_t w = 0; evaluation->scratch != NULL && w < evaluation->workers; w++)
        scratch_finish(&evaluation->scratch[w]);
    rec_alloc_free(evaluation->scratch);
    rec_alloc_free(evaluation->users);
    rec_alloc_free(evaluation->train_count);
    rec_alloc_free(evaluation->popular);
    rec_alloc_free(evaluation->novelty);
    rec_alloc_free(evaluation->each);
    rec_alloc_free(evaluation->sums);
    rec_alloc_free((void *)evaluation->covered);
}

static bool evaluation_init(struct evaluation *evaluation) {
    const struct rec_csr *relevant = evaluation->relevant;
    const struct rec_dataset *train = evaluation->split->train;
    size_t k_count = evaluation->options->k_count;
    evaluation->users = rec_alloc_array(relevant->rows, sizeof(*evaluation->users));
    if (evaluation->users == NULL)
        return false;
    for (uint32_t u = 0; u < relevant->rows; u++)
        if (relevant->offset[u + 1] > relevant->offset[u])
            evaluation->users[evaluation->user_count++] = u;
    evaluation->tasks = (evaluation->user_count + BATCH_USERS - 1) / BATCH_USERS;
    evaluation->mask_words = ((size_t)train->items + 63) / 64;

    evaluation->train_count = rec_alloc_array(train->items, sizeof(*evaluation->train_count));
    evaluation->popular = rec_alloc_array(train->items, sizeof(*evaluation->popular));
    evaluation->novelty = rec_alloc_array(train->items, sizeof(*evaluation->novelty));
    bool each = evaluation->options->buckets != NULL || evaluation->options->user != NULL;
    if (each)
        evaluation->each =
            rec_alloc_array(evaluation->user_count * k_count, sizeof(*evaluation->each));
    evaluation->sums = rec_alloc_array(evaluation->tasks * k_count, sizeof(*evaluation->sums));
    evaluation->covered =
        rec_alloc_array(evaluation->mask_words * k_count, sizeof(*evaluation->covered));
    evaluation->scratch = rec_alloc_array(evaluation->workers, sizeof(*evaluation->scratch));
    bool ok = evaluation->train_count != NULL && evaluation->popular != NULL &&
              evaluation->sums != NULL && evaluation->covered != NULL &&
              evaluation->novelty != NULL && (!each || evaluation->each != NULL) &&
              evaluation->scratch != NULL;
    for (size_t w = 0; ok && w < evaluation->workers; w++)
        ok = scratch_init(evaluation, &evaluation->scratch[w]);
    return ok;
}

/* How much news an item is: -log2 of the share of users who have it, of users with anything.
 * source: Zhou et al., "Solving the apparent diversity-accuracy dilemma", 2010 (self-information).
 * An item that nobody has counts as if one user had it, so that all values are finite. */
static void measure_novelty(struct evaluation *evaluation) {
    const struct rec_dataset *train = evaluation->split->train;
    double users = 0.0;
    for (uint32_t u = 0; u < train->users; u++)
        users += train->offset[u + 1] > train->offset[u] ? 1.0 : 0.0;
    for (uint32_t i = 0; i < train->items; i++)
        evaluation->novelty[i] =
            users > 0.0
                ? log2(users / (evaluation->novelty[i] > 0.0 ? evaluation->novelty[i] : 1.0))
                : 0.0;
}

static bool count_train(struct evaluation *evaluation) {
    const struct rec_dataset *train = evaluation->split->train;
    uint32_t *last = rec_alloc_array(train->items, sizeof(*last)); /* user + 1 who had it last */
    if (last == NULL)
        return false;
    for (uint32_t u = 0; u < train->users; u++)
        for (uint64_t e = train->offset[u]; e < train->offset[u + 1]; e++) {
            uint32_t item = train->item[e];
            if (!(train->weight[e] > 0.0f))
                continue;
            evaluation->train_count[item]++;
            evaluation->novelty[item] += last[item] == u + 1 ? 0.0 : 1.0;
            last[item] = u + 1;
        }
    rec_alloc_free(last);
    for (uint32_t i = 0; i < train->items; i++)
        evaluation->popular[i] = (float)evaluation->train_count[i];
    measure_novelty(evaluation);
    for (size_t t = 0; t < evaluation->tasks; t++)
        for (size_t c = 0; c < evaluation->options->k_count; c++)
            evaluation->sums[t * evaluation->options->k_count + c].ranking.k =
                evaluation->options->ks[c];
    return true;
}

static double covered_share(const struct evaluation *evaluation, size_t c) {
    uint64_t items = 0;
    for (size_t w = 0; w < evaluation->mask_words; w++) {
        uint64_t word = atomic_load(&evaluation->covered[c * evaluation->mask_words + w]);
        for (; word != 0; word &= word - 1)
            items++;
    }
    uint32_t all = evaluation->split->train->items;
    return all == 0 ? 0.0 : (double)items / (double)all;
}

/* The sums of all tasks at one cut-off, in task order. */
static struct rec_ranking total(const struct evaluation *evaluation, size_t c) {
    size_t k_count = evaluation->options->k_count;
    struct rec_ranking all = {.k = evaluation->options->ks[c]};
    uint64_t popularity = 0, recommended = 0;
    double novelty = 0.0;
    for (size_t t = 0; t < evaluation->tasks; t++) {
        const struct task_sum *sum = &evaluation->sums[t * k_count + c];
        rec_ranking_merge(&all, &sum->ranking);
        novelty += sum->novelty;
        popularity += sum->popularity;
        recommended += sum->recommended;
    }
    rec_ranking_finish(&all);
    all.coverage = covered_share(evaluation, c);
    all.avg_popularity = recommended == 0 ? 0.0 : (double)popularity / (double)recommended;
    all.novelty = recommended == 0 ? 0.0 : novelty / (double)recommended;
    return all;
}

/* Single users: handed out, and summed up by the length of their history. */
static void tell_users(const struct evaluation *evaluation) {
    const struct rec_evaluate_options *options = evaluation->options;
    size_t k_count = options->k_count;
    for (size_t b = 0; options->buckets != NULL && b < REC_BUCKETS * k_count; b++)
        options->buckets[b] = (struct rec_ranking){.k = options->ks[b % k_count]};
    for (size_t i = 0; i < evaluation->user_count; i++) {
        const struct rec_ranking *at = evaluation->each + i * k_count;
        uint64_t positives = rec_bucket_positives(evaluation->split->train, evaluation->users[i]);
        size_t bucket = rec_bucket_of(positives);
        for (size_t c = 0; options->buckets != NULL && c < k_count; c++)
            rec_ranking_merge(&options->buckets[bucket * k_count + c], &at[c]);
        if (options->user != NULL)
            options->user(options->user_context, evaluation->users[i], positives, at);
    }
    for (size_t b = 0; options->buckets != NULL && b < REC_BUCKETS * k_count; b++)
        rec_ranking_finish(&options->buckets[b]);
}

static enum rec_status check_options(const struct rec_split *split,
                                     const struct rec_evaluate_options *options,
                                     struct rec_error *err) {
    if (options->k_count == 0)
        return rec_error_set(err, REC_BAD_INPUT, "evaluation: no cut-off k is given");
    for (size_t c = 0; c < options->k_count; c++)
        if (options->ks[c] < 1 || options->ks[c] > REC_K_MAX)
            return rec_error_set(err, REC_BAD_INPUT, "evaluation: k = %u is not within 1 and %d",
                                 options->ks[c], REC_K_MAX);
    if (options->on_validation && split->validation == NULL)
        return rec_error_set(err, REC_BAD_INPUT, "evaluation: the split has no validation part");
    return REC_OK;
}

enum rec_status rec_evaluate(const struct rec_model *model, const struct rec_split *split,
                             const struct rec_evaluate_options *options,
                             struct rec_ranking *rankings, struct rec_error *err) {
    enum rec_status st = check_options(split, options, err);
    if (st != REC_OK)
        return st;
    uint32_t items = split->train->items;
    struct evaluation evaluation = {
        .model = model,
        .split = split,
        .options = options,
        .relevant = options->on_validation ? split->validation : split->test,
        .items = model->items < items ? model->items : items, /* a live model may be older */
        .workers = rec_pool_threads(options->pool),
    };
    for (size_t c = 0; c < options->k_count; c++)
        if (options->ks[c] > evaluation.k_max)
            evaluation.k_max = options->ks[c];

    if (!evaluation_init(&evaluation)) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to evaluate on %u items", items);
        goto out;
    }
    if (!count_train(&evaluation)) {
        st = rec_error_set(err, REC_NO_MEMORY, "no memory to count %u items", items);
        goto out;
    }
    rec_pool_run(options->pool, evaluation.tasks, run_task, &evaluation);
    if (rec_progress_cancelled(options->progress)) {
        st = rec_error_set(err, REC_CANCELLED, "evaluation: stopped on request");
        goto out;
    }
    for (size_t c = 0; c < options->k_count; c++)
        rankings[c] = total(&evaluation, c);
    if (evaluation.each != NULL)
        tell_users(&evaluation);

out:
    evaluation_finish(&evaluation);
    return st;
}
