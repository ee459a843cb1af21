/* The k best of a stream of scores: a heap with the worst kept one at its root.
 *
 * Most items lose against that root. So the scan asks the kernel 64 items at a
 * time which of them beat it, in vectors, and only those reach the heap; a word
 * of the mask without an eligible item costs one test. */
#include "kernels.h"

/* Order of a list: higher score first, then the lower item. No NaN gets this far. */
static bool better(struct rec_ranked a, struct rec_ranked b) {
    return a.score > b.score || (a.score >= b.score && a.item < b.item);
}

/* Puts `entry` where the hole at `at` should be filled, below which all is a heap. */
static void sift_down(struct rec_ranked *heap, size_t count, size_t at, struct rec_ranked entry) {
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && better(heap[child], heap[child + 1]))
            child++;
        if (!better(entry, heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static void sift_up(struct rec_ranked *heap, size_t at, struct rec_ranked entry) {
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (!better(heap[parent], entry))
            break;
        heap[at] = heap[parent];
        at = parent;
    }
    heap[at] = entry;
}

void rec_topk_init(struct rec_topk *top, struct rec_ranked *kept, size_t k) {
    *top = (struct rec_topk){kept, k, 0};
}

static void offer(struct rec_topk *top, struct rec_ranked entry) {
    if (top->count < top->k)
        sift_up(top->kept, top->count++, entry);
    else if (better(entry, top->kept[0]))
        sift_down(top->kept, top->count, 0, entry);
}

void rec_topk_offer(struct rec_topk *top, uint32_t item, float score) {
    if (top->k > 0 && score == score)
        offer(top, (struct rec_ranked){item, score});
}

/* Items first .. are offered in rising order, so against kept items that are all lower a tie is
 * lost and need not be looked at. */
static bool ties_matter(const struct rec_topk *top, uint32_t first) {
    for (size_t i = 0; i < top->count; i++)
        if (top->kept[i].item >= first)
            return true;
    return false;
}

/* Which of scores[0..count) should be offered: all numbers while there is room. */
static uint64_t candidates(const struct rec_topk *top, const float *scores, size_t count,
                           bool ties) {
    if (top->count == top->k)
        return rec_kernels_chosen()->above(scores, count, top->kept[0].score, ties);
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++)
        bits |= (uint64_t)(scores[i] == scores[i]) << i; /* not NaN */
    return bits;
}

void rec_topk_scan(struct rec_topk *top, const float *scores, uint32_t first, uint32_t count,
                   const uint64_t *mask) {
    if (top->k == 0)
        return;
    const bool ties = ties_matter(top, first);
    for (uint32_t done = 0; done < count;) {
        uint32_t item = first + done, shift = item % 64;
        uint32_t span = 64 - shift < count - done ? 64 - shift : count - done;
        uint64_t open = mask == NULL ? UINT64_MAX : mask[item / 64] >> shift;
        if (span < 64)
            open &= ((uint64_t)1 << span) - 1;
        if (open != 0)
            open &= candidates(top, scores + done, span, ties);
        for (; open != 0; open &= open - 1) {
            uint32_t i = (uint32_t)__builtin_ctzll(open);
            offer(top, (struct rec_ranked){item + i, scores[done + i]});
        }
        done += span;
    }
}

/* Heap sort in place: the worst goes to the end, again and again. */
void rec_topk_finish(struct rec_topk *top) {
    for (size_t left = top->count; left > 1; left--) {
        struct rec_ranked worst = top->kept[0], last = top->kept[left - 1];
        top->kept[left - 1] = worst;
        sift_down(top->kept, left - 1, 0, last);
    }
}
