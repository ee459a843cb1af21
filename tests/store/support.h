/* What the tests of the store share: a folder of their own, and writes that wait. */
#ifndef RECSYSD_TESTS_STORE_SUPPORT_H
#define RECSYSD_TESTS_STORE_SUPPORT_H

#include "recsysd/store.h"
#include "test.h"

struct place {
    char folder[64];
    char path[96]; /* of the database */
};

struct place place_make(void);
void place_remove(struct place *place); /* with all that is in it */
/* A copy of the files as they are now, also made by another process. */
struct place place_copy(const struct place *place);
/* True when a file of the folder holds the text. Looks from another process: closing a descriptor
 * of the database in this one would drop SQLite's locks. */
bool place_holds(const struct place *place, const char *text);

/* Fails the test, showing the error's text, unless st is OK. */
void must(enum rec_status st, const struct rec_error *err);

struct rec_store *store_open(const struct place *place);  /* writable, made when missing */
struct rec_store *store_watch(const struct place *place); /* for reading */

/* A write with room for what becomes of it. */
struct waiting {
    struct rec_write write;
    struct rec_recorded recorded[8];
    enum rec_status status;
    char text[400];
    unsigned calls; /* of done() */
    unsigned order; /* which call of all it was */
};
/* Fills write.done and the rest. */
void waiting_init(struct waiting *waiting);
/* Submits, flushes, returns what became of it. */
enum rec_status write_rows(struct rec_store *store, struct waiting *waiting,
                           const struct rec_interaction *rows, size_t count);
enum rec_status write_items(struct rec_store *store, struct waiting *waiting,
                            const struct rec_item *items, size_t count);
enum rec_status write_delete(struct rec_store *store, struct waiting *waiting,
                             enum rec_write_kind kind, const char *id);

/* A user's history as text, newest first: "item/type/value/timestamp item/..." */
void history_text(struct rec_store *store, uint32_t user, char *out, size_t cap);

/* The whole database as text: "types; users; items; rows", for comparisons. */
enum rec_status scan_text(struct rec_store *store, char *out, size_t cap, struct rec_error *err);

#endif
