/* Goal: a study gives back what was added, in that order, to whoever opens it for the same search;
 * every other file, search and process is refused with the reason; a process that is killed loses
 * no trial that was added. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static const struct rec_study_fact facts[] = {{"model", "als"}, {"metric", "ndcg@10"}};

static struct rec_study *study_open(const struct place *place) {
    struct rec_study *study = NULL;
    struct rec_error err = {0};
    must(rec_study_open(place->path, facts, COUNT(facts), &study, &err), &err);
    return study;
}

static const struct rec_study_look looks[] = {{1, 0.25}, {2, 0.5}, {9, 0.375}};
static const struct rec_study_trial trials[] = {
    {.number = 1, .value = 0.5, .seconds = 1.5, .parameters = "factors=64", .error = ""},
    {.number = 0,
     .state = REC_STUDY_PRUNED,
     .value = 0.375,
     .seconds = 2,
     .parameters = "factors=8 x=0.1",
     .error = "",
     .looks = looks,
     .look_count = COUNT(looks)},
    {.number = 2,
     .state = REC_STUDY_FAILED,
     .value = (double)NAN,
     .parameters = "",
     .error = "no memory for 'it'"},
};

struct reading {
    size_t count, first;
    enum rec_status answer;
};

static enum rec_status on_trial(void *context, const struct rec_study_trial *trial,
                                struct rec_error *err) {
    struct reading *reading = context;
    const struct rec_study_trial *expected = &trials[reading->first + reading->count++];
    (void)err;
    assert_int_equal(trial->number, expected->number);
    assert_int_equal(trial->state, expected->state);
    assert_true(isnan(expected->value) ? isnan(trial->value)
                                       : fabs(trial->value - expected->value) < 1e-15);
    assert_true(fabs(trial->seconds - expected->seconds) < 1e-15);
    assert_string_equal(trial->parameters, expected->parameters);
    assert_string_equal(trial->error, expected->error);
    assert_int_equal(trial->look_count, expected->look_count);
    for (size_t i = 0; i < trial->look_count; i++) {
        assert_int_equal(trial->looks[i].epoch, expected->looks[i].epoch);
        assert_true(fabs(trial->looks[i].value - expected->looks[i].value) < 1e-15);
    }
    return reading->answer;
}

static void add_all(struct rec_study *study) {
    struct rec_error err = {0};
    for (size_t i = 0; i < COUNT(trials); i++)
        must(rec_study_add(study, &trials[i], &err), &err);
}

static void test_round_trip(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_study *study = study_open(&place);
    struct rec_error err = {0};
    struct reading reading = {.answer = REC_OK}, stopped = {.answer = REC_LIMIT};
    must(rec_study_read(study, on_trial, &reading, &err), &err);
    assert_int_equal(reading.count, 0);
    add_all(study);
    assert_int_equal(rec_study_add(study, &trials[1], &err), REC_CONFLICT);
    assert_non_null(strstr(err.text, "trial 0"));
    rec_study_close(&study);

    study = study_open(&place);
    err = (struct rec_error){0};
    must(rec_study_read(study, on_trial, &reading, &err), &err);
    assert_int_equal(reading.count, COUNT(trials));
    assert_int_equal(rec_study_read(study, on_trial, &stopped, &err), REC_LIMIT);
    assert_int_equal(stopped.count, 1);
    rec_study_close(&study);
    rec_study_close(&study);
    place_remove(&place);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void refuse(const struct place *place, const char *path, const struct rec_study_fact *others,
                   size_t count, enum rec_status status, const char *says) {
    struct rec_study *study = NULL;
    struct rec_error err = {0};
    (void)place;
    assert_int_equal(rec_study_open(path, others, count, &study, &err), status);
    assert_null(study);
    if (strstr(err.text, says) == NULL)
        fail_msg("'%s' does not say '%s'", err.text, says);
}

static void test_other_search(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_study *study = study_open(&place);
    static const struct rec_study_fact other[] = {{"model", "als"}, {"metric", "recall@5"}};
    static const struct rec_study_fact more[] = {
        {"model", "als"}, {"metric", "ndcg@10"}, {"seed", "1"}};
    rec_study_close(&study);
    refuse(&place, place.path, other, 2, REC_CONFLICT,
           "is a study of metric 'ndcg@10', not 'recall@5'; name another file");
    refuse(&place, place.path, more, 3, REC_CONFLICT, "is a study of seed '', not '1'");
    study = study_open(&place); /* a refusal has changed nothing */
    rec_study_close(&study);
    place_remove(&place);
}

static void write_file(const char *path, const char *text, size_t bytes) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void test_other_files(void **state) {
    (void)state;
    struct place place = place_make();
    char path[160], text[8192];
    memset(text, 'x', sizeof(text));
    write_file(place.path, text, sizeof(text));
    refuse(&place, place.path, facts, 2, REC_CORRUPT, "is not a study; name a new file");
    assert_int_equal(unlink(place.path), 0);
    write_file(place.path, text, 10);
    refuse(&place, place.path, facts, 2, REC_CORRUPT, "is not a study; name a new file");
    assert_int_equal(unlink(place.path), 0);

    struct rec_store *store = store_open(&place);
    rec_store_close(&store);
    refuse(&place, place.path, facts, 2, REC_CORRUPT, "is the database of a service, not a study");

    (void)snprintf(path, sizeof(path), "%s/none/study.db", place.folder);
    refuse(&place, path, facts, 2, REC_IO, "study.db: cannot be made: No such file or directory");
    refuse(&place, "/proc/study.db", facts, 2, REC_IO, "/proc/study.db: cannot be made: ");
    refuse(&place, place.folder, facts, 2, REC_IO, place.folder);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    refuse(&place, text, facts, 2, REC_BAD_INPUT, "the path is too long");
    place_remove(&place);
}

/* An empty file is what a crash in the first moment leaves. */
static void test_empty_file(void **state) {
    (void)state;
    struct place place = place_make();
    write_file(place.path, "", 0);
    struct rec_study *study = study_open(&place);
    add_all(study);
    refuse(&place, place.path, facts, 2, REC_CONFLICT, "another recsysd is working on it");
    rec_study_close(&study);
    place_remove(&place);
}

/* ---- kill
 * ---------------------------------------------------------------------------------------- */

/* The child adds trials, tells of each after it, and is killed in the middle of it all. */
static void add_for_ever(const struct place *place, uint32_t from, int told) {
    struct rec_study *study = NULL;
    if (rec_study_open(place->path, facts, COUNT(facts), &study, NULL) != REC_OK)
        _exit(1);
    for (uint32_t n = from;; n++) {
        struct rec_study_trial trial = trials[1];
        trial.number = n;
        if (rec_study_add(study, &trial, NULL) != REC_OK ||
            write(told, &n, sizeof(n)) != (ssize_t)sizeof(n))
            _exit(1);
    }
}

static enum rec_status on_counted(void *context, const struct rec_study_trial *trial,
                                  struct rec_error *err) {
    uint32_t *count = context;
    (void)err;
    assert_int_equal(trial->number, *count);
    assert_int_equal(trial->look_count, COUNT(looks)); /* whole */
    (*count)++;
    return REC_OK;
}

static void test_kill(void **state) {
    (void)state;
    struct place place = place_make();
    struct rec_error err = {0};
    uint32_t kept = 0;
    for (int round = 0; round < 5; round++) {
        int told[2];
        assert_int_equal(pipe(told), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            add_for_ever(&place, kept, told[1]);
        (void)close(told[1]);
        uint32_t last = 0;
        for (int n = 0; n <= round * 3; n++)
            assert_int_equal(read(told[0], &last, sizeof(last)), sizeof(last));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint32_t more;
        while (read(told[0], &more, sizeof(more)) == (ssize_t)sizeof(more))
            last = more;
        (void)close(told[0]);

        struct rec_study *study = study_open(&place);
        uint32_t count = 0;
        must(rec_study_read(study, on_counted, &count, &err), &err);
        assert_true(count > last); /* all that it told of */
        kept = count;
        rec_study_close(&study);
    }
    place_remove(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_other_search),
        cmocka_unit_test(test_other_files), cmocka_unit_test(test_empty_file),
        cmocka_unit_test(test_kill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
