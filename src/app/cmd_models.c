/* recsysd models: the families and their parameter tables, all or those named; or, with files, what
 * each model file says of itself. */
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "recsysd/families.h"

static void print_param(const struct rec_param *p) {
    char range[512];
    switch (p->type) {
    case REC_PARAM_INT:
    case REC_PARAM_FLOAT:
        (void)snprintf(range, sizeof(range), "%.15g .. %.15g", p->min, p->max);
        (void)printf("  %-18s %-9.15g %-18s %s\n", p->name, p->standard, range, p->help);
        return;
    case REC_PARAM_BOOL:
        (void)printf("  %-18s %-9s %-18s %s\n", p->name, p->standard != 0.0 ? "true" : "false",
                     "true, false", p->help);
        return;
    case REC_PARAM_CHOICE:
    case REC_PARAM_FAMILY: {
        size_t used = 0;
        range[0] = '\0';
        for (size_t i = 0; p->choices[i] != NULL && used < sizeof(range); i++)
            used += (size_t)snprintf(range + used, sizeof(range) - used, "%s%s", i > 0 ? "|" : "",
                                     p->choices[i]);
        (void)printf("  %-18s %-9s %-18s %s\n", p->name, p->choices[(size_t)p->standard], range,
                     p->help);
        return;
    }
    }
}

static void print_family(const struct rec_family *family) {
    (void)printf("%s: %s\n", family->name, family->help);
    if (family->param_count > 0)
        (void)printf("  %-18s %-9s %-18s %s\n", "PARAMETER", "DEFAULT", "RANGE", "");
    for (size_t i = 0; i < family->param_count; i++)
        print_param(&family->params[i]);
}

static void print_families(void) {
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        if (f > 0)
            (void)putchar('\n');
        print_family(rec_families[f]);
    }
}

static enum rec_status print_file(const char *path, struct rec_error *err) {
    struct rec_model_info info;
    enum rec_status st = rec_modelfile_info(path, &info, err);
    if (st != REC_OK)
        return st;
    char trained[REC_CLOCK_TEXT_BYTES];
    rec_clock_format(info.trained_at, trained);
    (void)printf("%s\n  family      %s\n  version     %s\n  trained at  %s\n  parameters  %s\n"
                 "  items       %u\n  database    %s\n  bytes       %llu\n",
                 path, info.family, info.version, trained, info.parameters, info.items,
                 info.database, (unsigned long long)info.bytes);
    if (info.metrics[0] != '\0')
        (void)printf("  metrics     %s\n", info.metrics);
    return REC_OK;
}

/* A family goes by its name; anything else is a file. Where there is none, a name without a dot or
 * a slash was rather meant for a family. */
static enum rec_status print_named(const char *name, struct rec_error *err) {
    const struct rec_family *family = NULL;
    struct rec_error unknown = {0}, unread = {0};
    if (rec_family_find(rec_families, name, &family, &unknown) == REC_OK) {
        print_family(family);
        return REC_OK;
    }
    enum rec_status st = print_file(name, &unread);
    if (st == REC_OK)
        return st;
    bool meant_family = st == REC_NOT_FOUND && strpbrk(name, "./") == NULL;
    return rec_error_set(err, meant_family ? REC_BAD_INPUT : st, "%s",
                         meant_family ? unknown.text : unread.text);
}

int cmd_models(const struct config *config) {
    if (config->positional_count == 0)
        print_families();
    for (size_t i = 0; i < config->positional_count; i++) {
        struct rec_error err = {0};
        enum rec_status st = print_named(config->positional[i], &err);
        if (st != REC_OK) {
            (void)app_fail(&err);
            return st == REC_BAD_INPUT ? EXIT_USAGE : EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}
