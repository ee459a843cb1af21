/* recsysd models: the families and their parameter tables; or, with files, what
 * each model file says of itself. */
#include <stdio.h>

#include "app.h"
#include "recsysd/families.h"

static void print_param(const struct rec_param *p) {
    char range[512];
    switch (p->type) {
    case REC_PARAM_INT:
    case REC_PARAM_FLOAT:
        (void)snprintf(range, sizeof(range), "%g .. %g", p->min, p->max);
        (void)printf("  %-18s %-9g %-18s %s\n", p->name, p->standard, range, p->help);
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

static void print_families(void) {
    for (size_t f = 0; rec_families[f] != NULL; f++) {
        const struct rec_family *family = rec_families[f];
        (void)printf("%s%s: %s\n", f > 0 ? "\n" : "", family->name, family->help);
        if (family->param_count > 0)
            (void)printf("  %-18s %-9s %-18s %s\n", "PARAMETER", "DEFAULT", "RANGE", "");
        for (size_t i = 0; i < family->param_count; i++)
            print_param(&family->params[i]);
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

int cmd_models(const struct config *config) {
    if (config->positional_count == 0)
        print_families();
    for (size_t i = 0; i < config->positional_count; i++) {
        struct rec_error err = {0};
        if (print_file(config->positional[i], &err) != REC_OK)
            return app_fail(&err);
    }
    return EXIT_DONE;
}
