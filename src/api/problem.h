/* problem: errors as application/problem+json (RFC 9457). */
#ifndef RECSYSD_API_PROBLEM_H
#define RECSYSD_API_PROBLEM_H

#include "recsysd/http.h"

/* Turns what a use case returned into the answer: nothing for OK, a problem for the rest. What was
 * written so far is dropped. Logs what is the server's fault. err NULL: the status' own text. */
void rec_problem_answer(struct rec_http_exchange *exchange, enum rec_status status,
                        const struct rec_error *err);

/* The same, as a handler's last line: always ANSWERED. */
enum rec_http_verdict rec_problem_verdict(struct rec_http_exchange *exchange,
                                          enum rec_status status, const struct rec_error *err);

/* 503 "not ready": for readiness only, which is a state and not a failure: nothing is logged. */
void rec_problem_not_ready(struct rec_http_exchange *exchange, const char *detail);

#endif
