/* The parts of recsysd evaluate: the data and its split, and the models to compare. */
#ifndef APP_EVALUATE_H
#define APP_EVALUATE_H

#include "app.h"
#include "recsysd/eval.h"
#include "recsysd/families.h"

/* ---- evaluate_data.c ---------------------------------------------------------------- */

struct evaluate_data {
    struct rec_protocol protocol; /* the preset with what was given by hand */
    bool on_validation;           /* the caller's: which part is asked */
    bool whole_wanted;            /* the caller's: keep the rows, too */
    const char *command;          /* the caller's: for messages */
    bool parts_given;
    bool rated;     /* there may be ratings among the rows */
    char name[300]; /* what was read, for people */
    struct rec_idmap *users, *items;
    uint32_t *user_at; /* [users] number in the map of the n-th user by id */
    struct rec_split *split;
    struct rec_dataset *whole; /* all rows, where they are wanted */
};
/* Reads and splits. line shows how far reading is. BAD_INPUT names the setting. */
enum rec_status evaluate_data_read(struct evaluate_data *data, const struct config *config,
                                   struct progress_line *line, struct rec_error *err);
void evaluate_data_finish(struct evaluate_data *data);
/* The id of a user of the split. */
const char *evaluate_data_user(const struct evaluate_data *data, uint32_t user);

/* The settings as a protocol. */
enum rec_status evaluate_protocol_read(const struct config *config, struct rec_protocol *out,
                                       struct rec_error *err);
/* One of two words; *out: it is the second. */
enum rec_status evaluate_choice_read(const struct config *config, enum setting_id id,
                                     const char *name, const char *no, const char *yes, bool *out,
                                     struct rec_error *err);

/* ---- evaluate_models.c --------------------------------------------------------------- */

enum { EVALUATE_MODELS_MAX = 64 };

struct evaluate_model {
    char label[REC_REPORT_LABEL_BYTES];
    const struct rec_family *family;
    struct rec_params params;
};
/* --models and --set. models [EVALUATE_MODELS_MAX] */
enum rec_status evaluate_models_read(const struct config *config, struct evaluate_model *models,
                                     size_t *count, struct rec_error *err);
/* "als.factors=64": for the model of that label. */
enum rec_status evaluate_models_set(const char *text, struct evaluate_model *models, size_t count,
                                    struct rec_error *err);
/* --k: rising, each once. ks [REC_REPORT_KS_MAX] */
enum rec_status evaluate_ks_read(const char *text, uint32_t *ks, size_t *count,
                                 struct rec_error *err);

#endif
