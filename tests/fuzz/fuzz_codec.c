/* Goal: no body, whatever it is, makes the codec read where it should not, keep memory, or hand on
 * what the store must never see: an id that is empty, too long, not UTF-8 or holds a control
 * character, a value that is not finite, a time out of range, a type that is not known. And any
 * text at all is written back as JSON. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "recsysd/api.h"

#include "answer.h"
#include "codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static const int64_t now = 1700000000;
static struct rec_weights weights;

static void check_row(const struct rec_interaction *row) {
    assert(rec_text_check_id("user", row->user_id, strlen(row->user_id), NULL) == REC_OK);
    assert(rec_text_check_id("item", row->item_id, strlen(row->item_id), NULL) == REC_OK);
    if (row->event_id != NULL)
        assert(rec_text_check_id("event", row->event_id, strlen(row->event_id), NULL) == REC_OK);
    assert(rec_weights_known(&weights, row->type));
    assert(isfinite(row->value));
    assert(row->timestamp >= 0 && row->timestamp <= now + REC_TIMESTAMP_FUTURE_S_MAX);
}

static void read_body(const char *text, size_t bytes) {
    struct rec_json *root = NULL, *array = NULL;
    struct rec_error err = {0};
    size_t count = 0;
    if (rec_codec_parse(text, bytes, "the body", &root, &err) != REC_OK) {
        assert(err.status == REC_BAD_INPUT && err.text[0] != '\0');
        return;
    }
    struct rec_interaction row;
    if (rec_codec_interaction(root, NULL, &weights, now, &row, NULL) == REC_OK)
        check_row(&row);
    if (rec_codec_is_object(root) &&
        rec_codec_array(root, "interactions", NULL, 0, 100, &array, &count, NULL) == REC_OK)
        for (size_t i = 0; i < count; i++) {
            struct rec_codec_at at = {.list = "interactions", .index = i};
            struct rec_json *element = rec_codec_element(array, i);
            if (rec_codec_interaction(element, &at, &weights, now, &row, NULL) == REC_OK)
                check_row(&row);
        }
    rec_codec_free(&root);
}

static void read_lines(const char *text, size_t bytes) {
    size_t at = 0, line = 0, length;
    const char *start;
    struct rec_interaction row;
    struct rec_codec_line *parser = rec_codec_line_create(&weights);
    while (rec_codec_next_line(text, bytes, &at, &line, &start, &length))
        if (rec_codec_line_parse(parser, start, length, &row, NULL) == REC_OK)
            assert(rec_weights_known(&weights, row.type) && isfinite(row.value));
    rec_codec_line_destroy(&parser);
}

static void write_text(const char *text, size_t bytes) {
    struct rec_http_exchange exchange = {0};
    struct rec_answer answer;
    struct rec_json *root = NULL;
    rec_answer_init(&answer, &exchange);
    REC_ANSWER_LITERAL(&answer, "[");
    rec_answer_text(&answer, text, bytes);
    REC_ANSWER_LITERAL(&answer, "]");
    assert(rec_codec_parse(exchange.out, exchange.out_bytes, "it", &root, NULL) == REC_OK);
    rec_codec_free(&root);
    rec_alloc_free(exchange.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (weights.count == 0) {
        rec_weights_defaults(&weights);
        rec_codec_init();
    }
    size_t live = rec_alloc_live();
    const char *text = (const char *)data;
    read_body(text, bytes);
    read_lines(text, bytes);
    write_text(text, bytes);
    assert(rec_alloc_live() == live);
    return 0;
}
