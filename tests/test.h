/* What every cmocka program of the suites starts with. */
#ifndef RECSYSD_TESTS_TEST_H
#define RECSYSD_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* In a table-driven test: a failure prints the row's name. */
#define CHECK_ROW(condition, row)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("row '%s': %s", (row), #condition);                                           \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
