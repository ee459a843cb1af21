/* Settings: flag over RECSYSD_* variable over INI file over default. One table
 * (config.c) holds them all; --help, the checks and deploy/recsysd.ini follow it. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include <stdio.h>

#include "recsysd/base.h"

/* Which subcommands take a setting as a flag. Variables and INI keys are known to all. */
enum command_bit {
    FOR_IMPORT = 1 << 0,
    FOR_TRAIN = 1 << 1,
    FOR_SERVE = 1 << 2,
    FOR_MODELS = 1 << 3,
    FOR_HEALTHCHECK = 1 << 4,
    FOR_EVALUATE = 1 << 5,
    FOR_TUNE = 1 << 6,
    FOR_SYNTH = 1 << 8,
    OF_DATA = 1 << 7, /* no command: what the data are and how they are split */
};
enum { FOR_DATA = FOR_EVALUATE | FOR_TUNE | OF_DATA };

enum setting_kind { SETTING_TEXT, SETTING_INTEGER, SETTING_NUMBER, SETTING_FLAG, SETTING_LIST };

/* name, kind, commands, default, min, max, placeholder, help.
 * min and max bound INTEGER and NUMBER; LIST may be given several times. */
#define SETTING_MAP(X)                                                                             \
    X(CONFIG, "config", TEXT, ~0u, "", 0, 0, "FILE", "read settings from this INI file")           \
    X(LOG_LEVEL, "log-level", TEXT, ~0u, "info", 0, 0, "LEVEL", "debug, info, warn or error")      \
    X(DB, "db", TEXT, FOR_IMPORT | FOR_TRAIN | FOR_SERVE, "recsysd.db", 0, 0, "FILE",              \
      "the database: users, items, interactions, training runs")                                   \
    X(FORMAT, "format", TEXT, FOR_IMPORT | FOR_DATA, "", 0, 0, "FORMAT",                           \
      "movielens, movielens-1m (folders), csv, ndjson or user-lists (files)")                      \
    X(COLUMNS, "columns", TEXT, FOR_IMPORT | FOR_DATA, "", 0, 0, "MAP",                            \
      "csv: user=NAME,item=NAME[,value=NAME][,timestamp=NAME][,type=NAME] by header name; times "  \
      "are Unix seconds, RFC 3339 or 'YYYY-MM-DD HH:MM:SS'")                                       \
    X(TYPE, "type", TEXT, FOR_IMPORT | FOR_DATA, "", 0, 0, "TYPE",                                 \
      "csv, user-lists: type of rows when no column has it (default: rating with a value "         \
      "column, else view; order in user-lists)")                                                   \
    X(SKIP_BAD, "skip-bad", INTEGER, FOR_IMPORT | FOR_DATA, "0", 0, 1e9, "N",                      \
      "tolerate up to N bad rows and list them")                                                   \
    X(MODEL, "model", TEXT, FOR_TRAIN | FOR_TUNE, "als", 0, 0, "NAME",                             \
      "the model family to train (see: recsysd models)")                                           \
    X(SET, "set", LIST, FOR_TRAIN | FOR_EVALUATE | FOR_TUNE, "", 0, 0, "NAME=VALUE",               \
      "a parameter of the model family; evaluate, tune: MODEL.NAME=VALUE")                         \
    X(USERS, "users", INTEGER, FOR_SYNTH, "1000", 1, REC_USERS_MAX, "N",                           \
      "how many users, each with a row at least")                                                  \
    X(ITEMS, "items", INTEGER, FOR_SYNTH, "2000", 1, REC_ITEMS_MAX, "N", "how many items")         \
    X(INTERACTIONS, "interactions", INTEGER, FOR_SYNTH, "100000", 1, 1e12, "N",                    \
      "how many rows, exactly")                                                                    \
    X(EXPONENT, "exponent", NUMBER, FOR_SYNTH, "0.8", 0, 4, "S",                                   \
      "items' popularity is (rank + 10) to the power -S; 0: all alike")                            \
    X(ACTIVITY, "activity", NUMBER, FOR_SYNTH, "1", 0, 4, "SIGMA",                                 \
      "users' activity is log-normal with this deviation; 0: all alike")                           \
    X(TASTE, "taste", NUMBER, FOR_SYNTH, "0.75", 0, 1, "PART",                                     \
      "part of the rows that follow a user's taste, which models can learn")                       \
    X(CLUSTERS, "clusters", INTEGER, FOR_SYNTH, "0", 0, REC_ITEMS_MAX, "N",                        \
      "tastes there are, each an equal part of the items; 0: the square root of the items")        \
    X(ORDER, "order", TEXT, FOR_SYNTH, "user", 0, 0, "WHAT",                                       \
      "of rows: user, or time, as a log has them (takes 12 bytes of memory a row)")                \
    X(OUT, "out", TEXT, FOR_TRAIN | FOR_SYNTH, "", 0, 0, "FILE",                                   \
      "where to write (default: train: the database's name with .model; synth: -, which is "       \
      "standard output)")                                                                          \
    X(START, "start", TEXT, FOR_TRAIN, "", 0, 0, "MODEL",                                          \
      "go on from this model file of the same family (bpr, biased-mf)")                            \
    X(SEED, "seed", INTEGER, FOR_TRAIN | FOR_SYNTH | FOR_DATA, "1", 0, 9e15, "N",                  \
      "seed of all random numbers")                                                                \
    X(PROGRESS, "progress", FLAG, FOR_TRAIN | FOR_IMPORT | FOR_SYNTH | FOR_EVALUATE | FOR_TUNE,    \
      "false", 0, 0, "", "show progress even when the output is not a terminal")                   \
    X(MODEL_FILE, "model-file", TEXT, FOR_SERVE, "", 0, 0, "MODEL",                                \
      "the live model; replaced by retraining (default: the database's name with .model)")         \
    X(CREATE, "create", FLAG, FOR_SERVE, "false", 0, 0, "",                                        \
      "make the database when it is missing")                                                      \
    X(LISTEN, "listen", TEXT, FOR_SERVE | FOR_HEALTHCHECK, "127.0.0.1:8080", 0, 0, "ADDR:PORT",    \
      "where to serve HTTP; an IPv6 address goes in brackets")                                     \
    X(ALLOW_REMOTE, "allow-remote", FLAG, FOR_SERVE, "false", 0, 0, "",                            \
      "serve addresses other than loopback, to anyone who can reach them")                         \
    X(WORKERS, "workers", INTEGER, FOR_SERVE, "0", 0, REC_HTTP_WORKERS_MAX, "N",                   \
      "threads that answer requests; 0: as many as cores")                                         \
    X(CONNECTIONS, "connections", INTEGER, FOR_SERVE, "1024", 1, REC_HTTP_CONNECTIONS_MAX, "N",    \
      "connections open at one time, at most")                                                     \
    X(IDLE_TIMEOUT, "idle-timeout-s", INTEGER, FOR_SERVE, "60", 1, 86400, "S",                     \
      "close a connection that sends nothing for so long")                                         \
    X(REQUEST_TIMEOUT, "request-timeout-s", INTEGER, FOR_SERVE, "30", 1, 3600, "S",                \
      "a request must have come in whole after so long")                                           \
    X(DRAIN_TIMEOUT, "drain-timeout-s", INTEGER, FOR_SERVE, "20", 1, 3600, "S",                    \
      "after SIGTERM, wait so long for requests in flight")                                        \
    X(BODY_BYTES, "body-bytes-max", INTEGER, FOR_SERVE, "1048576", 1024, 1 << 28, "N",             \
      "a larger request body is refused")                                                          \
    X(QUERY_CACHE, "query-cache-mb", INTEGER, FOR_SERVE, "16", 0, 65536, "MB",                     \
      "memory for the users' query vectors; 0: none are kept")                                     \
    X(WEIGHTS, "weights", TEXT, FOR_TRAIN | FOR_SERVE | FOR_DATA, "", 0, 0, "MAP",                 \
      "weights of interaction types, over the built-in ones: order=1,rating=value,...")            \
    X(RATING_MIN, "rating-min", NUMBER, FOR_TRAIN | FOR_SERVE, "4", -1e6, 1e6, "V",                \
      "a rating from here on is liked; below, seen but not liked")                                 \
    X(THREADS, "threads", INTEGER, FOR_TRAIN | FOR_SERVE | FOR_EVALUATE | FOR_TUNE, "0", 0,        \
      REC_THREADS_MAX, "N", "threads of training and evaluation; 0: as many as cores")             \
    X(MEMORY, "memory-mb", INTEGER, FOR_TRAIN | FOR_SERVE | FOR_EVALUATE | FOR_TUNE, "0", 0, 1e9,  \
      "MB", "refuse a training that needs more memory; 0: 60 % of the machine's")                  \
    X(KEEP, "keep-versions", INTEGER, FOR_SERVE, "5", 1, 1000, "N",                                \
      "model versions kept on disk for a rollback")                                                \
    X(RETRAIN_MODEL, "retrain-model", TEXT, FOR_SERVE, "als", 0, 0, "NAME",                        \
      "the family that retraining fits unless told otherwise")                                     \
    X(RETRAIN_SET, "retrain-set", TEXT, FOR_SERVE, "", 0, 0, "PARAMS",                             \
      "its parameters: 'factors=64 iterations=20'")                                                \
    X(RETRAIN_EVERY, "retrain-every-minutes", INTEGER, FOR_SERVE, "0", 0, 525600, "MIN",           \
      "retrain so often; 0: not by time")                                                          \
    X(RETRAIN_AFTER, "retrain-after", INTEGER, FOR_SERVE, "0", 0, 1e12, "N",                       \
      "retrain after so many new interactions; 0: not by count")                                   \
    X(TOLERANCE, "retrain-tolerance", NUMBER, FOR_SERVE, "0.02", 0, 1, "PART",                     \
      "publish a model whose NDCG@10 is at most this part below the live one's")                   \
    X(CHECK_CONFIG, "check-config", FLAG, FOR_SERVE, "false", 0, 0, "",                            \
      "check the settings, print them and exit")                                                   \
    X(PROTOCOL, "protocol", TEXT, FOR_DATA, "", 0, 0, "NAME",                                      \
      "a preset of all that follows: last-out, global-time, last-five, next-item, repeat")         \
    X(SPLIT, "split", TEXT, FOR_DATA, "last", 0, 0, "KIND",                                        \
      "last: the last rows of each user are the test; time: everything after the cut is")          \
    X(POSITIVE_MIN, "positive-min", TEXT, FOR_DATA, "4", 0, 0, "V",                                \
      "a rating from here on is liked and relevant; any: every rating is")                         \
    X(VALUE_MIN, "value-min", TEXT, FOR_DATA, "any", 0, 0, "V",                                    \
      "rows of a lower value are left out; any: none are")                                         \
    X(LIKED_ONLY, "liked-only", FLAG, FOR_DATA, "false", 0, 0, "",                                 \
      "rows that were not liked are left out, and are not seen either")                            \
    X(MIN_ROWS, "min-rows", INTEGER, FOR_DATA, "0", 0, 1e9, "N",                                   \
      "users with fewer rows are left out")                                                        \
    X(MIN_SPLIT, "min-split", INTEGER, FOR_DATA, "0", 0, 1e9, "N",                                 \
      "split last: users with fewer rows stay whole in train")                                     \
    X(TEST_LAST, "test-last", INTEGER, FOR_DATA, "1", 1, 1e6, "N",                                 \
      "split last: rows of each user in the test")                                                 \
    X(VALIDATION_LAST, "validation-last", INTEGER, FOR_DATA, "1", 0, 1e6, "N",                     \
      "split last: rows before those for validation, not fitted on")                               \
    X(VALIDATION_IN_HISTORY, "validation-in-history", FLAG, FOR_DATA, "false", 0, 0, "",           \
      "split last: validation rows are known when the test is asked")                              \
    X(CUT, "cut", TEXT, FOR_DATA, "0.8", 0, 0, "Q",                                                \
      "split time: a quantile of all times (train is up to it) or a date (train is before it)")    \
    X(MIN_TRAIN, "min-train", INTEGER, FOR_DATA, "1", 0, 1e9, "N",                                 \
      "split time: users with fewer train rows, and items with none, are left out; 0: nobody is")  \
    X(TEST_MIN_TRAIN, "test-min-train", INTEGER, FOR_DATA, "0", 0, 1e9, "N",                       \
      "split time: users with fewer train rows are not tested")                                    \
    X(TEST_MIN_ROWS, "test-min-rows", INTEGER, FOR_DATA, "0", 0, 1e9, "N",                         \
      "split time: users with fewer test rows are not tested")                                     \
    X(TEST_USERS, "test-users", INTEGER, FOR_DATA, "0", 0, REC_USERS_MAX, "N",                     \
      "only the first N users, by id, are tested; 0: all")                                         \
    X(SEEN, "seen", TEXT, FOR_DATA, "known", 0, 0, "WHAT",                                         \
      "known: what is known of a user is not recommended; none: it may come back")                 \
    X(TRAIN_FILE, "train", TEXT, FOR_EVALUATE, "", 0, 0, "PATH",                                   \
      "pre-split data: what is fitted, in --format")                                               \
    X(TEST_FILE, "test", TEXT, FOR_EVALUATE, "", 0, 0, "PATH", "pre-split data: what is asked")    \
    X(HISTORY_FILE, "history", TEXT, FOR_EVALUATE, "", 0, 0, "PATH",                               \
      "pre-split data: all that is known of each user at test time (default: the train rows)")     \
    X(ON, "on", TEXT, FOR_EVALUATE, "test", 0, 0, "PART",                                          \
      "test, or validation: to choose parameters without looking at the test")                     \
    X(MODELS, "models", TEXT, FOR_EVALUATE, "popularity,als", 0, 0, "LIST",                        \
      "families, or LABEL=FAMILY to have one with several --set; all: every family")               \
    X(K, "k", TEXT, FOR_EVALUATE, "10,20", 0, 0, "LIST", "lengths of the lists")                   \
    X(SEEDS, "seeds", INTEGER, FOR_EVALUATE, "1", 1, 100, "N",                                     \
      "runs of each model, with seeds from --seed on")                                             \
    X(BY_BUCKET, "by-bucket", FLAG, FOR_EVALUATE, "false", 0, 0, "",                               \
      "also for cold (< 10), medium (< 50) and warm users, by their liked rows in train")          \
    X(PER_USER, "per-user", TEXT, FOR_EVALUATE, "", 0, 0, "FILE",                                  \
      "write each user's values, of the first seed, as CSV")                                       \
    X(JSON, "json", TEXT, FOR_EVALUATE, "", 0, 0, "FILE", "write the table as JSON")               \
    X(CSV, "csv", TEXT, FOR_EVALUATE, "", 0, 0, "FILE", "write the table as CSV")                  \
    X(HTML, "html", TEXT, FOR_EVALUATE | FOR_TUNE, "", 0, 0, "FILE",                               \
      "write a page with the table and charts")                                                    \
    X(RESULTS, "results", TEXT, FOR_EVALUATE, "recsysd-results.jsonl", 0, 0, "FILE",               \
      "append each run as a line of JSON; none: do not")                                           \
    X(TRIALS, "trials", INTEGER, FOR_TUNE, "30", 1, REC_TRIALS_MAX, "N",                           \
      "how many sets of parameters are tried, those of the study included")                        \
    X(TIMEOUT, "timeout", NUMBER, FOR_TUNE, "0", 0, 1e9, "S",                                      \
      "start no trial after so many seconds, and drop those that run; 0: never")                   \
    X(METRIC, "metric", TEXT, FOR_TUNE, "ndcg@10", 0, 0, "NAME@K",                                 \
      "what the search raises: ndcg, recall, precision, map, mrr, hit or coverage")                \
    X(STUDY, "study", TEXT, FOR_TUNE, "", 0, 0, "FILE",                                            \
      "keep every trial in this file; the same command goes on with it")                           \
    X(HELP, "help", FLAG, ~0u, "false", 0, 0, "", "show this help")

#define SETTING_ENUM(id, ...) SET_##id,
enum setting_id { SETTING_MAP(SETTING_ENUM) SETTING_COUNT };
#undef SETTING_ENUM

enum { CONFIG_LIST_MAX = 256, CONFIG_POSITIONAL_MAX = 8 };

struct config {
    char *value[SETTING_COUNT];
    int rank[SETTING_COUNT]; /* who set it: 0 default, 1 file, 2 variable, 3 flag */
    char *list[CONFIG_LIST_MAX];
    size_t list_count;
    const char *positional[CONFIG_POSITIONAL_MAX]; /* borrowed from argv */
    size_t positional_count;
};

/* Reads argv[first..], environ and the INI file. BAD_INPUT names the key, the value and the range,
 * and where it was set. */
enum rec_status config_load(struct config *config, enum command_bit command, int argc, char **argv,
                            int first, struct rec_error *err);
void config_finish(struct config *config);

const char *config_text(const struct config *config, enum setting_id id);
bool config_given(const struct config *config, enum setting_id id); /* not the default */
int64_t config_integer(const struct config *config, enum setting_id id);
double config_number(const struct config *config, enum setting_id id);
bool config_flag(const struct config *config, enum setting_id id);

/* The flags of a subcommand, one a line. */
void config_print_help(FILE *out, enum command_bit command);
/* The settings with all bits of `of` that are not at their defaults, as flags for a shell:
 * " --cut 0.6". None of those that every command takes. */
void config_print_flags(FILE *out, const struct config *config, unsigned of);
/* A word as a shell reads it, quoted where it must be. */
void config_print_word(FILE *out, const char *word);
/* The settings of a subcommand as an INI file, with who set them. */
void config_print(FILE *out, const struct config *config, enum command_bit command);

#endif
