/* model: the contract of every model family, parameter tables, model files, and
 * the slot that says which generation is live.
 *
 * A model answers for a history, not for a user row: trained users, new users
 * and anonymous sessions take one path. It does so in two steps. `query` turns
 * a history into a query vector (a fold-in: user factors, an encoder's output,
 * the sum of an item-item matrix's rows). `score` scores a block of items for
 * one or several queries. The split lets the caller keep a query until the
 * history changes, score several users in one pass over the items, and mask and
 * rank block by block; no family knows of any of it.
 *
 * A fitted model is a set of named tensors and its parameters, nothing else, so
 * saving and loading are the same for every family (modelfile.c). */
#ifndef RECSYSD_MODEL_H
#define RECSYSD_MODEL_H

#include "recsysd/base.h"
#include "recsysd/linalg.h"

struct rec_dataset; /* data.h; families read it, and model.c looks at its size */

/* ---- parameters (params.c) ------------------------------------------------------ */

/* FAMILY is a CHOICE among families that brings the chosen one's parameters along: where the row
 * is `second` and the choice is als, "second.factors=64" sets factors of it. */
enum rec_param_type {
    REC_PARAM_INT,
    REC_PARAM_FLOAT,
    REC_PARAM_BOOL,
    REC_PARAM_CHOICE,
    REC_PARAM_FAMILY
};

/* One row of a family's table; the command line, the API, the tuner and the docs read it. */
struct rec_param {
    const char *name;
    enum rec_param_type type;
    double min, max;            /* INT, FLOAT: inclusive */
    bool log_scale;             /* how a tuner should sample it */
    double standard;            /* the default; for CHOICE and FAMILY the index */
    const char *const *choices; /* CHOICE, FAMILY: NULL-terminated */
    const char *help;           /* one line */
};

/* Where a tuner searches a parameter. The bounds of the table say what is valid, which is far more
 * than what is worth a trial, so a family lists here what it knows better. What it does not list is
 * searched where a place is plain: BOOL and CHOICE over all values; log_scale rows around their
 * default, from 1/30 to 30 times it (INT: from 1/8 to 4 times, as cost grows with it), within the
 * bounds; other FLOAT rows whose bounds are at most 1 apart between these. Everything else, and
 * FAMILY always, is left at its value. */
struct rec_tune_range {
    const char *name;
    double min, max; /* inclusive, within the table's; equal: left alone. BOOL, CHOICE: only that */
    bool log_scale;  /* min > 0 */
    bool zero;       /* 0, which switches it off, is tried, too; min > 0 */
};

struct rec_params {
    const struct rec_param *table;
    size_t count;
    double value[REC_PARAMS_MAX];
    char nested[REC_PARAMS_NESTED_BYTES]; /* "second.factors=64 ...": of families chosen by a row */
};

void rec_params_defaults(const struct rec_param *table, size_t count, struct rec_params *out);
/* "factors=64". BAD_INPUT: unknown name with the nearest known one; or the name, the value, the
 * range. */
enum rec_status rec_params_set(struct rec_params *params, const char *assignment,
                               struct rec_error *err);
/* "factors=64 alpha=2": any number of them, between spaces. */
enum rec_status rec_params_read(struct rec_params *params, const char *text, struct rec_error *err);
/* Marks the row that an assignment is to, in rows [params->count]; none where it is to a parameter
 * of a family that a row chooses. */
void rec_params_mark(const struct rec_params *params, const char *assignment, bool *rows);
double rec_params_get(const struct rec_params *params,
                      const char *name); /* name must be in the table */
/* Applies what was set for the family that row `name` chooses to *out, which has that family's
 * table. What is nested is only checked here: BAD_INPUT as rec_params_set, naming the row. */
enum rec_status rec_params_nested(const struct rec_params *params, const char *name,
                                  struct rec_params *out, struct rec_error *err);
/* "factors=64 regularization=0.01 ...", all of them, in table order; reads back to the same values.
 */
size_t rec_params_write(const struct rec_params *params, char *out, size_t cap);

/* ---- tensors (tensors.c) ----------------------------------------------------------- */

enum rec_tensor_type { REC_TENSOR_F32, REC_TENSOR_U32, REC_TENSOR_U64, REC_TENSOR_U8 };

struct rec_tensor {
    char name[32];
    enum rec_tensor_type type;
    uint64_t rows, cols; /* row-major */
    void *data;          /* 64-byte aligned */
};

/* What a fitted model consists of. */
struct rec_tensors {
    struct rec_tensor tensor[REC_TENSORS_MAX];
    size_t count;
    void *block; /* when read from a file: the one block all data point into; else NULL */
    struct rec_mapping *mapping; /* when mapped from a file: what all data, which then cannot be
                                    written, point into; else NULL */
};
/* A zeroed rows x cols tensor, owned by the set; its data in *data. */
enum rec_status rec_tensors_add(struct rec_tensors *tensors, const char *name,
                                enum rec_tensor_type type, uint64_t rows, uint64_t cols,
                                void **data, struct rec_error *err);
/* The tensor of this name; CORRUPT when it is missing or differs in type or shape
 * (rows or cols 0: any). */
enum rec_status rec_tensors_get(const struct rec_tensors *tensors, const char *name,
                                enum rec_tensor_type type, uint64_t rows, uint64_t cols,
                                const struct rec_tensor **out, struct rec_error *err);
/* Fills the empty set *out with the same; on failure leaves it empty. */
enum rec_status rec_tensors_copy(const struct rec_tensors *tensors, struct rec_tensors *out,
                                 struct rec_error *err);
void rec_tensors_finish(struct rec_tensors *tensors); /* frees the data; repeated calls are fine */

/* ---- the contract ------------------------------------------------------------------- */

struct rec_event; /* data.h: item, weight >= 0, time */

struct rec_history {
    const struct rec_event
        *events; /* oldest first; items may repeat, and may be newer than the model */
    size_t count;
    uint32_t user; /* the store's index, or UINT32_MAX */
};

struct rec_fit {
    const struct rec_dataset *data;
    const struct rec_params *params;
    uint64_t seed;
    struct rec_pool *pool;               /* NULL: one thread */
    const struct rec_progress *progress; /* NULL fine */
    size_t memory_bytes_max;             /* a fit that needs more is refused; 0: no cap */
    const struct rec_tensors *start;     /* of an earlier fit of a family that goes_on, which starts
                                            from them; NULL: from scratch */
};

struct rec_model;

struct rec_family {
    const char *name; /* as in config, model files and the API */
    const char *help; /* one line */
    const struct rec_param *params;
    size_t param_count;
    const struct rec_tune_range *tune; /* ends with a row of no name; NULL: nothing is listed */
    bool ignores_history;              /* no event changes a score: lists say "source": "popular" */
    bool repeats_only; /* tells a user's own items apart and nothing about others: of use only
                          where lists keep what the user has already seen */
    bool goes_on;      /* it learns in steps, and can go on from an earlier model's tensors */
    bool similar_is_directed; /* similar() answers what follows an item: i to j is not j to i */

    /* Learns. Fills the empty set *out; on failure finishes it.
     * errors: NO_MEMORY, CANCELLED, BAD_INPUT (data it cannot learn from, with the figure).
     * Same data, params, seed: same bits, for any number of threads. */
    enum rec_status (*fit)(const struct rec_fit *fit, struct rec_tensors *out,
                           struct rec_error *err);

    /* What fit would allocate at its peak, its tensors included and the dataset not, from the sizes
     * of the data and the parameters alone; SIZE_MAX when it overflows. NULL: it is never much. */
    size_t (*fit_bytes)(const struct rec_fit *fit);

    /* Makes a model of tensors that fit made, or that a file brought: those are hostile until
     * checked (shapes, index ranges, finite values). Fills model->query_floats, scratch_floats
     * and self, and vectors where that is true; model's other fields are set. Frees nothing of
     * model on failure. */
    enum rec_status (*open)(struct rec_model *model, struct rec_error *err);
    void (*close)(struct rec_model *model); /* frees self; NULL when there is none */

    /* query [model->query_floats] for a history. Events of items the model does not know, and of
     * weight 0, are passed over. False: nothing in the history says anything (empty, all unknown):
     * the caller answers with popular items; the query is then all zero. scratch
     * [model->scratch_floats]. Must not allocate, block or fail: it runs inside requests. */
    bool (*query)(const struct rec_model *model, const struct rec_history *history, float *query,
                  float *scratch);

    /* scores [n x count] of items first .. first+count-1 for queries [n x query_floats]. All
     * finite; higher is better. The same bits whatever n and whatever the blocks are. */
    void (*score)(const struct rec_model *model, const float *queries, size_t n, uint32_t first,
                  uint32_t count, float *scores);

    /* scores [count]: how alike items first .. are to `item` (< model->items). Symmetric unless
     * similar_is_directed. Its own score is not special: the caller leaves `item` out. */
    void (*similar)(const struct rec_model *model, uint32_t item, uint32_t first, uint32_t count,
                    float *scores);

    /* shares [n x history->count]: how much each event of the history adds to the score of each of
     * items [n]; a row adds up to the score. NULL where the score does not split. */
    void (*explain)(const struct rec_model *model, const struct rec_history *history,
                    const uint32_t *items, size_t n, float *shares, float *scratch);
};

/* Immutable once made, so any thread may score with it. */
struct rec_model {
    const struct rec_family *family;
    uint32_t items; /* items 0 .. items-1 are known to it */
    struct rec_params params;
    struct rec_tensors tensors;
    size_t query_floats;
    size_t scratch_floats;
    void *self; /* the family's own caches */

    /* [items x query_floats], where score is rec_kernels_rows_dot of these rows with the query, bit
     * for bit; else NULL. The tensors' or self's. */
    const float *vectors;
    struct rec_scan *scan; /* of vectors: the quick way to the same top-K; NULL without them */
};

/* Fits and opens: the one way to train. Checks the data for what no family can use (no items, no
 * event of weight > 0: BAD_INPUT saying so), the memory it will take (LIMIT, with both figures),
 * and that a family that is to go on from a start can (BAD_INPUT). */
enum rec_status rec_model_fit(const struct rec_family *family, const struct rec_fit *fit,
                              struct rec_model **out, struct rec_error *err);
/* The second half of it: a model of tensors.
 * owns: takes *tensors and leaves the set empty, also on failure
 * errors: NO_MEMORY, CORRUPT (the family refuses the tensors) */
enum rec_status rec_model_open(const struct rec_family *family, uint32_t items,
                               const struct rec_params *params, struct rec_tensors *tensors,
                               struct rec_model **out, struct rec_error *err);
void rec_model_destroy(struct rec_model **model);

/* The family of that name in a NULL-terminated list. BAD_INPUT with the nearest name. */
enum rec_status rec_family_find(const struct rec_family *const *families, const char *name,
                                const struct rec_family **out, struct rec_error *err);

/* ---- model files (modelfile.c) ---------------------------------------------------------- */

/* What a file says about its model, beside the tensors. */
struct rec_model_info {
    char version[64];  /* "20261122T101500Z-als-5f3a": made at save time by whoever saves */
    char database[33]; /* identity of the store it was trained on */
    char family[32];
    char parameters[512];
    char metrics[1024]; /* a JSON object as text, or empty */
    uint32_t items;     /* catalogue size at training */
    uint64_t recorded;  /* the store's rows ever recorded, at training */
    int64_t trained_at; /* Unix seconds */
    uint64_t bytes;     /* of the file; filled by reading */
};

/* Writes to PATH.tmp, fsyncs, renames over path, fsyncs the folder. */
enum rec_status rec_modelfile_save(const struct rec_model *model, const struct rec_model_info *info,
                                   const char *path, struct rec_error *err);
/* Only the header. errors: as load. */
enum rec_status rec_modelfile_info(const char *path, struct rec_model_info *out,
                                   struct rec_error *err);
/* errors: IO, NOT_FOUND (no file); CORRUPT naming what is wrong: not a model file, truncated, a
 * checksum (which section), other byte order, a newer format, another database (both identities),
 * more items than the catalogue has. database NULL: any; catalogue_items 0: any. */
enum rec_status rec_modelfile_load(const char *path, const struct rec_family *const *families,
                                   const char *database, uint32_t catalogue_items,
                                   struct rec_model **out, struct rec_model_info *info,
                                   struct rec_error *err);

/* ---- the slot (slot.c) --------------------------------------------------------------------- */

enum { REC_SLOT_PARTS = 16 }; /* as many cache lines make a block that rec_alloc aligns */

/* What one publish makes live. */
struct rec_generation {
    struct rec_model *model;
    struct rec_model_info info;
    uint64_t serial; /* 1, 2, ... given by publish */
    struct {
        _Alignas(64) int64_t holders;
    } part[REC_SLOT_PARTS]; /* slot.c only; each under its lock */
};
struct rec_slot;

/* Takes *model (leaves NULL). NULL when out of memory: then *model is untouched. */
struct rec_generation *rec_generation_create(struct rec_model **model,
                                             const struct rec_model_info *info);
void rec_generation_destroy(struct rec_generation **generation); /* one that was never published */

struct rec_slot *rec_slot_create(void); /* NULL when out of memory */
/* Call after the last holder has released. NULL is fine. */
void rec_slot_destroy(struct rec_slot **slot);

/* The live generation, held alive until rec_slot_release().
 * errors:  NULL when nothing has been published
 * threads: any; holds a mutex for a pointer copy, never for a score */
struct rec_generation *rec_slot_acquire(struct rec_slot *slot);
/* The serial of the live generation, 0: none; without holding it. */
uint64_t rec_slot_serial(const struct rec_slot *slot);
/* Gives back what acquire returned and sets *generation to NULL. NULL is fine. The last holder of a
 * replaced generation destroys it, outside the lock. */
void rec_slot_release(struct rec_slot *slot, struct rec_generation **generation);
/* Makes *generation live. Takes ownership: *generation becomes NULL. Requests in flight keep what
 * they acquired. Cannot fail: everything that can fail belongs before this call. */
void rec_slot_publish(struct rec_slot *slot, struct rec_generation **generation);

#endif
