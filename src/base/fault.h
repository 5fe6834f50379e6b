/* Fault: makes fallible calls of ours fail on purpose (STATUS). In builds without HD_FAULT it is
 * nothing. Thread-safety: any thread; the settings change only between tests. */
#ifndef HD_BASE_FAULT_H
#define HD_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#if defined(HD_FAULT)
/* The next calls count from 1; call number `nth` fails (0: none), and, if `every_random` is not 0,
 * each call fails with the chance 1 in `every_random`, drawn from `seed`. */
void hd_fault_arm(uint64_t nth, uint32_t every_random, uint64_t seed);
void hd_fault_disarm(void);
/* How many fallible calls were made since hd_fault_arm. */
uint64_t hd_fault_count(void);
/* How many calls of a site were made to fail since the process began. */
uint64_t hd_fault_hit_count(const char *site);
/* Asked by each fallible call of ours; `site` names its kind. At most HD_FAULT_SITES kinds are counted. */
#define HD_FAULT_SITES 32
bool hd_fault_hits(const char *site);
#else
static inline bool hd_fault_hits(const char *site)
{
    (void)site;
    return false;
}
#endif

#endif
