/* What the tests of serve stand on: a real database in a folder of its own, a slot, the serving
 * state over them, and model families whose answers can be worked out by hand. */
#ifndef RECSYSD_TESTS_SERVE_WORLD_H
#define RECSYSD_TESTS_SERVE_WORLD_H

#include "test.h"
#include "recsysd/serve.h"

struct world {
    char folder[64], path[96];
    struct rec_store *store;
    struct rec_slot *slot;
    struct rec_weights weights;
    struct rec_serve *serve;
    size_t workers, query_cache_bytes;
};

void world_open(struct world *world, size_t workers, size_t query_cache_bytes);
/* The serving state made anew, as after a restart. */
void world_restart(struct world *world);
void world_close(struct world *world); /* checks that nothing is left allocated */

/* Each waits until the write is done. */
enum rec_status world_record(struct world *world, const struct rec_interaction *rows, size_t count,
                             struct rec_recorded *recorded);
enum rec_status world_order(struct world *world, const char *user, const char *item, int64_t time);
enum rec_status world_rate(struct world *world, const char *user, const char *item, double value,
                           int64_t time);
enum rec_status world_put(struct world *world, const struct rec_item *item);
enum rec_status world_delete(struct world *world, const char *item);
enum rec_status world_erase(struct world *world, const char *user);

/* Items "i0" .. with no title and no categories. */
void world_items(struct world *world, size_t count);
const char *world_name(char prefix, size_t number); /* "i17"; one of 8 buffers in turn */

/* ---- families ---------------------------------------------------------------------- */

/* Scores split over the events and are small whole numbers, so they are exact and full of ties. */
extern const struct rec_family world_puzzle;
/* What one event of weight 1 of item `a` adds to the score of item `b`. */
int world_puzzle_share(uint32_t a, uint32_t b, unsigned salt);
/* Scores say by which generation they were made: item b has salt * 64 - b, or far less than
 * nothing when the query is another generation's. */
extern const struct rec_family world_stamp;
/* Every score is the number of events in the history. Its query has an element per item. */
extern const struct rec_family world_length;
/* Says nothing about any history. */
extern const struct rec_family world_silent;
/* The same scores for everyone. */
extern const struct rec_family world_deaf;

/* How often any family made a query. */
unsigned world_queries(void);

/* Publishes a model of `items` items; its version is "v<salt>". */
void world_publish(struct world *world, const struct rec_family *family, uint32_t items,
                   unsigned salt);

#endif
