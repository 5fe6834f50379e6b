/* Atomic: C11's operations under names that state their order. Each use says what it pairs with.
 * They work on any _Atomic object, hence macros. Those named acquire, release and acq_rel tell a sanitizer of the
 * program's (base/handover.h); those named seq_cst do not, since the shortest ways go through them: what they
 * hand over is told where they are used. */
#ifndef HD_BASE_ATOMIC_H
#define HD_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/handover.h"

/* The value of an operation on `object` that takes, or gives, or both. */
#define HD_TAKING_(object, operation)                                                              \
    ({                                                                                             \
        __typeof__(operation) hd_value_ = (operation);                                             \
        hd_handover_take(object);                                                                  \
        hd_value_;                                                                                 \
    })
#define HD_GIVING_(object, operation)  (hd_handover_give(object), (operation))
#define HD_PASSING_(object, operation) HD_TAKING_(object, HD_GIVING_(object, operation))

#define hd_load_relaxed(object) atomic_load_explicit((object), memory_order_relaxed)
#define hd_load_acquire(object)                                                                    \
    HD_TAKING_((object), atomic_load_explicit((object), memory_order_acquire))
#define hd_load_seq_cst(object) atomic_load_explicit((object), memory_order_seq_cst)
#define hd_store_relaxed(object, value)                                                            \
    atomic_store_explicit((object), (value), memory_order_relaxed)
#define hd_store_release(object, value)                                                            \
    HD_GIVING_((object), atomic_store_explicit((object), (value), memory_order_release))
#define hd_store_seq_cst(object, value)                                                            \
    atomic_store_explicit((object), (value), memory_order_seq_cst)
#define hd_exchange_acq_rel(object, value)                                                         \
    HD_PASSING_((object), atomic_exchange_explicit((object), (value), memory_order_acq_rel))
#define hd_add_relaxed(object, value)                                                              \
    atomic_fetch_add_explicit((object), (value), memory_order_relaxed)
#define hd_add_acquire(object, value)                                                              \
    HD_TAKING_((object), atomic_fetch_add_explicit((object), (value), memory_order_acquire))
#define hd_add_release(object, value)                                                              \
    HD_GIVING_((object), atomic_fetch_add_explicit((object), (value), memory_order_release))
#define hd_add_acq_rel(object, value)                                                              \
    HD_PASSING_((object), atomic_fetch_add_explicit((object), (value), memory_order_acq_rel))
#define hd_add_seq_cst(object, value)                                                              \
    atomic_fetch_add_explicit((object), (value), memory_order_seq_cst)
#define hd_sub_relaxed(object, value)                                                              \
    atomic_fetch_sub_explicit((object), (value), memory_order_relaxed)
#define hd_sub_release(object, value)                                                              \
    HD_GIVING_((object), atomic_fetch_sub_explicit((object), (value), memory_order_release))
#define hd_sub_acq_rel(object, value)                                                              \
    HD_PASSING_((object), atomic_fetch_sub_explicit((object), (value), memory_order_acq_rel))
#define hd_sub_seq_cst(object, value)                                                              \
    atomic_fetch_sub_explicit((object), (value), memory_order_seq_cst)
#define hd_or_acq_rel(object, value)                                                               \
    HD_PASSING_((object), atomic_fetch_or_explicit((object), (value), memory_order_acq_rel))
#define hd_and_acq_rel(object, value)                                                              \
    HD_PASSING_((object), atomic_fetch_and_explicit((object), (value), memory_order_acq_rel))

/* Compare and swap: true when *object was *expected and now is desired; else *expected is what it
 * was. The failing order is relaxed for _relaxed and _release, acquire for the others. These fail for that reason
 * only, so they may be tried once. */
#define hd_cas_relaxed(object, expected, desired)                                                  \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_relaxed, \
                                            memory_order_relaxed)
#define hd_cas_acquire(object, expected, desired)                                                  \
    HD_TAKING_((object), atomic_compare_exchange_strong_explicit((object), (expected), (desired),  \
                                                                 memory_order_acquire,             \
                                                                 memory_order_acquire))
#define hd_cas_release(object, expected, desired)                                                  \
    HD_GIVING_((object), atomic_compare_exchange_strong_explicit((object), (expected), (desired),  \
                                                                 memory_order_release,             \
                                                                 memory_order_relaxed))
#define hd_cas_acq_rel(object, expected, desired)                                                  \
    HD_PASSING_((object), atomic_compare_exchange_strong_explicit((object), (expected), (desired), \
                                                                  memory_order_acq_rel,            \
                                                                  memory_order_acquire))
#define hd_cas_seq_cst(object, expected, desired)                                                  \
    atomic_compare_exchange_strong_explicit((object), (expected), (desired), memory_order_seq_cst, \
                                            memory_order_seq_cst)

/* The same for loops that try again: it may also fail for no reason, *expected being what it was. */
#define hd_cas_weak_relaxed(object, expected, desired)                                             \
    atomic_compare_exchange_weak_explicit((object), (expected), (desired), memory_order_relaxed,   \
                                          memory_order_relaxed)
#define hd_cas_weak_acquire(object, expected, desired)                                             \
    HD_TAKING_((object),                                                                           \
               atomic_compare_exchange_weak_explicit((object), (expected), (desired),              \
                                                     memory_order_acquire, memory_order_acquire))
#define hd_cas_weak_acq_rel(object, expected, desired)                                             \
    HD_PASSING_((object),                                                                          \
                atomic_compare_exchange_weak_explicit((object), (expected), (desired),             \
                                                      memory_order_acq_rel, memory_order_acquire))
#define hd_cas_weak_seq_cst(object, expected, desired)                                             \
    atomic_compare_exchange_weak_explicit((object), (expected), (desired), memory_order_seq_cst,   \
                                          memory_order_seq_cst)

#define hd_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)

/* One step of a spinning wait: tells the processor, not the scheduler. */
static inline void hd_spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
