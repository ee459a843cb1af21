/* Checked allocation: every size is multiplied with an overflow check, every
 * block is zeroed and aligned for SIMD, and tests can make the n-th one fail.
 *
 * Small blocks keep malloc's own alignment: 64 bytes would waste half of them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "recsysd/base.h"

enum { ALIGNMENT = 64, ALIGNED_FROM_BYTES = 1024, GROW_MIN = 8 };

static atomic_long fail_countdown = -1;
static atomic_size_t live_blocks;

/* True when a test asked for this allocation to fail. It fails once. */
static bool fault_due(void) {
    long left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (left < 0)
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 0;
}

static void *allocate(size_t bytes) {
    if (fault_due())
        return NULL;
    if (bytes == 0)
        bytes = 1;

    void *block;
    if (bytes < ALIGNED_FROM_BYTES) {
        block = calloc(1, bytes);
    } else {
        if (bytes > SIZE_MAX - ALIGNMENT)
            return NULL;
        block = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
        if (block != NULL)
            memset(block, 0, bytes);
    }
    if (block != NULL)
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return block;
}

void *rec_alloc_array(size_t count, size_t size) {
    return rec_alloc_extra(0, count, size);
}

void *rec_alloc_extra(size_t head_bytes, size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - head_bytes) / size)
        return NULL;
    return allocate(head_bytes + count * size);
}

char *rec_alloc_text(const char *text, size_t bytes) {
    char *copy = rec_alloc_extra(1, bytes, 1);
    if (copy != NULL)
        memcpy(copy, text, bytes);
    return copy;
}

void rec_alloc_free(void *block) {
    if (block == NULL)
        return;
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(block);
}

enum rec_status rec_alloc_grow(void *array_pointer, size_t *capacity, size_t need, size_t size,
                               struct rec_error *err) {
    if (need <= *capacity)
        return REC_OK;

    size_t wanted = *capacity + *capacity / 2;
    if (wanted < need)
        wanted = need;
    if (wanted < GROW_MIN)
        wanted = GROW_MIN;
    void *grown = rec_alloc_array(wanted, size);
    if (grown == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for %zu elements of %zu bytes", wanted,
                             size);

    void *old;
    memcpy(&old, array_pointer, sizeof(old));
    if (old != NULL)
        memcpy(grown, old, *capacity * size);
    memcpy(array_pointer, &grown, sizeof(grown));
    rec_alloc_free(old);
    *capacity = wanted;
    return REC_OK;
}

void rec_alloc_fail_at(long n) {
    atomic_store(&fail_countdown, n);
}

size_t rec_alloc_live(void) {
    return atomic_load(&live_blocks);
}
