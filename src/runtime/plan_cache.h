/* Plan cache: finds the plan of a key, or lets exactly one of those who ask for it make it.
 *
 * Law: an entry is `making` from the moment that one thread was told to make it until that thread
 * says how it ended; meanwhile everybody else who asks for its key waits, and runs of other keys go on.
 * ready + making = entries; ready entries <= capacity once no thread is inside.
 *
 * Thread-safety: any thread. The lock has the rank plan_cache; plans are made under no lock. */
#ifndef HD_RUNTIME_PLAN_CACHE_H
#define HD_RUNTIME_PLAN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mutex.h"
#include "base/stop.h"

typedef struct hd_plan_cache hd_plan_cache;

/* What it keeps: anything with a reference count. */
typedef struct hd_plan_cache_functions {
    void (*retain)(void *plan);
    void (*release)(void *plan);
    bool (*is_idle)(void *plan); /* nobody but the cache has it */
} hd_plan_cache_functions;

/* capacity: plans that are kept; the least recently used goes first. HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_plan_cache_create(size_t capacity, hd_plan_cache_functions functions,
                                             hd_plan_cache **out_cache);
/* No thread may be inside. Releases the plans and sets *cache to NULL. */
void hd_plan_cache_destroy(hd_plan_cache **cache);

/* Looks for the plan of a key. HD_OK with *out_plan: found, with a reference for the caller. HD_OK with
 * NULL: nobody has it, the caller makes it and must call hd_plan_cache_finish. HD_NOT_YET: somebody
 * else was still making it at `deadline`. HD_OUT_OF_MEMORY. When the making failed, each of those who
 * waited tries itself, one after the other. */
HD_MUST_CHECK hd_status hd_plan_cache_find(hd_plan_cache *cache, const void *key, size_t key_size,
                                           uint64_t deadline, void **out_plan) HD_WAITS;
/* The same, unless `stop` (NULL: nothing) ends the wait first: then what that says. */
HD_MUST_CHECK hd_status hd_plan_cache_find_unless(hd_plan_cache *cache, const void *key,
                                                  size_t key_size, uint64_t deadline,
                                                  const hd_stop *stop, void **out_plan) HD_WAITS;

/* Ends what hd_plan_cache_find began: plan is kept (the cache takes a reference of its own), or, if
 * NULL, the making failed. */
void hd_plan_cache_finish(hd_plan_cache *cache, const void *key, size_t key_size, void *plan);

/* Drops the plans that nobody else has. */
void hd_plan_cache_evict(hd_plan_cache *cache);

/* Calls visit for each plan that is kept; it takes no lock and frees no plan. */
void hd_plan_cache_visit(hd_plan_cache *cache, void (*visit)(void *plan, void *context),
                         void *context);

/* Plans that are kept now. */
size_t hd_plan_cache_count(hd_plan_cache *cache);

#endif
