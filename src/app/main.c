/* recsysd: one binary, one subcommand a task. main() sets the process up (BLAS
 * with one thread, kernels chosen), reads the settings and calls the subcommand. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "recsysd/linalg.h"

static const char synth_lesson[] =
    "Few items are had by many (a power law), few users do much (log-normal), everybody has four\n"
    "tastes, and rows come in sessions about one of them, over the years 2023 and 2024. The same\n"
    "seed and numbers give the same bytes. A million rows, tried out and served:\n\n"
    "  recsysd synth --users 10000 --items 5000 --interactions 1000000 --out made.csv\n"
    "  recsysd evaluate --format csv --columns user=user,item=item,timestamp=timestamp \\\n"
    "    --type order --models popularity,als made.csv\n"
    "  recsysd import --db made.db --format csv --type order \\\n"
    "    --columns user=user,item=item,timestamp=timestamp made.csv\n\n"
    "Without a file between: recsysd synth ... | recsysd import ... -\n";

static const struct command {
    const char *name;
    enum command_bit bit;
    command_fn run;
    const char *arguments, *help;
    size_t positional_max;
} commands[] = {
    {"import", FOR_IMPORT, cmd_import, "--db FILE --format FORMAT PATH",
     "read a data set into the database", 1},
    {"train", FOR_TRAIN, cmd_train, "--db FILE --model NAME [--set NAME=VALUE ...] [--out MODEL]",
     "fit a model on the database and write it to a file", 0},
    {"serve", FOR_SERVE, cmd_serve, "--db FILE [--model-file MODEL] [--listen ADDR:PORT]",
     "answer HTTP requests", 0},
    {"evaluate", FOR_EVALUATE, cmd_evaluate,
     "--format FORMAT PATH --protocol NAME [--models LIST] [--set MODEL.NAME=VALUE ...]",
     "compare models on a data set, by the published protocols or a split of your own", 1},
    {"tune", FOR_TUNE, cmd_tune,
     "--format FORMAT PATH --protocol NAME --model NAME [--trials N] [--set MODEL.NAME=VALUE ...]",
     "find the parameters of a model that rank best, on the validation part of a data set", 1},
    {"synth", FOR_SYNTH, cmd_synth, "--users N --items N --interactions N [--seed N] [--out FILE]",
     "make up interactions of any size, as CSV, with tastes that models can learn", 0},
    {"models", FOR_MODELS, cmd_models, "[FAMILY | FILE ...]",
     "list the model families and their parameters, or those named, or describe model files",
     CONFIG_POSITIONAL_MAX},
    {"healthcheck", FOR_HEALTHCHECK, cmd_healthcheck, "[--listen ADDR:PORT]",
     "exit 0 when the daemon at that address is ready", 0},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char exit_help[] =
    "exit status: 0 done; 1 the work failed on its way (a training that explodes, a file that\n"
    "cannot be written, no memory); 2 the command line, the settings or the data cannot be used,\n"
    "and nothing began.\n";

static void print_help(FILE *out) {
    (void)fputs("recsysd: a recommendation service in one binary and one database file\n\n"
                "usage: recsysd COMMAND [FLAGS]\n\ncommands:\n",
                out);
    for (size_t i = 0; i < COMMANDS; i++)
        (void)fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].help);
    (void)fputs(
        "\nfrom nothing to lists:\n"
        "  recsysd import --db shop.db --format movielens ml-latest-small\n"
        "  recsysd train  --db shop.db --model als --out shop.db.model\n"
        "  recsysd serve  --db shop.db\n"
        "  curl 'http://127.0.0.1:8080/recommend?user_id=1&k=5'\n"
        "\nrecsysd COMMAND --help tells the flags of a command. A flag can also be set by a\n"
        "RECSYSD_* variable (RECSYSD_MODEL_FILE for --model-file) or in the INI file of\n"
        "--config; the flag wins over the variable, the variable over the file.\n\n",
        out);
    (void)fputs(exit_help, out);
}

static void print_command_help(const struct command *command) {
    (void)printf("usage: recsysd %s %s\n\n%s\n\n", command->name, command->arguments,
                 command->help);
    config_print_help(stdout, command->bit);
    if (command->bit == FOR_SYNTH)
        (void)printf("\n%s", synth_lesson);
    (void)printf("\n%s", exit_help);
}

static const struct command *find_command(const char *name) {
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int app_fail(const struct rec_error *err) {
    (void)fprintf(stderr, "recsysd: %s\n",
                  err->text[0] != '\0' ? err->text : rec_error_text(err->status));
    return EXIT_FAILED;
}

const char *app_without_name(const char *text, const char *name) {
    size_t bytes = strlen(name);
    return strncmp(text, name, bytes) == 0 && strncmp(text + bytes, ": ", 2) == 0 ? text + bytes + 2
                                                                                  : text;
}

enum rec_status app_weights(const struct config *config, struct rec_weights *out,
                            struct rec_error *err) {
    rec_weights_defaults(out);
    out->rating_min = config_number(config, SET_RATING_MIN);
    const char *text = config_text(config, SET_WEIGHTS);
    return text[0] == '\0' ? REC_OK : rec_weights_set(out, text, err);
}

size_t app_threads(int64_t count, size_t max) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t wanted = count > 0 ? (size_t)count : cores > 0 ? (size_t)cores : 1;
    return wanted < max ? wanted : max;
}

void app_model_path(const struct config *config, enum setting_id id, char *out, size_t cap) {
    const char *given = config_text(config, id);
    if (given[0] != '\0')
        (void)snprintf(out, cap, "%s", given);
    else
        (void)snprintf(out, cap, "%s.model", config_text(config, SET_DB));
}

static enum rec_status set_log_level(const struct config *config, struct rec_error *err) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *text = config_text(config, SET_LOG_LEVEL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], text) == 0) {
            rec_log_set_level((enum rec_log_level)i);
            return REC_OK;
        }
    return rec_error_set(err, REC_BAD_INPUT, "log-level: '%.40s' is not debug, info, warn or error",
                         text);
}

static enum rec_status set_up(const struct config *config, struct rec_error *err) {
    enum rec_status st = set_log_level(config, err);
    if (st == REC_OK)
        st = rec_dense_init(err);
    if (st == REC_OK)
        st = rec_kernels_init(err);
    return st;
}

static int run(const struct command *command, int argc, char **argv) {
    struct config config = {0};
    struct rec_error err = {0};
    int code = EXIT_USAGE;

    enum rec_status st = config_load(&config, command->bit, argc, argv, 2, &err);
    if (st == REC_OK && config_flag(&config, SET_HELP)) {
        print_command_help(command);
        code = EXIT_DONE;
    } else if (st == REC_OK && config.positional_count > command->positional_max) {
        (void)fprintf(stderr, "recsysd %s: unexpected argument '%.60s'\n", command->name,
                      config.positional[command->positional_max]);
    } else if (st != REC_OK || set_up(&config, &err) != REC_OK ||
               app_check_outputs(&config, &err) != REC_OK) {
        (void)app_fail(&err);
    } else {
        code = command->run(&config);
    }
    config_finish(&config);
    return code;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("recsysd " RECSYSD_VERSION);
        return EXIT_DONE;
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL) {
        const char *names[COMMANDS];
        for (size_t i = 0; i < COMMANDS; i++)
            names[i] = commands[i].name;
        const char *near = rec_text_nearest(argv[1], names, COMMANDS);
        (void)fprintf(stderr, "recsysd: no command '%.40s'%s%s%s; see recsysd --help\n", argv[1],
                      near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                      near != NULL ? "'?" : "");
        return EXIT_USAGE;
    }
    return run(command, argc, argv);
}
