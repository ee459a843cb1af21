#include <stdlib.h>
#include <string.h>

#include "serve/mirror.h"

enum { BUFFER_BYTES = 8192, K = 200 };

static enum rec_status list(struct rec_serve *serve, const char *user, const char *model,
                            struct rec_recommended *out) {
    struct rec_recommend_query query = {
        .user_id = user, .k = K, .model = model, .include_seen = true, .explain = true};
    struct rec_error err = {0};
    enum rec_status st = rec_recommend_run(serve, 0, &query, out, &err);
    if (st != REC_OK)
        fail_msg("list: %s", err.text);
    return st;
}

static void check_lists(struct rec_serve *ours, struct rec_serve *fresh, const char *user,
                        const char *model) {
    struct rec_recommended a, b;
    (void)list(ours, user, model, &a);
    (void)list(fresh, user, model, &b);
    assert_string_equal(a.model, b.model);
    assert_int_equal(a.personal, b.personal);
    assert_int_equal(a.history_version, b.history_version);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.items, b.items, a.count * sizeof(*a.items));
    assert_int_equal(a.because_offset == NULL, b.because_offset == NULL);
    if (a.because_offset == NULL || a.count == 0)
        return;
    assert_memory_equal(a.because_offset, b.because_offset,
                        (a.count + 1) * sizeof(*a.because_offset));
    assert_memory_equal(a.because, b.because, a.because_offset[a.count] * sizeof(*a.because));
}

static void check_item(struct rec_serve *ours, struct rec_serve *fresh, const char *id) {
    char buffer_a[BUFFER_BYTES], buffer_b[BUFFER_BYTES];
    struct rec_item a, b;
    enum rec_status st = rec_catalogue_get(ours, id, &a, buffer_a, sizeof(buffer_a), NULL);
    assert_int_equal(st, rec_catalogue_get(fresh, id, &b, buffer_b, sizeof(buffer_b), NULL));
    if (st != REC_OK)
        return;
    assert_string_equal(a.item_id, b.item_id);
    assert_int_equal(a.hidden, b.hidden);
    assert_int_equal(a.title == NULL, b.title == NULL);
    if (a.title != NULL)
        assert_string_equal(a.title, b.title);
    assert_int_equal(a.category_count, b.category_count);
    for (size_t i = 0; i < a.category_count; i++) {
        bool found = false; /* in another order, perhaps */
        for (size_t j = 0; j < b.category_count; j++)
            found = found || strcmp(a.categories[i], b.categories[j]) == 0;
        assert_true(found);
    }
}

struct texts {
    char bytes[1 << 16];
    size_t used;
};

static void keep_texts(void *context, size_t position, const char *id_json, size_t id_bytes,
                       const char *title_json, size_t title_bytes) {
    struct texts *texts = context;
    (void)position;
    assert_true(id_bytes + title_bytes <= sizeof(texts->bytes) - texts->used);
    memcpy(texts->bytes + texts->used, id_json, id_bytes);
    memcpy(texts->bytes + texts->used + id_bytes, title_json, title_bytes);
    texts->used += id_bytes + title_bytes;
}

/* Of every index there is, deleted items included. */
static void check_texts(struct rec_serve *ours, struct rec_serve *fresh, uint32_t items) {
    static struct texts a, b;
    a.used = b.used = 0;
    for (uint32_t i = 0; i < items; i++) {
        rec_catalogue_texts(ours, &i, sizeof(i), 1, keep_texts, &a);
        rec_catalogue_texts(fresh, &i, sizeof(i), 1, keep_texts, &b);
    }
    assert_int_equal(a.used, b.used);
    assert_memory_equal(a.bytes, b.bytes, a.used);
}

void mirror_check(struct world *world, size_t users, size_t items) {
    struct world other = *world;
    struct rec_serve_options options = {
        .store = world->store, .slot = world->slot, .weights = &world->weights, .workers = 1};
    struct rec_error err = {0};
    rec_store_flush(world->store);
    if (rec_serve_create(&options, &other.serve, &err) != REC_OK)
        fail_msg("mirror: %s", err.text);

    for (size_t i = 0; i < items; i++)
        check_item(world->serve, other.serve, world_name('i', i));
    for (size_t u = 0; u < users; u++) {
        uint32_t a = 0, b = 0;
        uint64_t version_a = 0, version_b = 0;
        const char *id = world_name('u', u);
        assert_int_equal(rec_histories_user(world->serve, id, &a, &version_a, NULL),
                         rec_histories_user(other.serve, id, &b, &version_b, NULL));
        assert_int_equal(a, b);
        assert_int_equal(version_a, version_b);
        check_lists(world->serve, other.serve, id, NULL);
    }
    check_lists(world->serve, other.serve, "u0", "popularity");

    struct rec_serve_counts counts_a, counts_b;
    rec_serve_counts(world->serve, &counts_a);
    rec_serve_counts(other.serve, &counts_b);
    assert_int_equal(counts_a.users, counts_b.users);
    assert_int_equal(counts_a.items, counts_b.items);
    assert_int_equal(counts_a.interactions, counts_b.interactions);
    assert_int_equal(counts_a.recorded, counts_b.recorded);
    check_texts(world->serve, other.serve, counts_b.items);
    rec_serve_destroy(&other.serve);
}
