/* catalogue.c: which items there are, what each is called, which may be listed, and how popular
 * each is right now.
 *
 * Eligibility is kept as bit sets over the dense item indices, one for "visible" and one per
 * category, because that is the form in which a scan wants it: a request takes the read lock for a
 * copy of items/64 words and never while it scores. Sets of categories end at their highest item,
 * so a rare category of a large catalogue stays small.
 *
 * The texts that a list is answered with are escaped once, when the item is stored, and copied out
 * as they are.
 *
 * Live counts are doubles: sums of floats of ordinary size are exact in them, so what is added and
 * later taken away leaves no trace, in whatever order. */
#include <string.h>

#include "internal.h"

enum rec_status rec_catalogue_init(struct rec_catalogue *catalogue, struct rec_error *err) {
    rec_shared_init(&catalogue->lock);

    /* Versions of an earlier process must not come again. */
    atomic_store(&catalogue->version, ((uint64_t)rec_clock_unix_ms() << 20) +
                                          (rec_clock_monotonic_ns() & ((1 << 20) - 1)));
    catalogue->ids = rec_idmap_create();
    catalogue->category_ids = rec_idmap_create();
    if (catalogue->ids == NULL || catalogue->category_ids == NULL)
        return rec_error_set(err, REC_NO_MEMORY, "no memory for the catalogue");
    return REC_OK;
}

void rec_catalogue_finish(struct rec_catalogue *catalogue) {
    for (uint32_t i = 0; i < catalogue->items; i++)
        rec_alloc_free(catalogue->text[i]);
    for (size_t i = 0; i < catalogue->category_capacity; i++)
        rec_alloc_free(catalogue->category[i].words);
    rec_alloc_free(catalogue->category);
    rec_alloc_free(catalogue->text);
    rec_alloc_free(catalogue->popularity);
    rec_alloc_free(catalogue->visible);
    rec_alloc_free(catalogue->hidden);
    rec_alloc_free(catalogue->damaged);
    rec_idmap_destroy(&catalogue->ids);
    rec_idmap_destroy(&catalogue->category_ids);
    rec_shared_finish(&catalogue->lock);
}

void rec_catalogue_changed(struct rec_catalogue *catalogue) {
    atomic_fetch_add(&catalogue->version, 1);
}

/* ---- room ------------------------------------------------------------------------------- */

/* One array's longer copy; the old one goes when all of them are there. */
static void *longer(const void *old, size_t old_bytes, size_t bytes) {
    char *grown = rec_alloc_array(bytes, 1);
    if (grown != NULL && old_bytes > 0)
        memcpy(grown, old, old_bytes);
    return grown;
}

static void replace(void *array_pointer, void *grown) {
    void *old;
    memcpy(&old, array_pointer, sizeof(old));
    memcpy(array_pointer, &grown, sizeof(grown));
    rec_alloc_free(old);
}

/* All arrays, or none: they share one length. The caller holds the lock for writing. */
static enum rec_status grow(struct rec_catalogue *catalogue, size_t items, struct rec_error *err) {
    size_t was = catalogue->words, need = (items + 63) / 64;
    if (need <= was)
        return REC_OK;
    size_t words = was + was / 4 > need ? was + was / 4 : need;
    size_t slot = 64 * sizeof(double), bits = sizeof(uint64_t);

    void *text = longer(catalogue->text, was * slot, words * slot);
    void *popularity = longer(catalogue->popularity, was * slot, words * slot);
    void *visible = longer(catalogue->visible, was * bits, words * bits);
    void *hidden = longer(catalogue->hidden, was * bits, words * bits);
    void *damaged = longer(catalogue->damaged, was * bits, words * bits);
    if (text == NULL || popularity == NULL || visible == NULL || hidden == NULL ||
        damaged == NULL) {
        rec_alloc_free(text);
        rec_alloc_free(popularity);
        rec_alloc_free(visible);
        rec_alloc_free(hidden);
        rec_alloc_free(damaged);
        return rec_error_set(err, REC_NO_MEMORY, "no memory for a catalogue of %zu items", items);
    }
    replace(&catalogue->text, text);
    replace(&catalogue->popularity, popularity);
    replace(&catalogue->visible, visible);
    replace(&catalogue->hidden, hidden);
    replace(&catalogue->damaged, damaged);
    catalogue->words = words;
    return REC_OK;
}
_Static_assert(sizeof(struct rec_catalogue_text *) == sizeof(double), "grow() sizes both alike");

enum rec_status rec_catalogue_reserve(struct rec_catalogue *catalogue, size_t more,
                                      struct rec_error *err) {
    rec_shared_read(&catalogue->lock);
    bool enough = catalogue->items + more <= catalogue->words * 64;
    rec_shared_read_end(&catalogue->lock);
    if (enough)
        return REC_OK;

    rec_shared_write(&catalogue->lock);
    enum rec_status st = grow(catalogue, catalogue->items + more, err);
    rec_shared_write_end(&catalogue->lock);
    return st;
}

/* ---- texts ------------------------------------------------------------------------------- */

/* `"key":"value"`, escaped as JSON wants it and no further; out NULL: only the length. */
static size_t put_member(char *out, const char *key, const char *value) {
    static const char hex[] = "0123456789abcdef";
    size_t n = strlen(key);
    if (out != NULL)
        memcpy(out, key, n);
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        char escaped[6] = {'\\', (char)c};
        size_t bytes = 2;
        if (c < 0x20) {
            memcpy(escaped, "\\u00", 4);
            escaped[4] = hex[c >> 4];
            escaped[5] = hex[c & 15];
            bytes = 6;
        } else if (c != '"' && c != '\\') {
            escaped[0] = (char)c;
            bytes = 1;
        }
        if (out != NULL)
            memcpy(out + n, escaped, bytes);
        n += bytes;
    }
    if (out != NULL)
        out[n] = '"';
    return n + 1;
}

static const char ID_KEY[] = "\"item_id\":\"", TITLE_KEY[] = "\"title\":\"";

static struct rec_catalogue_text *text_create(const char *item_id, const char *title) {
    size_t id_bytes = put_member(NULL, ID_KEY, item_id);
    size_t title_bytes = title == NULL ? 0 : put_member(NULL, TITLE_KEY, title);
    struct rec_catalogue_text *text = rec_alloc_extra(sizeof(*text), id_bytes + title_bytes, 1);
    if (text == NULL)
        return NULL;
    text->id_bytes = (uint32_t)put_member(text->json, ID_KEY, item_id);
    if (title != NULL)
        text->title_bytes = (uint32_t)put_member(text->json + id_bytes, TITLE_KEY, title);
    return text;
}

/* The title again, from what put_member wrote. False when it does not fit. */
static bool read_title(const struct rec_catalogue_text *text, char *out, size_t cap) {
    const char *at = text->json + text->id_bytes + sizeof(TITLE_KEY) - 1;
    const char *end = text->json + text->id_bytes + text->title_bytes - 1;
    size_t n = 0;
    while (at < end && n + 1 < cap) {
        if (*at != '\\') {
            out[n++] = *at++;
        } else if (at[1] != 'u') {
            out[n++] = at[1];
            at += 2;
        } else {
            int low = at[5] <= '9' ? at[5] - '0' : at[5] - 'a' + 10;
            out[n++] = (char)((at[4] - '0') * 16 + low);
            at += 6;
        }
    }
    if (at < end || n >= cap)
        return false;
    out[n] = '\0';
    return true;
}

/* The text of the item whose index lies at `at`, or NULL. */
static const struct rec_catalogue_text *text_at(const struct rec_catalogue *catalogue,
                                                const char *at, uint32_t *item) {
    memcpy(item, at, sizeof(*item));
    return *item < catalogue->items ? catalogue->text[*item] : NULL;
}

/* Texts lie anywhere in memory, each in a line or two: the first ones are fetched all at once. */
static void fetch_texts(const struct rec_catalogue *catalogue, const char *at, size_t stride_bytes,
                        size_t count) {
    enum { FETCHED_MAX = 32, LINE = 64 };
    uint32_t item;
    for (size_t i = 0; i < count && i < FETCHED_MAX; i++, at += stride_bytes) {
        const char *text = (const char *)text_at(catalogue, at, &item);
        if (text == NULL)
            continue;
        __builtin_prefetch(text);
        __builtin_prefetch(text + LINE);
    }
}

void rec_catalogue_texts(struct rec_serve *serve, const uint32_t *items, size_t stride_bytes,
                         size_t count, rec_catalogue_fn fn, void *context) {
    struct rec_catalogue *catalogue = &serve->catalogue;
    char bare[sizeof(ID_KEY) + 6 * REC_ID_BYTES_MAX + 1];
    const char *at = (const char *)items;

    (void)rec_repair_ids(serve, NULL); /* what stays lost is written bare, below */
    rec_shared_read(&catalogue->lock);
    fetch_texts(catalogue, at, stride_bytes, count);
    for (size_t i = 0; i < count; i++, at += stride_bytes) {
        uint32_t item;
        const struct rec_catalogue_text *text = text_at(catalogue, at, &item);
        if (text != NULL) {
            fn(context, i, text->json, text->id_bytes, text->json + text->id_bytes,
               text->title_bytes);
            continue;
        }
        const char *id = rec_idmap_id(catalogue->ids, item);
        fn(context, i, bare, put_member(bare, ID_KEY, id == NULL ? "" : id), bare, 0);
    }
    rec_shared_read_end(&catalogue->lock);
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Where a new category goes: the next index, or at the cap that of one which no item has any more
 * (the store, which refuses one more than the cap, forgets those too). */
static uint32_t category_free(const struct rec_catalogue *catalogue) {
    uint32_t count = rec_idmap_count(catalogue->category_ids);
    if (count < REC_CATEGORIES_MAX)
        return count;
    for (uint32_t i = 0; i < count && i < catalogue->category_capacity; i++) {
        const struct rec_category *category = &catalogue->category[i];
        size_t word = 0;
        while (word < category->capacity && category->words[word] == 0)
            word++;
        if (word == category->capacity)
            return i;
    }
    return count;
}

static enum rec_status category_add(struct rec_catalogue *catalogue, uint32_t item,
                                    const char *name, struct rec_error *err) {
    size_t bytes = strlen(name);
    uint32_t index = rec_idmap_find(catalogue->category_ids, name, bytes);
    enum rec_status st = REC_OK;
    if (index == REC_STORE_NONE) {
        index = category_free(catalogue);
        st = rec_idmap_bind(catalogue->category_ids, name, bytes, index, err);
    }
    if (st != REC_OK)
        return st;
    st = rec_alloc_grow(&catalogue->category, &catalogue->category_capacity, (size_t)index + 1,
                        sizeof(*catalogue->category), err);
    if (st != REC_OK)
        return st;
    struct rec_category *category = &catalogue->category[index];
    st = rec_alloc_grow(&category->words, &category->capacity, (size_t)item / 64 + 1,
                        sizeof(*category->words), err);
    if (st == REC_OK)
        rec_serve_bit_set(category->words, item);
    return st;
}

static void categories_clear(struct rec_catalogue *catalogue, uint32_t index) {
    for (size_t i = 0; i < catalogue->category_capacity; i++)
        if (index / 64 < catalogue->category[i].capacity)
            rec_serve_bit_clear(catalogue->category[i].words, index);
}

static enum rec_status categories_set(struct rec_catalogue *catalogue, uint32_t index,
                                      const struct rec_item *item, struct rec_error *err) {
    categories_clear(catalogue, index);
    enum rec_status st = REC_OK;
    for (size_t i = 0; i < item->category_count && st == REC_OK; i++)
        st = category_add(catalogue, index, item->categories[i], err);
    return st;
}

static enum rec_status bind_id(struct rec_catalogue *catalogue, uint32_t index, const char *item_id,
                               struct rec_error *err) {
    if (rec_idmap_id(catalogue->ids, index) != NULL)
        return REC_OK; /* an index never changes its id */
    return rec_idmap_bind(catalogue->ids, item_id, strlen(item_id), index, err);
}

enum rec_status rec_catalogue_put(struct rec_catalogue *catalogue, uint32_t index,
                                  const struct rec_item *item, struct rec_error *err) {
    struct rec_catalogue_text *text = text_create(item->item_id, item->title), *old = NULL;
    enum rec_status st;

    rec_shared_write(&catalogue->lock);
    st = grow(catalogue, (size_t)index + 1, err);
    if (st != REC_OK) {
        rec_shared_write_end(&catalogue->lock);
        rec_alloc_free(text);
        return st;
    }
    if (index >= catalogue->items)
        catalogue->items = index + 1;
    /* What needs no memory first: an item that is to be hidden is hidden whatever comes next. */
    rec_serve_bit_clear(item->hidden ? catalogue->visible : catalogue->hidden, index);
    rec_serve_bit_set(item->hidden ? catalogue->hidden : catalogue->visible, index);
    st = categories_set(catalogue, index, item, err);
    if (st == REC_OK)
        st = bind_id(catalogue, index, item->item_id, err);
    if (text == NULL && st == REC_OK)
        st = rec_error_set(err, REC_NO_MEMORY, "no memory for an item's title");
    if (text != NULL) {
        old = catalogue->text[index];
        catalogue->text[index] = text;
    }
    if (st == REC_OK)
        rec_serve_bit_clear(catalogue->damaged, index);
    else
        rec_serve_bit_set(catalogue->damaged, index);
    rec_shared_write_end(&catalogue->lock);

    rec_catalogue_changed(catalogue);
    rec_alloc_free(old);
    return st;
}

void rec_catalogue_delete(struct rec_catalogue *catalogue, uint32_t index) {
    rec_shared_write(&catalogue->lock);
    if (index < catalogue->items) {
        rec_serve_bit_clear(catalogue->visible, index);
        rec_serve_bit_clear(catalogue->hidden, index);
        categories_clear(catalogue, index);
        if (catalogue->text[index] != NULL) /* the id goes on naming it in histories */
            catalogue->text[index]->title_bytes = 0;
    }
    rec_shared_write_end(&catalogue->lock);
    rec_catalogue_changed(catalogue);
}

static bool there(const struct rec_catalogue *catalogue, uint32_t index) {
    return index < catalogue->items &&
           (rec_serve_bit(catalogue->visible, index) || rec_serve_bit(catalogue->hidden, index));
}

enum rec_status rec_catalogue_touch(struct rec_catalogue *catalogue, uint32_t index,
                                    const char *item_id, struct rec_error *err) {
    if (!rec_catalogue_deleted(catalogue, index))
        return REC_OK;
    return rec_catalogue_put(catalogue, index, &(struct rec_item){.item_id = item_id}, err);
}

bool rec_catalogue_damaged(struct rec_catalogue *catalogue, uint32_t index) {
    rec_shared_read(&catalogue->lock);
    bool damaged = index < catalogue->items && rec_serve_bit(catalogue->damaged, index);
    rec_shared_read_end(&catalogue->lock);
    return damaged;
}

void rec_catalogue_mended(struct rec_catalogue *catalogue) {
    rec_shared_write(&catalogue->lock);
    memset(catalogue->damaged, 0, catalogue->words * sizeof(*catalogue->damaged));
    rec_shared_write_end(&catalogue->lock);
}

/* ---- reads ---------------------------------------------------------------------------------- */

uint32_t rec_catalogue_find(struct rec_catalogue *catalogue, const char *item_id) {
    size_t bytes = strlen(item_id);
    rec_shared_read(&catalogue->lock);
    uint32_t index = rec_idmap_find(catalogue->ids, item_id, bytes);
    rec_shared_read_end(&catalogue->lock);
    return index;
}

bool rec_catalogue_deleted(struct rec_catalogue *catalogue, uint32_t index) {
    rec_shared_read(&catalogue->lock);
    bool deleted = !there(catalogue, index);
    rec_shared_read_end(&catalogue->lock);
    return deleted;
}

/* Keeps the bits of *mask that are also in the category. */
static void mask_category(const struct rec_catalogue *catalogue, const char *name, uint64_t *mask,
                          size_t words) {
    uint32_t index = rec_idmap_find(catalogue->category_ids, name, strlen(name));
    size_t known = 0;
    if (index != REC_STORE_NONE && index < catalogue->category_capacity) {
        const struct rec_category *category = &catalogue->category[index];
        known = category->capacity < words ? category->capacity : words;
        for (size_t i = 0; i < known; i++)
            mask[i] &= category->words[i];
    }
    memset(mask + known, 0, (words - known) * sizeof(*mask));
}

enum rec_status rec_catalogue_mask(struct rec_catalogue *catalogue, const char *category,
                                   uint64_t **mask, size_t *mask_words, uint32_t *items,
                                   struct rec_error *err) {
    for (;;) {
        rec_shared_read(&catalogue->lock);
        size_t words = ((size_t)catalogue->items + 63) / 64;
        bool fits = words <= *mask_words;
        if (fits && words > 0)
            memcpy(*mask, catalogue->visible, words * sizeof(**mask));
        if (fits && words > 0 && category != NULL)
            mask_category(catalogue, category, *mask, words);
        *items = catalogue->items;
        rec_shared_read_end(&catalogue->lock);
        if (fits)
            return REC_OK;
        enum rec_status st = rec_alloc_grow(mask, mask_words, words, sizeof(**mask), err);
        if (st != REC_OK)
            return st;
    }
}

void rec_catalogue_popularity(struct rec_catalogue *catalogue, uint32_t first, uint32_t count,
                              float *scores) {
    rec_shared_read(&catalogue->lock);
    uint32_t known = catalogue->items > first ? catalogue->items - first : 0;
    if (known > count)
        known = count;
    for (uint32_t i = 0; i < known; i++)
        scores[i] = (float)catalogue->popularity[first + i];
    rec_shared_read_end(&catalogue->lock);
    for (uint32_t i = known; i < count; i++)
        scores[i] = 0.0f;
}

void rec_catalogue_add(struct rec_catalogue *catalogue, const uint32_t *items,
                       const double *weights, size_t count) {
    rec_shared_write(&catalogue->lock);
    for (size_t i = 0; i < count; i++)
        if (items[i] < catalogue->items)
            catalogue->popularity[items[i]] += weights[i];
    rec_shared_write_end(&catalogue->lock);
}

void rec_catalogue_count(struct rec_catalogue *catalogue, const struct rec_event *events,
                         size_t count, double sign) {
    rec_shared_write(&catalogue->lock);
    for (size_t i = 0; i < count; i++)
        if (events[i].item < catalogue->items)
            catalogue->popularity[events[i].item] += sign * (double)events[i].weight;
    rec_shared_write_end(&catalogue->lock);
}

/* A bump allocator over the caller's buffer, for what rec_catalogue_get hands out. */
static char *take_text(char **at, const char *end, const char *text) {
    size_t bytes = strlen(text) + 1;
    if (bytes > (size_t)(end - *at))
        return NULL;
    char *copy = memcpy(*at, text, bytes);
    *at += bytes;
    return copy;
}

/* The names of the item's categories into *at; false when they do not fit. */
static bool take_categories(const struct rec_catalogue *catalogue, uint32_t index,
                            const char **names, size_t *count, char **at, const char *end) {
    uint32_t known = rec_idmap_count(catalogue->category_ids);
    for (uint32_t i = 0; i < known && i < catalogue->category_capacity; i++) {
        const struct rec_category *category = &catalogue->category[i];
        if (index / 64 >= category->capacity || !rec_serve_bit(category->words, index))
            continue;
        if (*count == REC_ITEM_CATEGORIES_MAX)
            return false;
        names[*count] = take_text(at, end, rec_idmap_id(catalogue->category_ids, i));
        if (names[*count] == NULL)
            return false;
        ++*count;
    }
    return true;
}

static enum rec_status get_locked(const struct rec_catalogue *catalogue, const char *item_id,
                                  struct rec_item *out, char *buffer, size_t cap,
                                  struct rec_error *err) {
    uint32_t index = rec_idmap_find(catalogue->ids, item_id, strlen(item_id));
    if (index == REC_STORE_NONE || !there(catalogue, index))
        return rec_error_set(err, REC_NOT_FOUND, "item_id: there is no item '%.64s'", item_id);

    /* The array of names comes first, where the buffer is aligned for pointers. */
    size_t skip = (_Alignof(char *) - (uintptr_t)buffer % _Alignof(char *)) % _Alignof(char *);
    size_t head = skip + REC_ITEM_CATEGORIES_MAX * sizeof(char *);
    const struct rec_catalogue_text *text = catalogue->text[index];
    bool fits = cap > head;
    char *at = fits ? buffer + head : buffer, *end = buffer + cap;
    const char **names = (const char **)(void *)(buffer + skip);
    struct rec_item found = {.categories = names,
                             .hidden = rec_serve_bit(catalogue->hidden, index)};
    if (fits)
        found.item_id = take_text(&at, end, rec_idmap_id(catalogue->ids, index));
    if (fits && text != NULL && text->title_bytes > 0) {
        fits = read_title(text, at, (size_t)(end - at));
        found.title = at;
        at = fits ? at + strlen(at) + 1 : at;
    }
    fits = fits && found.item_id != NULL &&
           take_categories(catalogue, index, names, &found.category_count, &at, end);
    if (!fits)
        return rec_error_set(err, REC_LIMIT, "item_id: the item does not fit %zu bytes", cap);
    *out = found;
    return REC_OK;
}

enum rec_status rec_catalogue_get(struct rec_serve *serve, const char *item_id,
                                  struct rec_item *out, char *buffer, size_t cap,
                                  struct rec_error *err) {
    struct rec_catalogue *catalogue = &serve->catalogue;
    enum rec_status st = rec_repair_ids(serve, err);
    if (st != REC_OK)
        return st;
    rec_shared_read(&catalogue->lock);
    st = get_locked(catalogue, item_id, out, buffer, cap, err);
    rec_shared_read_end(&catalogue->lock);
    return st;
}
