/* Every cap of recsysd, in one place: what a client, a file or an operator can
 * make grow stops here, and a test stands at each cap and one past it. */
#ifndef RECSYSD_LIMITS_H
#define RECSYSD_LIMITS_H

enum {
    /* ids and texts, in bytes of UTF-8, without the final NUL */
    REC_ID_BYTES_MAX = 256,
    REC_TITLE_BYTES_MAX = 512,
    REC_CATEGORY_BYTES_MAX = 64,
    REC_TYPE_BYTES_MAX = 32,

    /* catalogue and histories */
    REC_ITEMS_MAX = 1 << 24,
    REC_USERS_MAX = 1 << 28,
    REC_TYPES_MAX = 64,
    REC_CATEGORIES_MAX = 4096,
    REC_ITEM_CATEGORIES_MAX = 64,

    /* one request */
    REC_K_DEFAULT = 10,
    REC_K_MAX = 1000,
    REC_USERS_PER_REQUEST_MAX = 100,
    REC_SIMILAR_PER_REQUEST_MAX = 100,
    REC_HISTORY_PER_REQUEST_MAX = 1000,
    REC_EXCLUDE_ITEMS_MAX = 1000,
    REC_INTERACTIONS_PER_REQUEST_MAX = 1000,
    REC_ITEMS_PER_REQUEST_MAX = 1000,
    REC_PAGE_DEFAULT = 50,
    REC_PAGE_MAX = 500,
    REC_BECAUSE_TOTAL_MAX = 1 << 16, /* reasons in one list, shared evenly by its items */
    REC_JSON_DEPTH_MAX = 16,

    /* Of a user's history, scoring reads the newest this many events: it bounds
     * the work of one request; the store keeps all of them. */
    REC_HISTORY_SCORED_MAX = 8192,

    /* HTTP */
    REC_HTTP_BODY_BYTES_MAX = 1 << 20,
    REC_HTTP_TARGET_BYTES_MAX = 8192,
    REC_HTTP_HEADERS_MAX = 64,
    REC_HTTP_QUERY_MAX = 128,
    REC_HTTP_CONNECTIONS_MAX = 16384,
    REC_HTTP_WORKERS_MAX = 64,
    REC_REQUEST_ID_BYTES_MAX = 128,

    /* writes */
    REC_WRITE_GROUP_ROWS_MAX = 16000,
    REC_WRITE_GROUP_WRITES_MAX = 1000,
    REC_WRITE_GROUP_WAIT_US = 2000,
    REC_WRITE_QUEUE_ROWS_MAX = 100000,
    REC_TIMESTAMP_FUTURE_S_MAX = 86400,

    /* files */
    REC_READ_LINE_BYTES_MAX = 65536,

    /* models and training */
    REC_PARAMS_MAX = 32,
    REC_PARAMS_NESTED_BYTES = 256, /* with the table's own, they must fit a file's 512 */
    REC_TENSORS_MAX = 64,
    REC_FACTORS_MAX = 2048,
    REC_JOBS_QUEUED_MAX = 16,
    REC_JOBS_LISTED_MAX = 200,
    REC_TRIALS_MAX = 10000,        /* of one search for parameters */
    REC_TRIALS_PER_JOB_MAX = 1000, /* of one before a training job */
    REC_TRIAL_LOOKS_MAX = 10000,
    REC_THREADS_MAX = 256,
};

#endif
