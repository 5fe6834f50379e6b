#include "runtime/plan_cache.h"

#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

typedef struct cache_entry {
    struct cache_entry *next HD_GUARDED_BY(hd_rank_plan_cache);
    void *plan HD_GUARDED_BY(hd_rank_plan_cache); /* NULL while it is being made */
    uint64_t last_used HD_GUARDED_BY(hd_rank_plan_cache);
    size_t key_size; /* constant, as the next two */
    uint64_t hash;
    unsigned char key[];
} cache_entry;

struct hd_plan_cache {
    hd_mutex mutex;
    hd_condition changed;              /* some making has ended */
    hd_plan_cache_functions functions; /* constant */
    size_t capacity;                   /* constant */
    cache_entry *entries HD_GUARDED_BY(&mutex);
    size_t ready HD_GUARDED_BY(&mutex);
    uint64_t clock HD_GUARDED_BY(&mutex);
};

static void cache_lock(hd_plan_cache *cache)
    HD_ACQUIRE(&cache->mutex, hd_rank_plan_cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&cache->mutex);
}

static void cache_unlock(hd_plan_cache *cache)
    HD_RELEASE(&cache->mutex, hd_rank_plan_cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&cache->mutex);
}

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t hash_key(const void *key, size_t size)
{
    const unsigned char *bytes = key;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

hd_status hd_plan_cache_create(size_t capacity, hd_plan_cache_functions functions,
                               hd_plan_cache **out_cache)
{
    *out_cache = NULL;
    hd_plan_cache *cache = hd_alloc_zero(1, sizeof *cache);
    if (cache == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    cache->functions = functions;
    cache->capacity = capacity;
    if (hd_mutex_init(&cache->mutex, HD_RANK_plan_cache) != HD_OK) {
        hd_free(cache);
        return HD_OUT_OF_MEMORY;
    }
    if (hd_condition_init(&cache->changed) != HD_OK) {
        hd_mutex_destroy(&cache->mutex);
        hd_free(cache);
        return HD_OUT_OF_MEMORY;
    }
    *out_cache = cache;
    return HD_OK;
}

void hd_plan_cache_destroy(hd_plan_cache **cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_plan_cache *dead = *cache;
    *cache = NULL;
    if (dead == NULL) {
        return;
    }
    cache_entry *entry = dead->entries;
    while (entry != NULL) {
        cache_entry *next = entry->next;
        HD_CHECK("ONCE.no-making-at-destroy", entry->plan != NULL);
        dead->functions.release(entry->plan);
        hd_free(entry);
        entry = next;
    }
    hd_condition_destroy(&dead->changed);
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead);
}

static cache_entry *find_entry(hd_plan_cache *cache, const void *key, size_t key_size,
                               uint64_t hash) HD_REQUIRES(&cache->mutex, hd_rank_plan_cache)
{
    for (cache_entry *entry = cache->entries; entry != NULL; entry = entry->next) {
        if (entry->hash == hash && entry->key_size == key_size &&
            memcmp(entry->key, key, key_size) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void remove_entry(hd_plan_cache *cache, cache_entry *dead)
    HD_REQUIRES(&cache->mutex, hd_rank_plan_cache)
{
    cache_entry **link = &cache->entries;
    while (*link != dead) {
        link = &(*link)->next;
    }
    *link = dead->next;
}

hd_status hd_plan_cache_find(hd_plan_cache *cache, const void *key, size_t key_size,
                             uint64_t deadline, void **out_plan)
{
    return hd_plan_cache_find_unless(cache, key, key_size, deadline, NULL, out_plan);
}

hd_status hd_plan_cache_find_unless(hd_plan_cache *cache, const void *key, size_t key_size,
                                    uint64_t deadline, const hd_stop *stop, void **out_plan)
{
    *out_plan = NULL;
    uint64_t hash = hash_key(key, key_size);
    /* Made before the lock is taken: no allocation happens under it. */
    cache_entry *fresh = NULL;
    hd_status status = HD_OK;
    cache_lock(cache);
    for (;;) {
        cache_entry *entry = find_entry(cache, key, key_size, hash);
        if (entry != NULL && entry->plan != NULL) {
            entry->last_used = ++cache->clock;
            cache->functions.retain(entry->plan);
            *out_plan = entry->plan;
            break;
        }
        if (entry != NULL) {
            /* Somebody is making it; its end is announced to all. */
            if (!hd_condition_wait_until(&cache->changed, &cache->mutex,
                                         hd_stop_next_look(stop, deadline))) {
                status = hd_stop_look(stop);
                if (status == HD_OK && (stop == NULL || hd_clock_now() >= deadline)) {
                    status = HD_NOT_YET;
                }
            }
            if (status != HD_OK) {
                break;
            }
            continue;
        }
        if (fresh == NULL) {
            cache_unlock(cache);
            fresh = hd_alloc_zero(1, sizeof *fresh + key_size);
            if (fresh == NULL) {
                return HD_OUT_OF_MEMORY;
            }
            fresh->key_size = key_size;
            fresh->hash = hash;
            memcpy(fresh->key, key, key_size);
            cache_lock(cache);
            continue; /* the second check: the key may have come meanwhile */
        }
        fresh->next = cache->entries;
        cache->entries = fresh;
        fresh = NULL;
        break;
    }
    cache_unlock(cache);
    hd_free(fresh);
    return status;
}

/* The least recently used of the plans that are ready. */
static cache_entry *oldest_entry(hd_plan_cache *cache)
    HD_REQUIRES(&cache->mutex, hd_rank_plan_cache)
{
    cache_entry *oldest = NULL;
    for (cache_entry *entry = cache->entries; entry != NULL; entry = entry->next) {
        if (entry->plan != NULL && (oldest == NULL || entry->last_used < oldest->last_used)) {
            oldest = entry;
        }
    }
    return oldest;
}

void hd_plan_cache_finish(hd_plan_cache *cache, const void *key, size_t key_size, void *plan)
{
    cache_entry *dropped = NULL;
    void *dropped_plan = NULL;
    cache_lock(cache);
    cache_entry *entry = find_entry(cache, key, key_size, hash_key(key, key_size));
    HD_CHECK("ONCE.finish-what-was-begun", entry != NULL && entry->plan == NULL);
    if (plan == NULL) {
        remove_entry(cache, entry);
        dropped = entry;
    } else {
        cache->functions.retain(plan);
        entry->plan = plan;
        entry->last_used = ++cache->clock;
        cache->ready++;
        if (cache->ready > cache->capacity) {
            dropped = oldest_entry(cache);
            remove_entry(cache, dropped);
            dropped_plan = dropped->plan;
            cache->ready--;
        }
    }
    HD_CHECK("FLAT.plans-bounded", cache->ready <= cache->capacity);
    hd_condition_broadcast(&cache->changed);
    cache_unlock(cache);
    if (dropped_plan != NULL) {
        cache->functions.release(dropped_plan);
    }
    hd_free(dropped);
}

/* Takes the idle plans out; returns their entries as a list. */
static cache_entry *detach_idle(hd_plan_cache *cache) HD_REQUIRES(&cache->mutex, hd_rank_plan_cache)
{
    cache_entry *detached = NULL;
    for (cache_entry **link = &cache->entries, *entry; (entry = *link) != NULL;) {
        /* Others get references under this lock only, so an idle plan stays so. */
        if (entry->plan == NULL || !cache->functions.is_idle(entry->plan)) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        entry->next = detached;
        detached = entry;
        cache->ready--;
    }
    return detached;
}

void hd_plan_cache_evict(hd_plan_cache *cache) HD_NO_THREAD_SAFETY_ANALYSIS
{
    cache_entry *detached;
    do { /* a plan that is dropped may have been the last to use another */
        cache_lock(cache);
        detached = detach_idle(cache);
        cache_unlock(cache);
        for (cache_entry *entry = detached, *next; entry != NULL; entry = next) {
            next = entry->next; /* nobody else has the entry any more */
            cache->functions.release(entry->plan);
            hd_free(entry);
        }
    } while (detached != NULL);
}

void hd_plan_cache_visit(hd_plan_cache *cache, void (*visit)(void *plan, void *context),
                         void *context)
{
    cache_lock(cache);
    for (cache_entry *entry = cache->entries; entry != NULL; entry = entry->next) {
        if (entry->plan != NULL) {
            visit(entry->plan, context);
        }
    }
    cache_unlock(cache);
}

size_t hd_plan_cache_count(hd_plan_cache *cache)
{
    cache_lock(cache);
    size_t count = cache->ready;
    cache_unlock(cache);
    return count;
}
