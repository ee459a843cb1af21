/* Goal: every path and method finds the one route it should, or the methods that would have done.
 * Paths are given as sent. */
#include "client.h"
#include "../../src/http/room.h"

static const struct rec_http_route routes[] = {
    {REC_HTTP_GET, "/items/{item_id}", "getItem", echo, NULL},
    {REC_HTTP_PUT, "/items/{item_id}", "putItem", echo, "application/json"},
    {REC_HTTP_POST, "/items", "postItems", echo, "application/json"},
    {REC_HTTP_GET, "/items/top", "getTop", echo, NULL},
    {REC_HTTP_POST, "/models/{version}/activate", "activate", echo, NULL},
    {REC_HTTP_GET, "/health", "getHealth", echo, NULL},
    {REC_HTTP_GET, "/health/live", "getLive", echo, NULL},
    {REC_HTTP_GET, "/both", "getBoth", echo, NULL},
    {REC_HTTP_HEAD, "/both", "headBoth", echo, NULL},
};

static const struct {
    const char *name, *method, *path;
    const char *operation; /* NULL: none */
    const char *value;     /* of {part}, as sent; NULL: none */
    const char *allow;     /* NULL: the path is unknown */
} rows[] = {
    {"fixed", "GET", "/health", "getHealth", NULL, "GET, HEAD, OPTIONS"},
    {"longer fixed", "GET", "/health/live", "getLive", NULL, "GET, HEAD, OPTIONS"},
    {"HEAD is GET", "HEAD", "/health", "getHealth", NULL, "GET, HEAD, OPTIONS"},
    {"a HEAD of its own", "HEAD", "/both", "headBoth", NULL, "GET, HEAD, OPTIONS"},
    {"GET beside it", "GET", "/both", "getBoth", NULL, "GET, HEAD, OPTIONS"},
    {"part", "GET", "/items/7", "getItem", "7", "GET, HEAD, PUT, OPTIONS"},
    {"part, other method", "PUT", "/items/7", "putItem", "7", "GET, HEAD, PUT, OPTIONS"},
    {"part, method of the parent", "POST", "/items/7", NULL, NULL, "GET, HEAD, PUT, OPTIONS"},
    {"fixed wins over part", "GET", "/items/top", "getTop", NULL, "GET, HEAD, PUT, OPTIONS"},
    {"part where fixed lacks the method", "PUT", "/items/top", "putItem", "top",
     "GET, HEAD, PUT, OPTIONS"},
    {"escaped slash stays inside", "GET", "/items/a%2Fb", "getItem", "a%2Fb",
     "GET, HEAD, PUT, OPTIONS"},
    {"plain slash does not", "GET", "/items/a/b", NULL, NULL, NULL},
    {"escaped NUL", "GET", "/items/%00", "getItem", "%00", "GET, HEAD, PUT, OPTIONS"},
    {"part in the middle", "POST", "/models/v1/activate", "activate", "v1", "POST, OPTIONS"},
    {"part in the middle, more behind", "POST", "/models/v1/activate/x", NULL, NULL, NULL},
    {"part in the middle, less behind", "POST", "/models/v1", NULL, NULL, NULL},
    {"empty part", "GET", "/items/", NULL, NULL, NULL},
    {"empty part in the middle", "POST", "/models//activate", NULL, NULL, NULL},
    {"escaped fixed", "GET", "/%68ealth", "getHealth", NULL, "GET, HEAD, OPTIONS"},
    {"escaped fixed, lower hex", "GET", "/health%2flive", NULL, NULL, NULL},
    {"escaped first slash", "GET", "%2Fhealth", NULL, NULL, NULL},
    {"cut escape", "GET", "/healt%6", NULL, NULL, NULL},
    {"unknown", "GET", "/nothing", NULL, NULL, NULL},
    {"root", "GET", "/", NULL, NULL, NULL},
    {"empty", "GET", "", NULL, NULL, NULL},
    {"prefix", "GET", "/heal", NULL, NULL, NULL},
    {"trailing slash", "GET", "/health/", NULL, NULL, NULL},
    {"upper case", "GET", "/HEALTH", NULL, NULL, NULL},
    {"double slash", "GET", "//health", NULL, NULL, NULL},
    {"wrong method", "DELETE", "/health", NULL, NULL, "GET, HEAD, OPTIONS"},
    {"unknown method", "BREW", "/health", NULL, NULL, "GET, HEAD, OPTIONS"},
    {"lower-case method", "get", "/health", NULL, NULL, "GET, HEAD, OPTIONS"},
};

static void test_routes(void **state) {
    (void)state;
    rec_router_check(routes, COUNT(routes));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char allow[64] = "";
        struct rec_router_match match =
            rec_router_find(routes, COUNT(routes), rec_router_method(rows[i].method), rows[i].path,
                            strlen(rows[i].path));
        const char *operation = match.route != NULL ? match.route->operation : "none";
        const char *want = rows[i].operation != NULL ? rows[i].operation : "none";
        if (strcmp(operation, want) != 0)
            fail_msg("%s: got %s, want %s", rows[i].name, operation, want);
        if (match.methods != 0)
            rec_router_allow(match.methods, allow, sizeof(allow));
        if (strcmp(allow, rows[i].allow != NULL ? rows[i].allow : "") != 0)
            fail_msg("%s: allows %s", rows[i].name, allow);
        if ((match.route != NULL && match.value != NULL) != (rows[i].value != NULL))
            fail_msg("%s: {part} wrongly %s", rows[i].name, rows[i].value ? "missing" : "there");
        if (rows[i].value != NULL && (match.value_bytes != strlen(rows[i].value) ||
                                      memcmp(match.value, rows[i].value, match.value_bytes) != 0))
            fail_msg("%s: {part} is %.*s", rows[i].name, (int)match.value_bytes, match.value);
    }
}

static void test_all_methods_fit(void **state) {
    char allow[sizeof(((struct rec_http_exchange *)0)->allow)];
    (void)state;
    rec_router_allow(~0u, allow, sizeof(allow));
    assert_string_equal(allow, "GET, HEAD, POST, PUT, DELETE, OPTIONS");
}

static void test_body_types(void **state) {
    static const struct {
        const char *types, *type;
        bool want;
    } type_rows[] = {
        {"application/json", "application/json", true},
        {"application/json, application/x-ndjson", "application/x-ndjson", true},
        {"application/json,application/x-ndjson", "application/x-ndjson", true},
        {"application/json", "application/jso", false},
        {"application/json", "application/json5", false},
        {"application/json", "json", false},
        {"application/json", "", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(type_rows); i++)
        if (rec_router_takes(type_rows[i].types, type_rows[i].type) != type_rows[i].want)
            fail_msg("'%s' in '%s'", type_rows[i].type, type_rows[i].types);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_all_methods_fit),
        cmocka_unit_test(test_body_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
