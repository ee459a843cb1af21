/* answer: writes JSON straight into an exchange's buffer. */
#ifndef RECSYSD_API_ANSWER_H
#define RECSYSD_API_ANSWER_H

#include <string.h>

#include "recsysd/http.h"

/* A writer. Running out of memory is remembered and told once, by rec_answer_end(), so what is
 * written between needs no checks. */
struct rec_answer {
    struct rec_http_exchange *exchange; /* borrowed */
    bool failed;
};

void rec_answer_init(struct rec_answer *answer, struct rec_http_exchange *exchange);
/* NO_MEMORY when anything since init did not fit. */
enum rec_status rec_answer_end(const struct rec_answer *answer, struct rec_error *err);

/* Makes room for `bytes`; false, and failed, when there is no memory. */
bool rec_answer_grow(struct rec_answer *answer, size_t bytes);

/* Where at most `bytes` may be written, for the caller to add to out_bytes what it wrote; NULL when
 * there is no memory. Here, so that a piece of known length is a move or two where it is written:
 * a list has some thirty. */
static inline char *rec_answer_room(struct rec_answer *answer, size_t bytes) {
    struct rec_http_exchange *exchange = answer->exchange;
    if (exchange->out_cap - exchange->out_bytes < bytes && !rec_answer_grow(answer, bytes))
        return NULL;
    return answer->failed ? NULL : exchange->out + exchange->out_bytes;
}

/* text [bytes], bytes > 0 */
static inline void rec_answer_copy(struct rec_answer *answer, const char *text, size_t bytes) {
    char *out = rec_answer_room(answer, bytes);
    if (out == NULL)
        return;
    memcpy(out, text, bytes);
    answer->exchange->out_bytes += bytes;
}

void rec_answer_raw(struct rec_answer *answer, const char *text, size_t bytes);
/* For string literals only, and not the empty one. */
#define REC_ANSWER_LITERAL(answer, literal)                                                        \
    rec_answer_copy((answer), "" literal "", sizeof(literal) - 1)

/* Quoted and escaped; bytes that are not UTF-8 become U+FFFD. NULL is written as null. */
void rec_answer_text(struct rec_answer *answer, const char *text, size_t bytes);
void rec_answer_string(struct rec_answer *answer, const char *text);
void rec_answer_u64(struct rec_answer *answer, uint64_t value);
void rec_answer_i64(struct rec_answer *answer, int64_t value);
void rec_answer_bool(struct rec_answer *answer, bool value);
void rec_answer_float(struct rec_answer *answer, float value);
/* Not finite: null, which is how "not known" is said. */
void rec_answer_double(struct rec_answer *answer, double value);
/* An instant as Unix seconds; 0 (not yet) is null. */
void rec_answer_instant(struct rec_answer *answer, int64_t unix_s);

/* The head of an element of a list, `{"item_id":"7","title":"...","score":0.5`, with a comma before
 * it unless it is the first. member: `,"score":`. title_bytes 0: none. */
void rec_answer_element(struct rec_answer *answer, bool first, const char *id_json, size_t id_bytes,
                        const char *title_json, size_t title_bytes, const char *member,
                        float value);

/* Writes `value` in the fewest of 7 to 9 significant digits that read back to the same float.
 * Returns the length. No NUL. A value that is not finite becomes 0: JSON has no word for it, and
 * no model gives one. */
enum { REC_ANSWER_FLOAT_BYTES = 24 };
size_t rec_answer_format_float(float value, char out[REC_ANSWER_FLOAT_BYTES]);

#endif
