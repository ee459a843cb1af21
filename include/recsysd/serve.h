/* serve: recommend, similar, record, catalogue, histories: the use cases, without HTTP,
 * JSON or SQL. */
#ifndef RECSYSD_SERVE_H
#define RECSYSD_SERVE_H

#include "recsysd/base.h"
#include "recsysd/data.h"
#include "recsysd/linalg.h"
#include "recsysd/model.h"
#include "recsysd/store.h"

struct rec_serve; /* catalogue, histories, query cache, live popularity; one per process */

struct rec_serve_options {
    struct rec_store *store;           /* borrowed; open and writable */
    struct rec_slot *slot;             /* borrowed */
    const struct rec_weights *weights; /* borrowed */
    size_t workers;                    /* threads that will ask, each with its own scratch */
    size_t query_cache_bytes;          /* 0: no cache */
    size_t scorers; /* threads that score lists which wait, up to workers; 0: no list waits */
};
/* Reads the whole store into memory. */
enum rec_status rec_serve_create(const struct rec_serve_options *options, struct rec_serve **out,
                                 struct rec_error *err);
void rec_serve_destroy(struct rec_serve **serve);

/* ---- recommend (recommend.c) ------------------------------------------------------ */

struct rec_anonymous_event { /* an anonymous history's element */
    const char *item_id, *type;
    double value;
    int64_t timestamp;
};

/* A user as looked up for one request; at NULL: there is none of this id. */
struct rec_user;
struct rec_found_user {
    struct rec_user *at;
    uint32_t index;
};

struct rec_recommend_query {
    const char *user_id;                       /* NULL: anonymous */
    const struct rec_found_user *found;        /* user_id looked up before, or NULL */
    const struct rec_anonymous_event *history; /* oldest first; unknown items are passed over */
    size_t history_count;
    uint32_t k;           /* 1 .. REC_K_MAX */
    const char *model;    /* NULL: the live one; its family name; or "popularity" (live counts) */
    const char *category; /* NULL: all. An unknown one leaves nothing. */
    const char *const *exclude_items; /* unknown ids are passed over */
    size_t exclude_count;
    bool include_seen;
    bool explain;
};

struct rec_because {
    uint32_t item;
    float share; /* in score units: with all events of the history they add up to the score */
};

/* A list. Arrays are the worker's scratch: good until its next call. */
struct rec_recommended {
    char model[32], version[64];
    uint64_t serial;          /* of the generation; 0 for live popularity */
    bool personal;            /* "source" */
    uint64_t history_version; /* interactions recorded for the user; 0: unknown user */
    const struct rec_ranked *items;
    size_t count;
    const struct rec_because
        *because; /* items' reasons: one per item of the history with a share, largest first; only
                     the REC_BECAUSE_TOTAL_MAX / count largest of each */
    const uint32_t *because_offset; /* [count + 1]; NULL: not explained */
};

/* errors: NOT_FOUND: model is neither live nor "popularity" (names both)
 * threads: any, one call at a time per worker; never allocates once the scratch has grown to the
 *          catalogue's size */
enum rec_status rec_recommend_run(struct rec_serve *serve, size_t worker,
                                  const struct rec_recommend_query *query,
                                  struct rec_recommended *out, struct rec_error *err);

/* Called with a list that had to wait, on a scorer's thread. The arrays of list are good until it
 * returns; query is a copy of what was asked. */
typedef void (*rec_recommend_fn)(void *owner, void *context,
                                 const struct rec_recommend_query *query,
                                 const struct rec_recommended *list);
struct rec_recommend_later {
    rec_recommend_fn done;
    void *owner, *context; /* what it is called with */
};

/* As rec_recommend_run; but where scoring takes long and others are at it, the list may wait to be
 * scored together with theirs. Then *waits is true, *out is untouched, and done is called once,
 * with the same list, maybe before this returns; what the query points to must live until then.
 * errors: as rec_recommend_run, before any waiting; a list that waits comes */
enum rec_status rec_recommend_start(struct rec_serve *serve, size_t worker,
                                    const struct rec_recommend_query *query,
                                    const struct rec_recommend_later *later, bool *waits,
                                    struct rec_recommended *out, struct rec_error *err);

/* For rec_recommend_versions and the query after it, of the same request. */
struct rec_found_user rec_recommend_find(struct rec_serve *serve, const char *user_id);

/* What an ETag of this user's personal list is made of, without making the list: while the three
 * stay the same, so does the list (not so a list of live popularity: serial 0). catalogue_version
 * differs from one process to the next. user NULL: none is asked about. 0: nothing published;
 * unknown user. */
void rec_recommend_versions(struct rec_serve *serve, const struct rec_found_user *user,
                            uint64_t *serial, uint64_t *history_version,
                            uint64_t *catalogue_version);

/* ---- similar (similar.c) ------------------------------------------------------------ */

/* NOT_FOUND: no such item; NO_MODEL: none published. An item newer than the model has no
 * neighbours yet: an empty list. Hidden and deleted items are left out. */
enum rec_status rec_similar_run(struct rec_serve *serve, size_t worker, const char *item_id,
                                uint32_t k, struct rec_recommended *out, struct rec_error *err);

/* ---- record (record.c) ----------------------------------------------------------------- */

/* Submits a write; histories, catalogue and counts change after the commit and before done() is
 * called. write->done and context are the caller's; timestamps and types are checked by the caller.
 */
enum rec_status rec_record_submit(struct rec_serve *serve, struct rec_write *write,
                                  struct rec_error *err);

/* ---- catalogue (catalogue.c) --------------------------------------------------------------- */

/* The item ids and titles of a list as JSON fragments, escaped once when the item was stored. The
 * id's is `"item_id":"7"`, the title's `"title":"..."`, or 0 bytes when there is none. Calls fn for
 * each item in order, under one read lock: fn copies. items: the first uint32_t of elements
 * stride_bytes apart. */
typedef void (*rec_catalogue_fn)(void *context, size_t position, const char *id_json,
                                 size_t id_bytes, const char *title_json, size_t title_bytes);
void rec_catalogue_texts(struct rec_serve *serve, const uint32_t *items, size_t stride_bytes,
                         size_t count, rec_catalogue_fn fn, void *context);

/* One item for GET /items/{id}. *out's strings and array point into buffer [cap]; 8 KiB hold any
 * item, LIMIT when it is too small. NOT_FOUND for unknown and deleted ones. Categories come in the
 * order in which the catalogue first saw them. */
enum rec_status rec_catalogue_get(struct rec_serve *serve, const char *item_id,
                                  struct rec_item *out, char *buffer, size_t cap,
                                  struct rec_error *err);

/* ---- histories (histories.c) ---------------------------------------------------------------- */

/* The user's dense index and history version; NOT_FOUND for an unknown user. */
enum rec_status rec_histories_user(struct rec_serve *serve, const char *user_id, uint32_t *user,
                                   uint64_t *version, struct rec_error *err);

struct rec_serve_counts {
    uint32_t users, items;
    uint64_t interactions, recorded;
    uint64_t history_bytes, query_cache_bytes;
};
void rec_serve_counts(struct rec_serve *serve, struct rec_serve_counts *out);

#endif
