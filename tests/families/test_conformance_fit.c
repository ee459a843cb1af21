/* Goal: every family in rec_families keeps the contract of model.h when it is made: fitted on any
 * number of threads, stopped, starved of memory, saved, loaded, or handed tensors that are not
 * what they should be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"
#include "families/worlds.h"

enum { USERS = 60, ITEMS = 83, THREADS_MAX = 3 };

/* Settings whose fits take other ways through the code than the defaults do. */
static const struct {
    const struct rec_family *family;
    const char *settings;
} ways[] = {
    {&rec_als_family, "block=3 iterations=4"},
    {&rec_als_family, "early_stop=2 frequency_power=1"},
    {&rec_biased_mf_family, "optimizer=adam learning_rate=0.005 epochs=2"},
    {&rec_biased_mf_family, "early_stop=1 epochs=10"},
    {&rec_bpr_family, "negatives=popular candidates=2 epochs=6"},
    {&rec_bpr_family, "negatives=uniform early_stop=1 epochs=10"},
    {&rec_ease_family, "density=0.05 input=binary"},
    {&rec_nextitem_family, "density=0.05 tau3=20 user_power=0.5"},
    {&rec_slim_family, "non_negative=true neighbors=20"},
    {&rec_svd_family, "user_exponent=0.5 item_exponent=0.5 oversample=3"},
    {&rec_item_knn_family, "weighting=none neighbors=5"},
    {&rec_dae_family, "loss=bce activation=relu input=binary epochs=6"},
    {&rec_multvae_family, "anneal_epochs=3 batch=100 epochs=6"},
    {&rec_blend_family, "combine=product first=next-item second=als second.factors=4 "
                        "second.iterations=2"},
};

/* The same model on 1 to THREADS_MAX threads as without a pool. */
static void check_same_bits(const struct rec_family *family, const char *settings,
                            const struct rec_dataset *data) {
    struct rec_model *first = NULL;
    CHECK_ROW(world_try(family, data, settings, 42, NULL, &first, NULL) == REC_OK, settings);
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        struct rec_pool *pool = NULL;
        struct rec_model *again = NULL;
        assert_int_equal(rec_pool_create(threads, false, &pool, NULL), REC_OK);
        CHECK_ROW(world_try(family, data, settings, 42, pool, &again, NULL) == REC_OK, settings);
        if (!world_same(first, again))
            fail_msg("%s %s: other bits on %zu threads", family->name, settings, threads);
        rec_model_destroy(&again);
        rec_pool_destroy(&pool);
    }
    rec_model_destroy(&first);
}

/* Goal: data, parameters and seed decide every bit; the number of threads decides none. */
static void test_same_bits(void **state) {
    (void)state;
    struct rec_dataset *data = world_random(1400, 600, 1); /* more than one task has to share */
    struct rec_dataset *less = world_random(300, 150, 1);  /* the same, where a pair is dear */
    EACH_FAMILY(family) {
        bool dear = family == &rec_neuralmf_family || family == &rec_ncf_family;
        check_same_bits(family, world_few_epochs(family), dear ? less : data);
    }
    rec_dataset_destroy(&less);
    for (size_t i = 0; i < COUNT(ways); i++)
        check_same_bits(ways[i].family, ways[i].settings, data);
    rec_dataset_destroy(&data);
}

/* Goal: nor do the settings make a difference between users asked one by one and together. */
static void test_same_batches(void **state) {
    enum { ASKED = 9 };
    static float together[ASKED * ITEMS];
    (void)state;
    struct rec_dataset *data = world_random(USERS, ITEMS, 6);
    for (size_t i = 0; i < COUNT(ways); i++) {
        const struct rec_family *family = ways[i].family;
        struct rec_model *model = NULL;
        CHECK_ROW(world_try(family, data, ways[i].settings, 1, NULL, &model, NULL) == REC_OK,
                  ways[i].settings);
        float *queries = world_alloc(ASKED * model->query_floats, sizeof(*queries));
        float *scratch = world_alloc(model->scratch_floats, sizeof(*scratch));
        for (uint32_t user = 0; user < ASKED; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            (void)family->query(model, &history, queries + user * model->query_floats, scratch);
        }
        family->score(model, queries, ASKED, 0, ITEMS, together);
        for (uint32_t user = 0; user < ASKED; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            float alone[ITEMS];
            world_score(model, &history, alone);
            CHECK_ROW(memcmp(alone, together + user * ITEMS, sizeof(alone)) == 0, ways[i].settings);
        }
        rec_alloc_free(scratch);
        rec_alloc_free(queries);
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

/* Goal: a model is the same after a file as before, in all it can be asked. */
static void test_file_keeps_bits(void **state) {
    (void)state;
    char folder[] = "/tmp/recsysd-conformance-XXXXXX", path[64];
    struct rec_dataset *data = world_random(USERS, ITEMS, 2);
    struct rec_model_info info = {.version = "v1", .items = ITEMS};
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/model", folder);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL), *back = NULL;
        struct rec_error err = {.status = REC_OK};
        if (rec_modelfile_save(model, &info, path, &err) != REC_OK ||
            rec_modelfile_load(path, rec_families, "", ITEMS, &back, NULL, &err) != REC_OK)
            fail_msg("%s: %s", family->name, err.text);
        CHECK_ROW(world_same(model, back), family->name);
        CHECK_ROW(memcmp(model->params.value, back->params.value, sizeof(back->params.value)) == 0,
                  family->name);
        for (uint32_t user = 0; user < USERS; user++) {
            struct rec_event events[HISTORY_MAX];
            struct rec_history history = world_history(data, user, events);
            float before[ITEMS], after[ITEMS];
            world_score(model, &history, before);
            world_score(back, &history, after);
            CHECK_ROW(memcmp(before, after, sizeof(after)) == 0, family->name);
            family->similar(model, user, 0, ITEMS, before);
            family->similar(back, user, 0, ITEMS, after);
            CHECK_ROW(memcmp(before, after, sizeof(after)) == 0, family->name);
        }
        rec_model_destroy(&back);
        rec_model_destroy(&model);
    }
    (void)unlink(path);
    (void)rmdir(folder);
    rec_dataset_destroy(&data);
}

struct listener {
    atomic_bool cancel;
    bool sane;
    size_t reports, cancel_at; /* 0: cancelled before the start */
};

static void listen(void *context, const char *phase, double fraction, double loss) {
    struct listener *listener = context;
    (void)loss;
    if (phase == NULL || !(fraction >= 0.0 && fraction <= 1.0))
        listener->sane = false;
    if (++listener->reports == listener->cancel_at)
        atomic_store(&listener->cancel, true);
}

/* Goal: work tells where it is, and stops soon after it is told to, leaving nothing. */
static void test_cancel(void **state) {
    (void)state;
    struct rec_dataset *data = world_random(USERS, ITEMS, 3);
    EACH_FAMILY(family) {
        for (size_t cancel_at = 0; cancel_at <= 1; cancel_at++) {
            struct listener listener = {.sane = true, .cancel_at = cancel_at};
            struct rec_progress progress = {
                .report = listen, .context = &listener, .cancel = &listener.cancel};
            struct rec_params params = world_params(family);
            struct rec_fit fit = {
                .data = data, .params = &params, .seed = 1, .progress = &progress};
            struct rec_model *model = NULL;
            struct rec_error err = {.status = REC_OK};
            size_t live = rec_alloc_live();
            atomic_store(&listener.cancel, cancel_at == 0);
            CHECK_ROW(rec_model_fit(family, &fit, &model, &err) == REC_CANCELLED, family->name);
            CHECK_ROW(err.status == REC_CANCELLED && model == NULL, family->name);
            CHECK_ROW(listener.sane && listener.reports >= cancel_at, family->name);
            CHECK_ROW(rec_alloc_live() == live, family->name);
        }
    }
    rec_dataset_destroy(&data);
}

/* Goal: whichever allocation of a fit fails, the fit says so and leaks nothing. */
static void test_no_memory(void **state) {
    (void)state;
    enum { ALLOCATIONS_MAX = 10000 };
    struct rec_dataset *data = world_random(9, 11, 4);
    EACH_FAMILY(family) {
        enum rec_status st = REC_NO_MEMORY;
        for (long n = 0; st != REC_OK && n < ALLOCATIONS_MAX; n++) {
            struct rec_params params = world_params(family);
            struct rec_fit fit = {.data = data, .params = &params, .seed = 1};
            struct rec_model *model = NULL;
            struct rec_error err = {.status = REC_OK};
            size_t live = rec_alloc_live();
            rec_alloc_fail_at(n);
            st = rec_model_fit(family, &fit, &model, &err);
            rec_alloc_fail_at(-1);
            CHECK_ROW(st == REC_OK || st == REC_NO_MEMORY, family->name);
            CHECK_ROW(err.status == st && (model != NULL) == (st == REC_OK), family->name);
            CHECK_ROW(st == REC_NO_MEMORY || n > 0, family->name);
            rec_model_destroy(&model);
            CHECK_ROW(rec_alloc_live() == live, family->name);
        }
        CHECK_ROW(st == REC_OK, family->name);
    }
    rec_dataset_destroy(&data);
}

/* open() must refuse `tensors` as those of a model like `model`, and keep nothing. */
static void check_refused(const struct rec_model *model, const struct rec_tensors *tensors,
                          const char *tensor, const char *what) {
    struct rec_model damaged = {.family = model->family,
                                .items = model->items,
                                .params = model->params,
                                .tensors = *tensors};
    struct rec_error err = {.status = REC_OK};
    size_t live = rec_alloc_live();
    enum rec_status st = model->family->open(&damaged, &err);
    if (st != REC_CORRUPT || err.text[0] == '\0' || rec_alloc_live() != live)
        fail_msg("%s: tensor '%s' %s: status %s, text '%s'", model->family->name, tensor, what,
                 rec_error_name(st), err.text);
}

/* Another value at the ends and in the middle of the tensor, one at a time; put back afterwards. */
static void check_value(const struct rec_model *model, size_t index, const void *value,
                        size_t bytes, const char *what) {
    const struct rec_tensor *tensor = &model->tensors.tensor[index];
    size_t count = (size_t)(tensor->rows * tensor->cols);
    const size_t places[] = {0, count / 2, count - 1};
    for (size_t i = 0; i < COUNT(places); i++) {
        unsigned char kept[8], *place = (unsigned char *)tensor->data + places[i] * bytes;
        memcpy(kept, place, bytes);
        memcpy(place, value, bytes);
        check_refused(model, &model->tensors, tensor->name, what);
        memcpy(place, kept, bytes);
    }
}

/* Another text in place of the parameters of a blend's member. */
static void check_text(const struct rec_model *model, size_t index) {
    static const struct {
        const char *text, *what;
        size_t bytes; /* of the text that count */
    } rows[] = {
        {"", "of no text at all", 0},
        {"recency", "with a name without a value", 8},
        {"=1", "with a value without a name", 3},
        {"nobody=1", "with a name that nobody knows", 9},
        {"recency=none", "with a value that is no number", 13},
        {"recency=-1", "with a value out of range", 11},
        {"recency=nan", "with a value that is none", 12},
        {"recency=0", "without its end", 9},
        {"recency=0\0 ", "with something behind its end", 11},
        {"\xff\xfe=\x01", "that is no text", 5},
    };
    const struct rec_tensor *kept = &model->tensors.tensor[index];
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_tensors damaged = model->tensors;
        char text[32]; /* at its exact size for a sanitizer to see what is read behind it */
        memcpy(text, rows[i].text, rows[i].bytes);
        damaged.tensor[index].data = text;
        damaged.tensor[index].cols = rows[i].bytes;
        check_refused(model, &damaged, kept->name, rows[i].what);
    }
}

static void check_shapes(const struct rec_model *model, size_t index) {
    struct rec_tensors damaged = model->tensors;
    struct rec_tensor *tensor = &damaged.tensor[index];
    const char *name = model->tensors.tensor[index].name;
    tensor->rows--;
    check_refused(model, &damaged, name, "with a row fewer");
    tensor->rows++;
    tensor->cols--;
    check_refused(model, &damaged, name, "with a column fewer");
    tensor->cols++;
    tensor->type = tensor->type == REC_TENSOR_F32 ? REC_TENSOR_U32 : REC_TENSOR_F32;
    check_refused(model, &damaged, name, "of another type");
    *tensor = damaged.tensor[--damaged.count];
    check_refused(model, &damaged, name, "left out");
}

/* Goal: tensors from a file are hostile until checked: no shape but the right one, no number that
 * is none, no index or offset out of range, no text that does not parse. */
static void test_open_refuses(void **state) {
    (void)state;
    static const uint64_t ones = UINT64_MAX;
    static const float hostile[] = {NAN, INFINITY, -INFINITY};
    struct rec_dataset *data = world_random(USERS, ITEMS, 5);
    EACH_FAMILY(family) {
        struct rec_model *model = world_fit(family, data, 1, NULL);
        for (size_t i = 0; i < model->tensors.count; i++) {
            enum rec_tensor_type type = model->tensors.tensor[i].type;
            check_shapes(model, i);
            for (size_t j = 0; type == REC_TENSOR_F32 && j < COUNT(hostile); j++)
                check_value(model, i, &hostile[j], sizeof(hostile[j]),
                            "with a number that is none");
            if (type == REC_TENSOR_U32)
                check_value(model, i, &ones, sizeof(uint32_t), "with an index out of range");
            if (type == REC_TENSOR_U64)
                check_value(model, i, &ones, sizeof(uint64_t), "with an offset out of range");
            if (strncmp(model->tensors.tensor[i].name, "parameters.", 11) == 0)
                check_text(model, i);
        }
        rec_model_destroy(&model);
    }
    rec_dataset_destroy(&data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),    cmocka_unit_test(test_file_keeps_bits),
        cmocka_unit_test(test_cancel),       cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_open_refuses), cmocka_unit_test(test_same_batches),
    };
    return cmocka_run_group_tests(tests, world_start, NULL);
}
