#include "graph/arena_places.h"

#include <stdlib.h>

#include "base/memory.h"

#define NONE UINT32_MAX
/* Sizes that share a list: within a power of two, eighths. */
#define FRACTION_BITS 3
#define CLASS_COUNT   (64 << FRACTION_BITS)

/* A stretch of the arena, in use or free. Each one's neighbours are known, so that free ones can be joined. */
typedef struct stretch {
    size_t offset;
    size_t size;
    uint32_t before, after; /* neighbours */
    /* in the list of its size while free; next: of stretches to be used again */
    uint32_t previous, next;
    bool is_free;
} stretch;

typedef struct places {
    stretch *stretches; /* at most two for each span, and one more */
    uint32_t count;
    uint32_t unused; /* stretches that were joined to others */
    uint32_t top;    /* the last one of the arena, NONE */
    uint32_t heads[CLASS_COUNT];
    uint64_t filled[CLASS_COUNT / 64]; /* bit c: list c is not empty */
} places;

/* The list of free stretches of `size`: it holds sizes that are at least the class's own. */
static uint32_t class_of(size_t size)
{
    size_t lines = size / HD_CACHE_LINE;
    if (lines < ((size_t)1 << FRACTION_BITS)) {
        return (uint32_t)lines;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(lines);
    uint32_t fraction = (uint32_t)(lines >> (power - FRACTION_BITS)) & ((1u << FRACTION_BITS) - 1);
    return ((power - FRACTION_BITS + 1) << FRACTION_BITS) + fraction;
}

/* The first list all of whose stretches have room for `size`. */
static uint32_t class_with_room(size_t size)
{
    size_t lines = size / HD_CACHE_LINE;
    if (lines < ((size_t)1 << FRACTION_BITS)) {
        return (uint32_t)lines;
    }
    uint32_t power = 63 - (uint32_t)__builtin_clzll(lines);
    return class_of(((lines + ((size_t)1 << (power - FRACTION_BITS)) - 1)) * HD_CACHE_LINE);
}

static uint32_t new_stretch(places *p, stretch made)
{
    uint32_t index = p->unused;
    if (index != NONE) {
        p->unused = p->stretches[index].next;
    } else {
        index = p->count++;
    }
    p->stretches[index] = made;
    return index;
}

static void list_free(places *p, uint32_t index)
{
    stretch *s = &p->stretches[index];
    uint32_t list = class_of(s->size);
    s->is_free = true;
    s->previous = NONE;
    s->next = p->heads[list];
    if (s->next != NONE) {
        p->stretches[s->next].previous = index;
    }
    p->heads[list] = index;
    p->filled[list / 64] |= UINT64_C(1) << list % 64;
}

static void unlist(places *p, uint32_t index)
{
    stretch *s = &p->stretches[index];
    uint32_t list = class_of(s->size);
    s->is_free = false;
    if (s->next != NONE) {
        p->stretches[s->next].previous = s->previous;
    }
    if (s->previous != NONE) {
        p->stretches[s->previous].next = s->next;
        return;
    }
    p->heads[list] = s->next;
    if (s->next == NONE) {
        p->filled[list / 64] &= ~(UINT64_C(1) << list % 64);
    }
}

/* Joins stretch `index`, not listed, with the one behind it. */
static void join_after(places *p, uint32_t index)
{
    stretch *s = &p->stretches[index];
    uint32_t other = s->after;
    s->size += p->stretches[other].size;
    s->after = p->stretches[other].after;
    if (s->after != NONE) {
        p->stretches[s->after].before = index;
    } else {
        p->top = index;
    }
    p->stretches[other].next = p->unused;
    p->unused = other;
}

static void give_back(places *p, uint32_t index)
{
    uint32_t after = p->stretches[index].after, before = p->stretches[index].before;
    if (after != NONE && p->stretches[after].is_free) {
        unlist(p, after);
        join_after(p, index);
    }
    if (before != NONE && p->stretches[before].is_free) {
        unlist(p, before);
        join_after(p, before);
        index = before;
    }
    list_free(p, index);
}

/* Appends a stretch behind the last one. */
static uint32_t extend(places *p, size_t size)
{
    size_t offset = p->top == NONE ? 0 : p->stretches[p->top].offset + p->stretches[p->top].size;
    uint32_t index =
        new_stretch(p, (stretch){.offset = offset, .size = size, .before = p->top, .after = NONE});
    if (p->top != NONE) {
        p->stretches[p->top].after = index;
    }
    p->top = index;
    return index;
}

static uint32_t find_free(const places *p, size_t size)
{
    uint32_t own = class_of(size), first = class_with_room(size);
    /* Most tensors are as large as one that has died. */
    uint32_t exact = p->heads[own];
    if (exact != NONE && p->stretches[exact].size >= size) {
        return exact;
    }
    for (uint32_t word = first / 64; word < CLASS_COUNT / 64; word++) {
        uint64_t bits =
            p->filled[word] & (word == first / 64 ? UINT64_MAX << first % 64 : UINT64_MAX);
        if (bits != 0) {
            return p->heads[word * 64 + (uint32_t)__builtin_ctzll(bits)];
        }
    }
    return NONE;
}

static uint32_t take(places *p, size_t size)
{
    uint32_t index = find_free(p, size);
    if (index == NONE && p->top != NONE && p->stretches[p->top].is_free) {
        index = p->top; /* too short, but nothing lies behind it */
        unlist(p, index);
        p->stretches[index].size = size;
        return index;
    }
    if (index == NONE) {
        return extend(p, size);
    }
    unlist(p, index);
    size_t rest = p->stretches[index].size - size;
    if (rest > 0) {
        uint32_t after = p->stretches[index].after;
        uint32_t made = new_stretch(p, (stretch){.offset = p->stretches[index].offset + size,
                                                 .size = rest,
                                                 .before = index,
                                                 .after = after});
        p->stretches[index].size = size;
        p->stretches[index].after = made;
        if (after != NONE) {
            p->stretches[after].before = made;
        } else {
            p->top = made;
        }
        list_free(p, made);
    }
    return index;
}

static int compare_offsets(const void *a, const void *b)
{
    const hd_arena_span *const *first = a, *const *second = b;
    size_t before = (*first)->offset, after = (*second)->offset;
    return before < after ? -1 : before > after;
}

/* Lays out what is fixed, by offset; those that share memory take one stretch, which stays. */
static bool lay_out_fixed(places *p, hd_arena_span *spans, size_t fixed)
{
    if (fixed == 0) {
        return true;
    }
    hd_arena_span **order = hd_alloc_zero(fixed, sizeof *order);
    if (order == NULL) {
        return false;
    }
    size_t count = 0, end = 0;
    for (size_t i = 0; i < fixed; i++) {
        if (spans[i].last > 0) { /* else it is dead already */
            order[count++] = &spans[i];
        }
    }
    qsort(order, count, sizeof *order, compare_offsets);
    for (size_t i = 0; i < count; i++) {
        size_t span_end = order[i]->offset + order[i]->size;
        if (order[i]->offset > end) {
            list_free(p, extend(p, order[i]->offset - end));
            end = order[i]->offset;
        }
        if (span_end > end) {
            extend(p, span_end - end);
            end = span_end;
        }
    }
    hd_free(order);
    return true;
}

bool hd_arena_place(hd_arena_span *spans, size_t count, uint32_t step_count)
{
    size_t fixed = 0;
    while (fixed < count && spans[fixed].is_fixed) {
        fixed++;
    }
    places *p = hd_alloc(sizeof *p);
    stretch *stretches = hd_alloc_zero(2 * count + 2, sizeof *stretches);
    uint32_t *dying = hd_alloc(((size_t)step_count + 1) * sizeof *dying); /* by step, of spans */
    uint32_t *next = hd_alloc(count * sizeof *next), *taken = hd_alloc(count * sizeof *taken);
    bool fits = p != NULL && stretches != NULL && dying != NULL && next != NULL && taken != NULL;
    if (fits) {
        *p = (places){.stretches = stretches, .unused = NONE, .top = NONE};
        for (size_t i = 0; i < CLASS_COUNT; i++) {
            p->heads[i] = NONE;
        }
        for (size_t i = 0; i <= step_count; i++) {
            dying[i] = NONE;
        }
        fits = lay_out_fixed(p, spans, fixed);
    }
    uint32_t step = 0;
    for (size_t i = fixed; i < count && fits; i++) {
        for (; step < spans[i].first; step++) { /* what died in an earlier step */
            for (uint32_t dead = dying[step]; dead != NONE; dead = next[dead]) {
                give_back(p, taken[dead]);
            }
        }
        taken[i] = take(p, spans[i].size);
        spans[i].offset = p->stretches[taken[i]].offset;
        if (spans[i].last <= step_count) {
            next[i] = dying[spans[i].last];
            dying[spans[i].last] = (uint32_t)i;
        }
    }
    hd_free(p);
    hd_free(stretches);
    hd_free(dying);
    hd_free(next);
    hd_free(taken);
    return fits;
}
