/* Goal: tensors keep what they are given and refuse what does not fit; a fit either gives a whole
 * model or says what is missing and leaks nothing; names are found or the nearest is offered. */
#include <stdio.h>
#include <string.h>

#include "test.h"
#include "model/toy.h"

static void test_tensors(void **state) {
    (void)state;
    size_t live = rec_alloc_live();
    struct rec_tensors set = {.count = 0};
    struct rec_error err = {.status = REC_OK};
    void *data = NULL;
    const uint64_t shapes[][2] = {{1, 1}, {3, 5}, {0, 4}, {1000, 3}};
    char name[32];
    for (size_t i = 0; i < COUNT(shapes); i++) {
        (void)snprintf(name, sizeof(name), "t%zu", i);
        assert_int_equal(
            rec_tensors_add(&set, name, REC_TENSOR_U64, shapes[i][0], shapes[i][1], &data, &err),
            REC_OK);
        assert_int_equal((uintptr_t)data % 64, 0);
        for (uint64_t j = 0; j < shapes[i][0] * shapes[i][1]; j++)
            assert_int_equal(((uint64_t *)data)[j], 0);
    }
    assert_int_equal(set.count, COUNT(shapes));
    rec_tensors_finish(&set);
    rec_tensors_finish(&set);
    assert_int_equal(set.count, 0);
    assert_int_equal(rec_alloc_live(), live);
}

static void test_tensors_too_big(void **state) {
    (void)state;
    const uint64_t shapes[][2] = {{UINT64_MAX, 2}, {1ull << 62, 1}, {1ull << 32, 1ull << 32}};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        struct rec_tensors set = {.count = 0};
        struct rec_error err = {.status = REC_OK};
        void *data = NULL;
        assert_int_equal(
            rec_tensors_add(&set, "x", REC_TENSOR_F32, shapes[i][0], shapes[i][1], &data, &err),
            REC_NO_MEMORY);
        assert_null(data);
        assert_int_equal(set.count, 0);
        assert_non_null(strstr(err.text, "'x'"));
    }
}

static void test_tensors_get(void **state) {
    (void)state;
    static const struct {
        const char *row, *name;
        enum rec_tensor_type type;
        uint64_t rows, cols;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"as it is", "x", REC_TENSOR_F32, 3, 5, REC_OK, ""},
        {"any rows", "x", REC_TENSOR_F32, 0, 5, REC_OK, ""},
        {"any cols", "x", REC_TENSOR_F32, 3, 0, REC_OK, ""},
        {"any shape", "x", REC_TENSOR_F32, 0, 0, REC_OK, ""},
        {"other name", "y", REC_TENSOR_F32, 0, 0, REC_CORRUPT, "'y' is missing"},
        {"other type", "x", REC_TENSOR_U32, 0, 0, REC_CORRUPT, "holds f32, expected u32"},
        {"other rows", "x", REC_TENSOR_F32, 4, 5, REC_CORRUPT, "[3 x 5], expected [4 x 5]"},
        {"other cols", "x", REC_TENSOR_F32, 0, 3, REC_CORRUPT, "[3 x 5], expected [0 x 3]"},
    };
    struct rec_tensors set = {.count = 0};
    void *data = NULL;
    assert_int_equal(rec_tensors_add(&set, "x", REC_TENSOR_F32, 3, 5, &data, NULL), REC_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct rec_tensor *found = NULL;
        struct rec_error err = {.status = REC_OK};
        CHECK_ROW(rec_tensors_get(&set, rows[i].name, rows[i].type, rows[i].rows, rows[i].cols,
                                  &found, &err) == rows[i].status,
                  rows[i].row);
        CHECK_ROW((found == &set.tensor[0]) == (rows[i].status == REC_OK), rows[i].row);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].row);
    }
    rec_tensors_finish(&set);
}

/* A fit of `data` with fault injection at `fail_at` and the cancel flag as given. */
static enum rec_status fit(const struct rec_dataset *data, long fail_at, bool cancelled,
                           struct rec_model **out, struct rec_error *err) {
    struct rec_params params;
    atomic_bool cancel = cancelled;
    struct rec_progress progress = {.cancel = &cancel};
    rec_params_defaults(toy_family.params, toy_family.param_count, &params);
    struct rec_fit options = {.data = data, .params = &params, .seed = 1, .progress = &progress};
    rec_alloc_fail_at(fail_at);
    enum rec_status st = rec_model_fit(&toy_family, &options, out, err);
    rec_alloc_fail_at(-1);
    return st;
}

static void test_fit(void **state) {
    (void)state;
    size_t live = rec_alloc_live();
    struct rec_model *model = NULL;
    struct rec_error err = {.status = REC_OK};
    assert_int_equal(fit(toy_dataset(), -1, false, &model, &err), REC_OK);
    assert_ptr_equal(model->family, &toy_family);
    assert_int_equal(model->items, TOY_ITEMS);
    assert_int_equal(model->tensors.count, 4);
    assert_non_null(model->self);
    rec_model_destroy(&model);
    assert_null(model);
    rec_model_destroy(&model);
    assert_int_equal(rec_alloc_live(), live);
}

static size_t bytes_needed;

static size_t toy_fit_bytes(const struct rec_fit *fit) {
    assert_ptr_equal(fit->data, toy_dataset());
    return bytes_needed;
}

/* Goal: a fit of more memory than the cap is refused before it starts, with both figures; the
 * cap itself is allowed, and 0 is none. */
static void test_memory_cap(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t needed, cap;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"no cap", SIZE_MAX, 0, REC_OK, ""},
        {"at the cap", 1 << 20, 1 << 20, REC_OK, ""},
        {"one byte more", (1 << 20) + 1, 1 << 20, REC_LIMIT, "the cap is 1 MB"},
        {"both figures", 300 << 20, 200 << 20, REC_LIMIT, "about 300 MB of memory, the cap is 200"},
        {"overflow", SIZE_MAX, SIZE_MAX - 1, REC_LIMIT, "memory-mb"},
    };
    struct rec_family family = toy_family;
    struct rec_params params;
    family.fit_bytes = toy_fit_bytes;
    rec_params_defaults(toy_family.params, toy_family.param_count, &params);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rec_fit options = {
            .data = toy_dataset(), .params = &params, .seed = 1, .memory_bytes_max = rows[i].cap};
        struct rec_model *model = NULL;
        struct rec_error err = {.status = REC_OK};
        bytes_needed = rows[i].needed;
        CHECK_ROW(rec_model_fit(&family, &options, &model, &err) == rows[i].status, rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
        CHECK_ROW((model != NULL) == (rows[i].status == REC_OK), rows[i].name);
        rec_model_destroy(&model);
    }
}

static void test_fit_refuses(void **state) {
    (void)state;
    uint64_t offset[] = {0, 2};
    uint32_t item[] = {0, 1}, time[] = {1, 2};
    float nothing[] = {0.0f, 0.0f}, something[] = {0.0f, 0.5f};
    const struct rec_dataset full = {1, 2, offset, item, something, time};
    struct rec_dataset no_items = full, no_users = full, no_weight = full, too_many = full;
    no_items.items = 0;
    no_users.users = 0;
    no_weight.weight = nothing;
    too_many.items = REC_ITEMS_MAX + 1;
    const struct {
        const char *name;
        const struct rec_dataset *data;
        bool cancelled;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"one event is enough", &full, false, REC_OK, ""},
        {"no items", &no_items, false, REC_BAD_INPUT, "catalogue is empty"},
        {"no users", &no_users, false, REC_BAD_INPUT, "none of the 0 interactions"},
        {"all weights 0", &no_weight, false, REC_BAD_INPUT, "none of the 2 interactions"},
        {"too many items", &too_many, false, REC_BAD_INPUT, "16777217 items"},
        {"cancelled", &full, true, REC_CANCELLED, "cancelled"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        size_t live = rec_alloc_live();
        struct rec_model *model = NULL;
        struct rec_error err = {.status = REC_OK};
        enum rec_status st = fit(rows[i].data, -1, rows[i].cancelled, &model, &err);
        CHECK_ROW(st == rows[i].status && err.status == st, rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
        CHECK_ROW((model != NULL) == (st == REC_OK), rows[i].name);
        rec_model_destroy(&model);
        CHECK_ROW(rec_alloc_live() == live, rows[i].name);
    }
}

static void test_fit_no_memory(void **state) {
    (void)state;
    enum { ALLOCATIONS_MAX = 100 };
    for (long n = 0; n < ALLOCATIONS_MAX; n++) {
        size_t live = rec_alloc_live();
        struct rec_model *model = NULL;
        struct rec_error err = {.status = REC_OK};
        enum rec_status st = fit(toy_dataset(), n, false, &model, &err);
        if (st == REC_OK) {
            assert_int_equal(n, 6); /* four tensors, the model, the family's own */
            rec_model_destroy(&model);
            return;
        }
        assert_int_equal(st, REC_NO_MEMORY);
        assert_int_equal(err.status, REC_NO_MEMORY);
        assert_null(model);
        assert_int_equal(rec_alloc_live(), live);
    }
    fail_msg("no fit got through");
}

static void test_family_find(void **state) {
    (void)state;
    static const struct {
        const char *name;
        enum rec_status status;
        const char *text;
    } rows[] = {
        {"toy", REC_OK, ""},
        {"toi", REC_BAD_INPUT, "did you mean 'toy'? Known: toy"},
        {"Toy", REC_BAD_INPUT, "did you mean 'toy'"},
        {"", REC_BAD_INPUT, "Known: toy"},
        {"neural", REC_BAD_INPUT, "'neural' is not known. Known: toy"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct rec_family *found = NULL;
        struct rec_error err = {.status = REC_OK};
        CHECK_ROW(rec_family_find(toy_families, rows[i].name, &found, &err) == rows[i].status,
                  rows[i].name);
        CHECK_ROW((found == &toy_family) == (rows[i].status == REC_OK), rows[i].name);
        CHECK_ROW(strstr(err.text, rows[i].text) != NULL, rows[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors),       cmocka_unit_test(test_tensors_too_big),
        cmocka_unit_test(test_tensors_get),   cmocka_unit_test(test_fit),
        cmocka_unit_test(test_memory_cap),    cmocka_unit_test(test_fit_refuses),
        cmocka_unit_test(test_fit_no_memory), cmocka_unit_test(test_family_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
