/* A whole server for the tests of this room: a store in a temporary folder, a model, every part
 * behind the handlers, and a socket. */
#ifndef RECSYSD_TESTS_API_WORLD_H
#define RECSYSD_TESTS_API_WORLD_H

#include "recsysd/api.h"

struct world {
    char folder[64], database[96], model[96];
    struct rec_weights weights;
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_serve *serve;
    struct rec_versions *versions;
    struct rec_scheduler *scheduler;
    struct rec_http *http;
    struct rec_api api;
};

/* 40 users and 30 items in two tastes: even users like even items. model: trained, and live. */
void world_start(struct world *world, bool model);
void world_stop(struct world *world);
/* Flips a bit of the model file. */
void world_spoil(struct world *world);

#endif
