/* data: id maps, weights of interaction types, readers of outside formats,
 * datasets and their splits. */
#ifndef RECSYSD_DATA_H
#define RECSYSD_DATA_H

#include <stdio.h>

#include "recsysd/base.h"
#include "recsysd/linalg.h"
#include "recsysd/store.h"

/* ---- id maps (idmap.c) ------------------------------------------------------ */

/* Text id -> dense index and back. Ids are copied. Keyed hash: a client cannot aim at collisions.
 * threads: many readers or one writer; the owner locks. */
struct rec_idmap;
struct rec_idmap *rec_idmap_create(void);
void rec_idmap_destroy(struct rec_idmap **map);
uint32_t rec_idmap_find(const struct rec_idmap *map, const char *id,
                        size_t bytes); /* REC_STORE_NONE */
/* Binds id to index (any order, gaps allowed); replaces an older binding of the same id. */
enum rec_status rec_idmap_bind(struct rec_idmap *map, const char *id, size_t bytes, uint32_t index,
                               struct rec_error *err);
/* The id's index, a new one (count) when it is not there. */
enum rec_status rec_idmap_intern(struct rec_idmap *map, const char *id, size_t bytes,
                                 uint32_t *index, struct rec_error *err);
/* Unbinds the id and wipes its text from memory. */
void rec_idmap_remove(struct rec_idmap *map, const char *id, size_t bytes);
const char *rec_idmap_id(const struct rec_idmap *map, uint32_t index); /* NULL: none bound */
/* rank [count]: where each index stands by its id: by number where every id is a whole number, by
 * bytes otherwise. Numbering so, ties go to the lower id, however the rows were ordered. */
enum rec_status rec_idmap_rank(const struct rec_idmap *map, uint32_t *rank, struct rec_error *err);
uint32_t rec_idmap_count(const struct rec_idmap *map); /* highest index bound so far + 1 */

/* ---- weights of types (weights.c) -------------------------------------------- */

/* How much an interaction says. A `rating` from rating_min on has its type's weight; below it the
 * item is seen but not liked, and what the user did with it before no longer counts as liked. */
struct rec_weights {
    struct {
        char name[REC_TYPE_BYTES_MAX + 1];
        float weight;  /* >= 0; 0: seen, says nothing */
        bool by_value; /* it weighs its own value (stars, an amount), from 0 to 1000 */
    } type[REC_TYPES_MAX];
    size_t count;
    double rating_min;
};
/* view .2, click .3, to_cart .6, favorite 1, order 1, rating 1; rating_min 4 */
void rec_weights_defaults(struct rec_weights *weights);
/* "view=0.2,rating=value": replaces or adds. BAD_INPUT names the type, the value, the range. */
enum rec_status rec_weights_set(struct rec_weights *weights, const char *text,
                                struct rec_error *err);
bool rec_weights_known(const struct rec_weights *weights, const char *type);
bool rec_weights_by_value(const struct rec_weights *weights, const char *type);
/* The weight of one interaction, or REC_WEIGHT_DISLIKED. Unknown types weigh 0. */
#define REC_WEIGHT_DISLIKED (-1.0f)
float rec_weights_of(const struct rec_weights *weights, const char *type, double value);

/* ---- readers of outside formats (read_*.c) ------------------------------------ */

enum rec_format {
    REC_FORMAT_MOVIELENS,
    REC_FORMAT_MOVIELENS_1M,
    REC_FORMAT_CSV,
    REC_FORMAT_NDJSON,
    REC_FORMAT_USER_LISTS
};
enum rec_status rec_format_parse(const char *name, enum rec_format *out, struct rec_error *err);

/* A bad row that was skipped. */
struct rec_bad_row {
    const char *file;
    uint64_t line;
    char text[300]; /* column and reason */
};

struct rec_read_options {
    enum rec_format format;
    const char *path;    /* a directory for the MovieLens formats, else a file; "-": stdin */
    const char *columns; /* CSV: "user=userId,item=movieId,value=rating,timestamp=ts,type=event" */
    const char *default_type; /* CSV without a type column: "rating" when there is a value column,
                                 else "view" */
    uint64_t skip_bad_max;    /* more bad rows than this stop the reading */
    bool skip_no_user;        /* CSV: rows without a user id are passed over, and are not bad */
    const double
        *value_min; /* rec_dataset_read: rows of a lower value are passed over; NULL: none */
    int64_t now;    /* timestamp of rows that have none; bound for future ones */
    /* Batches, in file order; pointers are good during the call. */
    enum rec_status (*rows)(void *context, const struct rec_interaction *rows, size_t count,
                            struct rec_error *err);
    enum rec_status (*items)(void *context, const struct rec_item *items, size_t count,
                             struct rec_error *err);           /* NULL: catalogue not wanted */
    void (*bad)(void *context, const struct rec_bad_row *bad); /* NULL: not wanted */
    /* bytes read so far and in all (0: unknown), about ten times a second */
    void (*progress)(void *context, uint64_t rows, uint64_t bytes, uint64_t bytes_total);
    void *context;
};
/* errors: BAD_INPUT "ratings.csv:17: column rating: 'abc' is not a number"; IO with the path. */
enum rec_status rec_read(const struct rec_read_options *options, struct rec_error *err);

/* One line of NDJSON, the same shape as an element of POST /interactions. JSON is the caller's
 * parser's business: app sets it (codec.c), so that jansson stays in one room. */
typedef enum rec_status (*rec_ndjson_fn)(void *context, const char *line, size_t bytes,
                                         struct rec_interaction *out, struct rec_error *err);
void rec_read_set_ndjson(rec_ndjson_fn fn, void *context);

/* ---- made-up data (synth.c, synth_time.c) ------------------------------------------ */

enum { REC_SYNTH_BEGIN_S = 1672531200, REC_SYNTH_DAYS = 730 }; /* times: from 2023-01-01 on */

struct rec_synth_options {
    uint32_t users, items;
    uint64_t interactions; /* at least users */
    uint64_t seed;
    uint32_t clusters; /* of items that go together; 0: the square root of the items */
    double exponent;   /* of the power law of items' popularity, 0 to 4 */
    double activity;   /* standard deviation of the logarithm of users' activity, 0 to 4 */
    double taste;      /* part of the rows that follow a taste, 0 to 1 */
};
struct rec_synth_row {
    uint32_t user, item, time; /* from 0 on; Unix seconds */
};
typedef enum rec_status (*rec_synth_fn)(void *context, const struct rec_synth_row *rows,
                                        size_t count, struct rec_error *err);
/* Calls fn with exactly that many rows, some at a time: by user, then time. The same options give
 * the same rows. A status of fn other than OK stops it and is returned. BAD_INPUT names the option.
 * cost: about 28 bytes an item, whatever the number of rows */
enum rec_status rec_synth_run(const struct rec_synth_options *options, rec_synth_fn fn,
                              void *context, struct rec_error *err);
/* The same rows by time, then user: as a log has them. cost: makes them twice, and holds 12 bytes a
 * row */
enum rec_status rec_synth_by_time(const struct rec_synth_options *options, rec_synth_fn fn,
                                  void *context, struct rec_error *err);

/* ---- datasets (dataset.c) -------------------------------------------------------- */

/* Everybody's events, by user, oldest first (file order on equal times). Weights are resolved: >=
 * 0; 0 is seen but not liked. Immutable once made. */
struct rec_dataset {
    uint32_t users, items;
    uint64_t *offset; /* [users + 1] */
    uint32_t *item;   /* [offset[users]] */
    float *weight;    /* [offset[users]] */
    uint32_t *time;   /* [offset[users]] Unix seconds */
};

/* One consistent snapshot of the store. progress may be NULL: told the fraction of rows read, as
 * phase "snapshot"; CANCELLED when it says so. *recorded (may be NULL): rows ever recorded, as of
 * the snapshot. */
enum rec_status rec_dataset_load(struct rec_store *store, const struct rec_weights *weights,
                                 const struct rec_progress *progress, uint64_t *recorded,
                                 struct rec_dataset **out, struct rec_error *err);

/* From files, without a store. Users are numbered in order of appearance; ids by the maps
 * (may be NULL). Used by evaluate and by tests. */
enum rec_status rec_dataset_read(const struct rec_read_options *options,
                                 const struct rec_weights *weights, struct rec_idmap *users,
                                 struct rec_idmap *items, struct rec_dataset **out,
                                 struct rec_error *err);

/* From arrays in any order: sorted stably by user, then time. */
struct rec_dataset_row {
    uint32_t user, item, time;
    float weight;
};
enum rec_status rec_dataset_from_rows(const struct rec_dataset_row *rows, size_t count,
                                      uint32_t users, uint32_t items, struct rec_dataset **out,
                                      struct rec_error *err);
void rec_dataset_destroy(struct rec_dataset **dataset);

/* The rows whose user and item are kept, under new numbers. */
struct rec_dataset_select {
    const uint32_t *user, *item; /* [users] [items] new numbers; REC_STORE_NONE: left out */
    uint32_t users, items;       /* how many new numbers there are */
    bool liked_only;             /* rows of weight 0 are left out */
    int64_t until;               /* rows from this time on are left out; INT64_MAX: none */
};
enum rec_status rec_dataset_renumber(const struct rec_dataset *dataset,
                                     const struct rec_dataset_select *select,
                                     struct rec_dataset **out, struct rec_error *err);

/* users x items: weights of one pair added up, pairs of weight 0 left out. */
enum rec_status rec_dataset_matrix(const struct rec_dataset *dataset, struct rec_csr **out,
                                   struct rec_error *err);

/* Applies one more event to a history under the rule of rec_weights: keeps time order, and a
 * DISLIKED event clears the weight of earlier events of its item, whichever arrives first. It is
 * kept with a weight of minus zero, which is 0 for every use and still tells a dislike from an
 * event that says nothing; datasets do the same. events [count + 1 of room] */
struct rec_event {
    uint32_t item;
    float weight;
    uint32_t time;
};
void rec_event_insert(struct rec_event *events, size_t count, struct rec_event event);

/* ---- splits (split.c) --------------------------------------------------------------- */

/* What is fitted, what is known of each tested user, and what is held out. */
struct rec_split {
    struct rec_dataset *train;   /* what models are fitted on */
    struct rec_dataset *history; /* what is known of each user at test time; may be == train */
    struct rec_csr *seen;        /* users x items never recommended (value unused) */
    struct rec_csr *validation;  /* users x items relevant; NULL: none */
    struct rec_csr *test;        /* users x items relevant: liked, held out, and not seen */
    uint64_t test_rows;          /* rows that `test` was made of */
    uint32_t *user;              /* [users] their numbers before the split; NULL: the same */
};

struct rec_split_options {
    enum { REC_SPLIT_LEAVE_LAST, REC_SPLIT_GLOBAL_TIME } kind;
    uint32_t test_last, validation_last; /* LEAVE_LAST: how many events, counted from the end */
    uint32_t user_events_min;            /* users with fewer stay whole in train */
    bool positives_only;      /* count and split only events of weight > 0; the rest stays in train
                                 (seen) */
    double quantile;          /* GLOBAL_TIME: train is <= this quantile of all times ... */
    int64_t cut;              /* ... or, when not 0, before this time */
    uint32_t test_users_max;  /* users at or above this index are not tested; 0: all are */
    uint32_t test_events_min; /* GLOBAL_TIME: users with fewer test rows are not tested */
    bool validation_in_history; /* LEAVE_LAST: known, and seen, when the test is asked */
    bool nothing_seen;          /* what is known of a user may be recommended again */
};
enum rec_status rec_split_make(const struct rec_dataset *dataset,
                               const struct rec_split_options *options, struct rec_split **out,
                               struct rec_error *err);
/* From parts that are split already; they are borrowed. history NULL: train is all that is known.
 * All parts have the same users and items. */
enum rec_status rec_split_of_parts(const struct rec_dataset *train,
                                   const struct rec_dataset *history,
                                   const struct rec_dataset *test, bool nothing_seen,
                                   struct rec_split **out, struct rec_error *err);
/* BAD_INPUT when an item is asked for that is masked as seen, or nothing is asked or fitted. */
enum rec_status rec_split_check(const struct rec_split *split, bool on_validation,
                                struct rec_error *err);
void rec_split_destroy(struct rec_split **split);

/* ---- evaluation protocols (protocol.c) ---------------------------------------------- */

/* Everything that says how rows become a split: which rows count, who takes part, where the cut
 * is. The presets are the protocols that figures are published for. */
struct rec_protocol {
    const char *name, *help;
    double positive_min;    /* a rating from here on is liked; -INFINITY: every rating is */
    double value_min;       /* rows of a lower value are left out; -INFINITY: none */
    bool liked_only;        /* rows that were not liked are left out */
    uint32_t rows_min;      /* users with fewer rows are left out */
    uint32_t train_min;     /* GLOBAL_TIME: users with fewer rows in train are left out, then items
                               without any; 0: nobody and nothing is */
    int64_t validation_cut; /* with split.cut: where train is cut again for validation; 0: at the
                               0.8 quantile of its times */
    struct rec_split_options split;
    /* CSV files of the data set the preset is about; NULL: none is */
    const char *columns, *type;
    bool skip_no_user;
};
extern const struct rec_protocol rec_protocols[];
extern const size_t rec_protocol_count;
/* BAD_INPUT with the nearest name. */
enum rec_status rec_protocol_find(const char *name, const struct rec_protocol **out,
                                  struct rec_error *err);

/* on_validation: the split to choose parameters with. Its `test` is the protocol's validation part,
 * and of the protocol's test part nothing is left in it. The dataset must have been read with
 * rating_min = positive_min. Items (and users, as split->user says) that are left out are numbered
 * away. */
enum rec_status rec_protocol_split(const struct rec_protocol *protocol,
                                   const struct rec_dataset *dataset, bool on_validation,
                                   struct rec_split **out, struct rec_error *err);

#endif
