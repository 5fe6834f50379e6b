/* Regions, and the large blocks that they and growing arrays are made of: what lies in them stays, and each byte that is charged
 * is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/region.h"

typedef struct counter {
    hd_memory_owner owner;
    size_t total;
} counter;

static bool take(hd_memory_owner *owner, size_t size)
{
    ((counter *)owner)->total += size;
    return true;
}

static void give(hd_memory_owner *owner, size_t size)
{
    assert_true(((counter *)owner)->total >= size);
    ((counter *)owner)->total -= size;
}

static unsigned char pattern(size_t index)
{
    return (unsigned char)(index * 7 + index / 251);
}

static void regions_of_any_size_are_zeroed_and_give_all_back(void **state)
{
    (void)state;
    for (size_t piece = 24; piece < 3u << 20; piece = piece * 5 + 8) {
        counter counter = {.owner = {take, give}};
        hd_memory_scope scope;
        hd_region region = {0};
        hd_memory_scope_enter(&scope, &counter.owner, UINT64_MAX);
        size_t wanted = 0;
        for (; wanted < 5u << 20; wanted += piece) {
            unsigned char *memory = hd_region_alloc(&region, piece);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % 16, 0);
            assert_int_equal(memory[0] + memory[piece / 2] + memory[piece - 1], 0);
            memset(memory, 0xA5, piece);
            wanted += piece < 1024 ? 200 * piece : 0; /* fewer of the small ones */
        }
        assert_true(region.total <= counter.total);
        size_t before = region.total;
        hd_region_trim(&region);
        assert_true(region.total <= before && before - region.total <= 2u << 20);
        assert_true(region.total <= counter.total);
        assert_non_null(hd_region_alloc(&region, piece)); /* it may still grow */
        hd_region_clear(&region);
        hd_memory_scope_leave(&scope);
        assert_int_equal(counter.total, 0);
    }
}

static void a_trimmed_region_keeps_what_lies_in_it(void **state)
{
    (void)state;
    counter counter = {.owner = {take, give}};
    hd_memory_scope scope;
    hd_region region = {0};
    unsigned char *pieces[1100];
    hd_memory_scope_enter(&scope, &counter.owner, UINT64_MAX);
    for (size_t i = 0; i < 1100; i++) {
        pieces[i] = hd_region_alloc(&region, 1000);
        assert_non_null(pieces[i]);
        memset(pieces[i], pattern(i), 1000);
        if (i % 100 == 99) {
            hd_region_trim(&region);
        }
    }
    for (size_t i = 0; i < 1100; i++) {
        assert_int_equal(pieces[i][0], pattern(i));
        assert_int_equal(pieces[i][999], pattern(i));
    }
#if !HD_CHECKS_ADDRESSES /* large blocks are the heap's there */
    hd_region_trim(&region);
    assert_true(region.total < 1100 * 1016 * 5 / 4); /* nothing to speak of is left over */
#endif
    hd_region_clear(&region);
    hd_memory_scope_leave(&scope);
    assert_int_equal(counter.total, 0);
}

static void a_region_in_lent_memory_takes_more_when_that_is_full(void **state)
{
    (void)state;
    _Alignas(16) unsigned char memory[512];
    memset(memory, 0xFF, sizeof memory);
    counter counter = {.owner = {take, give}};
    hd_memory_scope scope;
    hd_region region;
    hd_memory_scope_enter(&scope, &counter.owner, UINT64_MAX);
    hd_region_start(&region, memory, sizeof memory);
    unsigned char *first = hd_region_alloc(&region, 100);
    assert_true(first >= memory && first + 100 <= memory + sizeof memory);
    assert_int_equal(first[0] | first[99], 0);
    assert_int_equal(counter.total, 0);
    unsigned char *second = hd_region_alloc(&region, 5000);
    assert_true(second + 5000 <= memory || second >= memory + sizeof memory);
    assert_true(counter.total >= 5000);
    memset(second, 1, 5000);
    assert_int_equal(first[0] | first[99], 0);
    hd_region_trim(&region);
    hd_region_clear(&region);
    hd_memory_scope_leave(&scope);
    assert_int_equal(counter.total, 0);
    memset(memory, 1, sizeof memory); /* the caller's again */
}

static void an_array_that_grows_keeps_its_elements(void **state)
{
    (void)state;
    enum { ELEMENT = 152 };
    counter counter = {.owner = {take, give}};
    hd_memory_scope scope;
    hd_memory_scope_enter(&scope, &counter.owner, UINT64_MAX);
    unsigned char *array = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 60000; i++) { /* 9 MB */
        size_t before = capacity;
        assert_true(hd_array_reserve((void **)&array, &capacity, i + 1, ELEMENT));
        assert_true(capacity > i && capacity >= before);
        assert_true(capacity == before || capacity * ELEMENT <= counter.total);
        memset(array + i * ELEMENT, pattern(i), ELEMENT);
    }
    for (size_t i = 0; i < 60000; i++) {
        assert_int_equal(array[i * ELEMENT], pattern(i));
        assert_int_equal(array[i * ELEMENT + ELEMENT - 1], pattern(i));
    }
    hd_free(array);
    hd_memory_scope_leave(&scope);
    assert_int_equal(counter.total, 0);
}

static void an_array_grows_whatever_its_size_was(void **state)
{
    (void)state;
    counter counter = {.owner = {take, give}};
    hd_memory_scope scope;
    hd_memory_scope_enter(&scope, &counter.owner, UINT64_MAX);
    for (size_t needed = (512u << 10) - 200; needed < 5u << 20; needed += (1u << 20) - 100) {
        for (size_t more = 0; more < 300; more += 20) {
            void *array = NULL;
            size_t capacity = needed + more; /* doubled once */
            array = hd_alloc(capacity);
            assert_non_null(array);
            assert_true(hd_array_reserve(&array, &capacity, capacity + 1, 1));
            assert_true(capacity > needed + more);
            ((unsigned char *)array)[capacity - 1] = 1;
            hd_free(array);
        }
    }
    hd_memory_scope_leave(&scope);
    assert_int_equal(counter.total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_of_any_size_are_zeroed_and_give_all_back),
        cmocka_unit_test(a_trimmed_region_keeps_what_lies_in_it),
        cmocka_unit_test(a_region_in_lent_memory_takes_more_when_that_is_full),
        cmocka_unit_test(an_array_that_grows_keeps_its_elements),
        cmocka_unit_test(an_array_grows_whatever_its_size_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
