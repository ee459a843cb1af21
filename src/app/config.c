/* Settings, layered: each source has a rank, and a value stands until a source
 * of the same or a higher rank replaces it. So sources can be read in any order,
 * and the flag that names the INI file can be read first. */
#include <ctype.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

extern char **environ;

struct setting {
    const char *name;
    enum setting_kind kind;
    unsigned commands;
    const char *standard;
    double min, max;
    const char *placeholder, *help;
};

#define SETTING_ROW(id, name, kind, commands, standard, min, max, placeholder, help)               \
    [SET_##id] = {name, SETTING_##kind, commands, standard, min, max, placeholder, help},
static const struct setting settings[] = {SETTING_MAP(SETTING_ROW)};
#undef SETTING_ROW

enum rank { RANK_DEFAULT, RANK_FILE, RANK_VARIABLE, RANK_FLAG };
static const char *const rank_names[] = {"default", "file", "variable", "flag"};

#define VARIABLE_PREFIX "RECSYSD_"

/* Variables of the scripts around the binary, not settings of it. */
static const char *const script_variables[] = {"MOVIELENS_DIR", "TEST_DATA", "STATE_DIR"};

static bool find_setting(const char *name, size_t bytes, enum setting_id *out) {
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (strlen(settings[i].name) == bytes && memcmp(settings[i].name, name, bytes) == 0) {
            *out = (enum setting_id)i;
            return true;
        }
    return false;
}

static enum rec_status unknown(const char *where, const char *name, struct rec_error *err) {
    const char *names[SETTING_COUNT];
    for (size_t i = 0; i < SETTING_COUNT; i++)
        names[i] = settings[i].name;
    const char *near = rec_text_nearest(name, names, SETTING_COUNT);
    if (near != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s: unknown setting '%.60s'; did you mean '%s'?",
                             where, name, near);
    return rec_error_set(err, REC_BAD_INPUT, "%s: unknown setting '%.60s'", where, name);
}

static bool read_flag(const char *text, bool *out) {
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, yes[i]) == 0)
            return *out = true;
        if (strcmp(text, no[i]) == 0) {
            *out = false;
            return true;
        }
    }
    return false;
}

static enum rec_status check(const struct setting *s, const char *where, const char *value,
                             struct rec_error *err) {
    struct rec_error cause = {0};
    int64_t integer;
    double number;
    bool flag;
    enum rec_status st = REC_OK;
    switch (s->kind) {
    case SETTING_INTEGER:
        st = rec_text_i64(s->name, value, (int64_t)s->min, (int64_t)s->max, &integer, &cause);
        break;
    case SETTING_NUMBER:
        st = rec_text_double(s->name, value, s->min, s->max, &number, &cause);
        break;
    case SETTING_FLAG:
        if (!read_flag(value, &flag))
            st = rec_error_set(&cause, REC_BAD_INPUT, "%s: '%.40s' is neither true nor false",
                               s->name, value);
        break;
    case SETTING_TEXT:
    case SETTING_LIST:
        if (!rec_text_utf8(value, strlen(value)))
            st = rec_error_set(&cause, REC_BAD_INPUT, "%s: not valid UTF-8", s->name);
        break;
    }
    return st == REC_OK ? REC_OK : rec_error_set(err, st, "%s: %s", where, cause.text);
}

/* One more element. A list is one value: a source of a higher rank replaces all of it. There is one
 * setting that is a list. */
static enum rec_status add_to_list(struct config *config, enum setting_id id, enum rank rank,
                                   const char *where, char **text, struct rec_error *err) {
    while ((int)rank > config->rank[id] && config->list_count > 0)
        rec_alloc_free(config->list[--config->list_count]);
    if (config->list_count == CONFIG_LIST_MAX)
        return rec_error_set(err, REC_LIMIT, "%s: %s more than %d times", where, settings[id].name,
                             CONFIG_LIST_MAX);
    config->rank[id] = (int)rank;
    config->list[config->list_count++] = *text;
    *text = NULL;
    return REC_OK;
}

static enum rec_status set(struct config *config, enum setting_id id, enum rank rank,
                           const char *where, const char *value, struct rec_error *err) {
    enum rec_status st = check(&settings[id], where, value, err);
    if (st != REC_OK || (int)rank < config->rank[id])
        return st;

    char *copy = rec_alloc_text(value, strlen(value));
    if (copy == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for setting %s", settings[id].name);
    if (settings[id].kind == SETTING_LIST) {
        st = add_to_list(config, id, rank, where, &copy, err);
        rec_alloc_free(copy);
        return st;
    }
    rec_alloc_free(config->value[id]);
    config->value[id] = copy;
    config->rank[id] = (int)rank;
    return REC_OK;
}

/* ---- flags ------------------------------------------------------------------ */

static enum rec_status read_one_flag(struct config *config, enum command_bit command, int argc,
                                     char **argv, int *index, struct rec_error *err) {
    const char *name = argv[*index] + 2, *equals = strchr(name, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - name) : strlen(name);
    enum setting_id id;
    if (!find_setting(name, bytes, &id))
        return unknown("command line", name, err);
    if ((settings[id].commands & (unsigned)command) == 0)
        return rec_error_set(err, REC_BAD_INPUT, "--%s is not a flag of this subcommand",
                             settings[id].name);

    const char *value;
    if (equals != NULL)
        value = equals + 1;
    else if (settings[id].kind == SETTING_FLAG)
        value = "true";
    else if (*index + 1 < argc)
        value = argv[++*index];
    else
        return rec_error_set(err, REC_BAD_INPUT, "--%s needs a value: --%s %s", settings[id].name,
                             settings[id].name, settings[id].placeholder);
    return set(config, id, RANK_FLAG, "command line", value, err);
}

static enum rec_status read_flags(struct config *config, enum command_bit command, int argc,
                                  char **argv, int first, struct rec_error *err) {
    for (int i = first; i < argc; i++) {
        enum rec_status st = REC_OK;
        if (strcmp(argv[i], "-h") == 0)
            st = set(config, SET_HELP, RANK_FLAG, "command line", "true", err);
        else if (strncmp(argv[i], "--", 2) == 0 && argv[i][2] != '\0')
            st = read_one_flag(config, command, argc, argv, &i, err);
        else if (config->positional_count < CONFIG_POSITIONAL_MAX)
            config->positional[config->positional_count++] = argv[i];
        else
            st = rec_error_set(err, REC_BAD_INPUT, "'%.60s': too many arguments", argv[i]);
        if (st != REC_OK)
            return st;
    }
    return REC_OK;
}

/* ---- variables ---------------------------------------------------------------- */

/* RECSYSD_MODEL_FILE=x is model-file = x. */
static enum rec_status read_variable(struct config *config, const char *entry,
                                     struct rec_error *err) {
    char name[64];
    const char *rest = entry + strlen(VARIABLE_PREFIX), *equals = strchr(rest, '=');
    size_t bytes = equals == NULL ? 0 : (size_t)(equals - rest);
    if (bytes == 0 || bytes >= sizeof(name))
        return REC_OK;
    for (size_t i = 0; i < sizeof(script_variables) / sizeof(script_variables[0]); i++)
        if (strlen(script_variables[i]) == bytes && memcmp(script_variables[i], rest, bytes) == 0)
            return REC_OK;
    for (size_t i = 0; i < bytes; i++)
        name[i] = rest[i] == '_' ? '-' : (char)tolower((unsigned char)rest[i]);
    name[bytes] = '\0';

    enum setting_id id;
    if (!find_setting(name, bytes, &id))
        return unknown("environment, " VARIABLE_PREFIX "*", name, err);
    return set(config, id, RANK_VARIABLE, "environment", equals + 1, err);
}

static enum rec_status read_variables(struct config *config, struct rec_error *err) {
    for (char **entry = environ; *entry != NULL; entry++) {
        if (strncmp(*entry, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) != 0)
            continue;
        enum rec_status st = read_variable(config, *entry, err);
        if (st != REC_OK)
            return st;
    }
    return REC_OK;
}

/* ---- the INI file ---------------------------------------------------------------- */

struct ini_context {
    struct config *config;
    const char *path;
    struct rec_error *err;
    enum rec_status status;
};

/* Sections are headings for people: keys are known by their own name. */
static int on_ini_key(void *user, const char *section, const char *name, const char *value) {
    struct ini_context *context = user;
    enum setting_id id;
    (void)section;
    if (!find_setting(name, strlen(name), &id) || id == SET_CONFIG || id == SET_HELP)
        context->status = unknown(context->path, name, context->err);
    else
        context->status = set(context->config, id, RANK_FILE, context->path, value, context->err);
    return context->status == REC_OK;
}

static enum rec_status read_file(struct config *config, struct rec_error *err) {
    const char *path = config_text(config, SET_CONFIG);
    if (path[0] == '\0')
        return REC_OK;
    struct ini_context context = {.config = config, .path = path, .err = err, .status = REC_OK};
    int line = ini_parse(path, on_ini_key, &context);
    if (context.status != REC_OK)
        return context.status;
    if (line < 0)
        return rec_error_set(err, REC_IO, "cannot read the configuration file %s", path);
    if (line > 0)
        return rec_error_set(err, REC_BAD_INPUT, "%s:%d: not 'key = value'", path, line);
    return REC_OK;
}

/* ---- what others call -------------------------------------------------------------- */

enum rec_status config_load(struct config *config, enum command_bit command, int argc, char **argv,
                            int first, struct rec_error *err) {
    enum rec_status st = REC_OK;
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < SETTING_COUNT && st == REC_OK; i++)
        if (settings[i].kind != SETTING_LIST)
            st =
                set(config, (enum setting_id)i, RANK_DEFAULT, "default", settings[i].standard, err);
    if (st == REC_OK)
        st = read_flags(config, command, argc, argv, first, err);
    if (st == REC_OK)
        st = read_variables(config, err);
    if (st == REC_OK)
        st = read_file(config, err);
    return st;
}

void config_finish(struct config *config) {
    for (size_t i = 0; i < SETTING_COUNT; i++)
        rec_alloc_free(config->value[i]);
    for (size_t i = 0; i < config->list_count; i++)
        rec_alloc_free(config->list[i]);
    memset(config, 0, sizeof(*config));
}

const char *config_text(const struct config *config, enum setting_id id) {
    return config->value[id];
}

bool config_given(const struct config *config, enum setting_id id) {
    return config->rank[id] > RANK_DEFAULT;
}

int64_t config_integer(const struct config *config, enum setting_id id) {
    return strtoll(config->value[id], NULL, 10); /* checked when it was set */
}

double config_number(const struct config *config, enum setting_id id) {
    return strtod(config->value[id], NULL);
}

bool config_flag(const struct config *config, enum setting_id id) {
    bool flag = false;
    (void)read_flag(config->value[id], &flag);
    return flag;
}

void config_print_help(FILE *out, enum command_bit command) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if ((s->commands & (unsigned)command) == 0)
            continue;
        char flag[64];
        (void)snprintf(flag, sizeof(flag), "--%s %s", s->name, s->placeholder);
        (void)fprintf(out, "  %-28s %s", flag, s->help);
        if (s->kind != SETTING_FLAG && s->standard[0] != '\0')
            (void)fprintf(out, " [%s]", s->standard);
        (void)fputc('\n', out);
    }
}

void config_print_word(FILE *out, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./=,:+@%";
    bool quoted = word[0] == '\0' || word[strspn(word, plain)] != '\0';
    if (!quoted) {
        (void)fputs(word, out);
        return;
    }
    (void)fputc('\'', out);
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            (void)fputs("'\\'", out);
        (void)fputc(*word, out);
    }
    (void)fputc('\'', out);
}

void config_print_flags(FILE *out, const struct config *config, unsigned of) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        if ((s->commands & of) != of || s->commands == ~0u || config->rank[i] == RANK_DEFAULT)
            continue;
        (void)fprintf(out, " --%s", s->name);
        if (s->kind == SETTING_FLAG && strcmp(config->value[i], "true") == 0)
            continue;
        (void)fputc(s->kind == SETTING_FLAG ? '=' : ' ', out);
        config_print_word(out, config->value[i]);
    }
}

void config_print(FILE *out, const struct config *config, enum command_bit command) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        bool asks = i == SET_HELP || i == SET_CHECK_CONFIG || settings[i].kind == SETTING_LIST;
        if ((settings[i].commands & (unsigned)command) != 0 && !asks)
            (void)fprintf(out, "%-22s = %-24s ; %s\n", settings[i].name, config->value[i],
                          rank_names[config->rank[i]]);
    }
}
