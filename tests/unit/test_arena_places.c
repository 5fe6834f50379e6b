/* Arena places: no two spans that are needed at once overlap, memory is used again, time grows with the number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "graph/arena_places.h"

enum { STEPS = 400, SPANS = 1200, LINE = 64 };

static uint32_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

static int compare_first(const void *a, const void *b)
{
    const hd_arena_span *first = a, *second = b;
    if (first->is_fixed != second->is_fixed) {
        return first->is_fixed ? -1 : 1;
    }
    return first->first < second->first ? -1 : first->first > second->first;
}

static void check_apart(const hd_arena_span *spans, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            const hd_arena_span *a = &spans[i], *b = &spans[j];
            bool together = a->last >= b->first && b->last >= a->first;
            bool overlap = a->offset < b->offset + b->size && b->offset < a->offset + a->size;
            assert_false(together && overlap);
            assert_int_equal(a->offset % LINE, 0);
        }
    }
}

static void spans_that_are_needed_at_once_lie_apart(void **state)
{
    (void)state;
    static hd_arena_span spans[SPANS];
    for (seed = 1; seed < 30000; seed += 1000) {
        uint32_t sizes = 1 + draw(2000), life = 1 + draw(60), fixed = draw(3) == 0 ? 0 : draw(60);
        size_t offset = 0, sum = 0, most = 0;
        for (uint32_t i = 0; i < SPANS; i++) {
            spans[i] = (hd_arena_span){.first = 1 + draw(STEPS - 1),
                                       .size = (size_t)LINE * (1 + draw(sizes))};
            spans[i].last = spans[i].first + draw(life);
            spans[i].last = spans[i].last >= STEPS ? UINT32_MAX : spans[i].last;
            if (i < fixed) {
                offset += (size_t)LINE * draw(sizes);
                spans[i].is_fixed = true;
                spans[i].first = 0;
                spans[i].offset = offset;
                offset += spans[i].size;
            }
        }
        qsort(spans, SPANS, sizeof *spans, compare_first);
        assert_true(hd_arena_place(spans, SPANS, STEPS));
        check_apart(spans, SPANS);
        size_t end = 0;
        for (uint32_t step = 0; step < STEPS; step++, sum = 0) {
            for (size_t i = 0; i < SPANS; i++) {
                sum += spans[i].first <= step && spans[i].last >= step ? spans[i].size : 0;
                end = spans[i].offset + spans[i].size > end ? spans[i].offset + spans[i].size : end;
            }
            most = sum > most ? sum : most;
        }
        /* most: what a perfect placement would take */
        assert_in_range(end, most, 2 * (most + offset));
    }
}

static void a_chain_takes_the_memory_of_two(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    hd_arena_span *spans = calloc(COUNT, sizeof *spans);
    assert_non_null(spans);
    size_t end = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        spans[i] = (hd_arena_span){.first = i + 1, .last = i + 2, .size = 10 * LINE};
    }
    assert_true(hd_arena_place(spans, COUNT, COUNT + 1));
    for (uint32_t i = 0; i < COUNT; i++) {
        end = spans[i].offset + spans[i].size > end ? spans[i].offset + spans[i].size : end;
    }
    assert_int_equal(end, 2 * 10 * LINE);
    free(spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_that_are_needed_at_once_lie_apart),
        cmocka_unit_test(a_chain_takes_the_memory_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
