/* The weights of a blend, chosen by what it would have recommended.
 *
 * What was liked in the last fifth of all events, by time, is held out of a sample of users: the
 * future as it is met, several visits of it. (The last fifth of each user's events would often be
 * half of one visit, in which people do not repeat themselves; it is used only where too few users
 * were there before and after.) The members are fitted on everything else, and every weighting of a
 * grid over the simplex is judged by NDCG@10 of the held-out items. A grid, because NDCG is flat
 * nearly everywhere and has no slope to follow, and because one pass over the users can then try
 * all weightings on the scores of one user: nothing is kept, and users are the parallelism. What
 * the user has in the rest may come back only if a member is made for that.
 *
 * A task is a fixed number of users and its sums are added up in task order, so the weights do not
 * depend on the number of threads. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "blend.h"
#include "recsysd/data.h"
#include "recsysd/eval.h"

enum {
    LIKED_MIN = 3, /* users with fewer are not asked */
    HELD_OUT_PART = 5,
    USERS_MAX = 2000,
    USERS_ENOUGH = 10,    /* fewer tell nothing about weights */
    SCORES_MAX = 8000000, /* users x items */
    USERS_PER_TASK = 8,
    CUT = 10,
    STEPS_OF_TWO = 20,   /* 21 weightings of two members */
    STEPS_OF_THREE = 10, /* 66 of three */
    PRODUCT_STEPS = 10,  /* exponents of each member but the first: 11 of two, 121 of three */
    GRID_MAX = 121,
};

struct scratch {
    float *scores; /* [members x items], already divided by their spread */
    float *sum;    /* [items] */
    float *query, *family;
    uint64_t *mask;           /* [words] */
    uint32_t *relevant;       /* [events of one user] */
    struct rec_event *events; /* [REC_HISTORY_SCORED_MAX] */
};

struct weighing {
    const struct rec_fit *fit;
    const struct rec_dataset *all;
    struct rec_dataset *rest; /* without what is held out */
    uint8_t *held_out;        /* [events of all] */
    uint32_t cut;             /* what is held out begins here; 0: each user's last fifth */
    uint32_t *users;          /* [user_count] with something held out */
    size_t user_count, tasks;
    struct rec_model *model[REC_BLEND_MEMBERS];
    size_t members, grid_count;
    float grid[GRID_MAX][REC_BLEND_MEMBERS];
    bool repeats, product;
    double *sums;            /* [tasks x grid_count] of NDCG */
    struct scratch *scratch; /* [workers] */
    size_t workers;
};

/* ---- what is held out -------------------------------------------------------------------- */

static uint32_t liked_of(const struct rec_dataset *data, uint32_t user) {
    uint32_t liked = 0;
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
        liked += data->weight[e] > 0.0f;
    return liked;
}

/* The liked events from w->cut on; without a cut, the user's last fifth. */
static uint32_t held_out_of(const struct weighing *w, uint32_t user, uint32_t liked) {
    const struct rec_dataset *data = w->all;
    uint32_t late = 0;
    if (w->cut == 0)
        return liked / HELD_OUT_PART > 0 ? liked / HELD_OUT_PART : 1;
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
        late += data->weight[e] > 0.0f && data->time[e] >= w->cut;
    return late;
}

/* Whether enough is left to know the user by. */
static bool can_ask(const struct weighing *w, uint32_t user) {
    uint32_t liked = liked_of(w->all, user), late = held_out_of(w, user, liked);
    return late > 0 && liked >= late + LIKED_MIN - 1;
}

static void hold_out(struct weighing *w, uint32_t user) {
    const struct rec_dataset *data = w->all;
    uint32_t left = held_out_of(w, user, liked_of(data, user));
    for (uint64_t e = data->offset[user + 1]; e-- > data->offset[user] && left > 0;)
        if (data->weight[e] > 0.0f) {
            w->held_out[e] = 1;
            left--;
        }
    w->users[w->user_count++] = user;
}

static size_t askable(const struct weighing *w) {
    size_t count = 0;
    for (uint32_t user = 0; user < w->all->users; user++)
        count += can_ask(w, user);
    return count;
}

/* The time from which on a fifth of all events is, found by halving the range of times. */
static uint32_t late_time(const struct rec_dataset *data) {
    uint64_t events = data->offset[data->users], late = events / HELD_OUT_PART;
    uint32_t low = 0, high = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t after = 0;
        for (uint64_t e = 0; e < events; e++)
            after += data->time[e] > middle;
        if (after > late)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Evenly spread over all users that can be asked. */
static void choose_users(struct weighing *w) {
    size_t met = 0, most = SCORES_MAX / w->all->items;
    most = most > USERS_MAX ? USERS_MAX : most < USERS_ENOUGH ? USERS_ENOUGH : most;
    w->cut = late_time(w->all);
    size_t enough = askable(w);
    if (enough < USERS_ENOUGH) {
        w->cut = 0;
        enough = askable(w);
    }
    for (uint32_t user = 0; user < w->all->users; user++) {
        if (!can_ask(w, user))
            continue;
        if (enough <= most || met * most / enough != (met + 1) * most / enough)
            hold_out(w, user);
        met++;
    }
}

static enum rec_status make_rest(struct weighing *w, struct rec_error *err) {
    const struct rec_dataset *data = w->all;
    uint64_t events = data->offset[data->users];
    size_t count = 0;
    struct rec_dataset_row *rows = rec_alloc_array(events, sizeof(*rows));
    if (rows == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "blend: no memory for %llu events",
                             (unsigned long long)events);
    for (uint32_t user = 0; user < data->users; user++)
        for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++)
            if (!w->held_out[e])
                rows[count++] =
                    (struct rec_dataset_row){user, data->item[e], data->time[e], data->weight[e]};
    enum rec_status st =
        rec_dataset_from_rows(rows, count, data->users, data->items, &w->rest, err);
    rec_alloc_free(rows);
    return st;
}

/* ---- judging ------------------------------------------------------------------------------ */

/* What the others' spread is worth in the exponent: each of 0, 1/20 .. 1/2 with each. */
static void make_exponents(struct weighing *w) {
    for (int a = PRODUCT_STEPS; a >= 0; a--)
        for (int b = w->members == 2 ? 0 : PRODUCT_STEPS; b >= 0; b--) {
            float *weight = w->grid[w->grid_count++];
            weight[0] = 1.0f;
            weight[1] = (float)a / (2.0f * PRODUCT_STEPS);
            weight[2] = (float)b / (2.0f * PRODUCT_STEPS);
        }
}

/* All weightings in steps of 1/steps that add up to 1, none of them all on nothing. */
static void make_grid(struct weighing *w) {
    int steps = w->members == 2 ? STEPS_OF_TWO : STEPS_OF_THREE;
    for (int a = 0; a <= steps; a++)
        for (int b = 0; b <= steps - a; b++) {
            int c = steps - a - b;
            if (w->members == 2 && c != 0)
                continue;
            float *weight = w->grid[w->grid_count++];
            weight[0] = (float)a / (float)steps;
            weight[1] = (float)b / (float)steps;
            weight[2] = (float)c / (float)steps;
        }
}

static struct rec_history known_of(const struct weighing *w, uint32_t user,
                                   struct rec_event *events) {
    const struct rec_dataset *data = w->rest;
    uint64_t first = data->offset[user], end = data->offset[user + 1];
    if (end - first > REC_HISTORY_SCORED_MAX)
        first = end - REC_HISTORY_SCORED_MAX;
    for (uint64_t e = first; e < end; e++)
        events[e - first] = (struct rec_event){data->item[e], data->weight[e], data->time[e]};
    return (struct rec_history){events, (size_t)(end - first), user};
}

static void score_members(const struct weighing *w, const struct rec_history *history,
                          struct scratch *s) {
    size_t items = w->all->items;
    for (size_t m = 0; m < w->members; m++) {
        const struct rec_model *model = w->model[m];
        float *scores = s->scores + m * items, spread = 0.0f;
        if (model->family->query(model, history, s->query, s->family))
            spread = rec_blend_spread(model, s->query);
        if (!(spread > 0.0f)) {
            for (size_t i = 0; i < items; i++)
                scores[i] = w->product && m == 0 ? 1.0f : 0.0f;
            continue;
        }
        model->family->score(model, s->query, 1, 0, (uint32_t)items, scores);
        float most = w->product && m > 0 ? REC_BLEND_SPREADS_MAX : INFINITY;
        for (size_t i = 0; i < items; i++)
            scores[i] = fmaxf(-most, fminf(scores[i] / spread, most));
    }
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* What may be listed, and what would be right, rising; how many are right. */
static size_t mark_user(const struct weighing *w, uint32_t user, struct scratch *s) {
    const struct rec_dataset *data = w->all;
    size_t words = (data->items + 63) / 64, found = 0, relevant = 0;
    memset(s->mask, 0xff, words * sizeof(*s->mask));
    for (uint64_t e = w->rest->offset[user]; !w->repeats && e < w->rest->offset[user + 1]; e++)
        s->mask[w->rest->item[e] / 64] &= ~(UINT64_C(1) << w->rest->item[e] % 64);
    for (uint64_t e = data->offset[user]; e < data->offset[user + 1]; e++) {
        uint32_t item = data->item[e];
        bool listed = (s->mask[item / 64] >> item % 64 & 1) != 0;
        if (w->held_out[e] && listed)
            s->relevant[found++] = item;
    }
    if (found > 0)
        qsort(s->relevant, found, sizeof(*s->relevant), by_number);
    for (size_t i = 0; i < found; i++)
        if (relevant == 0 || s->relevant[i] != s->relevant[relevant - 1])
            s->relevant[relevant++] = s->relevant[i];
    return relevant;
}

static double ndcg_of(const struct weighing *w, const float *weight, size_t relevant,
                      struct scratch *s) {
    size_t items = w->all->items;
    struct rec_ranked kept[CUT];
    struct rec_topk top;
    struct rec_ranking ranking = {.k = CUT};
    uint32_t list[CUT];
    memset(s->sum, 0, items * sizeof(*s->sum));
    for (size_t m = w->product; m < w->members; m++)
        rec_kernels_axpy(weight[m], s->scores + m * items, s->sum, items);
    if (w->product)
        (void)rec_kernels_exps(s->sum, items, 0.0f);
    for (size_t i = 0; w->product && i < items; i++)
        s->sum[i] = s->scores[i] > 0.0f ? s->scores[i] * s->sum[i] : s->scores[i];
    rec_topk_init(&top, kept, CUT);
    rec_topk_scan(&top, s->sum, 0, (uint32_t)items, s->mask);
    rec_topk_finish(&top);
    for (size_t i = 0; i < top.count; i++)
        list[i] = kept[i].item;
    rec_ranking_add(&ranking, list, top.count, s->relevant, relevant);
    return ranking.ndcg;
}

static void weigh_task(void *context, size_t task, size_t worker) {
    struct weighing *w = context;
    struct scratch *s = &w->scratch[worker];
    size_t begin = task * USERS_PER_TASK, left = w->user_count - begin;
    size_t end = begin + (left < USERS_PER_TASK ? left : USERS_PER_TASK);
    if (rec_progress_cancelled(w->fit->progress))
        return;
    for (size_t i = begin; i < end; i++) {
        uint32_t user = w->users[i];
        struct rec_history history = known_of(w, user, s->events);
        size_t relevant = mark_user(w, user, s);
        if (relevant > 0)
            score_members(w, &history, s);
        for (size_t g = 0; relevant > 0 && g < w->grid_count; g++)
            w->sums[task * w->grid_count + g] += ndcg_of(w, w->grid[g], relevant, s);
    }
}

/* The best weighting; among equals the last, which has the most of the first member. */
static void take_best(const struct weighing *w, struct rec_blend_plan *plan) {
    double best = 0.0;
    for (size_t g = 0; g < w->grid_count; g++) {
        double sum = 0.0;
        for (size_t task = 0; task < w->tasks; task++)
            sum += w->sums[task * w->grid_count + g];
        if (sum > 0.0 && sum >= best) {
            best = sum;
            memcpy(plan->weight, w->grid[g], sizeof(plan->weight));
        }
    }
}

/* ---- memory --------------------------------------------------------------------------------- */

static size_t longest_row(const struct rec_dataset *data) {
    uint64_t longest = 0;
    for (uint32_t u = 0; u < data->users; u++)
        if (data->offset[u + 1] - data->offset[u] > longest)
            longest = data->offset[u + 1] - data->offset[u];
    return (size_t)longest;
}

static enum rec_status make_scratch(struct weighing *w, struct rec_error *err) {
    size_t items = w->all->items, query = 0, family = 0;
    for (size_t m = 0; m < w->members; m++) {
        query = w->model[m]->query_floats > query ? w->model[m]->query_floats : query;
        family = w->model[m]->scratch_floats > family ? w->model[m]->scratch_floats : family;
    }
    w->tasks = (w->user_count + USERS_PER_TASK - 1) / USERS_PER_TASK;
    w->workers = rec_pool_threads(w->fit->pool);
    w->sums = rec_alloc_array(w->tasks, w->grid_count * sizeof(*w->sums));
    w->scratch = rec_alloc_array(w->workers, sizeof(*w->scratch));
    bool enough = w->sums != NULL && w->scratch != NULL;
    for (size_t i = 0; enough && i < w->workers; i++) {
        struct scratch *s = &w->scratch[i];
        s->scores = rec_alloc_array(items, w->members * sizeof(float));
        s->sum = rec_alloc_array(items, sizeof(float));
        s->query = rec_alloc_array(query, sizeof(float));
        s->family = rec_alloc_array(family + 1, sizeof(float));
        s->mask = rec_alloc_array(items / 64 + 1, sizeof(uint64_t));
        s->relevant = rec_alloc_array(longest_row(w->all) + 1, sizeof(*s->relevant));
        s->events = rec_alloc_array(REC_HISTORY_SCORED_MAX, sizeof(*s->events));
        enough = s->scores != NULL && s->sum != NULL && s->query != NULL && s->family != NULL &&
                 s->mask != NULL && s->relevant != NULL && s->events != NULL;
    }
    return enough
               ? REC_OK
               : rec_error_set(err, REC_NO_MEMORY, "blend: no memory to weigh on %zu items", items);
}

static void finish(struct weighing *w) {
    for (size_t i = 0; w->scratch != NULL && i < w->workers; i++) {
        struct scratch *s = &w->scratch[i];
        void *blocks[] = {s->scores, s->sum, s->query, s->family, s->mask, s->relevant, s->events};
        for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++)
            rec_alloc_free(blocks[b]);
    }
    for (size_t m = 0; m < w->members; m++)
        rec_model_destroy(&w->model[m]);
    rec_dataset_destroy(&w->rest);
    rec_alloc_free(w->scratch);
    rec_alloc_free(w->sums);
    rec_alloc_free(w->users);
    rec_alloc_free(w->held_out);
}

static enum rec_status fit_members(struct weighing *w, const struct rec_blend_plan *plan,
                                   double end, struct rec_error *err) {
    double step = 0.9 * end / (double)plan->count;
    for (size_t m = 0; m < plan->count; m++) {
        enum rec_status st = rec_blend_fit_member(w->fit, plan, m, w->rest, (double)m * step,
                                                  (double)(m + 1) * step, &w->model[m], err);
        if (st != REC_OK)
            return st;
        w->repeats = w->repeats || plan->member[m].family->repeats_only;
    }
    return REC_OK;
}

enum rec_status rec_blend_weigh(const struct rec_fit *fit, double end, struct rec_blend_plan *plan,
                                struct rec_error *err) {
    struct weighing w = {
        .fit = fit, .all = fit->data, .members = plan->count, .product = plan->product};
    enum rec_status st = REC_OK;
    w.held_out = rec_alloc_array(fit->data->offset[fit->data->users], 1);
    w.users = rec_alloc_array(fit->data->users, sizeof(*w.users));
    if (w.held_out == NULL || w.users == NULL) {
        st = rec_error_set(err, REC_NO_MEMORY, "blend: no memory to hold interactions out");
        goto out;
    }
    choose_users(&w);
    if (w.user_count < USERS_ENOUGH)
        goto out;
    st = make_rest(&w, err);
    if (st == REC_OK)
        st = fit_members(&w, plan, end, err);
    if (st != REC_OK)
        goto out;
    if (plan->product)
        make_exponents(&w);
    else
        make_grid(&w);
    st = make_scratch(&w, err);
    if (st != REC_OK)
        goto out;
    rec_progress_report(fit->progress, "weigh", 0.9 * end, (double)NAN);
    rec_pool_run(fit->pool, w.tasks, weigh_task, &w);
    if (rec_progress_cancelled(fit->progress))
        st = rec_error_set(err, REC_CANCELLED, "blend: cancelled while weighing its members");
    else
        take_best(&w, plan);
    rec_progress_report(fit->progress, "weigh", end, (double)NAN);
out:
    finish(&w);
    return st;
}

/* What is kept of the data while the members learn, the rows it is made of, and scores. */
size_t rec_blend_weigh_bytes(const struct rec_fit *fit, size_t members) {
    const struct rec_dataset *data = fit->data;
    size_t events = (size_t)data->offset[data->users];
    size_t rest = 2 * sizeof(uint32_t) + sizeof(float) + sizeof(struct rec_dataset_row) + 1;
    return events * rest +
           rec_pool_threads(fit->pool) * (members + 1) * data->items * sizeof(float);
}
