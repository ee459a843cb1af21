/* similar.c: the neighbours of an item, by the live model's own measure. Same scan as a list for a
 * user: what may not be listed is cleared from the mask first, the item itself included. */
#include <string.h>

#include "internal.h"

static void scan(struct rec_scratch *scratch, const struct rec_model *model, uint32_t item,
                 uint32_t items, uint32_t k, struct rec_recommended *out) {
    struct rec_topk top;
    rec_topk_init(&top, scratch->kept, k);
    for (uint32_t first = 0; first < items; first += REC_SERVE_BLOCK_ITEMS) {
        uint32_t count =
            items - first < REC_SERVE_BLOCK_ITEMS ? items - first : REC_SERVE_BLOCK_ITEMS;
        model->family->similar(model, item, first, count, scratch->scores);
        rec_topk_scan(&top, scratch->scores, first, count, scratch->mask);
    }
    rec_topk_finish(&top);
    out->items = scratch->kept;
    out->count = top.count;
}

static enum rec_status find(struct rec_serve *serve, const char *item_id, uint32_t *item,
                            struct rec_error *err) {
    enum rec_status st = rec_repair_ids(serve, err);
    if (st != REC_OK)
        return st;
    *item = rec_catalogue_find(&serve->catalogue, item_id);
    if (*item == REC_STORE_NONE || rec_catalogue_deleted(&serve->catalogue, *item))
        return rec_error_set(err, REC_NOT_FOUND, "item_id: there is no item '%.64s'", item_id);
    return REC_OK;
}

enum rec_status rec_similar_run(struct rec_serve *serve, size_t worker, const char *item_id,
                                uint32_t k, struct rec_recommended *out, struct rec_error *err) {
    struct rec_scratch *scratch = serve->scratch[worker];
    uint32_t item = 0, items = 0;
    if (k < 1 || k > REC_K_MAX)
        return rec_error_set(err, REC_BAD_INPUT, "k: %u is not within 1 to %d", k, REC_K_MAX);
    enum rec_status st = find(serve, item_id, &item, err);
    if (st == REC_OK)
        st = rec_catalogue_mask(&serve->catalogue, NULL, &scratch->mask, &scratch->mask_words,
                                &items, err);
    if (st != REC_OK)
        return st;

    struct rec_generation *generation = rec_slot_acquire(serve->slot);
    if (generation == NULL)
        return rec_error_set(err, REC_NO_MODEL, "no model has been published yet");
    const struct rec_model *model = generation->model;
    struct rec_recommended made = {.items = scratch->kept};
    rec_recommend_name(generation, &made);
    if (items > model->items)
        items = model->items;
    if (item < items) { /* else newer than the model: no neighbours yet */
        rec_serve_bit_clear(scratch->mask, item);
        scan(scratch, model, item, items, k, &made);
    }
    rec_slot_release(serve->slot, &generation);
    *out = made;
    return REC_OK;
}
