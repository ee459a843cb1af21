/* The protocols. Users and items are numbered by their ids, so that ties in a list go to the lower
 * id, as in any other implementation of the same protocol. */
#include "protocols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct protocol protocols[] = {
    {"last-out", "ml-latest-small", REC_FORMAT_MOVIELENS},
    {"global-time", "ml-1m", REC_FORMAT_MOVIELENS_1M},
    {"last-five", "ml-1m", REC_FORMAT_MOVIELENS_1M},
    {"next-item", "ml-1m", REC_FORMAT_MOVIELENS_1M},
    {"repeat", "online-retail/online_retail.csv", REC_FORMAT_CSV},
};
const size_t protocol_count = sizeof(protocols) / sizeof(protocols[0]);

const char *protocols_data(void) {
    const char *folder = getenv("RECSYSD_TEST_DATA");
    return folder != NULL && *folder != '\0' ? folder : SOURCE_ROOT "/../shared/data";
}

/* Under the numbers that the order of the ids gives. */
static enum rec_status renumber(const struct rec_dataset *read, const struct rec_idmap *users,
                                const struct rec_idmap *items, struct rec_dataset **out,
                                struct rec_error *err) {
    enum rec_status st = REC_NO_MEMORY;
    uint32_t *user = rec_alloc_array(read->users, sizeof(*user));
    uint32_t *item = rec_alloc_array(read->items, sizeof(*item));
    const struct rec_dataset_select select = {
        .user = user, .item = item, .users = read->users, .items = read->items, .until = INT64_MAX};
    if (user != NULL && item != NULL)
        st = rec_idmap_rank(users, user, err);
    if (st == REC_OK)
        st = rec_idmap_rank(items, item, err);
    if (st == REC_OK)
        st = rec_dataset_renumber(read, &select, out, err);
    rec_alloc_free(item);
    rec_alloc_free(user);
    return st;
}

static enum rec_status read_all(const struct protocol *protocol, const struct rec_protocol *preset,
                                struct rec_dataset **out, struct rec_error *err) {
    char path[1024];
    struct rec_weights weights;
    struct rec_idmap *users = rec_idmap_create(), *items = rec_idmap_create();
    struct rec_dataset *read = NULL;
    (void)snprintf(path, sizeof(path), "%s/%s", protocols_data(), protocol->path);
    rec_weights_defaults(&weights);
    weights.rating_min = preset->positive_min;
    const struct rec_read_options options = {.format = protocol->format,
                                             .path = path,
                                             .columns = preset->columns,
                                             .default_type = preset->type,
                                             .skip_no_user = preset->skip_no_user,
                                             .value_min = &preset->value_min,
                                             .now = rec_clock_unix_s()};
    enum rec_status st =
        users == NULL || items == NULL ? rec_error_set(err, REC_NO_MEMORY, "no memory for id maps")
        : access(path, R_OK) != 0
            ? rec_error_set(err, REC_NOT_FOUND,
                            "no data at %s; RECSYSD_TEST_DATA says where they are", path)
            : rec_dataset_read(&options, &weights, users, items, &read, err);
    if (st == REC_OK)
        st = renumber(read, users, items, out, err);
    rec_dataset_destroy(&read);
    rec_idmap_destroy(&items);
    rec_idmap_destroy(&users);
    return st;
}

enum rec_status protocol_split_as(const struct protocol *protocol, const struct rec_protocol *own,
                                  bool on_validation, struct rec_split **out,
                                  struct rec_error *err) {
    struct rec_dataset *all = NULL;
    enum rec_status st = read_all(protocol, own, &all, err);
    if (st == REC_OK)
        st = rec_protocol_split(own, all, on_validation, out, err);
    rec_dataset_destroy(&all);
    return st;
}

static enum rec_status split_preset(const struct protocol *protocol, bool on_validation,
                                    struct rec_split **out, struct rec_error *err) {
    const struct rec_protocol *preset = NULL;
    enum rec_status st = rec_protocol_find(protocol->name, &preset, err);
    return st == REC_OK ? protocol_split_as(protocol, preset, on_validation, out, err) : st;
}

enum rec_status protocol_split(const struct protocol *protocol, struct rec_split **out,
                               struct rec_error *err) {
    return split_preset(protocol, false, out, err);
}

enum rec_status protocol_split_validation(const struct protocol *protocol, struct rec_split **out,
                                          struct rec_error *err) {
    return split_preset(protocol, true, out, err);
}
