/* Evaluation protocols: the presets that published figures belong to, and how rows become a split.
 *
 * Two tables of one data set are comparable only if rows, users, items, cut and mask are the same;
 * each preset says all of them, and every one can be given by hand for other data.
 *
 * Who takes part is decided before the split, and who does not is numbered away: coverage is a
 * share of the items that could be recommended at all. A search for parameters must not see the
 * test, so its split is made of what is left when the test part is taken off: the validation part
 * of the last events, or the train part cut by time once more. */
#include <math.h>
#include <string.h>

#include "dataset.h"

#define VALIDATION_QUANTILE 0.8
#define ANY                 (-INFINITY)

const struct rec_protocol rec_protocols[] = {
    {.name = "last-out",
     .help = "last liked item of each user; what was not liked is left out",
     .positive_min = 4.0,
     .value_min = ANY,
     .liked_only = true,
     .rows_min = 3,
     .split = {.kind = REC_SPLIT_LEAVE_LAST, .test_last = 1, .validation_last = 1}},
    {.name = "global-time",
     .help = "everything after the 0.8 quantile of all times; every rating counts",
     .positive_min = ANY,
     .value_min = ANY,
     .train_min = 5,
     .split = {.kind = REC_SPLIT_GLOBAL_TIME,
               .quantile = 0.8,
               .user_events_min = 15,
               .test_events_min = 10}},
    {.name = "last-five",
     .help = "liked ones of the last five ratings of users 1 to 2999 of ml-1m",
     .positive_min = 4.0,
     .value_min = ANY,
     .split = {.kind = REC_SPLIT_LEAVE_LAST,
               .test_last = 5,
               .validation_last = 1,
               .user_events_min = 11,
               .test_users_max = 2999}},
    {.name = "next-item",
     .help = "last rating of users 1 to 2999 of ml-1m, the one before known but not fitted on",
     .positive_min = ANY,
     .value_min = ANY,
     .rows_min = 3,
     .split = {.kind = REC_SPLIT_LEAVE_LAST,
               .test_last = 1,
               .validation_last = 1,
               .validation_in_history = true,
               .test_users_max = 2999}},
    {.name = "repeat",
     .help = "purchases of online-retail from 2011-09-01 on; bought items may come back",
     .positive_min = ANY,
     .value_min = 1.0, /* cancellations have negative quantities */
     .train_min = 1,
     .validation_cut = 1306886400, /* 2011-06-01: as long before the cut as the test goes on */
     .split = {.kind = REC_SPLIT_GLOBAL_TIME,
               .cut = 1314835200, /* 2011-09-01 */
               .nothing_seen = true},
     .columns = "user=CustomerID,item=StockCode,value=Quantity,timestamp=InvoiceDate",
     .type = "order",
     .skip_no_user = true},
};
const size_t rec_protocol_count = sizeof(rec_protocols) / sizeof(rec_protocols[0]);

enum { PROTOCOLS = sizeof(rec_protocols) / sizeof(rec_protocols[0]) };

enum rec_status rec_protocol_find(const char *name, const struct rec_protocol **out,
                                  struct rec_error *err) {
    const char *names[PROTOCOLS];
    for (size_t i = 0; i < PROTOCOLS; i++) {
        names[i] = rec_protocols[i].name;
        if (strcmp(names[i], name) == 0) {
            *out = &rec_protocols[i];
            return REC_OK;
        }
    }
    const char *near = rec_text_nearest(name, names, PROTOCOLS);
    return rec_error_set(err, REC_BAD_INPUT,
                         "protocol: '%.40s' is none of last-out, global-time, last-five, "
                         "next-item, repeat%s%s%s",
                         name, near == NULL ? "" : "; did you mean ", near == NULL ? "" : near,
                         near == NULL ? "" : "?");
}

/* ---- who takes part ------------------------------------------------------------------ */

/* One step of leaving out: which users and items go on, and under which numbers. */
struct sieve {
    uint32_t *user, *item; /* counts first, then new numbers */
    uint32_t users, items;
};

static void sieve_finish(struct sieve *sieve) {
    rec_alloc_free(sieve->user);
    rec_alloc_free(sieve->item);
}

static enum rec_status sieve_init(struct sieve *sieve, const struct rec_dataset *dataset,
                                  struct rec_error *err) {
    sieve->user = rec_alloc_array(dataset->users, sizeof(*sieve->user));
    sieve->item = rec_alloc_array(dataset->items, sizeof(*sieve->item));
    if (sieve->user == NULL || sieve->item == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory to select from %u users and %u items",
                             dataset->users, dataset->items);
    return REC_OK;
}

/* Counts become numbers: those below the bound are left out. Returns how many go on. */
static uint32_t number(uint32_t *counts, uint32_t n, uint32_t least) {
    uint32_t next = 0;
    for (uint32_t i = 0; i < n; i++)
        counts[i] = counts[i] >= least ? next++ : REC_STORE_NONE;
    return next;
}

/* Users by all their rows; every item goes on, as any of them could be recommended. */
static void sieve_by_rows(struct sieve *sieve, const struct rec_protocol *protocol,
                          const struct rec_dataset *dataset, int64_t until) {
    for (uint32_t u = 0; u < dataset->users; u++)
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++)
            if ((int64_t)dataset->time[e] < until &&
                (!protocol->liked_only || dataset->weight[e] > 0.0f))
                sieve->user[u]++;
    sieve->users = number(sieve->user, dataset->users, protocol->rows_min);
    sieve->items = number(sieve->item, dataset->items, 0);
}

/* Users by their rows in train, then items by the rows of those users in train. */
static void sieve_by_train(struct sieve *sieve, const struct rec_protocol *protocol,
                           const struct rec_dataset *dataset, int64_t cut) {
    for (uint32_t u = 0; u < dataset->users; u++)
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++)
            sieve->user[u] += (int64_t)dataset->time[e] < cut;
    sieve->users = number(sieve->user, dataset->users, protocol->train_min);
    for (uint32_t u = 0; u < dataset->users; u++)
        for (uint64_t e = dataset->offset[u]; e < dataset->offset[u + 1]; e++)
            if (sieve->user[u] != REC_STORE_NONE && (int64_t)dataset->time[e] < cut)
                sieve->item[dataset->item[e]] = 1;
    sieve->items = number(sieve->item, dataset->items, 1);
}

/* What goes through the sieve, and whom each of the users was before; *user is replaced. */
static enum rec_status pass(const struct sieve *sieve, const struct rec_protocol *protocol,
                            const struct rec_dataset *dataset, int64_t until,
                            struct rec_dataset **out, uint32_t **user, struct rec_error *err) {
    const struct rec_dataset_select select = {.user = sieve->user,
                                              .item = sieve->item,
                                              .users = sieve->users,
                                              .items = sieve->items,
                                              .liked_only = protocol->liked_only,
                                              .until = until};
    uint32_t *was = rec_alloc_array(sieve->users, sizeof(*was));
    if (was == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for %u users", sieve->users);
    enum rec_status st = rec_dataset_renumber(dataset, &select, out, err);
    if (st != REC_OK) {
        rec_alloc_free(was);
        return st;
    }
    for (uint32_t u = 0; u < dataset->users; u++)
        if (sieve->user[u] != REC_STORE_NONE)
            was[sieve->user[u]] = *user == NULL ? u : (*user)[u];
    rec_alloc_free(*user);
    *user = was;
    return REC_OK;
}

/* ---- times ----------------------------------------------------------------------------- */

/* The first second of the test part. */
static enum rec_status find_cut(const struct rec_protocol *protocol,
                                const struct rec_dataset *dataset, int64_t *cut,
                                struct rec_error *err) {
    const struct rec_split_options *options = &protocol->split;
    if (options->cut != 0) {
        *cut = options->cut;
        return REC_OK;
    }
    if (!(options->quantile > 0.0 && options->quantile < 1.0))
        return rec_error_set(err, REC_BAD_INPUT, "split: the quantile %g is not between 0 and 1",
                             options->quantile);
    uint32_t last;
    enum rec_status st = rec_split_quantile(dataset, options->quantile, &last, err);
    *cut = (int64_t)last + 1;
    return st;
}

/* The cut for validation: in the train part, which is what lies before *until afterwards. */
static enum rec_status find_validation_cut(const struct rec_protocol *protocol,
                                           const struct rec_dataset *dataset, int64_t *cut,
                                           int64_t *until, struct rec_error *err) {
    *until = *cut;
    if (protocol->validation_cut != 0) {
        *cut = protocol->validation_cut;
        return REC_OK;
    }
    struct rec_protocol plain = {.split = protocol->split};
    if (plain.split.cut != 0)
        plain.split.quantile = VALIDATION_QUANTILE;
    plain.split.cut = 0;
    struct sieve all = {.users = 0};
    struct rec_dataset *train = NULL;
    uint32_t *user = NULL;
    enum rec_status st = sieve_init(&all, dataset, err);
    if (st == REC_OK) {
        sieve_by_rows(&all, &plain, dataset, *until);
        st = pass(&all, &plain, dataset, *until, &train, &user, err);
    }
    if (st == REC_OK)
        st = find_cut(&plain, train, cut, err);
    rec_alloc_free(user);
    rec_dataset_destroy(&train);
    sieve_finish(&all);
    return st;
}

/* ---- the split ---------------------------------------------------------------------------- */

static enum rec_status split_time(const struct rec_protocol *protocol,
                                  const struct rec_dataset *dataset, bool on_validation,
                                  uint32_t **user, struct rec_split **out, struct rec_error *err) {
    struct sieve sieve = {.users = 0};
    struct rec_dataset *kept = NULL;
    int64_t cut = 0, until = INT64_MAX;
    enum rec_status st = find_cut(protocol, dataset, &cut, err);
    if (st == REC_OK && on_validation)
        st = find_validation_cut(protocol, dataset, &cut, &until, err);
    if (st == REC_OK)
        st = sieve_init(&sieve, dataset, err);
    if (st != REC_OK)
        goto out;
    if (protocol->train_min > 0)
        sieve_by_train(&sieve, protocol, dataset, cut);
    else
        sieve_by_rows(&sieve, &(struct rec_protocol){.rows_min = 0}, dataset, until);
    st = pass(&sieve, protocol, dataset, until, &kept, user, err);
    if (st == REC_OK) {
        struct rec_split_options options = protocol->split;
        options.cut = cut;
        st = rec_split_make(kept, &options, out, err);
    }
out:
    sieve_finish(&sieve);
    rec_dataset_destroy(&kept);
    return st;
}

static enum rec_status split_last(const struct rec_protocol *protocol,
                                  const struct rec_dataset *dataset, bool on_validation,
                                  struct rec_split **out, struct rec_error *err) {
    struct rec_split_options options = protocol->split;
    struct rec_split *split = NULL;
    if (on_validation && options.validation_last == 0)
        return rec_error_set(err, REC_BAD_INPUT,
                             "split: validation-last is 0, so there is no validation part");
    if (on_validation)
        options.validation_in_history = false; /* it is what is asked */
    enum rec_status st = rec_split_make(dataset, &options, &split, err);
    if (st != REC_OK)
        return st;
    if (on_validation) {
        rec_csr_destroy(&split->test);
        split->test = split->validation;
        split->validation = NULL;
        split->test_rows = rec_csr_entries(split->test);
    }
    *out = split;
    return REC_OK;
}

enum rec_status rec_protocol_split(const struct rec_protocol *protocol,
                                   const struct rec_dataset *dataset, bool on_validation,
                                   struct rec_split **out, struct rec_error *err) {
    struct sieve sieve = {.users = 0};
    struct rec_dataset *kept = NULL;
    uint32_t *user = NULL;
    enum rec_status st = sieve_init(&sieve, dataset, err);
    if (st == REC_OK) {
        sieve_by_rows(&sieve, protocol, dataset, INT64_MAX);
        st = pass(&sieve, protocol, dataset, INT64_MAX, &kept, &user, err);
    }
    if (st == REC_OK)
        st = protocol->split.kind == REC_SPLIT_GLOBAL_TIME
                 ? split_time(protocol, kept, on_validation, &user, out, err)
                 : split_last(protocol, kept, on_validation, out, err);
    if (st == REC_OK) {
        (*out)->user = user;
        user = NULL;
    }
    rec_alloc_free(user);
    rec_dataset_destroy(&kept);
    sieve_finish(&sieve);
    return st;
}
