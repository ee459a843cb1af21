/* The data of an evaluation: files become datasets and those a split. Users and items are numbered
 * by id, so that ties in a list do not depend on the order of a file. */
#include <string.h>

#include "evaluate.h"
#include "recsysd/api.h"

enum { BAD_LISTED_MAX = 20 };
enum { PART_TRAIN, PART_TEST, PART_HISTORY, PARTS };

/* ---- files ------------------------------------------------------------------------------ */

struct reading {
    struct progress_line *line;
    uint64_t bad;
};

static void on_bad(void *context, const struct rec_bad_row *bad) {
    struct reading *reading = context;
    if (reading->bad++ < BAD_LISTED_MAX)
        (void)fprintf(stderr, "skipped %s:%llu: %s\n", bad->file, (unsigned long long)bad->line,
                      bad->text);
    else if (reading->bad == BAD_LISTED_MAX + 1)
        (void)fputs("skipped more rows; only the first ones are listed\n", stderr);
}

static void on_progress(void *context, uint64_t rows, uint64_t bytes, uint64_t bytes_total) {
    struct reading *reading = context;
    char detail[48], count[32];
    (void)snprintf(detail, sizeof(detail), "%s rows", format_count(rows, count));
    progress_draw(reading->line, "read",
                  bytes_total > 0 ? (double)bytes / (double)bytes_total : -1.0, detail);
}

/* Rows of other types than rating, and those without a value, are liked whatever the bound. */
static bool may_be_rated(const struct rec_read_options *options) {
    const char *columns = options->columns != NULL ? options->columns : "";
    if (options->format == REC_FORMAT_USER_LISTS)
        return false;
    if (options->format != REC_FORMAT_CSV)
        return true;
    bool typed = strstr(columns, "type=") != NULL;
    return strstr(columns, "value=") != NULL &&
           (typed || options->default_type == NULL || strcmp(options->default_type, "rating") == 0);
}

static enum rec_status read_file(struct evaluate_data *data, const struct config *config,
                                 const char *path, struct progress_line *line,
                                 struct rec_dataset **out, struct rec_error *err) {
    struct reading reading = {.line = line};
    struct rec_weights weights;
    rec_weights_defaults(&weights);
    weights.rating_min = data->protocol.positive_min;
    struct rec_read_options options = {
        .path = path,
        .columns = data->protocol.columns,
        .default_type = data->protocol.type,
        .skip_bad_max = (uint64_t)config_integer(config, SET_SKIP_BAD),
        .skip_no_user = data->protocol.skip_no_user,
        .value_min = &data->protocol.value_min,
        .now = rec_clock_unix_s(),
        .bad = on_bad,
        .progress = on_progress,
        .context = &reading,
    };
    const char *changed = config_text(config, SET_WEIGHTS);
    enum rec_status st = changed[0] == '\0' ? REC_OK : rec_weights_set(&weights, changed, err);
    if (st == REC_OK)
        st = rec_format_parse(config_text(config, SET_FORMAT), &options.format, err);
    if (st != REC_OK)
        return st;
    data->rated = data->rated || may_be_rated(&options);
    struct rec_codec_line *parser = rec_codec_line_create(&weights);
    if (parser == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to read lines");
    rec_read_set_ndjson(rec_codec_line_parse, parser);
    st = rec_dataset_read(&options, &weights, data->users, data->items, out, err);
    rec_codec_line_destroy(&parser);
    return st;
}

static enum rec_status find_paths(struct evaluate_data *data, const struct config *config,
                                  const char *paths[PARTS], struct rec_error *err) {
    const char *train = config_text(config, SET_TRAIN_FILE);
    const char *test = config_text(config, SET_TEST_FILE);
    const char *history = config_text(config, SET_HISTORY_FILE);
    bool given = train[0] != '\0' || test[0] != '\0' || history[0] != '\0';
    const char *wrong = NULL;
    if (config_text(config, SET_FORMAT)[0] == '\0')
        wrong = "give --format FORMAT and the PATH of the data; see --help";
    else if (given && (train[0] == '\0' || test[0] == '\0'))
        wrong = "pre-split data need both --train and --test";
    else if (given && config->positional_count > 0)
        wrong = "give either a PATH to split, or --train and --test";
    else if (!given && config->positional_count == 0)
        wrong = "give the PATH of the data, or --train and --test";
    else if (given && (config_given(config, SET_PROTOCOL) || data->on_validation))
        wrong = "pre-split data have no protocol and no validation part";
    if (wrong != NULL)
        return rec_error_set(err, REC_BAD_INPUT, "%s: %s", data->command, wrong);
    data->parts_given = given;
    paths[PART_TRAIN] = given ? train : config->positional[0];
    paths[PART_TEST] = given ? test : NULL;
    paths[PART_HISTORY] = history[0] != '\0' ? history : NULL;
    (void)snprintf(data->name, sizeof(data->name), "%.140s%s%.140s", paths[PART_TRAIN],
                   given ? " + " : "", test);
    return REC_OK;
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* All parts under the same numbers, those of the order of ids. user, item: room for them */
static enum rec_status renumber_parts(struct evaluate_data *data, uint32_t *user, uint32_t *item,
                                      struct rec_dataset *parts[PARTS], struct rec_error *err) {
    const struct rec_dataset_select select = {.user = user,
                                              .item = item,
                                              .users = rec_idmap_count(data->users),
                                              .items = rec_idmap_count(data->items),
                                              .until = INT64_MAX};
    enum rec_status st = rec_idmap_rank(data->users, user, err);
    if (st == REC_OK)
        st = rec_idmap_rank(data->items, item, err);
    for (uint32_t u = 0; st == REC_OK && u < select.users; u++)
        data->user_at[user[u]] = u;
    for (size_t p = 0; st == REC_OK && p < PARTS; p++) {
        struct rec_dataset *numbered = NULL;
        if (parts[p] == NULL)
            continue;
        st = rec_dataset_renumber(parts[p], &select, &numbered, err);
        if (st == REC_OK) {
            rec_dataset_destroy(&parts[p]);
            parts[p] = numbered;
        }
    }
    return st;
}

static enum rec_status renumber(struct evaluate_data *data, struct rec_dataset *parts[PARTS],
                                struct rec_error *err) {
    uint32_t users = rec_idmap_count(data->users), items = rec_idmap_count(data->items);
    uint32_t *user = rec_alloc_array(users, sizeof(*user));
    uint32_t *item = rec_alloc_array(items, sizeof(*item));
    data->user_at = rec_alloc_array(users, sizeof(*data->user_at));
    enum rec_status st =
        user == NULL || item == NULL || data->user_at == NULL
            ? rec_error_set(err, REC_NO_MEMORY, "no memory for %u users and %u items", users, items)
            : renumber_parts(data, user, item, parts, err);
    rec_alloc_free(item);
    rec_alloc_free(user);
    return st;
}

/* ---- the split ---------------------------------------------------------------------------- */

/* What only the test has, no model can know: said, as it lowers every figure. */
static void note_strangers(const struct rec_split *split) {
    const struct rec_dataset *train = split->train;
    unsigned long long items = 0, users = 0;
    bool *known = rec_alloc_array(train->items, sizeof(*known));
    if (known == NULL)
        return; /* a note less */
    for (uint64_t e = 0; e < train->offset[train->users]; e++)
        known[train->item[e]] = true;
    for (uint64_t i = 0; i < rec_csr_entries(split->test); i++)
        items += !known[split->test->column[i]];
    for (uint32_t u = 0; u < train->users; u++)
        users += split->test->offset[u + 1] > split->test->offset[u] &&
                 split->history->offset[u + 1] == split->history->offset[u];
    rec_alloc_free(known);
    if (items > 0)
        (void)fprintf(stderr,
                      "note: %llu of %llu relevant items occur in no train row; no model knows "
                      "them, so a list has them by chance or where nothing else is left\n",
                      items, (unsigned long long)rec_csr_entries(split->test));
    if (users > 0)
        (void)fprintf(stderr, "note: %llu tested users have no history; they get popular items\n",
                      users);
}

/* Where items may come back, a test row is told from a copied one by its time. Lists have none,
 * only the order in a line: there the test goes on where what is known ends. */
static void follow_lists(struct rec_dataset *test) {
    for (uint64_t e = 0; e < test->offset[test->users]; e++)
        test->time[e] = UINT32_MAX;
    (void)fprintf(stderr,
                  "note: lists have no times, so with --seen none a test row that was copied "
                  "from train looks like an item that came back\n");
}

/* Rows without times all get the same one. */
static void note_no_times(const struct rec_dataset *whole) {
    uint64_t rows = whole->offset[whole->users];
    for (uint64_t e = 1; e < rows; e++)
        if (whole->time[e] != whole->time[0])
            return;
    if (rows > 1)
        (void)fputs("note: the rows have no times, or all the same one: the order of rows in the "
                    "file says what is last\n",
                    stderr);
}

static enum rec_status split_parts(struct evaluate_data *data, const struct config *config,
                                   struct rec_dataset *parts[PARTS], struct rec_error *err) {
    enum rec_format format = REC_FORMAT_CSV;
    bool lists = rec_format_parse(config_text(config, SET_FORMAT), &format, NULL) == REC_OK &&
                 format == REC_FORMAT_USER_LISTS;
    if (lists && data->parts_given && data->protocol.split.nothing_seen)
        follow_lists(parts[PART_TEST]);
    if (!lists && !data->parts_given)
        note_no_times(parts[PART_TRAIN]);
    enum rec_status st =
        data->parts_given
            ? rec_split_of_parts(parts[PART_TRAIN], parts[PART_HISTORY], parts[PART_TEST],
                                 data->protocol.split.nothing_seen, &data->split, err)
            : rec_protocol_split(&data->protocol, parts[PART_TRAIN], data->on_validation,
                                 &data->split, err);
    if (st == REC_OK)
        st = rec_split_check(data->split, false, err);
    if (st == REC_OK)
        note_strangers(data->split);
    return st;
}

enum rec_status evaluate_data_read(struct evaluate_data *data, const struct config *config,
                                   struct progress_line *line, struct rec_error *err) {
    struct rec_dataset *parts[PARTS] = {NULL};
    const char *paths[PARTS] = {NULL};
    enum rec_status st = find_paths(data, config, paths, err);
    if (st == REC_OK)
        st = evaluate_protocol_read(config, &data->protocol, err);
    if (st != REC_OK)
        return st;
    data->users = rec_idmap_create();
    data->items = rec_idmap_create();
    if (data->users == NULL || data->items == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for id maps");

    for (size_t p = 0; st == REC_OK && p < PARTS; p++)
        if (paths[p] != NULL)
            st = read_file(data, config, paths[p], line, &parts[p], err);
    if (st == REC_OK)
        st = renumber(data, parts, err);
    if (st == REC_OK)
        st = split_parts(data, config, parts, err);
    if (st == REC_OK && data->whole_wanted) {
        data->whole = parts[PART_TRAIN];
        parts[PART_TRAIN] = NULL;
    }
    for (size_t p = 0; p < PARTS; p++)
        rec_dataset_destroy(&parts[p]);
    return st;
}

void evaluate_data_finish(struct evaluate_data *data) {
    rec_dataset_destroy(&data->whole);
    rec_split_destroy(&data->split);
    rec_alloc_free(data->user_at);
    data->user_at = NULL;
    rec_idmap_destroy(&data->users);
    rec_idmap_destroy(&data->items);
}

const char *evaluate_data_user(const struct evaluate_data *data, uint32_t user) {
    uint32_t numbered = data->split->user == NULL ? user : data->split->user[user];
    return rec_idmap_id(data->users, data->user_at[numbered]);
}
