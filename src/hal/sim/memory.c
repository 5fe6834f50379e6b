/* The simulated device's memory. */
#include <string.h>

#include "base/memory.h"
#include "base/mutex.h"
#include "hal/sim/unit.h"

#define FRESH 0xFF /* as floats not a number, as integers -1 */
#define FREED 0xD5

/* What the units have of memory of their own. */
typedef struct piece {
    struct piece *next;
    const hd_unit *unit;
    uintptr_t address;
    size_t size;
} piece;

static hd_mutex mutex = HD_MUTEX_INITIALIZER(HD_RANK_leaf);
static piece *pieces HD_GUARDED_BY(&mutex);

static void pieces_lock(void) HD_ACQUIRE(&mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&mutex);
}

static void pieces_unlock(void) HD_RELEASE(&mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&mutex);
}

static bool note(const hd_unit *unit, const void *memory, size_t size)
{
    piece *noted = hd_alloc(sizeof *noted);
    if (noted != NULL) {
        pieces_lock();
        *noted = (piece){pieces, unit, (uintptr_t)memory, size};
        pieces = noted;
        pieces_unlock();
    }
    return noted != NULL;
}

static void forget(const void *memory)
{
    pieces_lock();
    piece **link = &pieces;
    while (*link != NULL && (*link)->address != (uintptr_t)memory) {
        link = &(*link)->next;
    }
    piece *found = *link;
    if (found != NULL) {
        *link = found->next;
    }
    pieces_unlock();
    hd_free(found);
}

static bool holds(hd_unit *unit, const void *memory, size_t size)
{
    uintptr_t address = (uintptr_t)memory;
    pieces_lock();
    const piece *found = pieces;
    while (found != NULL && (found->unit != unit || address < found->address ||
                             address - found->address > found->size ||
                             size > found->size - (address - found->address))) {
        found = found->next;
    }
    pieces_unlock();
    return found != NULL;
}

static void *create(hd_unit *unit, hd_memory_place place, size_t size)
{
    uint64_t number = hd_add_relaxed(&hd_sim.allocations, 1) + 1;
    uint64_t first = hd_sim.options.failing_allocation, count = hd_sim.options.failing_count;
    if (hd_sim_is_lost(unit) ||
        (first != 0 && number >= first && number - first < (count == 0 ? 1 : count))) {
        return NULL;
    }
    unsigned char *memory = hd_pages_alloc(size);
    void *named =
        place == HD_PLACE_HOST ? memory : (void *)((uintptr_t)memory | (uintptr_t)1 << 63);
    if (memory != NULL && place == HD_PLACE_DEVICE && !note(unit, named, size)) {
        hd_pages_free(memory, size);
        memory = NULL;
    }
    if (memory == NULL) {
        return NULL;
    }
    hd_add_relaxed(&hd_sim.live_allocations, 1);
    memset(memory, FRESH, size);
    return named;
}

static void destroy(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit;
    if (memory != NULL) {
        if (place == HD_PLACE_DEVICE) {
            forget(memory);
        }
        memset(hd_sim_host(memory), FREED, size);
        hd_pages_free(hd_sim_host(memory), size);
        hd_sub_relaxed(&hd_sim.live_allocations, 1);
    }
}

static hd_status copy(hd_unit *unit, void *to, const void *from, size_t size)
{
    if (hd_sim_is_lost(unit)) {
        return HD_LOST;
    }
    if (size > 0) {
        memcpy(hd_sim_host(to), hd_sim_host(from), size);
    }
    return HD_OK;
}

const hd_memory_table hd_sim_memory = {create, destroy, copy, holds};
