/* Goal: no bytes, whoever made them, do more to a loader than be refused.
 *
 * Each input is read as it is and once more with its checksums made right, because a mutation
 * almost never passes a checksum and what lies behind them is to be reached. A model that comes
 * out is used. Seeds are real model files, written at the start into the corpus folder named on
 * the command line, so they can never be of an old format.
 *
 *   fuzz_modelfile CORPUS -runs=20000 */
#define _GNU_SOURCE /* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recsysd/data.h"
#include "recsysd/families.h"
#include "model/modelfile_bytes.h"

enum { ITEMS = 5, USERS = 3, EVENTS = 6, INPUT_BYTES_MAX = 1 << 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static int file = -1;
static char file_path[64];

static void check(bool fine, const char *what) {
    if (!fine) {
        (void)fprintf(stderr, "fuzz_modelfile: %s\n", what);
        abort();
    }
}

static void write_seed(const struct rec_family *family, const char *folder) {
    uint64_t offset[USERS + 1] = {0, 2, 4, 6};
    uint32_t item[EVENTS] = {0, 1, 1, 2, 3, 4}, time[EVENTS] = {1, 2, 3, 4, 5, 6};
    float weight[EVENTS] = {1.0f, 1.0f, 1.0f, 0.5f, 1.0f, 1.0f};
    const struct rec_dataset data = {USERS, ITEMS, offset, item, weight, time};
    struct rec_model_info info = {.version = "seed", .database = "d", .metrics = "{}"};
    struct rec_params params;
    struct rec_model *model = NULL;
    char path[512];

    rec_params_defaults(family->params, family->param_count, &params);
    for (size_t i = 0; i < family->param_count; i++)
        if (strcmp(family->params[i].name, "factors") == 0)
            params.value[i] = 2;
    struct rec_fit fit = {.data = &data, .params = &params, .seed = 1};
    (void)snprintf(path, sizeof(path), "%s/seed-%s", folder, family->name);
    check(rec_model_fit(family, &fit, &model, NULL) == REC_OK, "a seed cannot be fitted");
    check(rec_modelfile_save(model, &info, path, NULL) == REC_OK, "a seed cannot be written");
    rec_model_destroy(&model);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    check(rec_dense_init(NULL) == REC_OK && rec_kernels_init(NULL) == REC_OK, "no kernels");
    file = memfd_create("fuzz_modelfile", MFD_CLOEXEC);
    check(file >= 0, "no memory file");
    (void)snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file);
    for (int i = 1; i < *argc; i++)
        if ((*argv)[i][0] != '-') { /* the corpus is the first folder */
            for (size_t f = 0; rec_families[f] != NULL; f++)
                write_seed(rec_families[f], (*argv)[i]);
            break;
        }
    return 0;
}

static void use(const struct rec_model *model) {
    struct rec_event events[] = {{0, 1.0f, 1}, {UINT32_MAX, 1.0f, 2}};
    const struct rec_history history = {events, 2, UINT32_MAX};
    float *query = rec_alloc_array(model->query_floats, sizeof(*query));
    float *scratch = rec_alloc_array(model->scratch_floats, sizeof(*scratch));
    float score[1];
    check(query != NULL && scratch != NULL, "no memory");
    (void)model->family->query(model, &history, query, scratch);
    model->family->score(model, query, 1, model->items - 1, 1, score);
    model->family->similar(model, 0, model->items - 1, 1, score);
    rec_alloc_free(scratch);
    rec_alloc_free(query);
}

static void load(const uint8_t *data, size_t bytes) {
    size_t live = rec_alloc_live();
    struct rec_model *model = NULL;
    struct rec_model_info info;
    struct rec_error err = {.status = REC_OK};
    check(ftruncate(file, 0) == 0 && pwrite(file, data, bytes, 0) == (ssize_t)bytes, "no file");
    enum rec_status st = rec_modelfile_load(file_path, rec_families, NULL, 0, &model, &info, &err);
    check((st == REC_OK) == (model != NULL) && err.status == st, "half an answer");
    check(st == REC_OK || st == REC_CORRUPT, "an error that is not the file's");
    if (model != NULL) {
        check(rec_modelfile_info(file_path, &info, NULL) == REC_OK, "loads, but has no header");
        use(model);
    }
    rec_model_destroy(&model);
    check(rec_alloc_live() == live, "a leak");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static uint8_t resigned[INPUT_BYTES_MAX];
    if (bytes > sizeof(resigned))
        return 0;
    load(data, bytes);
    memcpy(resigned, data, bytes);
    file_resign(resigned, bytes);
    load(resigned, bytes);
    return 0;
}
