/* Takeover: included before everything in the files under test, so that what the compiler does not
 * instrument reaches the explorer too. */
#ifndef INTERLEAVE_TAKEOVER_H
#define INTERLEAVE_TAKEOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

void interleave_pause(void);
bool interleave_weak_fails(void);
int interleave_compare(const void *a, const void *b, size_t size);

/* What is static in them begins anew with each execution: heap_restart. */
#pragma clang section bss = "tested_zero" data = "tested_data"

#define __builtin_ia32_pause interleave_pause
#define memcmp               interleave_compare

/* The compiler calls one entry point for both kinds of compare-and-swap. */
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit(object, expected, desired, order, failing_order)     \
    (!interleave_weak_fails() && atomic_compare_exchange_strong_explicit(                          \
                                     (object), (expected), (desired), (order), (failing_order)))

#endif
