#include "operation.h"

static bool touches_memory(const operation *o)
{
    return o->kind == OPERATION_LOAD || o->kind == OPERATION_STORE || o->kind == OPERATION_UPDATE;
}

static bool writes(const operation *o)
{
    return o->kind == OPERATION_STORE || o->kind == OPERATION_UPDATE;
}

/* The mutex that an operation takes or gives, or 0. */
static uintptr_t mutex_of(const operation *o)
{
    if (o->kind == OPERATION_LOCK || o->kind == OPERATION_UNLOCK) {
        return o->object;
    }
    return o->kind == OPERATION_WAIT ? o->second : 0;
}

static uintptr_t condition_of(const operation *o)
{
    switch (o->kind) {
    case OPERATION_WAIT:
    case OPERATION_WAKE:
    case OPERATION_NOTIFY:
        return o->object;
    case OPERATION_LOCK:
        return o->second;
    default:
        return 0;
    }
}

static bool memory_conflicts(const operation *a, const operation *b)
{
    if (touches_memory(a) && touches_memory(b)) {
        /* Two seq_cst loads of one object: what the first returns bounds what the second may. */
        return a->object == b->object && (writes(a) || writes(b) || (a->seq_cst && b->seq_cst));
    }
    if (a->kind == OPERATION_FENCE) {
        return b->kind == OPERATION_FENCE || (touches_memory(b) && b->seq_cst);
    }
    /* A paused thread goes on when something that it looked at was written. */
    return a->kind == OPERATION_PAUSE && writes(b) &&
           (a->watch[b->object / 64] >> b->object % 64 & 1);
}

static bool waits_conflict(const operation *a, const operation *b, bool spurious)
{
    if (a->kind == OPERATION_NOTIFY || b->kind == OPERATION_NOTIFY) {
        return true;
    }
    return a->kind == OPERATION_WAKE && b->kind == OPERATION_WAKE && spurious;
}

/* Operations that concern one object and nothing else. */
static bool has_one_object(const operation *o)
{
    const uint32_t kinds = 1u << OPERATION_LOAD | 1u << OPERATION_STORE | 1u << OPERATION_UPDATE |
                           1u << OPERATION_LOCK | 1u << OPERATION_UNLOCK | 1u << OPERATION_JOIN |
                           1u << OPERATION_EXIT;
    return (kinds >> o->kind & 1) != 0 && o->second == 0;
}

bool operations_conflict(const operation *a, const operation *b, bool spurious)
{
    if (a->object != b->object && has_one_object(a) && has_one_object(b)) {
        return false; /* the usual case, found out soon */
    }
    if (memory_conflicts(a, b) || memory_conflicts(b, a)) {
        return true;
    }
    if (mutex_of(a) != 0 && mutex_of(a) == mutex_of(b)) {
        return true;
    }
    if (condition_of(a) != 0 && condition_of(a) == condition_of(b) &&
        waits_conflict(a, b, spurious)) {
        return true;
    }
    if (spurious && a->kind == OPERATION_WAKE && b->kind == OPERATION_WAKE) {
        return true;
    }
    bool a_times = a->kind == OPERATION_CLOCK || (a->kind == OPERATION_WAKE && a->timed);
    bool b_times = b->kind == OPERATION_CLOCK || (b->kind == OPERATION_WAKE && b->timed);
    if (a_times && b_times && (a->kind == OPERATION_CLOCK || b->kind == OPERATION_CLOCK)) {
        return true;
    }
    bool a_ends = a->kind == OPERATION_EXIT || a->kind == OPERATION_JOIN;
    bool b_ends = b->kind == OPERATION_EXIT || b->kind == OPERATION_JOIN;
    return a_ends && b_ends && a->object == b->object;
}

bool operations_reversible(const operation *earlier, const operation *later)
{
    bool gives = earlier->kind == OPERATION_UNLOCK || earlier->kind == OPERATION_WAIT;
    if (gives && mutex_of(later) == mutex_of(earlier)) {
        /* the later one needs the mutex, which the earlier one holds: compare the locks */
        return false;
    }
    if (earlier->kind == OPERATION_EXIT ||
        (earlier->kind == OPERATION_LOCK && later->kind != OPERATION_LOCK)) {
        return false; /* a join needs the end; giving needs that one's own lock came first */
    }
    if (earlier->kind == OPERATION_NOTIFY && later->kind == OPERATION_LOCK) {
        return false; /* it was this notification that woke the thread */
    }
    /* A pause before a store leaves all that a pause behind it allows: both values are there. */
    return earlier->kind != OPERATION_PAUSE;
}

const char *operation_name(const operation *o)
{
    static const char *const names[] = {"nothing", "load",   "store", "update", "fence",
                                        "lock",    "unlock", "wait",  "wake",   "notify",
                                        "join",    "exit",   "pause", "clock",  "choose"};
    return names[o->kind];
}
