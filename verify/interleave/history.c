#include "history.h"

#include <stddef.h>
#include <string.h>

#include "failure.h"
#include "race.h"
#include "scheduler.h"
#include "trace.h"

typedef struct store {
    uint64_t value;
    uint32_t thread;
    uint32_t epoch;                 /* 0: before all threads, or a plain write */
    uint32_t read_at[THREAD_LIMIT]; /* epoch of each thread's first load of it; 0: none */
    uint32_t sequence;              /* number of the first seq_cst operation that made or saw it */
    view released;                  /* what an acquiring load of it gets */
} store;

typedef struct location {
    uintptr_t address;
    uint32_t size;
    bool overwritten;             /* by a plain write, whose value is looked up at the next use */
    uint32_t first;               /* index of the oldest store that is kept */
    uint32_t newest;              /* index of the newest store */
    uint32_t seen[THREAD_LIMIT];  /* index of the store that each thread saw last */
    uint32_t floor[THREAD_LIMIT]; /* set by history_catch_up */
    store stores[HISTORY_DEPTH];  /* store i lies at i % HISTORY_DEPTH */
} location;

static location locations[LOCATION_LIMIT];
static uint32_t location_count;
static view views[THREAD_LIMIT];
static view release_fences[THREAD_LIMIT];  /* what a relaxed store passes on */
static view acquire_waiting[THREAD_LIMIT]; /* what an acquire fence would get */
static view sequential;                    /* what seq_cst fences have passed on */
static uint32_t sequence;                  /* numbers seq_cst operations */

void history_restart(void)
{
    location_count = 0;
    sequence = 0;
    memset(views, 0, sizeof views);
    memset(release_fences, 0, sizeof release_fences);
    memset(acquire_waiting, 0, sizeof acquire_waiting);
    memset(&sequential, 0, sizeof sequential);
    for (uint32_t i = 0; i < THREAD_LIMIT; i++) {
        views[i].happened[i] = views[i].coherent[i] = 1;
    }
}

static uint64_t read_memory(uintptr_t address, uint32_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)address, size);
    return value;
}

static store *store_at(location *at, uint32_t index)
{
    return &at->stores[index % HISTORY_DEPTH];
}

static void begin_location(location *at, uintptr_t address, uint32_t size)
{
    memset(at, 0, offsetof(location, stores));
    at->address = address;
    at->size = size;
    store *first = store_at(at, 0);
    memset(first, 0, sizeof *first);
    first->value = read_memory(address, size);
}

uint32_t history_find(uintptr_t address, uint32_t size)
{
    for (uint32_t i = 0; i < location_count; i++) {
        if (locations[i].address == address) {
            if (locations[i].size != size) {
                failure("explorer", "an atomic object is used with sizes %u and %u",
                        locations[i].size, size);
            }
            if (locations[i].overwritten) {
                begin_location(&locations[i], address, size);
            }
            return i;
        }
    }
    if (location_count == LOCATION_LIMIT) {
        failure("explorer", "more than %d atomic objects", LOCATION_LIMIT);
    }
    begin_location(&locations[location_count], address, size);
    return location_count++;
}

void history_overwrite(uintptr_t address, uint64_t size)
{
    for (uint32_t i = 0; i < location_count; i++) {
        if (locations[i].address + locations[i].size > address &&
            locations[i].address < address + size) {
            locations[i].overwritten = true;
        }
    }
}

uintptr_t history_address(uint32_t location)
{
    return locations[location].address;
}

static bool is_acquire(int order)
{
    return order != ORDER_RELAXED && order != ORDER_RELEASE;
}

static bool is_release(int order)
{
    return order >= ORDER_RELEASE;
}

/* Whether a store, or a load that returned it, comes before what has the view. */
static bool is_behind(const store *at, const view *sight)
{
    if (at->epoch <= sight->coherent[at->thread]) {
        return true;
    }
    for (uint32_t i = 0; i < THREAD_LIMIT; i++) {
        if (at->read_at[i] != 0 && at->read_at[i] <= sight->coherent[i]) {
            return true;
        }
    }
    return false;
}

/* Index of the oldest store that a load may return. */
static uint32_t oldest_for(uint32_t thread, location *at, int order)
{
    view sight = views[thread];
    if (order == ORDER_SEQ_CST) {
        view_join(&sight, &sequential);
    }
    uint32_t limit = order == ORDER_SEQ_CST ? UINT32_MAX : sight.fence;
    uint32_t bottom = at->floor[thread] > at->first ? at->floor[thread] : at->first;
    for (uint32_t i = at->newest; i > bottom; i--) {
        const store *s = store_at(at, i);
        if (is_behind(s, &sight) || (s->sequence != 0 && s->sequence < limit)) {
            return i;
        }
    }
    return bottom;
}

/* A load returned store `index`. */
static void see(uint32_t thread, location *at, uint32_t index, int order)
{
    store *s = store_at(at, index);
    if (s->read_at[thread] == 0) {
        s->read_at[thread] = views[thread].happened[thread];
    }
    if (order == ORDER_SEQ_CST) {
        sequence++;
        s->sequence = s->sequence == 0 ? sequence : s->sequence;
    }
    if (is_acquire(order)) {
        view_join(&views[thread], &s->released);
    } else {
        view_join(&acquire_waiting[thread], &s->released);
    }
    at->seen[thread] = index;
}

/* Appends a store; continued: what the store before passes on, for a release sequence. */
static void append(uint32_t thread, location *at, uint64_t value, int order, const view *continued)
{
    view released = is_release(order) ? views[thread] : release_fences[thread];
    if (continued != NULL) {
        view_join(&released, continued);
    }
    at->newest++;
    if (at->newest - at->first >= HISTORY_DEPTH) {
        at->first++;
    }
    value &= UINT64_MAX >> (64 - 8 * at->size);
    store *s = store_at(at, at->newest);
    *s = (store){.value = value,
                 .thread = thread,
                 .epoch = views[thread].happened[thread],
                 .released = released};
    if (order == ORDER_SEQ_CST) {
        s->sequence = ++sequence;
    }
    at->seen[thread] = at->newest;
    memcpy((void *)at->address, &value, at->size);
}

static operation memory_operation(operation_kind kind, uint32_t location, int order,
                                  uintptr_t place)
{
    return (operation){
        .kind = kind, .object = location, .seq_cst = order == ORDER_SEQ_CST, .place = place};
}

uint64_t history_load(uint32_t thread, uint32_t location_number, int order, uintptr_t place)
{
    operation self = memory_operation(OPERATION_LOAD, location_number, order, place);
    scheduler_turn(&self);
    location *at = &locations[location_number];
    race_access(thread, at->address, at->size, RACE_ATOMIC_READ, place);
    uint32_t oldest = oldest_for(thread, at, order);
    uint32_t index = at->newest - scheduler_choose_store(at->newest - oldest + 1);
    uint64_t value = store_at(at, index)->value;
    see(thread, at, index, order);
    trace("load %s = %llu%s", trace_object(at->address), (unsigned long long)value,
          index == at->newest ? "" : " (an older store)");
    scheduler_done(&self);
    return value;
}

void history_store(uint32_t thread, uint32_t location_number, uint64_t value, int order,
                   uintptr_t place)
{
    operation self = memory_operation(OPERATION_STORE, location_number, order, place);
    scheduler_turn(&self);
    location *at = &locations[location_number];
    race_access(thread, at->address, at->size, RACE_ATOMIC_WRITE, place);
    append(thread, at, value, order, NULL);
    trace("store %s = %llu", trace_object(at->address), (unsigned long long)value);
    scheduler_done(&self);
}

/* Reads the newest store and writes behind it. */
static uint64_t exchange(uint32_t thread, location *at, history_function *function,
                         uint64_t operand, int order)
{
    view continued = store_at(at, at->newest)->released;
    uint64_t before = store_at(at, at->newest)->value;
    see(thread, at, at->newest, order);
    append(thread, at, function(before, operand), order, &continued);
    trace("update %s: %llu to %llu", trace_object(at->address), (unsigned long long)before,
          (unsigned long long)read_memory(at->address, at->size));
    return before;
}

uint64_t history_update(uint32_t thread, uint32_t location_number, history_function *function,
                        uint64_t operand, int order, uintptr_t place)
{
    operation self = memory_operation(OPERATION_UPDATE, location_number, order, place);
    scheduler_turn(&self);
    location *at = &locations[location_number];
    race_access(thread, at->address, at->size, RACE_ATOMIC_WRITE, place);
    uint64_t before = exchange(thread, at, function, operand, order);
    scheduler_done(&self);
    return before;
}

static uint64_t take_operand(uint64_t before, uint64_t operand)
{
    (void)before;
    return operand;
}

uint64_t history_compare(uint32_t thread, uint32_t location_number, uint64_t expected,
                         uint64_t desired, int order, int failing_order, uintptr_t place)
{
    operation self = memory_operation(OPERATION_UPDATE, location_number, order, place);
    scheduler_turn(&self);
    location *at = &locations[location_number];
    /* The outcomes: the newest store, then the older ones that make it fail. */
    uint32_t outcomes[HISTORY_DEPTH], count = 0;
    uint32_t oldest = oldest_for(thread, at, failing_order);
    for (uint32_t i = at->newest + 1; i-- > oldest;) {
        if (i == at->newest || store_at(at, i)->value != expected) {
            outcomes[count++] = i;
        }
        if (i == 0) {
            break;
        }
    }
    uint32_t index = outcomes[scheduler_choose_store(count)];
    uint64_t value = store_at(at, index)->value;
    if (value == expected) {
        race_access(thread, at->address, at->size, RACE_ATOMIC_WRITE, place);
        exchange(thread, at, take_operand, desired, order);
    } else {
        race_access(thread, at->address, at->size, RACE_ATOMIC_READ, place);
        see(thread, at, index, failing_order);
        trace("compare %s failed: %llu%s", trace_object(at->address), (unsigned long long)value,
              index == at->newest ? "" : " (an older store)");
        self.kind = OPERATION_LOAD;
        self.seq_cst = failing_order == ORDER_SEQ_CST;
    }
    scheduler_done(&self);
    return value;
}

void history_fence(uint32_t thread, int order, uintptr_t place)
{
    operation self = {.kind = OPERATION_FENCE, .seq_cst = true, .place = place};
    if (order == ORDER_SEQ_CST) {
        scheduler_turn(&self);
    }
    if (is_acquire(order)) {
        view_join(&views[thread], &acquire_waiting[thread]);
    }
    if (order == ORDER_SEQ_CST) {
        /* Coherence only: a fence alone makes nothing happen before (C11 29.3 and C++20 atomics.order). */
        view *own = &views[thread];
        for (int i = 0; i < THREAD_LIMIT; i++) {
            uint32_t more = own->coherent[i] > sequential.coherent[i] ? own->coherent[i]
                                                                      : sequential.coherent[i];
            own->coherent[i] = sequential.coherent[i] = more;
        }
        own->fence = ++sequence;
    }
    if (is_release(order)) {
        release_fences[thread] = views[thread];
    }
    if (order == ORDER_SEQ_CST) {
        trace("fence");
        scheduler_done(&self);
    }
}

bool history_is_news(uint32_t thread, const uint64_t *watch)
{
    bool any = false;
    for (uint32_t i = 0; i < location_count; i++) {
        if ((watch[i / 64] >> i % 64 & 1) != 0) {
            any = true;
            if (locations[i].newest > locations[i].seen[thread]) {
                return true;
            }
        }
    }
    return !any;
}

void history_catch_up(uint32_t thread, const uint64_t *watch)
{
    for (uint32_t i = 0; i < location_count; i++) {
        if ((watch[i / 64] >> i % 64 & 1) != 0) {
            locations[i].floor[thread] = locations[i].newest;
        }
    }
}

view *history_view(uint32_t thread)
{
    return &views[thread];
}

void history_advance(uint32_t thread)
{
    views[thread].happened[thread]++;
    views[thread].coherent[thread]++;
}

void history_start_thread(uint32_t child, uint32_t parent)
{
    view_join(&views[child], &views[parent]);
    history_advance(parent);
}
