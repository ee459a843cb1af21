/* The settings of an evaluation as a protocol. A setting given by hand wins over the preset's,
 * which wins over the default. */
#include <math.h>
#include <string.h>

#include "evaluate.h"

/* "any" is no bound. */
static enum rec_status read_bound(const struct config *config, enum setting_id id, const char *name,
                                  double *out, struct rec_error *err) {
    const char *text = config_text(config, id);
    if (strcmp(text, "any") == 0) {
        *out = (double)-INFINITY;
        return REC_OK;
    }
    return rec_text_double(name, text, -1e300, 1e300, out, err);
}

enum rec_status evaluate_choice_read(const struct config *config, enum setting_id id,
                                     const char *name, const char *no, const char *yes, bool *out,
                                     struct rec_error *err) {
    const char *text = config_text(config, id);
    *out = strcmp(text, yes) == 0;
    if (*out || strcmp(text, no) == 0)
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT, "%s: '%.40s' is neither %s nor %s", name, text, no,
                         yes);
}

static enum rec_status read_cut(const char *text, struct rec_split_options *split,
                                struct rec_error *err) {
    char date[48];
    struct rec_error cause = {0};
    split->cut = 0;
    if (rec_text_double("cut", text, 0.0, 1.0, &split->quantile, &cause) == REC_OK &&
        split->quantile > 0.0 && split->quantile < 1.0)
        return REC_OK;
    (void)snprintf(date, sizeof(date), "%.30s%s", text, strlen(text) == 10 ? "T00:00:00Z" : "");
    if (strlen(text) <= 30 && rec_clock_parse(date, &split->cut) == REC_OK && split->cut > 0)
        return REC_OK;
    return rec_error_set(err, REC_BAD_INPUT,
                         "cut: '%.40s' is neither a quantile between 0 and 1 nor a date like "
                         "2011-09-01 or 2011-09-01T00:00:00Z",
                         text);
}

/* A setting of the other way to split would do nothing, and who gave it thinks that it does. */
static enum rec_status check_split(const struct config *config, bool time, struct rec_error *err) {
    static const struct {
        enum setting_id id;
        const char *name;
        bool of_time;
    } settings[] = {{SET_MIN_SPLIT, "min-split", false},
                    {SET_TEST_LAST, "test-last", false},
                    {SET_VALIDATION_LAST, "validation-last", false},
                    {SET_VALIDATION_IN_HISTORY, "validation-in-history", false},
                    {SET_CUT, "cut", true},
                    {SET_MIN_TRAIN, "min-train", true},
                    {SET_TEST_MIN_TRAIN, "test-min-train", true},
                    {SET_TEST_MIN_ROWS, "test-min-rows", true}};
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
        if (settings[i].of_time != time && config_given(config, settings[i].id))
            return rec_error_set(err, REC_BAD_INPUT,
                                 "%s: it is of split %s, and this one is split %s; leave it out",
                                 settings[i].name, time ? "last" : "time", time ? "time" : "last");
    return REC_OK;
}

static void read_counts(const struct config *config, struct rec_protocol *protocol, bool preset) {
    struct rec_split_options *split = &protocol->split;
    const struct {
        enum setting_id id;
        uint32_t *to;
        bool of_last, of_time;
    } counts[] = {
        {SET_MIN_ROWS, &protocol->rows_min, true, true},
        {SET_MIN_SPLIT, &split->user_events_min, true, false},
        {SET_TEST_LAST, &split->test_last, true, false},
        {SET_VALIDATION_LAST, &split->validation_last, true, false},
        {SET_MIN_TRAIN, &protocol->train_min, false, true},
        {SET_TEST_MIN_TRAIN, &split->user_events_min, false, true},
        {SET_TEST_MIN_ROWS, &split->test_events_min, false, true},
        {SET_TEST_USERS, &split->test_users_max, true, true},
    };
    bool time = split->kind == REC_SPLIT_GLOBAL_TIME;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if ((time ? counts[i].of_time : counts[i].of_last) &&
            (!preset || config_given(config, counts[i].id)))
            *counts[i].to = (uint32_t)config_integer(config, counts[i].id);
}

static enum rec_status read_texts(const struct config *config, struct rec_protocol *protocol,
                                  bool preset, struct rec_error *err) {
    enum rec_status st = REC_OK;
    struct rec_split_options *split = &protocol->split;
    if (!preset || config_given(config, SET_POSITIVE_MIN))
        st = read_bound(config, SET_POSITIVE_MIN, "positive-min", &protocol->positive_min, err);
    if (st == REC_OK && (!preset || config_given(config, SET_VALUE_MIN)))
        st = read_bound(config, SET_VALUE_MIN, "value-min", &protocol->value_min, err);
    if (st == REC_OK && (!preset || config_given(config, SET_SEEN)))
        st = evaluate_choice_read(config, SET_SEEN, "seen", "known", "none", &split->nothing_seen,
                                  err);
    if (st == REC_OK && split->kind == REC_SPLIT_GLOBAL_TIME &&
        (!preset || config_given(config, SET_CUT))) {
        st = read_cut(config_text(config, SET_CUT), split, err);
        protocol->validation_cut = 0;
    }
    if (!preset || config_given(config, SET_LIKED_ONLY))
        protocol->liked_only = config_flag(config, SET_LIKED_ONLY);
    if (!preset || config_given(config, SET_VALIDATION_IN_HISTORY))
        split->validation_in_history = config_flag(config, SET_VALIDATION_IN_HISTORY);
    return st;
}

/* Columns of a data set of your own: what the preset knows of its file does not apply. */
static void read_columns(const struct config *config, struct rec_protocol *protocol) {
    if (config_text(config, SET_COLUMNS)[0] != '\0') {
        protocol->columns = config_text(config, SET_COLUMNS);
        protocol->type = NULL;
        protocol->skip_no_user = false;
    }
    if (config_text(config, SET_TYPE)[0] != '\0')
        protocol->type = config_text(config, SET_TYPE);
}

enum rec_status evaluate_protocol_read(const struct config *config, struct rec_protocol *out,
                                       struct rec_error *err) {
    static const struct rec_protocol own = {.name = "own", .help = ""};
    const struct rec_protocol *found = &own;
    const char *name = config_text(config, SET_PROTOCOL);
    bool preset = name[0] != '\0', time = false;
    enum rec_status st = preset ? rec_protocol_find(name, &found, err) : REC_OK;
    if (st == REC_OK)
        st = evaluate_choice_read(config, SET_SPLIT, "split", "last", "time", &time, err);
    if (st != REC_OK)
        return st;
    if (preset && config_given(config, SET_SPLIT) &&
        time != (found->split.kind == REC_SPLIT_GLOBAL_TIME))
        return rec_error_set(err, REC_BAD_INPUT,
                             "split: the protocol %s splits the other way; leave out --protocol to "
                             "spell out your own",
                             found->name);
    *out = *found;
    if (!preset && time)
        out->split.kind = REC_SPLIT_GLOBAL_TIME;
    st = check_split(config, out->split.kind == REC_SPLIT_GLOBAL_TIME, err);
    if (st != REC_OK)
        return st;
    read_counts(config, out, preset);
    read_columns(config, out);
    return read_texts(config, out, preset, err);
}
