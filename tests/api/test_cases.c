/* Goal: every operation answers what openapi.yaml says, through real sockets, the real store, a
 * real model and the real router, for good requests and for bad ones; and a request that is refused
 * has stored nothing.
 *
 * How: cases are data, in cases/<name>.txt, a file for each group and a fresh server for each file.
 * A case begins with `# <number> <name>`; then, line by line:
 *
 *   > METHOD target           the request line, and after it:
 *   > Name: value             more header fields
 *   | text                    the body; several lines are joined by a newline
 *   raw text                  instead of all that: bytes as they are, lines joined by CRLF
 *   = status [content type]   what comes back
 *   has text / no text        the body holds it, or does not
 *   json path = value         the member, as compact JSON: items.0.item_id = "7"; `-` when absent
 *   count path = n            elements of an array
 *   head Name: text           the field holds it
 *   let name = path           keeps a member (of a string, its text) as {{name}} for later lines
 *   let name = ETag           ... or a header field, by a name with a capital letter
 *   until path = value        repeats the request until it is so (jobs take their time)
 *
 * In a request <<repeat n text>> stands for n times the text, and \xNN for a byte. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>

#include "recsysd/api.h"

#include "test.h"
#include "world.h"

enum { LINE_BYTES = 8192, VARIABLES_MAX = 64, VALUE_BYTES = 1024 };

/* ---- a text that grows ----------------------------------------------------------------- */

struct text {
    char *data;
    size_t bytes, cap;
};

static void put(struct text *text, const char *data, size_t bytes) {
    if (text->bytes + bytes + 1 > text->cap) {
        text->cap = (text->bytes + bytes + 1) * 2;
        text->data = realloc(text->data, text->cap);
        assert_non_null(text->data);
    }
    memcpy(text->data + text->bytes, data, bytes);
    text->bytes += bytes;
    text->data[text->bytes] = '\0';
}

static void put_string(struct text *text, const char *string) {
    put(text, string, strlen(string));
}

static void text_clear(struct text *text) {
    text->bytes = 0;
    put(text, "", 0);
}

/* ---- a client, as plain as can be ----------------------------------------------------------- */

struct answer {
    struct text bytes; /* head and body */
    int status;
    const char *head, *body;
    size_t body_bytes;
};

/* The server may answer and close before it has read all of a body that is too large: what is left
 * of the sending is then nobody's business. */
static void exchange(unsigned port, const struct text *request, struct answer *answer) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    size_t sent = 0;
    while (sent < request->bytes) {
        ssize_t n = send(fd, request->data + sent, request->bytes - sent, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    char block[65536];
    ssize_t n;
    text_clear(&answer->bytes);
    while ((n = recv(fd, block, sizeof(block), 0)) > 0)
        put(&answer->bytes, block, (size_t)n);
    close(fd);

    answer->head = answer->bytes.data;
    char *end = strstr(answer->bytes.data, "\r\n\r\n");
    if (end == NULL || sscanf(answer->head, "HTTP/1.1 %d", &answer->status) != 1)
        fail_msg("no answer: '%.200s'", answer->bytes.data);
    end[2] = '\0';
    answer->body = end + 4;
    answer->body_bytes = answer->bytes.bytes - (size_t)(answer->body - answer->bytes.data);
}

/* The value of a field, "" when it is not there. */
static void field_of(const struct answer *answer, const char *name, char value[VALUE_BYTES]) {
    size_t bytes = strlen(name);
    value[0] = '\0';
    for (const char *line = answer->head; line != NULL; line = strstr(line, "\r\n")) {
        line += line[0] == '\r' ? 2 : 0;
        if (strncasecmp(line, name, bytes) == 0 && line[bytes] == ':') {
            line += bytes + 1;
            line += strspn(line, " ");
            snprintf(value, VALUE_BYTES, "%.*s", (int)strcspn(line, "\r"), line);
            return;
        }
    }
}

/* ---- variables, repeats and escapes
 * --------------------------------------------------------------- */

static struct { char name[32], value[VALUE_BYTES]; } variables[VARIABLES_MAX];
static size_t variable_count;

static void let(const char *name, const char *value) {
    size_t i = 0;
    while (i < variable_count && strcmp(variables[i].name, name) != 0)
        i++;
    assert_true(i < VARIABLES_MAX);
    variable_count += i == variable_count;
    snprintf(variables[i].name, sizeof(variables[i].name), "%s", name);
    snprintf(variables[i].value, sizeof(variables[i].value), "%s", value);
}

static void let_time(const char *name, int64_t unix_s) {
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)unix_s);
    let(name, text);
}

static size_t expand_variable(struct text *out, const char *at) {
    for (size_t i = 0; i < variable_count; i++) {
        size_t bytes = strlen(variables[i].name);
        if (strncmp(at + 2, variables[i].name, bytes) == 0 &&
            strncmp(at + 2 + bytes, "}}", 2) == 0) {
            put_string(out, variables[i].value);
            return bytes + 4;
        }
    }
    return 0;
}

static void expand(struct text *out, const char *line) {
    while (*line != '\0') {
        unsigned byte, times;
        int skip = 0;
        size_t name = strncmp(line, "{{", 2) == 0 ? expand_variable(out, line) : 0;
        if (name > 0) {
            line += name;
        } else if (sscanf(line, "\\x%2x", &byte) == 1) {
            char c = (char)byte;
            put(out, &c, 1);
            line += 4;
        } else if (sscanf(line, "<<repeat %u %n", &times, &skip) == 1 && skip > 0) {
            const char *end = strstr(line, ">>");
            assert_non_null(end);
            struct text once = {0};
            char part[LINE_BYTES];
            snprintf(part, sizeof(part), "%.*s", (int)(end - line - skip), line + skip);
            expand(&once, part);
            for (unsigned i = 0; i < times; i++)
                put(out, once.data, once.bytes);
            free(once.data);
            line = end + 2;
        } else {
            put(out, line++, 1);
        }
    }
}

/* ---- one case
 * -------------------------------------------------------------------------------------------- */

struct script {
    struct world *world;
    char where[160]; /* file, number, name: what a failure prints */
    struct text request_line, head, body, raw, request;
    bool has_body, has_type;
    struct answer answer;
    json_t *json; /* of the answer, NULL when it is none */
    bool sent;
    struct rec_store_counts before;
};

#define FAIL(script, ...)                                                                          \
    do {                                                                                           \
        print_error("%s: ", (script)->where);                                                      \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n  answer: %.300s\n  body: %.600s\n", (script)->answer.head,                 \
                    (script)->answer.body);                                                        \
        fail();                                                                                    \
    } while (0)

static void begin_case(struct script *script, const char *file, const char *title) {
    snprintf(script->where, sizeof(script->where), "%s: %s", file, title);
    text_clear(&script->request_line);
    text_clear(&script->head);
    text_clear(&script->body);
    text_clear(&script->raw);
    script->has_body = script->has_type = script->sent = false;
    json_decref(script->json);
    script->json = NULL;
}

static void build_request(struct script *script) {
    struct text *request = &script->request;
    text_clear(request);
    if (script->raw.bytes > 0) {
        put(request, script->raw.data, script->raw.bytes);
        put_string(request, "\r\n");
        return;
    }
    char length[64];
    put(request, script->request_line.data, script->request_line.bytes);
    put_string(request, " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n");
    put(request, script->head.data, script->head.bytes);
    if (script->has_body) {
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", script->body.bytes);
        put_string(request, length);
        if (!script->has_type)
            put_string(request, "Content-Type: application/json\r\n");
    }
    put_string(request, "\r\n");
    put(request, script->body.data, script->body.bytes);
}

static const char *text_member(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "" : text;
}

/* What holds for every refusal: it is a problem, says what is wrong, and nothing was stored. */
static void check_refusal(struct script *script) {
    char type[VALUE_BYTES], id[VALUE_BYTES];
    struct rec_store_counts after;
    field_of(&script->answer, "Content-Type", type);
    field_of(&script->answer, "X-Request-ID", id);
    if (strcmp(type, "application/problem+json") != 0)
        FAIL(script, "content type '%s'", type);
    json_t *problem = script->json;
    if (json_integer_value(json_object_get(problem, "status")) != script->answer.status)
        FAIL(script, "status in the problem is not that of the answer");
    if (text_member(problem, "type")[0] == '\0' || text_member(problem, "title")[0] == '\0' ||
        text_member(problem, "detail")[0] == '\0' || text_member(problem, "request_id")[0] == '\0')
        FAIL(script, "the problem lacks a member");
    if (strcmp(text_member(problem, "request_id"), id) != 0)
        FAIL(script, "request_id is not the header's '%s'", id);
    assert_int_equal(rec_store_counts(script->world->store, &after, NULL), REC_OK);
    if (after.recorded != script->before.recorded || after.users != script->before.users ||
        after.items != script->before.items || after.interactions != script->before.interactions)
        FAIL(script, "something was stored");
}

static void send_request(struct script *script) {
    build_request(script);
    assert_int_equal(rec_store_counts(script->world->store, &script->before, NULL), REC_OK);
    exchange(rec_http_port(script->world->http), &script->request, &script->answer);
    json_decref(script->json);
    script->json = json_loadb(script->answer.body, script->answer.body_bytes,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    script->sent = true;
    if (script->answer.status >= 400)
        check_refusal(script);
}

static const json_t *member(const struct script *script, const char *path) {
    const json_t *at = script->json;
    char part[128];
    while (*path != '\0' && at != NULL) {
        size_t bytes = strcspn(path, ".");
        snprintf(part, sizeof(part), "%.*s", (int)bytes, path);
        at = isdigit((unsigned char)part[0]) ? json_array_get(at, (size_t)atol(part))
                                             : json_object_get(at, part);
        path += bytes + (path[bytes] == '.');
    }
    return at;
}

/* "-" when there is none; of a string within `let` its text, otherwise compact JSON */
static void value_of(const struct script *script, const char *path, bool bare, char *out) {
    const json_t *value = member(script, path);
    snprintf(out, VALUE_BYTES, "-");
    if (value != NULL && bare && json_is_string(value)) {
        snprintf(out, VALUE_BYTES, "%s", json_string_value(value));
    } else if (value != NULL) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(out, VALUE_BYTES, "%s", text);
        rec_alloc_free(text); /* jansson's memory is counted with ours */
    }
}

/* "path = value", both parts of the line */
static void split(char *line, char **left, char **right) {
    char *mark = strstr(line, " = ");
    assert_non_null(mark);
    *mark = '\0';
    *left = line;
    *right = mark + 3;
}

static void check_json(struct script *script, char *line) {
    char *path, *wanted, got[VALUE_BYTES];
    split(line, &path, &wanted);
    value_of(script, path, false, got);
    if (strcmp(got, wanted) != 0)
        FAIL(script, "%s is %s, not %s", path, got, wanted);
}

static void check_count(struct script *script, char *line) {
    char *path, *wanted;
    split(line, &path, &wanted);
    size_t count = json_array_size(member(script, path));
    if (count != (size_t)atol(wanted))
        FAIL(script, "%s has %zu elements, not %s", path, count, wanted);
}

static void check_field(struct script *script, char *line) {
    char value[VALUE_BYTES], *mark = strchr(line, ':');
    assert_non_null(mark);
    *mark = '\0';
    field_of(&script->answer, line, value);
    if (strstr(value, mark + 2) == NULL)
        FAIL(script, "%s is '%s'", line, value);
}

static void keep(struct script *script, char *line) {
    char *name, *path, value[VALUE_BYTES];
    split(line, &name, &path);
    if (isupper((unsigned char)path[0]))
        field_of(&script->answer, path, value);
    else
        value_of(script, path, true, value);
    let(name, value);
}

/* A bound on hanging, not a measurement. */
static void repeat_until(struct script *script, char *line) {
    char *path, *wanted, got[VALUE_BYTES];
    split(line, &path, &wanted);
    for (int tries = 0; tries < 3000; tries++) {
        struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
        value_of(script, path, false, got);
        if (strcmp(got, wanted) == 0)
            return;
        nanosleep(&pause, NULL);
        send_request(script);
    }
    FAIL(script, "%s stays %s", path, got);
}

static void check_status(struct script *script, const char *line) {
    char type[VALUE_BYTES], wanted[VALUE_BYTES] = "";
    int status = 0;
    sscanf(line, "%d %1000[^\n]", &status, wanted);
    send_request(script);
    if (script->answer.status != status)
        FAIL(script, "status %d, not %d", script->answer.status, status);
    field_of(&script->answer, "Content-Type", type);
    if (wanted[0] != '\0' && strcmp(type, wanted) != 0)
        FAIL(script, "content type '%s', not '%s'", type, wanted);
}

static void request_part(struct script *script, const char *line) {
    struct text expanded = {0};
    expand(&expanded, line);
    if (script->request_line.bytes == 0) {
        put(&script->request_line, expanded.data, expanded.bytes);
    } else {
        script->has_type |= strncasecmp(expanded.data, "Content-Type:", 13) == 0;
        put(&script->head, expanded.data, expanded.bytes);
        put_string(&script->head, "\r\n");
    }
    free(expanded.data);
}

static bool starts(char **line, const char *word) {
    size_t bytes = strlen(word);
    if (strncmp(*line, word, bytes) != 0)
        return false;
    *line += bytes;
    return true;
}

static void expect(struct script *script, char *line) {
    struct text expanded = {0};
    expand(&expanded, line);
    char *at = expanded.data;
    if (starts(&at, "has ")) {
        if (strstr(script->answer.body, at) == NULL)
            FAIL(script, "no '%s'", at);
    } else if (starts(&at, "no ")) {
        if (strstr(script->answer.body, at) != NULL)
            FAIL(script, "there is '%s'", at);
    } else if (starts(&at, "json ")) {
        check_json(script, at);
    } else if (starts(&at, "count ")) {
        check_count(script, at);
    } else if (starts(&at, "head ")) {
        check_field(script, at);
    } else if (starts(&at, "nohead ")) {
        char value[VALUE_BYTES];
        field_of(&script->answer, at, value);
        if (value[0] != '\0')
            FAIL(script, "%s is '%s'", at, value);
    } else if (starts(&at, "let ")) {
        keep(script, at);
    } else if (starts(&at, "until ")) {
        repeat_until(script, at);
    } else {
        FAIL(script, "not understood: %s", at);
    }
    free(expanded.data);
}

static void run_line(struct script *script, const char *file, char *line) {
    if (*line == '\0' || starts(&line, "// ")) {
        return;
    } else if (starts(&line, "# ")) {
        begin_case(script, file, line);
    } else if (starts(&line, "> ")) {
        request_part(script, line);
    } else if (starts(&line, "| ") || strcmp(line, "|") == 0) {
        if (script->body.bytes > 0)
            put(&script->body, "\n", 1);
        script->has_body = true;
        expand(&script->body, strcmp(line, "|") == 0 ? "" : line);
    } else if (starts(&line, "raw ") || strcmp(line, "raw") == 0) {
        expand(&script->raw, strcmp(line, "raw") == 0 ? "" : line);
        put_string(&script->raw, "\r\n");
    } else if (starts(&line, "= ")) {
        check_status(script, line);
    } else if (strcmp(line, "do drain") == 0) {
        atomic_store(&script->world->api.draining, true);
    } else if (strcmp(line, "do spoil") == 0) {
        world_spoil(script->world);
    } else {
        assert_true(script->sent);
        expect(script, line);
    }
}

/* Runs the cases of a file. check, if there is one, is called before the first and after the last.
 */
static void run_checked(const char *name, bool model,
                        void (*check)(const struct world *world, bool after)) {
    struct world world;
    struct script script = {.world = &world};
    char path[512], line[LINE_BYTES];
    snprintf(path, sizeof(path), "%s/%s.txt", CASES_FOLDER, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    variable_count = 0;
    let_time("soon", rec_clock_unix_s() + 3600);
    let_time("future", rec_clock_unix_s() + REC_TIMESTAMP_FUTURE_S_MAX + 60);
    world_start(&world, model);
    begin_case(&script, name, "before the first case");
    if (check != NULL)
        check(&world, false);
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        run_line(&script, name, line);
    }
    fclose(file);
    if (check != NULL)
        check(&world, true);
    world_stop(&world);
    json_decref(script.json);
    free(script.request_line.data);
    free(script.head.data);
    free(script.body.data);
    free(script.raw.data);
    free(script.request.data);
    free(script.answer.bytes.data);
}

static void run_file(const char *name, bool model) {
    run_checked(name, model, NULL);
}

static void test_lists(void **state) {
    (void)state;
    run_file("lists", true);
}
static void test_interactions(void **state) {
    (void)state;
    run_file("interactions", true);
}
static void test_catalogue(void **state) {
    (void)state;
    run_file("catalogue", true);
}
static void test_operation(void **state) {
    (void)state;
    run_file("operation", true);
}
static void test_jobs(void **state) {
    (void)state;
    run_file("jobs", true);
}
static void test_without_model(void **state) {
    (void)state;
    run_file("without_model", false);
}

/* ---- what refused requests leave behind ------------------------------------------------- */

struct left {
    struct rec_store_counts counts;
    size_t jobs;
};

static struct left look(const struct world *world) {
    static struct rec_job jobs[REC_JOBS_LISTED_MAX];
    struct left left = {.jobs = REC_JOBS_LISTED_MAX};
    assert_int_equal(rec_store_counts(world->store, &left.counts, NULL), REC_OK);
    assert_int_equal(rec_scheduler_list(world->scheduler, jobs, &left.jobs, NULL), REC_OK);
    return left;
}

/* From here to there the log goes into a file, which must stay empty. */
static void check_nothing_left(const struct world *world, bool after) {
    static struct left before;
    static FILE *log;
    static int stderr_was;
    if (!after) {
        before = look(world);
        log = tmpfile();
        assert_non_null(log);
        rec_log_set_level(REC_LOG_DEBUG);
        stderr_was = dup(STDERR_FILENO);
        assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
        return;
    }
    char line[512] = "";
    assert_true(dup2(stderr_was, STDERR_FILENO) >= 0);
    close(stderr_was);
    rec_log_set_level(REC_LOG_ERROR);
    rewind(log);
    if (fgets(line, sizeof(line), log) != NULL)
        fail_msg("logged: %s", line);
    fclose(log);
    struct left now = look(world);
    assert_int_equal(now.counts.users, before.counts.users);
    assert_int_equal(now.counts.items, before.counts.items);
    assert_int_equal(now.counts.interactions, before.counts.interactions);
    assert_int_equal(now.counts.recorded, before.counts.recorded);
    assert_int_equal(now.jobs, before.jobs);
}

/* Goal: whatever is refused has stored nothing, and logged nothing: a client's mistakes may hold a
 * person's ids. */
static void test_bad_input(void **state) {
    (void)state;
    run_checked("bad_input", true, check_nothing_left);
}

int main(void) {
    struct rec_api api = {0};
    rec_api_init(&api);
    rec_log_set_level(REC_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_interactions),
        cmocka_unit_test(test_catalogue), cmocka_unit_test(test_operation),
        cmocka_unit_test(test_jobs),      cmocka_unit_test(test_without_model),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests_name("cases", tests, NULL, NULL);
}
