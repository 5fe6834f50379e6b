#include "base/fault.h"

#if defined(HD_FAULT)
#include <string.h>

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
    uint64_t z =
        hd_add_relaxed(&fault_state, UINT64_C(0x9E3779B97F4A7C15)) + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* A place is taken by the first call of its site that fails. */
static struct {
    _Atomic(const char *) name;
    _Atomic uint64_t count;
} fault_sites[HD_FAULT_SITES];

static void note_hit(const char *site)
{
    for (size_t i = 0; i < HD_FAULT_SITES; i++) {
        const char *there = NULL;
        if (hd_cas_relaxed(&fault_sites[i].name, &there, site) || strcmp(there, site) == 0) {
            hd_add_relaxed(&fault_sites[i].count, 1);
            return;
        }
    }
}

uint64_t hd_fault_hit_count(const char *site)
{
    for (size_t i = 0; i < HD_FAULT_SITES; i++) {
        const char *there = hd_load_relaxed(&fault_sites[i].name);
        if (there != NULL && strcmp(there, site) == 0) {
            return hd_load_relaxed(&fault_sites[i].count);
        }
    }
    return 0;
}

/* Whether this call is one that fails. */
static bool is_due(void)
{
    uint64_t number = hd_add_relaxed(&fault_count, 1) + 1;
    if (number == hd_load_relaxed(&fault_nth)) {
        return true;
    }
    uint32_t every = hd_load_relaxed(&fault_every);
    return every != 0 && next_random() % every == 0;
}

bool hd_fault_hits(const char *site)
{
    if (!hd_load_relaxed(&fault_armed)) {
        return false;
    }
    bool hits = is_due();
    if (hits) {
        note_hit(site);
    }
    return hits;
}
#else
typedef int hd_fault_is_empty_without_faults;
#endif
