/* Files that a command is about to write: a name that was meant for another file must not cost a
 * database, a study, the data that are read, or anything else that is no output of ours. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"

struct named {
    enum setting_id id;
    const char *name;
};
static const struct named outputs[] = {{SET_OUT, "out"},           {SET_JSON, "json"},
                                       {SET_CSV, "csv"},           {SET_HTML, "html"},
                                       {SET_PER_USER, "per-user"}, {SET_RESULTS, "results"}};
static const struct named inputs[] = {{SET_TRAIN_FILE, "train"},
                                      {SET_TEST_FILE, "test"},
                                      {SET_HISTORY_FILE, "history"},
                                      {SET_STUDY, "study"}};
enum {
    OUTPUTS = sizeof(outputs) / sizeof(outputs[0]),
    INPUTS = sizeof(inputs) / sizeof(inputs[0])
};

/* False: there is none, or it is no regular file. */
static bool find(const char *path, struct stat *info) {
    return path[0] != '\0' && strcmp(path, "-") != 0 && stat(path, info) == 0 &&
           S_ISREG(info->st_mode);
}

static bool is_file(const char *path, const struct stat *other) {
    struct stat info;
    return find(path, &info) && info.st_dev == other->st_dev && info.st_ino == other->st_ino;
}

static bool begins_with(const char *path, const char *magic) {
    char head[16] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, head, sizeof(head));
    if (fd >= 0)
        (void)close(fd);
    return got >= (ssize_t)strlen(magic) && memcmp(head, magic, strlen(magic)) == 0;
}

/* The setting or argument that the file is read for; NULL: none. */
static const char *other_use(const struct config *config, const struct stat *info) {
    for (size_t i = 0; i < INPUTS; i++)
        if (is_file(config_text(config, inputs[i].id), info))
            return inputs[i].name;
    for (size_t i = 0; i < config->positional_count; i++)
        if (is_file(config->positional[i], info))
            return "the data";
    return NULL;
}

static enum rec_status check(const struct config *config, size_t output, struct rec_error *err) {
    const char *name = outputs[output].name, *path = config_text(config, outputs[output].id);
    struct stat info;
    for (size_t i = 0; i < output; i++)
        if (path[0] != '\0' && strcmp(path, "-") != 0 &&
            strcmp(path, config_text(config, outputs[i].id)) == 0)
            return rec_error_set(err, REC_BAD_INPUT, "%s: %s is %s as well; name another file",
                                 name, path, outputs[i].name);
    if (!find(path, &info) || info.st_size == 0)
        return REC_OK;
    const char *use = other_use(config, &info);
    if (use != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s: %s is %s as well; name another file", name,
                             path, use);
    if (begins_with(path, "SQLite format 3"))
        return rec_error_set(err, REC_BAD_INPUT, "%s: %s is a database; name another file", name,
                             path);
    return REC_OK;
}

enum rec_status app_check_outputs(const struct config *config, struct rec_error *err) {
    enum rec_status st = REC_OK;
    for (size_t i = 0; st == REC_OK && i < OUTPUTS; i++)
        st = check(config, i, err);
    return st;
}

enum rec_status app_check_model_output(const char *path, struct rec_error *err) {
    struct stat info;
    if (!find(path, &info) || info.st_size == 0 || begins_with(path, "RECMODEL"))
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "out: %s is there and is not a model; name another file, or remove it",
                         path);
}
