/* Training of next-item: the two Gram matrices of all cuts, and one ridge solve.
 *
 * No cut is ever made. With events p <= q of one history and r = exp(-1/tau_a - 1/tau_b), the cuts
 * that see both add up to
 *
 *   Σ_{c >= q} exp(-(c - p)/tau_a) exp(-(c - q)/tau_b) = exp(-(q - p)/tau_a) (1 - r^k) / (1 - r)
 *
 * with k the number of cuts from q on; and with p < q the cuts between them add up to
 *
 *   ahead_a(q - p) = Σ_{k=0}^{q-p-1} exp(-k/tau_a) exp(-(q - p - 1 - k)/target_tau),
 *
 * a function of the gap alone. So both matrices are sums over pairs of the same history within
 * reach of each other, and tables hold all there is to compute.
 *
 * An item's rows are one task: it visits the item's events, and around each the history. The rows
 * stay in the cache, no two tasks write the same number, and the order of the additions is that of
 * the events: the same bits for any number of threads.
 *
 * The rows of a ridge regression cost their square, so items nobody has an event with are left out
 * before: a catalogue may be large and what is used of it small. */
#include <math.h>
#include <string.h>

#include "nextitem.h"
#include "recsysd/data.h"

/* Training looks farther back than answers do: what is cut off must be below the rounding of the
 * sums, or the matrix is no Gram matrix any more. */
#define FADED_IN_TRAINING 1e-6

enum { SLICES = 64 }; /* of the items, a report after each */
#define NONE        UINT32_MAX
#define COUNT_PRIOR 5.0 /* so that a few events more do not tell rare items far apart */

/* The events that say something, of the items used. */
struct sequences {
    uint32_t users, used;
    uint64_t count, longest;
    uint64_t *offset; /* [users + 1] */
    uint32_t *user;   /* [count] */
    uint32_t *place;  /* [count] the item's number among the used */
    float *weight;    /* [count] */
    uint64_t *begin;  /* [used + 1] where in `at` an item's events are */
    uint64_t *at;     /* [count] events by item, in order */
};

struct scale {
    size_t reach, ahead_reach;
    float *fade;                          /* [reach] by gap */
    float *ahead;                         /* [ahead_reach] by gap */
    float *cuts[REC_NEXTITEM_SCALES_MAX]; /* [longest] with each scale, by events that follow */
};

struct training {
    const struct rec_fit *fit;
    struct nextitem_scales scales;
    struct sequences events;
    struct scale scale[REC_NEXTITEM_SCALES_MAX];
    float *tables;      /* all of the scales' */
    float *user_weight; /* [users] */
    float *item_factor; /* [used] of its scores */
    size_t n;           /* scales x used */
    float *A;           /* [n x n] lower triangle: Σ v s sᵀ + regularization I */
    float *B;           /* [n x used] Σ v s tᵀ, then the solution */
    size_t first;       /* item of the present slice */
};

static bool counts(const struct rec_dataset *data, uint64_t event) {
    return data->weight[event] > 0.0f;
}

/* ---- events ---------------------------------------------------------------------------- */

/* place [items]: 0, 1, .. for the items used, NONE for the others; counts what the rest needs. */
static void number_items(const struct rec_dataset *data, uint32_t *place, struct sequences *out) {
    for (uint32_t i = 0; i < data->items; i++)
        place[i] = NONE;
    out->users = data->users;
    for (uint32_t u = 0; u < data->users; u++) {
        uint64_t before = out->count;
        for (uint64_t e = data->offset[u]; e < data->offset[u + 1]; e++)
            if (counts(data, e)) {
                place[data->item[e]] = 0;
                out->count++;
            }
        if (out->count - before > out->longest)
            out->longest = out->count - before;
    }
    for (uint32_t i = 0; i < data->items; i++)
        if (place[i] != NONE)
            place[i] = out->used++;
}

static void fill_events(const struct rec_dataset *data, const uint32_t *place,
                        struct sequences *out) {
    uint64_t count = 0;
    for (uint32_t u = 0; u < data->users; u++) {
        for (uint64_t e = data->offset[u]; e < data->offset[u + 1]; e++) {
            if (!counts(data, e))
                continue;
            out->user[count] = u;
            out->place[count] = place[data->item[e]];
            out->weight[count] = data->weight[e];
            out->begin[out->place[count] + 1]++;
            count++;
        }
        out->offset[u + 1] = count;
    }
    for (uint32_t i = 0; i < out->used; i++)
        out->begin[i + 1] += out->begin[i];
    for (uint64_t e = count; e-- > 0;) /* backwards, each to the end of its item's */
        out->at[--out->begin[out->place[e] + 1]] = e;
    for (uint32_t i = 0; i < out->used; i++)
        out->begin[i] = out->begin[i + 1];
    out->begin[out->used] = count;
}

static enum rec_status make_sequences(struct training *t, void **items, struct rec_tensors *out,
                                      struct rec_error *err) {
    const struct rec_dataset *data = t->fit->data;
    struct sequences *events = &t->events;
    enum rec_status st = REC_NO_MEMORY;
    uint32_t *place = rec_alloc_array(data->items, sizeof(*place));
    if (place == NULL)
        goto out;
    number_items(data, place, events);
    events->offset = rec_alloc_array((size_t)data->users + 1, sizeof(*events->offset));
    events->user = rec_alloc_array(events->count, sizeof(*events->user));
    events->place = rec_alloc_array(events->count, sizeof(*events->place));
    events->weight = rec_alloc_array(events->count, sizeof(*events->weight));
    events->begin = rec_alloc_array((size_t)events->used + 1, sizeof(*events->begin));
    events->at = rec_alloc_array(events->count, sizeof(*events->at));
    if (events->offset == NULL || events->user == NULL || events->place == NULL ||
        events->weight == NULL || events->begin == NULL || events->at == NULL)
        goto out;
    fill_events(data, place, events);
    st = rec_tensors_add(out, "item", REC_TENSOR_U32, 1, events->used, items, err);
    for (uint32_t i = 0; st == REC_OK && i < data->items; i++)
        if (place[i] != NONE)
            ((uint32_t *)*items)[place[i]] = i;
out:
    rec_alloc_free(place);
    return st == REC_NO_MEMORY ? rec_error_set(err, st, "next-item: no memory for %llu events",
                                               (unsigned long long)events->count)
                               : st;
}

static enum rec_status check_weights(const struct sequences *events, struct rec_error *err) {
    for (uint64_t e = 0; e < events->count; e++)
        if (events->weight[e] > REC_NEXTITEM_VALUE_MAX)
            return rec_error_set(err, REC_BAD_INPUT,
                                 "next-item: an interaction of user %u weighs %g, more than %g; "
                                 "lower the weights",
                                 events->user[e], (double)events->weight[e],
                                 (double)REC_NEXTITEM_VALUE_MAX);
    return REC_OK;
}

/* ---- tables ------------------------------------------------------------------------------ */

static size_t reach_of(double tau, uint64_t longest) {
    double reach = ceil(-log(FADED_IN_TRAINING) * tau);
    return reach < (double)longest ? (size_t)reach : (size_t)longest;
}

static void fill_scale(struct training *t, size_t a, double target_tau) {
    struct scale *scale = &t->scale[a];
    double tau = t->scales.tau[a], ahead = 0.0;
    for (size_t gap = 0; gap < scale->reach; gap++)
        scale->fade[gap] = (float)exp(-(double)gap / tau);
    for (size_t gap = 1; gap < scale->ahead_reach; gap++) {
        ahead = exp(-1.0 / target_tau) * ahead + exp(-(double)(gap - 1) / tau);
        scale->ahead[gap] = (float)ahead;
    }
    for (size_t b = 0; b < t->scales.count; b++) {
        double rate = 1.0 / tau + 1.0 / t->scales.tau[b];
        for (uint64_t k = 0; k < t->events.longest; k++)
            scale->cuts[b][k] = (float)(expm1(-rate * (double)k) / expm1(-rate));
    }
}

static enum rec_status make_tables(struct training *t, struct rec_error *err) {
    size_t floats = 0, scales = t->scales.count, longest = (size_t)t->events.longest;
    double target_tau = rec_params_get(t->fit->params, "target_tau");
    for (size_t a = 0; a < scales; a++) {
        t->scale[a].reach = reach_of(t->scales.tau[a], longest);
        t->scale[a].ahead_reach = reach_of(fmax(t->scales.tau[a], target_tau), longest);
        floats += t->scale[a].reach + t->scale[a].ahead_reach + scales * longest;
    }
    float *next = t->tables = rec_alloc_array(floats, sizeof(float));
    if (next == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "next-item: no memory for tables of %zu gaps",
                             longest);
    for (size_t a = 0; a < scales; a++) {
        struct scale *scale = &t->scale[a];
        scale->fade = next;
        scale->ahead = scale->fade + scale->reach;
        next = scale->ahead + scale->ahead_reach;
        for (size_t b = 0; b < scales; b++, next += longest)
            scale->cuts[b] = next;
        fill_scale(t, a, target_tau);
    }
    return REC_OK;
}

/* v, with a mean of 1 over all cuts, so that the regularization means the same for any power. */
static enum rec_status weigh_users(struct training *t, struct rec_error *err) {
    const struct sequences *events = &t->events;
    double power = rec_params_get(t->fit->params, "user_power"), cuts = 0.0, sum = 0.0;
    t->user_weight = rec_alloc_array(events->users, sizeof(float));
    if (t->user_weight == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "next-item: no memory for %u users",
                             events->users);
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t u = 0; u < events->users; u++) {
            double n = (double)(events->offset[u + 1] - events->offset[u]);
            if (n < 2.0)
                continue;
            double weight = pow(n, -power);
            if (pass == 1)
                t->user_weight[u] = (float)(weight * cuts / sum);
            else
                cuts += n - 1.0, sum += (n - 1.0) * weight;
        }
    return REC_OK;
}

/* ---- the Gram matrices ---------------------------------------------------------------------- */

/* One event of the item whose rows are made: x is its weight times its user's. */
struct visit {
    uint64_t event, begin, end; /* its history */
    float x;
};

static uint64_t last_within(const struct visit *visit, size_t reach) {
    return visit->end - visit->event < reach ? visit->end : visit->event + reach;
}

static uint64_t first_within(const struct visit *visit, size_t reach) {
    return visit->event - visit->begin < reach ? visit->begin : visit->event + 1 - reach;
}

/* row [used]: of the visited item at scale a, against all items at scale b. */
static void add_inputs(const struct training *t, const struct visit *visit, size_t a, size_t b,
                       float *row) {
    const struct sequences *events = &t->events;
    const float *fade = t->scale[a].fade, *cuts = t->scale[a].cuts[b];
    uint64_t p = visit->event, last = last_within(visit, t->scale[a].reach);
    for (uint64_t q = p; q < last; q++)
        row[events->place[q]] +=
            visit->x * events->weight[q] * fade[q - p] * cuts[visit->end - 1 - q];
    fade = t->scale[b].fade;
    float x = visit->x * cuts[visit->end - 1 - p];
    for (uint64_t q = first_within(visit, t->scale[b].reach); q < p; q++)
        row[events->place[q]] += x * events->weight[q] * fade[p - q];
}

static void add_targets(const struct training *t, const struct visit *visit, size_t a, float *row) {
    const struct sequences *events = &t->events;
    const float *ahead = t->scale[a].ahead;
    uint64_t p = visit->event, last = last_within(visit, t->scale[a].ahead_reach);
    for (uint64_t q = p + 1; q < last; q++)
        row[events->place[q]] += visit->x * events->weight[q] * ahead[q - p];
}

static void item_task(void *context, size_t task, size_t worker) {
    const struct training *t = context;
    const struct sequences *events = &t->events;
    size_t item = t->first + task, used = events->used;
    (void)worker;
    for (uint64_t o = events->begin[item]; o < events->begin[item + 1]; o++) {
        uint64_t e = events->at[o];
        uint32_t user = events->user[e];
        const struct visit visit = {e, events->offset[user], events->offset[user + 1],
                                    events->weight[e] * t->user_weight[user]};
        if (rec_progress_cancelled(t->fit->progress))
            return;
        for (size_t a = 0; a < t->scales.count; a++) {
            size_t row = a * used + item;
            for (size_t b = 0; b <= a; b++) /* the lower triangle */
                add_inputs(t, &visit, a, b, t->A + row * t->n + b * used);
            add_targets(t, &visit, a, t->B + row * used);
        }
    }
}

static enum rec_status add_up(struct training *t, struct rec_error *err) {
    const struct rec_progress *progress = t->fit->progress;
    size_t used = t->events.used;
    for (size_t slice = 0; slice < SLICES; slice++) {
        size_t end = used * (slice + 1) / SLICES;
        rec_progress_report(progress, "count", (double)slice / SLICES, NAN);
        rec_pool_run(t->fit->pool, end - t->first, item_task, t);
        t->first = end;
        if (rec_progress_cancelled(progress))
            return rec_error_set(err, REC_CANCELLED, "next-item: cancelled at item %zu of %zu", end,
                                 used);
    }
    rec_progress_report(progress, "count", 1.0, NAN);
    return REC_OK;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Items with an event that counts; all of them when there is no memory to count. */
static size_t count_used(const struct rec_dataset *data) {
    size_t used = 0;
    uint64_t *seen = rec_alloc_array((size_t)data->items / 64 + 1, sizeof(*seen));
    if (seen == NULL)
        return data->items;
    for (uint64_t e = 0; e < data->offset[data->users]; e++) {
        uint64_t bit = UINT64_C(1) << data->item[e] % 64, *word = &seen[data->item[e] / 64];
        used += counts(data, e) && (*word & bit) == 0;
        if (counts(data, e))
            *word |= bit;
    }
    rec_alloc_free(seen);
    return used;
}

/* In double: a sum of squares of what may be any size overflows to nothing worse than a refusal. */
size_t rec_nextitem_fit_bytes(const struct rec_fit *fit) {
    const struct rec_dataset *data = fit->data;
    double scales = (double)rec_nextitem_scales(fit->params).count, used = (double)count_used(data);
    double density = rec_params_get(fit->params, "density"), n = scales * used;
    double threads = (double)rec_pool_threads(fit->pool);
    uint64_t longest = 0;
    for (uint32_t u = 0; u < data->users; u++)
        if (data->offset[u + 1] - data->offset[u] > longest)
            longest = data->offset[u + 1] - data->offset[u];
    double bytes = 4.0 * n * n + 4.0 * n * used + 1024.0 * n + 262144.0 * threads;
    bytes += 28.0 * (double)data->offset[data->users] + 12.0 * (double)data->users +
             12.0 * (double)data->items;
    bytes += 4.0 * scales * (scales + 2.0) * (double)longest;
    if (density < 1.0)
        bytes += 8.0 * density * n * used + 8.0 * n;
    return bytes < (double)SIZE_MAX / 2 ? (size_t)bytes : SIZE_MAX;
}

/* ---- the fit -------------------------------------------------------------------------------- */

static enum rec_status solve(struct training *t, struct rec_error *err) {
    double regularization = rec_params_get(t->fit->params, "regularization");
    struct rec_error why = {.status = REC_OK};
    for (size_t i = 0; i < t->n; i++)
        t->A[i * t->n + i] += (float)regularization;
    enum rec_status st =
        rec_spd_solve(t->A, t->n, t->B, t->events.used, t->fit->pool, t->fit->progress, &why);
    if (st == REC_BAD_INPUT)
        return rec_error_set(
            err, st, "next-item: regularization %g is too small for this data: %s; raise it",
            regularization, why.text);
    if (st != REC_OK)
        return rec_error_set(err, st, "next-item: %s", why.text);
    return REC_OK;
}

/* What the weights of one input become. */
static void weigh_task(void *context, size_t row, size_t worker) {
    const struct training *t = context;
    float *weight = t->B + row * t->events.used;
    float power = (float)rec_params_get(t->fit->params, "weight_power");
    float boost =
        row < t->events.used ? (float)rec_params_get(t->fit->params, "first_boost") : 1.0f;
    (void)worker;
    for (size_t j = 0; power != 1.0f && j < t->events.used; j++)
        weight[j] = copysignf(powf(fabsf(weight[j]), power), weight[j]);
    for (size_t j = 0; j < t->events.used; j++)
        weight[j] *= boost * t->item_factor[j];
}

/* Scores of an item are divided by (COUNT_PRIOR + its events)^popularity_power, against that of an
 * item with the mean of events. */
static enum rec_status weigh_items(struct training *t, struct rec_error *err) {
    const struct sequences *events = &t->events;
    double power = rec_params_get(t->fit->params, "popularity_power");
    double mean = COUNT_PRIOR + (double)events->count / (double)events->used;
    t->item_factor = rec_alloc_array(events->used, sizeof(float));
    if (t->item_factor == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "next-item: no memory for %u items", events->used);
    for (uint32_t j = 0; j < events->used; j++) {
        double count = COUNT_PRIOR + (double)(events->begin[j + 1] - events->begin[j]);
        t->item_factor[j] = (float)pow(count / mean, -power);
    }
    rec_pool_run(t->fit->pool, t->n, weigh_task, t);
    return REC_OK;
}

static enum rec_status check_solution(const struct training *t, struct rec_error *err) {
    for (size_t i = 0; i < t->n * t->events.used; i++)
        if (!(fabsf(t->B[i]) <= REC_NEXTITEM_VALUE_MAX))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "next-item: a weight came out as %g, more than %g; raise "
                                 "regularization (now %g), or bring weight_power and first_boost "
                                 "nearer to 1",
                                 (double)t->B[i], (double)REC_NEXTITEM_VALUE_MAX,
                                 rec_params_get(t->fit->params, "regularization"));
    return REC_OK;
}

static void finish(struct training *t) {
    rec_alloc_free(t->events.offset);
    rec_alloc_free(t->events.user);
    rec_alloc_free(t->events.place);
    rec_alloc_free(t->events.weight);
    rec_alloc_free(t->events.begin);
    rec_alloc_free(t->events.at);
    rec_alloc_free(t->tables);
    rec_alloc_free(t->user_weight);
    rec_alloc_free(t->item_factor);
    rec_alloc_free(t->A);
}

/* A, and B: the tensor itself, or with density < 1 memory of its own in *own. */
static enum rec_status make_room(struct training *t, bool dense, float **own,
                                 struct rec_tensors *out, struct rec_error *err) {
    size_t used = t->events.used;
    void *data = NULL;
    t->n = t->scales.count * used;
    if (dense) {
        enum rec_status st = rec_tensors_add(out, "weight", REC_TENSOR_F32, t->n, used, &data, err);
        if (st != REC_OK)
            return st;
        t->B = data;
    } else {
        t->B = *own = rec_alloc_array(t->n, used * sizeof(float));
    }
    t->A = rec_alloc_array(t->n, t->n * sizeof(float));
    return t->A != NULL && t->B != NULL
               ? REC_OK
               : rec_error_set(err, REC_NO_MEMORY,
                               "next-item: no memory for %zu x %zu and %zu x %zu numbers", t->n,
                               t->n, t->n, used);
}

enum rec_status rec_nextitem_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                 struct rec_error *err) {
    struct training t = {.fit = fit, .scales = rec_nextitem_scales(fit->params)};
    double density = rec_params_get(fit->params, "density");
    float *own = NULL;
    void *items = NULL;
    enum rec_status st;
    if (t.scales.count == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "next-item: tau1, tau2 and tau3 are all 0; set one above 0");
    st = make_sequences(&t, &items, out, err);
    if (st == REC_OK)
        st = check_weights(&t.events, err);
    if (st == REC_OK)
        st = make_tables(&t, err);
    if (st == REC_OK)
        st = weigh_users(&t, err);
    if (st == REC_OK)
        st = make_room(&t, !(density < 1.0), &own, out, err);
    if (st == REC_OK)
        st = add_up(&t, err);
    if (st == REC_OK)
        st = solve(&t, err);
    if (st == REC_OK)
        st = weigh_items(&t, err);
    if (st == REC_OK)
        st = check_solution(&t, err);
    if (st == REC_OK && own != NULL)
        st = rec_nextitem_thin(own, t.n, t.events.used, density, out, err);
    rec_alloc_free(own);
    finish(&t);
    if (st != REC_OK)
        rec_tensors_finish(out);
    return st;
}
