/* The k best dot products of all rows with a query, exactly, without reading most rows; for several
 * queries in one pass over the 8-bit copies (scan.c).
 *
 * A query x becomes x̂ = t r as rows become ŷ = s q, and r . q is computed in integers, without an
 * error. By Cauchy-Schwarz
 *
 *   |x.y - x̂.ŷ| = |x̂.(y - ŷ) + (x - x̂).y| <= |x̂| |y - ŷ| + |x - x̂| |y|
 *
 * with |y - ŷ| and |y| the largest of a word, |x̂| and |x - x̂| computed once a query. To that come
 * roundings, with u = FLT_EPSILON / 2: of the float dot product itself, at most n FLT_EPSILON |x|
 * |y| (kernels_ref.c is what it approximates; test_kernels.c has the proof's source), and of the
 * bound's own few float operations: at most 4 u |x̂.ŷ| for the coarse score c, 4 u for the sum r,
 * and u of what adding or comparing them yields. (n + 16) FLT_EPSILON in place of n and a factor of
 * 1 + 32 u more than cover these. Results below the normal floats lose at most 2^-118 in all: TINY.
 * So each score lies in [c - r, c + r], and rows whose upper end is below k scores' lower ends are
 * out. Later words compare c with the bar less r, which is the same but for one rounding: u times
 * the larger of both. Where that is the bar, and beyond 2 |x| |y|, no c of the word is near it; and
 * else it is within what the 16 leave. What is not out, a few more than k where scores differ, is
 * scored by the kernel of rec_kernels_rows_dot, whose bits do not depend on which rows it is given
 * together.
 *
 * No score is above |x| |y|, so where that is below the bar for one word it is for all that follow,
 * and the scan is over for this query: factors of rare items are short, and most of a catalogue is
 * rare. The first words set the bar: what k of their lower ends reach bounds the k-th best score
 * from below. For that, they must know which items may enter; later words look only at the few that
 * reach the bar.
 *
 * Where few items may enter at all, these are scored and no copy is read: a few of the longest,
 * which set the bar, then the others as they lie in memory, without those too short to reach it. */
#include <string.h>

#include "scan.h"

enum {
    HEAD = 4, /* words that set the first bar */
    HEAD_ITEMS = HEAD * SCAN_WORD,
    TOGETHER = 16,       /* scored together: rows of one call of the kernel */
    WAITING = 64,        /* fetched ahead at most, where no bar depends on it soon */
    FEW = 8,             /* where not one in so many may enter, only these are read */
    LONGEST_FROM = 512,  /* fewer are all read: looking for the longest would take more */
    LONGEST_WORDS = 256, /* in which the longest are looked for */
};
#define TINY  0x1p-100f /* see above; a normal float, for the others are slow */
#define SLACK (1.0 + 16.0 * (double)FLT_EPSILON)

/* One query's state. */
struct pass {
    const struct rec_scan *scan;
    const struct rec_scan_query *asked;
    uint32_t items;
    struct scan_query coded;
    float length; /* of the query, and roundings: no score is above length |y| + TINY */
    float bar;    /* what an item must reach to be looked at */
    uint32_t waiting[WAITING];
    size_t waiting_count, waiting_max;
};

/* codes [4 quads] */
static void encode_query(struct pass *pass, int8_t *codes) {
    size_t n = pass->scan->n;
    struct scan_coded coded = rec_scan_encode(pass->asked->query, n, 0, (uint8_t *)codes, 4);
    double longest = coded.norm > coded.code_norm ? coded.norm : coded.code_norm;
    double rounding = (double)(n + 16) * (double)FLT_EPSILON * longest;
    pass->coded = (struct scan_query){
        .code = codes,
        .quads = pass->scan->quads,
        .start = -SCAN_OFFSET * coded.code_sum,
        .scale = coded.scale,
        .per_error = scan_rounded_up(coded.code_norm * SLACK),
        .per_norm = scan_rounded_up((coded.error + rounding) * SLACK),
    };
    pass->length = scan_rounded_up((coded.norm + rounding) * SLACK);
}

/* How far a coarse score of the word's items may be off. */
static float off_of(const struct pass *pass, size_t word) {
    const struct rec_scan *scan = pass->scan;
    return pass->coded.per_error * scan->error[word] + pass->coded.per_norm * scan->norm[word] +
           TINY;
}

/* Whether no item of this word or of those that follow reaches the bar. */
static bool is_over(const struct pass *pass, size_t word) {
    return pass->length * pass->scan->norm[word] + TINY < pass->bar;
}

/* ---- items one by one ------------------------------------------------------------------- */

static bool is_open(const struct pass *pass, uint32_t item) {
    const uint64_t *mask = pass->asked->mask;
    return item < pass->items && (mask == NULL || (mask[item / 64] >> (item % 64) & 1) != 0);
}

static uint64_t open_items(const struct pass *pass, size_t word) {
    const uint32_t *item = pass->scan->order + word * SCAN_WORD;
    if (pass->asked->mask != NULL)
        return rec_kernels_chosen()->marked(item, pass->items, pass->asked->mask);
    uint64_t open = 0;
    for (size_t i = 0; i < SCAN_WORD; i++)
        open |= (uint64_t)(item[i] < pass->items) << i;
    return open;
}

static void raise_bar(struct pass *pass) {
    const struct rec_topk *top = pass->asked->top;
    if (top->count == top->k && top->kept[0].score > pass->bar)
        pass->bar = top->kept[0].score;
}

/* The oldest, up to TOGETHER. */
static void score_some(struct pass *pass) {
    float scores[TOGETHER];
    size_t count = pass->waiting_count < TOGETHER ? pass->waiting_count : TOGETHER;
    rec_kernels_chosen()->rows_dot(pass->scan->rows, pass->waiting, count, pass->scan->n,
                                   pass->asked->query, scores);
    for (size_t i = 0; i < count; i++)
        rec_topk_offer(pass->asked->top, pass->waiting[i], scores[i]);
    pass->waiting_count -= count;
    memmove(pass->waiting, pass->waiting + count, pass->waiting_count * sizeof(pass->waiting[0]));
    raise_bar(pass);
}

static void score_waiting(struct pass *pass) {
    while (pass->waiting_count > 0)
        score_some(pass);
}

/* What waits is fetched meanwhile: the rows lie anywhere. */
static void wait_for_score(struct pass *pass, uint32_t item) {
    enum { LINE = 64 / sizeof(float), FETCHED_MAX = 8 * LINE };
    const size_t n = pass->scan->n;
    const float *row = pass->scan->rows + item * n;
    for (size_t i = 0; i < n && i < FETCHED_MAX; i += LINE)
        __builtin_prefetch(row + i);
    pass->waiting[pass->waiting_count++] = item;
    if (pass->waiting_count == pass->waiting_max)
        score_some(pass);
}

/* ---- where few may enter ---------------------------------------------------------------- */

/* Within items / FEW, or at least more than that. */
static size_t open_count(const struct pass *pass) {
    const uint64_t *mask = pass->asked->mask;
    size_t open = 0, words = pass->items / 64;
    for (size_t word = 0; word < words && open <= pass->items / FEW; word++)
        open += (size_t)__builtin_popcountll(mask[word]);
    if (pass->items % 64 != 0)
        open += (size_t)__builtin_popcountll(mask[words] << (64 - pass->items % 64));
    return open;
}

/* Scores about as many of the longest as set a bar. Returns how many slots they were taken from. */
static size_t score_longest(struct pass *pass) {
    const struct rec_scan *scan = pass->scan;
    const size_t enough = 8 * pass->asked->top->k;
    size_t words = scan->words < LONGEST_WORDS ? scan->words : LONGEST_WORDS, word = 0, taken = 0;
    for (; word < words && taken < enough; word++)
        for (uint64_t open = open_items(pass, word); open != 0; open &= open - 1, taken++)
            wait_for_score(pass, scan->order[word * SCAN_WORD + (size_t)__builtin_ctzll(open)]);
    score_waiting(pass);
    return word * SCAN_WORD;
}

/* How many slots the bar leaves. */
static size_t slots_left(const struct pass *pass) {
    size_t first = 0, end = pass->scan->words;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (is_over(pass, middle))
            end = middle;
        else
            first = middle + 1;
    }
    return end * SCAN_WORD;
}

/* Marked items, gathered so that where they stand is fetched for many of them at a time. */
struct marked {
    uint32_t item[WAITING];
    size_t count;
    size_t first, end; /* slots that are asked */
    float bar;         /* that end is for */
};

static void take_marked(struct pass *pass, struct marked *marked) {
    const uint32_t *slot = pass->scan->slot;
    for (size_t i = 0; i < marked->count; i++) {
        uint32_t item = marked->item[i];
        if (slot != NULL && (slot[item] < marked->first || slot[item] >= marked->end))
            continue;
        wait_for_score(pass, item);
        if (pass->bar > marked->bar) {
            marked->bar = pass->bar;
            marked->end = slots_left(pass);
        }
    }
    marked->count = 0;
}

/* Those in slots from `first` on, in the order of the mask: their rows lie one after the other, and
 * what memory takes decides here. */
static void score_marked(struct pass *pass, size_t first) {
    const uint64_t *mask = pass->asked->mask;
    const uint32_t *slot = pass->scan->slot;
    struct marked marked = {.first = first, .end = SIZE_MAX, .bar = -INFINITY};
    for (uint32_t word = 0; word < (pass->items + 63) / 64; word++)
        for (uint64_t open = mask[word]; open != 0; open &= open - 1) {
            uint32_t item = word * 64 + (uint32_t)__builtin_ctzll(open);
            if (item >= pass->items)
                break;
            marked.item[marked.count++] = item;
            if (slot != NULL)
                __builtin_prefetch(slot + item);
            if (marked.count == WAITING)
                take_marked(pass, &marked);
        }
    take_marked(pass, &marked);
    score_waiting(pass);
}

/* ---- the first words ---------------------------------------------------------------------- */

/* A score that at least k of the lower ends reach, close to the k-th of them; -infinity for a k
 * beyond them. Halving, not a heap: its tests always go the same way, and a bar that is a little
 * low costs a row or two. It begins at the least of the maxima of as many groups as are needed,
 * which so many reach already. */
static float first_bar(const float lower[HEAD_ITEMS], size_t k) {
    enum { HALVINGS = 8, GROUPS_MIN = 16 };
    const struct kernels *kernels = rec_kernels_chosen();
    float maxima[HEAD_ITEMS];
    if (k > HEAD_ITEMS)
        return -INFINITY;
    memcpy(maxima, lower, sizeof(maxima));
    size_t groups = HEAD_ITEMS;
    while (groups / 2 >= k && groups > GROUPS_MIN) {
        groups /= 2;
        for (size_t i = 0; i < groups; i++)
            maxima[i] = maxima[i + groups] > maxima[i] ? maxima[i + groups] : maxima[i];
    }
    float low = maxima[0], high = maxima[0];
    for (size_t i = 1; i < groups; i++) {
        low = maxima[i] < low ? maxima[i] : low;
        high = maxima[i] > high ? maxima[i] : high;
    }
    for (int i = 0; i < HALVINGS && low > -INFINITY; i++) {
        float middle = low + (high - low) / 2.0f;
        size_t reached = 0;
        for (size_t w = 0; w < HEAD; w++)
            reached += (size_t)__builtin_popcountll(
                kernels->above(lower + w * SCAN_WORD, SCAN_WORD, middle, true));
        low = reached >= k ? middle : low;
        high = reached >= k ? high : middle;
    }
    return low;
}

/* upper, lower [SCAN_WORD]: ends of a word's items that may enter. */
static void bound_word(const struct pass *pass, size_t word, float *upper, float *lower) {
    const struct kernels *kernels = rec_kernels_chosen();
    const struct rec_scan *scan = pass->scan;
    int32_t sums[SCAN_WORD];
    kernels->coarse(scan->codes + word * scan->quads * SCAN_WORD * 4, &pass->coded, sums);
    kernels->bounds(sums, scan->scale + word * SCAN_WORD, pass->coded.scale, off_of(pass, word),
                    open_items(pass, word), upper, lower);
}

/* They are bounded all before the bar is set, and then looked at. */
static void scan_head(struct pass *pass, size_t words) {
    const struct rec_topk *top = pass->asked->top;
    float upper[HEAD_ITEMS], lower[HEAD_ITEMS];
    for (size_t i = 0; i < HEAD_ITEMS; i++)
        lower[i] = -INFINITY;
    for (size_t w = 0; w < words; w++)
        bound_word(pass, w, upper + w * SCAN_WORD, lower + w * SCAN_WORD);
    if (top->count < top->k)
        pass->bar = first_bar(lower, top->k);
    for (size_t i = 0; i < words * SCAN_WORD; i++)
        if (upper[i] >= pass->bar && is_open(pass, pass->scan->order[i]))
            wait_for_score(pass, pass->scan->order[i]);
    score_waiting(pass);
}

/* ---- all others ------------------------------------------------------------------------------ */

/* Those whose scan is not over yet, side by side for the kernel. */
struct running {
    struct pass *pass[SCAN_QUERIES];
    const struct scan_query *coded[SCAN_QUERIES];
    float bar[SCAN_QUERIES];
    size_t count;
};

/* Sets the bars for a word; queries that need it no more are left out. */
static void step(struct running *running, size_t word) {
    size_t kept = 0;
    for (size_t u = 0; u < running->count; u++) {
        struct pass *pass = running->pass[u];
        if (is_over(pass, word))
            continue;
        running->pass[kept] = pass;
        running->coded[kept] = &pass->coded;
        running->bar[kept++] = pass->bar - off_of(pass, word);
    }
    running->count = kept;
}

static void take_found(struct pass *pass, size_t word, uint64_t found) {
    const uint32_t *order = pass->scan->order + word * SCAN_WORD;
    for (; found != 0; found &= found - 1) {
        uint32_t item = order[__builtin_ctzll(found)];
        if (is_open(pass, item))
            wait_for_score(pass, item);
    }
}

static void scan_rest(const struct rec_scan *scan, size_t first, struct running *running) {
    const struct kernels *kernels = rec_kernels_chosen();
    const size_t word_bytes = scan->quads * SCAN_WORD * 4;
    uint64_t found[SCAN_QUERIES];
    for (size_t word = first; word < scan->words; word++) {
        step(running, word);
        if (running->count == 0)
            break;
        kernels->reach(scan->codes + word * word_bytes, scan->scale + word * SCAN_WORD,
                       running->coded, running->bar, running->count, found);
        for (size_t u = 0; u < running->count; u++)
            take_found(running->pass[u], word, found[u]);
    }
}

/* ---- asking --------------------------------------------------------------------------------- */

static void scan_exactly(struct pass *pass) {
    enum { BLOCK = 512 };
    const struct rec_scan *scan = pass->scan;
    float scores[BLOCK];
    for (uint32_t first = 0; first < pass->items; first += BLOCK) {
        uint32_t left = pass->items - first, count = left < BLOCK ? left : BLOCK;
        rec_kernels_rows_dot(scan->rows + first * scan->n, count, scan->n, pass->asked->query,
                             scores);
        rec_topk_scan(pass->asked->top, scores, first, count, pass->asked->mask);
    }
}

/* Answers where the copies are of no use, or else prepares for them, with codes [4 quads]. */
static bool needs_copies(struct pass *pass, int8_t *codes) {
    const struct rec_scan *scan = pass->scan;
    if (pass->asked->top->k == 0 || pass->items == 0)
        return false;
    size_t open = pass->asked->mask == NULL ? pass->items : open_count(pass);
    bool few = open <= pass->items / FEW, coded = scan->codes != NULL;
    pass->waiting_max = few ? WAITING : TOGETHER;
    coded = coded && rec_scan_can_code(pass->asked->query, 1, scan->n);
    if (coded) {
        encode_query(pass, codes);
        raise_bar(pass);
    }
    if (few)
        score_marked(pass, coded && open >= LONGEST_FROM ? score_longest(pass) : 0);
    else if (!coded)
        scan_exactly(pass);
    return coded && !few;
}

/* codes [count][4 quads] */
static void ask(const struct rec_scan *scan, const struct rec_scan_query *queries, size_t count,
                int8_t *codes) {
    struct pass passes[SCAN_QUERIES];
    struct running running = {.count = 0};
    const size_t head = scan->words < HEAD ? scan->words : HEAD;
    for (size_t u = 0; u < count; u++) {
        struct pass *pass = &passes[u];
        pass->scan = scan;
        pass->asked = &queries[u];
        pass->items = queries[u].items < scan->items ? queries[u].items : scan->items;
        pass->length = INFINITY; /* until it is known */
        pass->bar = -INFINITY;
        pass->waiting_count = 0;
        if (!needs_copies(pass, codes + u * scan->quads * 4))
            continue;
        scan_head(pass, head);
        running.pass[running.count++] = pass;
    }
    scan_rest(scan, head, &running);
    for (size_t u = 0; u < count; u++)
        score_waiting(&passes[u]);
}

void rec_scan_topk(const struct rec_scan *scan, const struct rec_scan_query *query) {
    int8_t codes[SCAN_N_MAX];
    ask(scan, query, 1, codes);
}

void rec_scan_topk_batch(const struct rec_scan *scan, const struct rec_scan_query *queries,
                         size_t count) {
    int8_t codes[SCAN_QUERIES * SCAN_N_MAX];
    for (size_t first = 0; first < count; first += SCAN_QUERIES)
        ask(scan, queries + first, count - first < SCAN_QUERIES ? count - first : SCAN_QUERIES,
            codes);
}
