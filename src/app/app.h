/* The subcommands, one file each (cmd_*.c), and what they share. */
#ifndef APP_APP_H
#define APP_APP_H

#include "config.h"
#include "recsysd/data.h"

enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1, /* it was understood, and failed: a fit, a file, the memory */
    EXIT_USAGE = 2,  /* the command line, the settings or the data cannot be used: nothing began */
};

typedef int (*command_fn)(const struct config *config);

int cmd_import(const struct config *config);
int cmd_train(const struct config *config);
int cmd_serve(const struct config *config);
int cmd_models(const struct config *config);
int cmd_healthcheck(const struct config *config);
int cmd_evaluate(const struct config *config);
int cmd_tune(const struct config *config);
int cmd_synth(const struct config *config);

/* One line on stderr: "recsysd: ..."; returns the exit code for it. */
int app_fail(const struct rec_error *err);

/* What a message says behind "name: ", where it begins with that; else all of it. For who puts a
 * name of his own in front. */
const char *app_without_name(const char *text, const char *name);

/* The weights that the settings `weights` and `rating-min` give. */
enum rec_status app_weights(const struct config *config, struct rec_weights *out,
                            struct rec_error *err);
/* `count`, or the number of cores when it is 0. */
size_t app_threads(int64_t count, size_t max);
/* The setting memory-mb in bytes; 60 % of what the machine, or its control group, has when 0. */
size_t app_memory(const struct config *config);
/* The value of `id`, or the database's path with ".model" behind. */
void app_model_path(const struct config *config, enum setting_id id, char *out, size_t cap);

/* ---- outputs.c ----------------------------------------------------------------- */

/* BAD_INPUT when a file that the settings would have written is a database, is read by the same
 * command, or is named twice. */
enum rec_status app_check_outputs(const struct config *config, struct rec_error *err);
/* The same when something that is no model stands where a model would be written. */
enum rec_status app_check_model_output(const char *path, struct rec_error *err);

/* ---- progress.c ---------------------------------------------------------------- */

/* A line that tells how far long work is: redrawn in place on a terminal, a plain line every few
 * seconds otherwise. threads: one caller at a time. */
struct progress_line {
    bool terminal, shown, wanted;
    uint64_t started_ns, drawn_ns;
};
void progress_start(struct progress_line *line, bool wanted);
/* fraction < 0: not known. detail: "1,000,209 rows" */
void progress_draw(struct progress_line *line, const char *phase, double fraction,
                   const char *detail);
void progress_end(struct progress_line *line);

/* 1234567 as 1,234,567 */
const char *format_count(uint64_t n, char out[32]);

#endif
