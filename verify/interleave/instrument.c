/* Instrument: the entry points that clang calls with -fsanitize=thread, in place of its own run time. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "heap.h"
#include "history.h"
#include "race.h"
#include "scheduler.h"

#define PLACE ((uintptr_t)__builtin_return_address(0))

int interleave_compare(const void *a, const void *b, size_t size);
bool interleave_weak_fails(void);

/* Whether a weak compare-and-swap fails for no reason. */
bool interleave_weak_fails(void)
{
    return scheduler_choose_weak(PLACE);
}

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    scheduler_enter_function((uintptr_t)caller);
}

void __tsan_func_exit(void)
{
    scheduler_leave_function();
}

static void plain_read(uintptr_t address, size_t size, uintptr_t place)
{
    race_access(scheduler_current(), address, size, RACE_READ, place);
}

/* The write itself comes after the call: an atomic object that it hits is noted now, and begins anew
 * with the value that it finds at its next use. */
static void plain_write(uintptr_t address, size_t size, uintptr_t place)
{
    race_access(scheduler_current(), address, size, RACE_WRITE, place);
    history_overwrite(address, size);
}

#define PLAIN(size)                                                                                \
    void __tsan_read##size(void *address)                                                          \
    {                                                                                              \
        plain_read((uintptr_t)address, size, PLACE);                                               \
    }                                                                                              \
    void __tsan_write##size(void *address)                                                         \
    {                                                                                              \
        plain_write((uintptr_t)address, size, PLACE);                                              \
    }                                                                                              \
    void __tsan_unaligned_read##size(void *address)                                                \
    {                                                                                              \
        plain_read((uintptr_t)address, size, PLACE);                                               \
    }                                                                                              \
    void __tsan_unaligned_write##size(void *address)                                               \
    {                                                                                              \
        plain_write((uintptr_t)address, size, PLACE);                                              \
    }                                                                                              \
    void __tsan_read_write##size(void *address)                                                    \
    {                                                                                              \
        plain_write((uintptr_t)address, size, PLACE);                                              \
    }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    plain_read((uintptr_t)from, size, PLACE);
    plain_write((uintptr_t)to, size, PLACE);
    return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size)
{
    plain_read((uintptr_t)from, size, PLACE);
    plain_write((uintptr_t)to, size, PLACE);
    return memmove(to, from, size);
}

void *__tsan_memset(void *to, int value, size_t size)
{
    plain_write((uintptr_t)to, size, PLACE);
    return memset(to, value, size);
}

int interleave_compare(const void *a, const void *b, size_t size)
{
    plain_read((uintptr_t)a, size, PLACE);
    plain_read((uintptr_t)b, size, PLACE);
    return memcmp(a, b, size);
}

static uint64_t function_exchange(uint64_t before, uint64_t operand)
{
    (void)before;
    return operand;
}

static uint64_t function_add(uint64_t before, uint64_t operand)
{
    return before + operand;
}

static uint64_t function_sub(uint64_t before, uint64_t operand)
{
    return before - operand;
}

static uint64_t function_and(uint64_t before, uint64_t operand)
{
    return before & operand;
}

static uint64_t function_or(uint64_t before, uint64_t operand)
{
    return before | operand;
}

static uint64_t function_xor(uint64_t before, uint64_t operand)
{
    return before ^ operand;
}

#define FIND(address) history_find((uintptr_t)(address), sizeof *(address))

#define UPDATE(bits, suffix, function)                                                             \
    uint##bits##_t __tsan_atomic##bits##_##suffix(volatile uint##bits##_t *address,                \
                                                  uint##bits##_t operand, int order)               \
    {                                                                                              \
        return (uint##bits##_t)history_update(scheduler_current(), FIND(address), function,        \
                                              operand, order, PLACE);                              \
    }

#define ATOMIC(bits)                                                                               \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *address, int order)   \
    {                                                                                              \
        return (uint##bits##_t)history_load(scheduler_current(), FIND(address), order, PLACE);     \
    }                                                                                              \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *address, uint##bits##_t value,       \
                                     int order)                                                    \
    {                                                                                              \
        history_store(scheduler_current(), FIND(address), value, order, PLACE);                    \
    }                                                                                              \
    UPDATE(bits, exchange, function_exchange)                                                      \
    UPDATE(bits, fetch_add, function_add)                                                          \
    UPDATE(bits, fetch_sub, function_sub)                                                          \
    UPDATE(bits, fetch_and, function_and)                                                          \
    UPDATE(bits, fetch_or, function_or)                                                            \
    UPDATE(bits, fetch_xor, function_xor)                                                          \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
        volatile uint##bits##_t *address, uint##bits##_t expected, uint##bits##_t desired,         \
        int order, int failing_order)                                                              \
    {                                                                                              \
        return (uint##bits##_t)history_compare(scheduler_current(), FIND(address), expected,       \
                                               desired, order, failing_order, PLACE);              \
    }

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
    history_fence(scheduler_current(), order, PLACE);
}

/* A signal handler's fence binds the compiler only. */
void __tsan_atomic_signal_fence(int order)
{
    (void)order;
}
