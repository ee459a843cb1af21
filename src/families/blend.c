/* blend: other families' scores put together, kept, served and explained as one model. No family is
 * best for everything a person does: what is bought again and again is known from the own counts,
 * what is new from the item-item weights; the blend knows both.
 *
 *   combine=sum:      score_i(h) = Σ_m  weight_m / s_m(h)  score_m,i(h)
 *   combine=product:  score_i(h) = weight_1 / s_1(h)  score_1,i(h)
 *                                  exp(Σ_{m>1}  weight_m / s_m(h)  score_m,i(h))
 *
 * s_m(h) is the standard deviation of member m's scores over all items, for this history. Families
 * score on scales of their own, which differ between users, too; divided by their spread they can
 * be added. No mean is taken off: for one history it is the same for all items and changes no
 * order, and so a share of a member's score times weight_m / s_m(h) is exactly that event's share
 * of the blend, and explain() adds up. (Members that do not explain are left out of the shares.)
 *
 * The product is for a first member that says what is likely now (next-item), and others that say
 * what the person likes at all: an item must be both, while in a sum being very much of one is
 * enough. A score of the first that is not above 0 is left alone. In the exponent a score counts at
 * most REC_BLEND_SPREADS_MAX spreads: some have long tails, and exp would let the few items there
 * pass all others. Shares are the first member's, times the item's factor.
 *
 * weights=fit chooses the weights on interactions held out of the training data (blend_weights.c);
 * the members are then fitted again on all of it.
 *
 * The members' tensors are kept in one set, those of member m under "m." and their own names, and
 * its parameters as text, all of them: a file means the same when a default changes.
 *
 * similar: the weighted sum of the members' likeness, each divided by its root mean square over a
 * sample of pairs; only of members whose likeness is learned, if there is one. */
#include "blend.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "recsysd/data.h"
#include "recsysd/families.h"

enum {
    SHARES = 4 * REC_HISTORY_SCORED_MAX, /* as many items are explained at once as fit */
    SAMPLED_ITEMS = 32,                  /* whose likeness to all others is measured */
    PARAMETERS_BYTES = 512,
};

static const float scale_min = 1e-30f, weight_max = 1000.0f;
static const float exponent_max = 30.0f; /* a product stays finite, and above 0 */

/* The families there can be in a blend; not itself. */
static const char *const members[] = {
    "none",      "random",   "popularity", "personal-popularity",
    "item-knn",  "user-knn", "ease",       "slim",
    "next-item", "svd",      "als",        "biased-mf",
    "bpr",       "dae",      "mult-vae",   "neural-mf",
    "ncf",       NULL,
};
enum { MEMBER_NONE = 0, MEMBER_PERSONAL = 3, MEMBER_EASE = 6 };
enum { WEIGHTS_FIT, WEIGHTS_GIVEN };
static const char *const weights_choices[] = {"fit", "given", NULL};
enum { COMBINE_SUM, COMBINE_PRODUCT };
static const char *const combine_choices[] = {"sum", "product", NULL};

static const struct rec_param blend_params[] = {
    {"first", REC_PARAM_FAMILY, 0, 0, false, MEMBER_PERSONAL, members,
     "a member; first.NAME=VALUE sets its parameters"},
    {"second", REC_PARAM_FAMILY, 0, 0, false, MEMBER_EASE, members, "another member, or none"},
    {"third", REC_PARAM_FAMILY, 0, 0, false, MEMBER_NONE, members, "another member, or none"},
    {"combine", REC_PARAM_CHOICE, 0, 0, false, COMBINE_SUM, combine_choices,
     "sum of the members' scores; product: the first one's, times exp of the sum of the others'"},
    {"weights", REC_PARAM_CHOICE, 0, 0, false, WEIGHTS_FIT, weights_choices,
     "fit: chosen on interactions held out of the training data; given: the next three"},
    {"first_weight", REC_PARAM_FLOAT, 0, 1000, false, 1, NULL, "of the first member"},
    {"second_weight", REC_PARAM_FLOAT, 0, 1000, false, 1, NULL, "of the second member"},
    {"third_weight", REC_PARAM_FLOAT, 0, 1000, false, 1, NULL, "of the third member"},
};

/* The members' weights are fitted, and their parameters are tuned by themselves. */
static const struct rec_tune_range blend_tune[] = {
    {.name = "weights"},
    {.name = NULL},
};
static const char *const member_rows[REC_BLEND_MEMBERS] = {"first", "second", "third"};
static const char *const weight_rows[REC_BLEND_MEMBERS] = {"first_weight", "second_weight",
                                                           "third_weight"};

/* ---- the plan -------------------------------------------------------------------------- */

static enum rec_status make_plan(const struct rec_params *params, struct rec_blend_plan *plan,
                                 struct rec_error *err) {
    bool reads_histories = false;
    *plan = (struct rec_blend_plan){
        .count = 0, .product = (int)rec_params_get(params, "combine") == COMBINE_PRODUCT};
    for (size_t row = 0; row < REC_BLEND_MEMBERS; row++) {
        size_t choice = (size_t)rec_params_get(params, member_rows[row]);
        if (choice == MEMBER_NONE)
            continue;
        size_t m = plan->count++;
        enum rec_status st =
            rec_family_find(rec_families, members[choice], &plan->member[m].family, err);
        if (st != REC_OK)
            return st;
        const struct rec_family *family = plan->member[m].family;
        rec_params_defaults(family->params, family->param_count, &plan->member[m].params);
        st = rec_params_nested(params, member_rows[row], &plan->member[m].params, err);
        if (st != REC_OK)
            return st;
        plan->weight[m] = (float)rec_params_get(params, weight_rows[row]);
        reads_histories = reads_histories || !family->ignores_history;
    }
    if (!reads_histories)
        return rec_error_set(err, REC_BAD_INPUT,
                             "blend: no member reads histories; choose one with first=, second= or "
                             "third=");
    return REC_OK;
}

/* ---- fit ------------------------------------------------------------------------------- */

struct span {
    const struct rec_progress *outer;
    double begin, end;
};

static void report_span(void *context, const char *phase, double fraction, double loss) {
    const struct span *span = context;
    rec_progress_report(span->outer, phase, span->begin + (span->end - span->begin) * fraction,
                        loss);
}

enum rec_status rec_blend_fit_member(const struct rec_fit *fit, const struct rec_blend_plan *plan,
                                     size_t member, const struct rec_dataset *data, double begin,
                                     double end, struct rec_model **out, struct rec_error *err) {
    struct span span = {fit->progress, begin, end};
    struct rec_progress progress = {.report = report_span, .context = &span};
    struct rec_fit part = *fit;
    if (fit->progress != NULL) {
        progress.cancel = fit->progress->cancel;
        part.progress = &progress;
    }
    part.data = data;
    part.params = &plan->member[member].params;
    return rec_model_fit(plan->member[member].family, &part, out, err);
}

/* Over the likeness of some items to all: what makes two families' likeness comparable. */
static float similar_scale(const struct rec_model *model) {
    float scores[REC_BLEND_TILE];
    uint32_t sampled = model->items < SAMPLED_ITEMS ? model->items : SAMPLED_ITEMS;
    double sum = 0.0, pairs = (double)sampled * model->items;
    for (uint32_t s = 0; s < sampled; s++) {
        uint32_t item = (uint32_t)((uint64_t)s * model->items / sampled);
        for (uint32_t first = 0; first < model->items; first += REC_BLEND_TILE) {
            uint32_t left = model->items - first;
            uint32_t count = left < REC_BLEND_TILE ? left : REC_BLEND_TILE;
            model->family->similar(model, item, first, count, scores);
            for (uint32_t i = 0; i < count; i++)
                sum += (double)scores[i] * (double)scores[i];
        }
    }
    return (float)sqrt(sum / pairs);
}

/* Hands the tensors of *model over to out, under the member's prefix. */
static enum rec_status take_tensors(struct rec_model *model, size_t member, struct rec_tensors *out,
                                    struct rec_error *err) {
    char name[sizeof(out->tensor[0].name)], text[PARAMETERS_BYTES];
    void *data = NULL;
    size_t bytes = rec_params_write(&model->params, text, sizeof(text)) + 1;
    assert(bytes <= sizeof(text));
    (void)snprintf(name, sizeof(name), "parameters.%zu", member + 1);
    enum rec_status st = rec_tensors_add(out, name, REC_TENSOR_U8, 1, bytes, &data, err);
    if (st != REC_OK)
        return st;
    memcpy(data, text, bytes);
    for (size_t i = 0; i < model->tensors.count; i++) {
        struct rec_tensor tensor = model->tensors.tensor[i];
        char own[sizeof(tensor.name)];
        memcpy(own, tensor.name, sizeof(own));
        int n = snprintf(tensor.name, sizeof(tensor.name), "%zu.%s", member + 1, own);
        assert(n > 0 && (size_t)n < sizeof(tensor.name) && out->count < REC_TENSORS_MAX);
        out->tensor[out->count++] = tensor;
    }
    model->tensors = (struct rec_tensors){.count = 0};
    return REC_OK;
}

static enum rec_status fit_members(const struct rec_fit *fit, const struct rec_blend_plan *plan,
                                   double begin, float *scales, struct rec_tensors *out,
                                   struct rec_error *err) {
    double step = (1.0 - begin) / (double)plan->count;
    for (size_t m = 0; m < plan->count; m++) {
        struct rec_model *model = NULL;
        enum rec_status st = rec_blend_fit_member(fit, plan, m, fit->data, begin + (double)m * step,
                                                  begin + (double)(m + 1) * step, &model, err);
        if (st != REC_OK)
            return st;
        scales[m] = similar_scale(model);
        st = take_tensors(model, m, out, err);
        rec_model_destroy(&model);
        if (st != REC_OK)
            return st;
    }
    return REC_OK;
}

static enum rec_status blend_fit(const struct rec_fit *fit, struct rec_tensors *out,
                                 struct rec_error *err) {
    struct rec_blend_plan plan;
    void *weights = NULL, *scales = NULL;
    double begin = 0.0;
    enum rec_status st = make_plan(fit->params, &plan, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "weights", REC_TENSOR_F32, 1, plan.count, &weights, err);
    if (st == REC_OK)
        st = rec_tensors_add(out, "similar_scales", REC_TENSOR_F32, 1, plan.count, &scales, err);
    if (st == REC_OK && plan.count > 1 &&
        (int)rec_params_get(fit->params, "weights") == WEIGHTS_FIT) {
        begin = 0.5;
        st = rec_blend_weigh(fit, begin, &plan, err);
    }
    if (st == REC_OK)
        st = fit_members(fit, &plan, begin, scales, out, err);
    if (st == REC_OK)
        memcpy(weights, plan.weight, plan.count * sizeof(float));
    else
        rec_tensors_finish(out);
    return st;
}

/* Members one after the other, as if none gave anything back; and what weighing them takes. */
static size_t blend_fit_bytes(const struct rec_fit *fit) {
    struct rec_blend_plan plan;
    size_t bytes = 0;
    if (make_plan(fit->params, &plan, NULL) != REC_OK)
        return 0; /* fit says what is wrong */
    if (plan.count > 1 && (int)rec_params_get(fit->params, "weights") == WEIGHTS_FIT)
        bytes = rec_blend_weigh_bytes(fit, plan.count);
    for (size_t m = 0; m < plan.count; m++) {
        struct rec_fit part = *fit;
        part.params = &plan.member[m].params;
        const struct rec_family *family = plan.member[m].family;
        size_t own = family->fit_bytes != NULL ? family->fit_bytes(&part) : 0;
        if (__builtin_add_overflow(bytes, own, &bytes))
            return SIZE_MAX;
    }
    return bytes;
}

/* ---- open -------------------------------------------------------------------------------- */

struct member {
    struct rec_model model; /* its tensors are the blend's */
    float weight;
    float similar_weight; /* 0: its likeness is left out */
    size_t query_at;      /* in the blend's query, after the factors of all members */
};

struct blend {
    size_t count;
    bool product;
    struct member member[REC_BLEND_MEMBERS];
};

static enum rec_status read_parameters(const struct rec_model *model, size_t m,
                                       struct rec_params *out, struct rec_error *err) {
    char name[32];
    const struct rec_tensor *text = NULL;
    (void)snprintf(name, sizeof(name), "parameters.%zu", m + 1);
    enum rec_status st = rec_tensors_get(&model->tensors, name, REC_TENSOR_U8, 1, 0, &text, err);
    if (st != REC_OK)
        return st;
    const char *data = text->data;
    if (text->cols == 0 || memchr(data, '\0', text->cols) != data + text->cols - 1)
        return rec_error_set(err, REC_CORRUPT, "blend: %s is no text", name);
    struct rec_error reason = {.status = REC_OK};
    if (rec_params_read(out, data, &reason) != REC_OK)
        return rec_error_set(err, REC_CORRUPT, "blend: %s: %s", name, reason.text);
    return REC_OK;
}

/* The tensors under the member's prefix, without it. */
static void view_tensors(const struct rec_model *model, size_t m, struct rec_tensors *out) {
    for (size_t i = 0; i < model->tensors.count; i++) {
        struct rec_tensor tensor = model->tensors.tensor[i];
        if (tensor.name[0] != (char)('1' + m) || tensor.name[1] != '.')
            continue;
        memmove(tensor.name, tensor.name + 2, sizeof(tensor.name) - 2);
        out->tensor[out->count++] = tensor;
    }
}

static void blend_close(struct rec_model *model) {
    struct blend *self = model->self;
    if (self == NULL)
        return;
    for (size_t m = 0; m < self->count; m++)
        if (self->member[m].model.family->close != NULL)
            self->member[m].model.family->close(&self->member[m].model);
    rec_alloc_free(self);
    model->self = NULL;
}

/* Opens the next member; counts it only when it is open. */
static enum rec_status open_member(struct rec_model *model, struct rec_blend_plan *plan,
                                   size_t *tensors, struct rec_error *err) {
    struct blend *self = model->self;
    size_t m = self->count;
    struct member *member = &self->member[m];
    enum rec_status st = read_parameters(model, m, &plan->member[m].params, err);
    if (st != REC_OK)
        return st;
    member->model = (struct rec_model){
        .family = plan->member[m].family, .items = model->items, .params = plan->member[m].params};
    view_tensors(model, m, &member->model.tensors);
    st = member->model.family->open(&member->model, err);
    if (st != REC_OK)
        return st;
    self->count++;
    *tensors += member->model.tensors.count + 1;
    member->query_at = model->query_floats;
    model->query_floats += member->model.query_floats;
    if (member->model.scratch_floats > model->scratch_floats)
        model->scratch_floats = member->model.scratch_floats;
    return REC_OK;
}

static bool learns_likeness(const struct rec_family *family) {
    return !family->ignores_history && !family->repeats_only;
}

static enum rec_status set_weights(struct rec_model *model, struct rec_error *err) {
    struct blend *self = model->self;
    const struct rec_tensor *weights = NULL, *scales = NULL;
    enum rec_status st =
        rec_tensors_get(&model->tensors, "weights", REC_TENSOR_F32, 1, self->count, &weights, err);
    if (st == REC_OK)
        st = rec_tensors_get(&model->tensors, "similar_scales", REC_TENSOR_F32, 1, self->count,
                             &scales, err);
    if (st != REC_OK)
        return st;
    bool learned = false;
    for (size_t m = 0; m < self->count; m++) {
        float weight = ((const float *)weights->data)[m], scale = ((const float *)scales->data)[m];
        if (!(weight >= 0.0f && weight <= weight_max) || !(scale >= 0.0f && isfinite(scale)))
            return rec_error_set(err, REC_CORRUPT,
                                 "blend: member %zu has the weight %g (0 to %g) and the scale %g",
                                 m + 1, (double)weight, (double)weight_max, (double)scale);
        self->member[m].weight = weight;
        self->member[m].similar_weight = scale > scale_min ? weight / scale : 0.0f;
        learned = learned || (weight > 0.0f && learns_likeness(self->member[m].model.family));
    }
    for (size_t m = 0; learned && m < self->count; m++)
        if (!learns_likeness(self->member[m].model.family))
            self->member[m].similar_weight = 0.0f;
    return REC_OK;
}

static enum rec_status blend_open(struct rec_model *model, struct rec_error *err) {
    struct rec_blend_plan plan;
    struct rec_error reason = {.status = REC_OK};
    size_t tensors = 2;
    if (make_plan(&model->params, &plan, &reason) != REC_OK)
        return rec_error_set(err, REC_CORRUPT, "%s", reason.text);
    struct blend *self = rec_alloc_array(1, sizeof(*self));
    if (self == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "blend: no memory to open the model");
    self->product = plan.product;
    model->self = self;
    model->query_floats = REC_BLEND_MEMBERS;
    model->scratch_floats = 0;
    enum rec_status st = REC_OK;
    for (size_t m = 0; st == REC_OK && m < plan.count; m++)
        st = open_member(model, &plan, &tensors, err);
    if (st == REC_OK)
        st = set_weights(model, err);
    if (st == REC_OK && tensors != model->tensors.count)
        st = rec_error_set(err, REC_CORRUPT, "blend: %zu tensors, expected %zu",
                           model->tensors.count, tensors);
    if (st != REC_OK)
        blend_close(model);
    model->scratch_floats += SHARES + model->query_floats;
    return st;
}

/* ---- query ----------------------------------------------------------------------------------- */

float rec_blend_spread(const struct rec_model *model, const float *query) {
    float scores[REC_BLEND_TILE];
    double sum = 0.0, squares = 0.0, items = model->items;
    float first_score = 0.0f; /* near the mean: less is lost in the difference of squares */
    for (uint32_t first = 0; first < model->items; first += REC_BLEND_TILE) {
        uint32_t left = model->items - first;
        uint32_t count = left < REC_BLEND_TILE ? left : REC_BLEND_TILE;
        model->family->score(model, query, 1, first, count, scores);
        if (first == 0)
            first_score = scores[0];
        for (uint32_t i = 0; i < count; i++) {
            double off = (double)scores[i] - (double)first_score;
            sum += off;
            squares += off * off;
        }
    }
    double variance = squares / items - (sum / items) * (sum / items);
    float spread = variance > 0.0 ? (float)sqrt(variance) : 0.0f;
    return isfinite(spread) && spread > scale_min ? spread : 0.0f;
}

static bool blend_query(const struct rec_model *model, const struct rec_history *history,
                        float *query, float *scratch) {
    const struct blend *self = model->self;
    bool says = false;
    float *family_scratch = scratch + model->query_floats + SHARES;
    memset(query, 0, model->query_floats * sizeof(*query));
    for (size_t m = 0; m < self->count; m++) {
        const struct member *member = &self->member[m];
        const struct rec_family *family = member->model.family;
        float *own = query + member->query_at;
        if (!family->query(&member->model, history, own, family_scratch))
            continue;
        says = says || !family->ignores_history;
        float spread = rec_blend_spread(&member->model, own);
        query[m] = spread > 0.0f ? member->weight / spread : 0.0f;
    }
    if (!says)
        memset(query, 0, model->query_floats * sizeof(*query));
    return says;
}

/* ---- score, similar, explain ---------------------------------------------------------------- */

static float product_of(float first, float others) {
    return first > 0.0f ? first * expf(fmaxf(-exponent_max, fminf(others, exponent_max))) : first;
}

/* Where the first member is silent the others' sum gives the order that its product would have. */
static bool is_product(const struct blend *self, const float *query) {
    return self->product && query[0] > 0.0f;
}

/* Adds up members; `most`: how many spreads of one count. */
static void add_members(const struct rec_model *model, const float *query, size_t begin, size_t end,
                        float most, uint32_t first, uint32_t count, float *out) {
    const struct blend *self = model->self;
    float scores[REC_BLEND_TILE];
    memset(out, 0, count * sizeof(*out));
    for (size_t m = begin; m < end; m++) {
        const struct member *member = &self->member[m];
        float bound = member->weight * most;
        if (!(query[m] > 0.0f))
            continue;
        member->model.family->score(&member->model, query + member->query_at, 1, first, count,
                                    scores);
        for (uint32_t i = 0; i < count; i++)
            out[i] += fmaxf(-bound, fminf(query[m] * scores[i], bound));
    }
}

static void score_tile(const struct rec_model *model, const float *query, uint32_t first,
                       uint32_t count, float *out) {
    const struct blend *self = model->self;
    float others[REC_BLEND_TILE];
    if (!is_product(self, query)) {
        add_members(model, query, 0, self->count, INFINITY, first, count, out);
        return;
    }
    add_members(model, query, 0, 1, INFINITY, first, count, out);
    add_members(model, query, 1, self->count, REC_BLEND_SPREADS_MAX, first, count, others);
    for (uint32_t i = 0; i < count; i++)
        out[i] = product_of(out[i], others[i]);
}

static void blend_score(const struct rec_model *model, const float *queries, size_t n,
                        uint32_t first, uint32_t count, float *scores) {
    for (size_t row = 0; row < n; row++)
        for (uint32_t at = 0; at < count; at += REC_BLEND_TILE) {
            uint32_t left = count - at, tile = left < REC_BLEND_TILE ? left : REC_BLEND_TILE;
            score_tile(model, queries + row * model->query_floats, first + at, tile,
                       scores + row * count + at);
        }
}

static void blend_similar(const struct rec_model *model, uint32_t item, uint32_t first,
                          uint32_t count, float *scores) {
    const struct blend *self = model->self;
    float own[REC_BLEND_TILE];
    memset(scores, 0, count * sizeof(*scores));
    for (size_t m = 0; m < self->count; m++) {
        const struct member *member = &self->member[m];
        for (uint32_t at = 0; at < count && member->similar_weight > 0.0f; at += REC_BLEND_TILE) {
            uint32_t left = count - at, tile = left < REC_BLEND_TILE ? left : REC_BLEND_TILE;
            member->model.family->similar(&member->model, item, first + at, tile, own);
            for (uint32_t i = 0; i < tile; i++)
                scores[at + i] += member->similar_weight * own[i];
        }
    }
}

/* Times the item's factor in the product. */
static void scale_shares(const struct rec_model *model, const float *query, uint32_t item,
                         size_t count, float *shares) {
    const struct blend *self = model->self;
    float first, others;
    if (item >= model->items)
        return;
    add_members(model, query, 0, 1, INFINITY, item, 1, &first);
    add_members(model, query, 1, self->count, REC_BLEND_SPREADS_MAX, item, 1, &others);
    for (size_t e = 0; first > 0.0f && e < count; e++)
        shares[e] *= product_of(1.0f, others);
}

/* shares [n x history->count] of all members for as many items as own [SHARES] holds. */
static void explain_some(const struct rec_model *model, const struct rec_history *history,
                         const float *query, const uint32_t *items, size_t n, float *shares,
                         float *own, float *scratch) {
    const struct blend *self = model->self;
    bool product = is_product(self, query);
    memset(shares, 0, n * history->count * sizeof(*shares));
    for (size_t m = 0; m < (product ? 1 : self->count); m++) {
        const struct member *member = &self->member[m];
        if (!(query[m] > 0.0f) || member->model.family->explain == NULL)
            continue;
        member->model.family->explain(&member->model, history, items, n, own, scratch);
        rec_kernels_axpy(query[m], own, shares, n * history->count);
    }
    for (size_t i = 0; product && i < n; i++)
        scale_shares(model, query, items[i], history->count, shares + i * history->count);
}

static void blend_explain(const struct rec_model *model, const struct rec_history *history,
                          const uint32_t *items, size_t n, float *shares, float *scratch) {
    float *query = scratch, *own = query + model->query_floats, *family_scratch = own + SHARES;
    assert(history->count <= SHARES);
    (void)blend_query(model, history, query, scratch);
    size_t batch = history->count == 0 ? n : SHARES / history->count;
    for (size_t first = 0; first < n; first += batch) {
        size_t some = n - first < batch ? n - first : batch;
        explain_some(model, history, query, items + first, some, shares + first * history->count,
                     own, family_scratch);
    }
}

const struct rec_family rec_blend_family = {
    .name = "blend",
    .help = "other families put together, with weights found on held-out interactions",
    .params = blend_params,
    .param_count = sizeof(blend_params) / sizeof(blend_params[0]),
    .tune = blend_tune,
    .ignores_history = false,
    .fit = blend_fit,
    .fit_bytes = blend_fit_bytes,
    .open = blend_open,
    .close = blend_close,
    .query = blend_query,
    .score = blend_score,
    .similar = blend_similar,
    .explain = blend_explain,
};
