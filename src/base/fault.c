#include "base/fault.h"

#if defined(HD_FAULT)
#include "base/atomic.h"

/* Relaxed throughout: a test arms before its threads start and reads after they have ended. */
static _Atomic uint64_t fault_nth;
static _Atomic uint64_t fault_count;
static _Atomic uint32_t fault_every;
static _Atomic uint64_t fault_state;
static _Atomic bool fault_armed;

void hd_fault_arm(uint64_t nth, uint32_t every_random, uint64_t seed)
{
    hd_store_relaxed(&fault_nth, nth);
    hd_store_relaxed(&fault_count, 0);
    hd_store_relaxed(&fault_every, every_random);
    hd_store_relaxed(&fault_state, seed);
    hd_store_relaxed(&fault_armed, true);
}

void hd_fault_disarm(void)
{
    hd_store_relaxed(&fault_armed, false);
}

uint64_t hd_fault_count(void)
{
    return hd_load_relaxed(&fault_count);
}

/* Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014 (SplitMix64). */
static uint64_t next_random(void)
{
    uint64_t z = hd_add_relaxed(&fault_state, UINT64_C(0x9E3779B97F4A7C15)) + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

bool hd_fault_hits(const char *site)
{
    (void)site;
    if (!hd_load_relaxed(&fault_armed)) {
        return false;
    }
    uint64_t number = hd_add_relaxed(&fault_count, 1) + 1;
    if (number == hd_load_relaxed(&fault_nth)) {
        return true;
    }
    uint32_t every = hd_load_relaxed(&fault_every);
    return every != 0 && next_random() % every == 0;
}
#else
typedef int hd_fault_is_empty_without_faults;
#endif
