/* Goal: read from both ends, rows are the same as from one: each user's come whole to one end, in
 * order at the front and in opposite order at the back, where the users are the later ones. What
 * one end answers stops both; a store that is written to without a pause is still read. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "support.h"

enum { USERS = 200, ROWS = 4000 };

/* By user: how many rows came at each end, and a checksum of them that knows no order. */
struct seen {
    atomic_bool began[2];
    bool wait; /* each end waits for the other to begin, so that both have some */
    uint32_t rows[2][USERS];
    uint64_t sum[USERS];
    struct rec_store_row last[2];
    unsigned calls[2], fail_at[2]; /* 0: never */
    bool out_of_order[2];
};

static enum rec_status take(struct seen *seen, int end, const struct rec_store_row *row) {
    const struct rec_store_row *last = &seen->last[end];
    if (seen->calls[end]++ > 0) {
        bool rising = last->user != row->user             ? last->user < row->user
                      : last->timestamp != row->timestamp ? last->timestamp < row->timestamp
                                                          : last->sequence < row->sequence;
        seen->out_of_order[end] = seen->out_of_order[end] || rising != (end == 0);
    }
    seen->last[end] = *row;
    seen->rows[end][row->user]++;
    seen->sum[row->user] += row->sequence * 31 + row->item * 7 + (uint64_t)row->timestamp;
    return seen->calls[end] == seen->fail_at[end] ? REC_CANCELLED : REC_OK;
}

static enum rec_status meet(struct seen *seen, int end, const struct rec_store_row *row) {
    atomic_store(&seen->began[end], true);
    while (seen->wait && !atomic_load(&seen->began[1 - end]))
        (void)sched_yield();
    return take(seen, end, row);
}

static enum rec_status at_front(void *context, const struct rec_store_row *row) {
    return meet(context, 0, row);
}

static enum rec_status at_back(void *context, const struct rec_store_row *row) {
    return meet(context, 1, row);
}

static struct rec_store *with_rows(const struct place *place) {
    struct rec_store *store = store_open(place);
    struct rec_store_import *import = NULL;
    struct rec_error err = {0};
    struct rec_rng rng;
    uint64_t added = 0;
    rec_rng_init(&rng, 11, 0);
    must(rec_store_import_begin(store, &import, &err), &err);
    for (int i = 0; i < ROWS; i++) {
        char user[16], item[16];
        (void)snprintf(user, sizeof(user), "u%u", rec_rng_below(&rng, USERS));
        (void)snprintf(item, sizeof(item), "i%u", rec_rng_below(&rng, 30));
        const struct rec_interaction row = {user, item, NULL, "view", 1, rec_rng_below(&rng, 50)};
        must(rec_store_import_rows(import, &row, 1, &added, &err), &err);
    }
    must(rec_store_import_end(&import, true, &err), &err);
    return store;
}

static enum rec_status scan(struct rec_store *store, struct seen *seen, bool both) {
    const struct rec_store_scan what = {
        .row = at_front, .row_back = both ? at_back : NULL, .context = seen};
    return rec_store_scan(store, &what, NULL);
}

static void test_same_rows(void **state) {
    (void)state;
    static struct seen one, both;
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    assert_int_equal(scan(store, &one, false), REC_OK);
    assert_int_equal(one.calls[0], ROWS);
    for (int turn = 0; turn < 20; turn++) {
        both = (struct seen){.wait = true};
        assert_int_equal(scan(store, &both, true), REC_OK);
        assert_int_equal(both.calls[0] + both.calls[1], ROWS);
        assert_true(both.calls[1] > 0);
        assert_false(both.out_of_order[0] || both.out_of_order[1]);
        bool at_the_back = false;
        for (uint32_t u = 0; u < USERS; u++) {
            assert_int_equal(both.rows[0][u] + both.rows[1][u], one.rows[0][u]);
            assert_true(both.rows[0][u] == 0 || both.rows[1][u] == 0);
            assert_true(both.sum[u] == one.sum[u]);
            at_the_back = at_the_back || both.rows[1][u] > 0;
            assert_true(!at_the_back || both.rows[0][u] == 0);
        }
    }
    rec_store_close(&store);
    place_remove(&place);
}

static void test_stops(void **state) {
    (void)state;
    static struct seen seen;
    struct place place = place_make();
    struct rec_store *store = with_rows(&place);
    for (int end = 0; end < 2; end++) {
        seen = (struct seen){.wait = true};
        seen.fail_at[end] = 1;
        assert_int_equal(scan(store, &seen, true), REC_CANCELLED);
        assert_int_equal(seen.calls[end], 1);
    }
    seen = (struct seen){.wait = true}; /* the connections are whole afterwards */
    assert_int_equal(scan(store, &seen, true), REC_OK);
    assert_int_equal(seen.calls[0] + seen.calls[1], ROWS);
    rec_store_close(&store);
    place_remove(&place);
}

/* ---- beside a writer ------------------------------------------------------------------------ */

struct writing {
    struct rec_store *store;
    atomic_bool end;
};

static void *write_on(void *context) {
    struct writing *writing = context;
    while (!atomic_load(&writing->end)) {
        struct waiting waiting;
        const struct rec_interaction more = {"u1", "i1", NULL, "view", 1, 1};
        if (write_rows(writing->store, &waiting, &more, 1) != REC_OK)
            break;
    }
    return NULL;
}

struct picture {
    struct seen seen; /* the first, so that one context serves all */
    uint64_t interactions;
};

static void note_counts(void *context, const struct rec_store_counts *counts) {
    ((struct picture *)context)->interactions = counts->interactions;
}

static void test_one_picture(void **state) {
    (void)state;
    static struct picture picture;
    struct place place = place_make();
    struct writing writing = {.store = with_rows(&place)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    for (int turn = 0; turn < 50; turn++) {
        const struct rec_store_scan what = {
            .begin = note_counts, .row = at_front, .row_back = at_back, .context = &picture};
        picture = (struct picture){.interactions = 0};
        assert_int_equal(rec_store_scan(writing.store, &what, NULL), REC_OK);
        assert_int_equal(picture.seen.calls[0] + picture.seen.calls[1], picture.interactions);
        assert_false(picture.seen.out_of_order[0] || picture.seen.out_of_order[1]);
    }
    atomic_store(&writing.end, true);
    (void)pthread_join(thread, NULL);
    rec_store_close(&writing.store);
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_rows),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_one_picture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
