/* See world.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/tune.h"
#include "test.h"
#include "world.h"

static void check(enum rec_status st, const struct rec_error *err) {
    if (st != REC_OK)
        fail_msg("%s: %s", rec_error_name(st), err->text);
}

/* 40 users and 30 items in two tastes: even users like even items. User 1 has history of its own;
 * item 0 has everything an item can have. */
static void fill(struct rec_store *store) {
    static const char *const categories[] = {"even", "odd"};
    struct rec_store_import *import = NULL;
    struct rec_error err = {0};
    uint64_t added = 0;
    check(rec_store_import_begin(store, &import, &err), &err);
    for (unsigned i = 0; i < 30; i++) {
        char id[16], title[32];
        snprintf(id, sizeof(id), "%u", i);
        snprintf(title, sizeof(title), "Title \"%u\"", i);
        struct rec_item item = {id, i % 10 == 9 ? NULL : title, &categories[i % 2], 1, i == 28};
        check(rec_store_import_items(import, &item, 1, &err), &err);
    }
    for (unsigned user = 0; user < 40; user++)
        for (unsigned n = 0; n < 6; n++) {
            char id[16], item_id[16];
            unsigned item = (user % 2 + 2 * ((user / 2 + n * n) % 13)) % 28;
            snprintf(id, sizeof(id), "%u", user);
            snprintf(item_id, sizeof(item_id), "%u", item);
            struct rec_interaction row = {id, item_id, NULL, "rating", 5, 1000000 + n};
            check(rec_store_import_rows(import, &row, 1, &added, &err), &err);
        }
    check(rec_store_import_end(&import, true, &err), &err);
}

static void train(struct world *world, const char *family) {
    struct rec_train_spec spec = {.seed = 1, .judge = false};
    struct rec_train_context context = {.store = world->store,
                                        .weights = &world->weights,
                                        .slot = world->slot,
                                        .versions = world->versions};
    struct rec_train_result result = {0};
    struct rec_error err = {0};
    check(rec_family_find(rec_families, family, &spec.family, &err), &err);
    rec_params_defaults(spec.family->params, spec.family->param_count, &spec.params);
    check(rec_params_set(&spec.params, "factors=8", &err), &err);
    check(rec_train_run(&context, &spec, &result, NULL, NULL, &err), &err);
}

static void start_parts(struct world *world, bool model) {
    struct rec_error err = {0};
    struct rec_store_options store = {.path = world->database, .create = true, .writable = true};
    check(rec_store_open(&store, &world->store, &err), &err);
    fill(world->store);
    world->slot = rec_slot_create();
    struct rec_versions_options versions = {world->model, 3, world->store, world->slot};
    check(rec_versions_create(&versions, &world->versions, &err), &err);
    if (model)
        train(world, "als");
    struct rec_serve_options serve = {world->store, world->slot, &world->weights, 2, 1 << 20, 2};
    check(rec_serve_create(&serve, &world->serve, &err), &err);
    struct rec_scheduler_options scheduler = {.store = world->store,
                                              .slot = world->slot,
                                              .versions = world->versions,
                                              .weights = &world->weights,
                                              .threads = 1,
                                              .tolerance = 1,
                                              .family = "als",
                                              .parameters = "factors=8",
                                              .search = rec_tune_before_training};
    check(rec_scheduler_create(&scheduler, &world->scheduler, &err), &err);
}

void world_start(struct world *world, bool model) {
    struct rec_error err = {0};
    memset(world, 0, sizeof(*world));
    snprintf(world->folder, sizeof(world->folder), "/tmp/recsysd-api-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->database, sizeof(world->database), "%s/db", world->folder);
    snprintf(world->model, sizeof(world->model), "%s/model", world->folder);
    rec_weights_defaults(&world->weights);
    start_parts(world, model);
    world->api = (struct rec_api){.serve = world->serve,
                                  .store = world->store,
                                  .slot = world->slot,
                                  .versions = world->versions,
                                  .scheduler = world->scheduler,
                                  .weights = &world->weights,
                                  .build_version = "test"};
    struct rec_http_options http = {.listen = "127.0.0.1:0",
                                    .workers = 2,
                                    .connections = 64,
                                    .idle_timeout_s = 30,
                                    .request_timeout_s = 30,
                                    .body_bytes_max = REC_HTTP_BODY_BYTES_MAX,
                                    .routes = rec_api_routes,
                                    .route_count = rec_api_route_count,
                                    .problem = rec_problem_http,
                                    .observe = rec_api_observe,
                                    .context = &world->api};
    check(rec_http_start(&http, &world->http, &err), &err);
}

void world_stop(struct world *world) {
    char command[128];
    rec_http_drain(world->http, 5);
    rec_http_stop(&world->http);
    rec_scheduler_destroy(&world->scheduler);
    rec_serve_destroy(&world->serve);
    rec_versions_destroy(&world->versions);
    rec_slot_destroy(&world->slot);
    rec_store_close(&world->store);
    snprintf(command, sizeof(command), "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
}

void world_spoil(struct world *world) {
    FILE *file = fopen(world->model, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -64, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -64, SEEK_END), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}
