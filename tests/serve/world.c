#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/world.h"

static size_t live_before;

/* ---- life ---------------------------------------------------------------------------- */

static void make_serve(struct world *world) {
    struct rec_serve_options options = {.store = world->store,
                                        .slot = world->slot,
                                        .weights = &world->weights,
                                        .workers = world->workers,
                                        .query_cache_bytes = world->query_cache_bytes,
                                        .scorers = world->workers};
    struct rec_error err = {0};
    if (rec_serve_create(&options, &world->serve, &err) != REC_OK)
        fail_msg("serve: %s", err.text);
}

void world_open(struct world *world, size_t workers, size_t query_cache_bytes) {
    struct rec_error err = {0};
    live_before = rec_alloc_live();
    *world = (struct world){.workers = workers, .query_cache_bytes = query_cache_bytes};
    (void)snprintf(world->folder, sizeof(world->folder), "/tmp/recsysd-serve-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->path, sizeof(world->path), "%s/db", world->folder);
    struct rec_store_options options = {.path = world->path, .create = true, .writable = true};
    if (rec_kernels_init(&err) != REC_OK || rec_store_open(&options, &world->store, &err) != REC_OK)
        fail_msg("store: %s", err.text);
    world->slot = rec_slot_create();
    assert_non_null(world->slot);
    rec_weights_defaults(&world->weights);
    make_serve(world);
}

void world_restart(struct world *world) {
    rec_store_flush(world->store);
    rec_serve_destroy(&world->serve);
    make_serve(world);
}

void world_close(struct world *world) {
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    rec_store_flush(world->store);
    rec_serve_destroy(&world->serve);
    rec_slot_destroy(&world->slot);
    rec_store_close(&world->store);
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", world->path, suffixes[i]);
        (void)unlink(path);
    }
    (void)rmdir(world->folder);
    assert_int_equal(rec_alloc_live(), live_before);
}

/* ---- writes ------------------------------------------------------------------------------ */

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool done;
    enum rec_status status;
};

static void done(struct rec_write *write, enum rec_status status, const struct rec_error *err) {
    struct waiting *waiting = write->context;
    (void)err;
    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    waiting->status = status;
    pthread_cond_signal(&waiting->change);
    pthread_mutex_unlock(&waiting->lock);
}

static enum rec_status submit(struct world *world, struct rec_write *write) {
    struct waiting waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, REC_OK};
    struct rec_error err = {0};
    write->done = done;
    write->context = &waiting;
    enum rec_status st = rec_record_submit(world->serve, write, &err);
    if (st != REC_OK) {
        assert_ptr_equal(write->context, &waiting); /* given back as it came */
        assert_true(write->done == done);
        return st;
    }
    pthread_mutex_lock(&waiting.lock);
    while (!waiting.done)
        pthread_cond_wait(&waiting.change, &waiting.lock);
    pthread_mutex_unlock(&waiting.lock);
    return waiting.status;
}

enum rec_status world_record(struct world *world, const struct rec_interaction *rows, size_t count,
                             struct rec_recorded *recorded) {
    return submit(world, &(struct rec_write){.kind = REC_WRITE_INTERACTIONS,
                                             .interactions = rows,
                                             .count = count,
                                             .recorded = recorded});
}

enum rec_status world_order(struct world *world, const char *user, const char *item, int64_t time) {
    struct rec_recorded recorded;
    struct rec_interaction row = {
        .user_id = user, .item_id = item, .type = "order", .value = 1.0, .timestamp = time};
    return world_record(world, &row, 1, &recorded);
}

enum rec_status world_rate(struct world *world, const char *user, const char *item, double value,
                           int64_t time) {
    struct rec_recorded recorded;
    struct rec_interaction row = {
        .user_id = user, .item_id = item, .type = "rating", .value = value, .timestamp = time};
    return world_record(world, &row, 1, &recorded);
}

enum rec_status world_put(struct world *world, const struct rec_item *item) {
    struct rec_recorded recorded;
    return submit(world,
                  &(struct rec_write){
                      .kind = REC_WRITE_ITEMS, .items = item, .count = 1, .recorded = &recorded});
}

enum rec_status world_delete(struct world *world, const char *item) {
    struct rec_recorded recorded;
    return submit(world, &(struct rec_write){
                             .kind = REC_WRITE_ITEM_DELETE, .id = item, .recorded = &recorded});
}

enum rec_status world_erase(struct world *world, const char *user) {
    struct rec_recorded recorded;
    return submit(world, &(struct rec_write){
                             .kind = REC_WRITE_USER_ERASE, .id = user, .recorded = &recorded});
}

const char *world_name(char prefix, size_t number) {
    static _Thread_local char buffers[8][32];
    static _Thread_local size_t turn;
    char *name = buffers[turn++ % COUNT(buffers)];
    (void)snprintf(name, sizeof(buffers[0]), "%c%zu", prefix, number);
    return name;
}

void world_items(struct world *world, size_t count) {
    enum { BATCH = 100 };
    char name[BATCH][16];
    struct rec_item items[BATCH];
    struct rec_recorded recorded[BATCH];
    for (size_t first = 0; first < count; first += BATCH) {
        size_t n = count - first < BATCH ? count - first : BATCH;
        for (size_t i = 0; i < n; i++) {
            (void)snprintf(name[i], sizeof(name[i]), "i%zu", first + i);
            items[i] = (struct rec_item){.item_id = name[i]};
        }
        assert_int_equal(submit(world, &(struct rec_write){.kind = REC_WRITE_ITEMS,
                                                           .items = items,
                                                           .count = n,
                                                           .recorded = recorded}),
                         REC_OK);
    }
}

/* ---- families ------------------------------------------------------------------------------- */

enum { RESIDUES = 7 };
static const struct rec_param SALT[] = {
    {.name = "salt", .type = REC_PARAM_INT, .min = 0, .max = 1e6, .help = "makes models differ"}};
static atomic_uint queries;

unsigned world_queries(void) {
    return atomic_load(&queries);
}

static unsigned salt_of(const struct rec_model *model) {
    return (unsigned)model->params.value[0];
}

static enum rec_status fit(const struct rec_fit *spec, struct rec_tensors *out,
                           struct rec_error *err) {
    (void)spec;
    (void)out;
    (void)err;
    return REC_OK;
}

static enum rec_status open_puzzle(struct rec_model *model, struct rec_error *err) {
    (void)err;
    model->query_floats = RESIDUES;
    model->scratch_floats = 3;
    return REC_OK;
}

/* Weights by residue of the item's index; known items only. */
static bool query_puzzle(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    bool says = false;
    atomic_fetch_add(&queries, 1);
    memset(query, 0, RESIDUES * sizeof(*query));
    scratch[2] = 1.0f;
    for (size_t i = 0; i < history->count; i++) {
        const struct rec_event *event = &history->events[i];
        if (event->item >= model->items || !(event->weight > 0.0f))
            continue;
        query[event->item % RESIDUES] += event->weight;
        says = true;
    }
    return says;
}

int world_puzzle_share(uint32_t a, uint32_t b, unsigned salt) {
    return (int)((a % RESIDUES + b * 17 + salt) % RESIDUES) - 3;
}

static void score_puzzle(const struct rec_model *model, const float *query, size_t n,
                         uint32_t first, uint32_t count, float *scores) {
    assert_int_equal(n, 1);
    assert_true(first + count <= model->items);
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = 0.0f;
        for (uint32_t r = 0; r < RESIDUES; r++)
            scores[i] += query[r] * (float)world_puzzle_share(r, first + i, salt_of(model));
    }
}

static void similar_puzzle(const struct rec_model *model, uint32_t item, uint32_t first,
                           uint32_t count, float *scores) {
    for (uint32_t i = 0; i < count; i++)
        scores[i] = (float)world_puzzle_share(item, first + i, salt_of(model));
}

static void explain_puzzle(const struct rec_model *model, const struct rec_history *history,
                           const uint32_t *items, size_t n, float *shares, float *scratch) {
    (void)scratch;
    for (size_t row = 0; row < n; row++)
        for (size_t i = 0; i < history->count; i++) {
            const struct rec_event *event = &history->events[i];
            float share = (float)world_puzzle_share(event->item, items[row], salt_of(model));
            shares[row * history->count + i] =
                event->item < model->items ? event->weight * share : 0.0f;
        }
}

const struct rec_family world_puzzle = {.name = "puzzle",
                                        .params = SALT,
                                        .param_count = 1,
                                        .fit = fit,
                                        .open = open_puzzle,
                                        .query = query_puzzle,
                                        .score = score_puzzle,
                                        .similar = similar_puzzle,
                                        .explain = explain_puzzle};

static enum rec_status open_stamp(struct rec_model *model, struct rec_error *err) {
    (void)err;
    model->query_floats = 1;
    return REC_OK;
}

static bool query_stamp(const struct rec_model *model, const struct rec_history *history,
                        float *query, float *scratch) {
    (void)history;
    (void)scratch;
    atomic_fetch_add(&queries, 1);
    query[0] = (float)salt_of(model);
    return true;
}

static void score_stamp(const struct rec_model *model, const float *query, size_t n, uint32_t first,
                        uint32_t count, float *scores) {
    (void)n;
    float salt = (float)salt_of(model);
    bool own = query[0] >= salt && query[0] <= salt;
    for (uint32_t i = 0; i < count; i++)
        scores[i] = (own ? salt * 64.0f : -1e9f) - (float)(first + i);
}

static void similar_stamp(const struct rec_model *model, uint32_t item, uint32_t first,
                          uint32_t count, float *scores) {
    (void)item;
    float salt = (float)salt_of(model);
    for (uint32_t i = 0; i < count; i++)
        scores[i] = salt * 64.0f - (float)(first + i);
}

const struct rec_family world_stamp = {.name = "stamp",
                                       .params = SALT,
                                       .param_count = 1,
                                       .fit = fit,
                                       .open = open_stamp,
                                       .query = query_stamp,
                                       .score = score_stamp,
                                       .similar = similar_stamp};

static enum rec_status open_length(struct rec_model *model, struct rec_error *err) {
    (void)err;
    model->query_floats = model->items;
    return REC_OK;
}

static bool query_length(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    (void)scratch;
    atomic_fetch_add(&queries, 1);
    for (uint32_t i = 0; i < model->items; i++)
        query[i] = (float)history->count;
    return true;
}

static void score_length(const struct rec_model *model, const float *query, size_t n,
                         uint32_t first, uint32_t count, float *scores) {
    (void)model;
    (void)n;
    memcpy(scores, query + first, count * sizeof(*scores));
}

const struct rec_family world_length = {.name = "length",
                                        .params = SALT,
                                        .param_count = 1,
                                        .fit = fit,
                                        .open = open_length,
                                        .query = query_length,
                                        .score = score_length,
                                        .similar = similar_stamp};

static bool query_silent(const struct rec_model *model, const struct rec_history *history,
                         float *query, float *scratch) {
    (void)model;
    (void)history;
    (void)scratch;
    atomic_fetch_add(&queries, 1);
    query[0] = 0.0f;
    return false;
}

const struct rec_family world_silent = {.name = "silent",
                                        .params = SALT,
                                        .param_count = 1,
                                        .fit = fit,
                                        .open = open_stamp,
                                        .query = query_silent,
                                        .score = score_stamp,
                                        .similar = similar_stamp};

const struct rec_family world_deaf = {.name = "deaf",
                                      .params = SALT,
                                      .param_count = 1,
                                      .ignores_history = true,
                                      .fit = fit,
                                      .open = open_stamp,
                                      .query = query_stamp,
                                      .score = score_stamp,
                                      .similar = similar_stamp};

void world_publish(struct world *world, const struct rec_family *family, uint32_t items,
                   unsigned salt) {
    uint64_t offset[] = {0, 1};
    uint32_t item[] = {0}, time[] = {1};
    float weight[] = {1.0f};
    struct rec_dataset data = {
        .users = 1, .items = items, .offset = offset, .item = item, .weight = weight, .time = time};
    struct rec_params params;
    rec_params_defaults(SALT, 1, &params);
    params.value[0] = salt;
    struct rec_fit spec = {.data = &data, .params = &params};
    struct rec_model *model = NULL;
    struct rec_error err = {0};
    if (rec_model_fit(family, &spec, &model, &err) != REC_OK)
        fail_msg("fit: %s", err.text);
    struct rec_model_info info = {.items = items};
    (void)snprintf(info.version, sizeof(info.version), "v%u", salt);
    (void)snprintf(info.family, sizeof(info.family), "%s", family->name);
    struct rec_generation *generation = rec_generation_create(&model, &info);
    assert_non_null(generation);
    rec_slot_publish(world->slot, &generation);
}
