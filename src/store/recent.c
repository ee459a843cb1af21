/* A direct-mapped table of short ids: two that meet displace each other, long ones are not kept.
 * A look-up by SQL takes a microsecond or two, which a commit of a few rows does not notice; for
 * arrays it is a quarter of the writer's time. What makes an entry wrong is rare, so everything is
 * forgotten then: no entry outlives the row it speaks of. */
#include <string.h>

#include "recent.h"

enum { SLOTS = 8192, TEXT_BYTES = 28 };

struct slot {
    char id[TEXT_BYTES]; /* with its NUL; "" when free */
    uint32_t index;
};

struct rec_recent {
    size_t kept; /* since all was forgotten */
    struct slot slot[SLOTS];
};

struct rec_recent *rec_recent_create(void) {
    return rec_alloc_array(1, sizeof(struct rec_recent));
}

void rec_recent_destroy(struct rec_recent **recent) {
    rec_alloc_free(*recent);
    *recent = NULL;
}

/* Where the id belongs, SLOTS when it is too long; FNV-1a, for whoever aims ids at one slot gets no
 * worse than a look-up. */
static size_t place(const char *id) {
    uint64_t hash = 0xcbf29ce484222325u;
    size_t bytes = 0;
    for (; id[bytes] != '\0' && bytes < TEXT_BYTES; bytes++)
        hash = (hash ^ (unsigned char)id[bytes]) * 0x100000001b3u;
    return bytes == 0 || bytes == TEXT_BYTES ? SLOTS : (hash ^ hash >> 32) % SLOTS;
}

bool rec_recent_find(const struct rec_recent *recent, const char *id, uint32_t *index) {
    size_t at = recent == NULL ? SLOTS : place(id);
    if (at == SLOTS || strcmp(recent->slot[at].id, id) != 0)
        return false;
    *index = recent->slot[at].index;
    return true;
}

void rec_recent_keep(struct rec_recent *recent, const char *id, uint32_t index) {
    size_t at = recent == NULL ? SLOTS : place(id);
    if (at == SLOTS)
        return;
    memcpy(recent->slot[at].id, id, strlen(id) + 1);
    recent->slot[at].index = index;
    recent->kept++;
}

void rec_recent_forget(struct rec_recent *recent) {
    if (recent != NULL && recent->kept > 0)
        memset(recent, 0, sizeof(*recent));
}
