#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failure.h"

typedef struct node {
    operation pending[THREAD_LIMIT];
    operation executed;
    uint32_t enabled;
    uint32_t backtrack; /* threads to try here */
    uint32_t done;      /* threads tried with all their outcomes */
    uint32_t sleep;     /* threads whose turn here was explored elsewhere */
    uint32_t thread;
    uint32_t choice;
    uint32_t choice_count; /* 0: not asked yet */
    uint32_t preemptions;
    uint32_t clock[THREAD_LIMIT]; /* 1 + index of each thread's last event before or at this one */
} node;

static node nodes[DEPTH_LIMIT];
static uint32_t length;     /* nodes of the current path */
static uint32_t depth;      /* events of the current execution */
static uint32_t fresh_from; /* events from here on were not seen in the last execution */
static uint32_t clocks[THREAD_LIMIT][THREAD_LIMIT];
static search_options options;

static bool replaying;
static uint64_t chance; /* state of the generator; 0: nothing is left to chance */
static uint32_t replay_length;

void search_begin(search_options wanted)
{
    options = wanted;
    replaying = false;
    chance = 0;
    length = 0;
    fresh_from = 0;
}

void search_begin_random(uint64_t seed)
{
    search_begin((search_options){.bounded = true});
    chance = seed | 1;
}

/* Source: Marsaglia, Xorshift RNGs, Journal of Statistical Software 8 (14), 2003. */
static uint32_t draw(uint32_t count)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 32) % count;
}

bool search_begin_replay(const char *schedule)
{
    chance = 0;
    replaying = true;
    replay_length = 0;
    while (*schedule != '\0') {
        char *end;
        uint32_t thread = (uint32_t)strtoul(schedule, &end, 10), choice = 0, count = 1;
        if (end == schedule || thread >= THREAD_LIMIT) {
            return false;
        }
        if (*end == ':') {
            choice = (uint32_t)strtoul(end + 1, &end, 10);
        }
        if (*end == 'x') {
            count = (uint32_t)strtoul(end + 1, &end, 10);
        }
        for (; count > 0 && replay_length < DEPTH_LIMIT; count--) {
            nodes[replay_length].thread = thread;
            nodes[replay_length++].choice = choice;
        }
        if (*end != ',' && *end != '\0') {
            return false;
        }
        schedule = *end == ',' ? end + 1 : end;
    }
    return true;
}

void search_restart(void)
{
    depth = 0;
    memset(clocks, 0, sizeof clocks);
}

bool search_next(void)
{
    if (chance != 0) {
        return true;
    }
    while (!replaying && length > 0) {
        node *last = &nodes[length - 1];
        fresh_from = length - 1;
        if (last->choice + 1 < last->choice_count) {
            last->choice++;
            return true;
        }
        last->done |= 1u << last->thread;
        uint32_t rest = last->backtrack & ~last->done & ~last->sleep;
        if (rest != 0) {
            last->thread = (uint32_t)__builtin_ctz(rest);
            last->choice = 0;
            last->choice_count = 0;
            return true;
        }
        length--;
    }
    return false;
}

static bool conflict(const operation *a, const operation *b)
{
    return operations_conflict(a, b, options.spurious);
}

/* Event `index` and the next operation of `thread` race: lets the thread, or something that must come
 * before it, go first. */
static void add_backtrack(uint32_t index, uint32_t thread)
{
    node *at = &nodes[index];
    uint32_t candidates = 1u << thread;
    for (uint32_t j = index + 1; j < depth; j++) {
        if (j + 1 <= clocks[thread][nodes[j].thread]) {
            candidates |= 1u << nodes[j].thread;
        }
    }
    candidates &= at->enabled;
    if (candidates == 0) {
        at->backtrack |= at->enabled;
    } else if ((candidates & at->backtrack) == 0) {
        at->backtrack |= (candidates >> thread & 1) != 0 ? 1u << thread : candidates & -candidates;
    }
}

/* Finds the last event that races with the next operation of a thread. */
static void analyze_pending(uint32_t thread, const operation *pending)
{
    for (uint32_t i = depth; i-- > 0;) {
        const node *event = &nodes[i];
        if (event->thread == thread || !conflict(&event->executed, pending) ||
            !operations_reversible(&event->executed, pending) ||
            i + 1 <= clocks[thread][event->thread]) {
            continue;
        }
        add_backtrack(i, thread);
        return;
    }
}

/* Looks at the newest event: with which next operations does it race, and with which older events do
 * the operations race that it brought about. */
static void analyze(const operation *pending)
{
    uint32_t index = depth - 1;
    const node *event = &nodes[index];
    for (uint32_t thread = 0; thread < THREAD_LIMIT; thread++) {
        const operation *before = &event->pending[thread];
        if (thread != event->thread && before->kind != OPERATION_NONE &&
            conflict(&event->executed, before) && operations_reversible(&event->executed, before)) {
            add_backtrack(index, thread);
        }
        if (pending[thread].kind != OPERATION_NONE &&
            (thread == event->thread || memcmp(before, &pending[thread], sizeof *before) != 0)) {
            analyze_pending(thread, &pending[thread]);
        }
    }
}

static uint32_t sleep_of_child(const node *parent)
{
    uint32_t sleep = 0;
    for (uint32_t thread = 0; thread < THREAD_LIMIT; thread++) {
        if (((parent->sleep | parent->done) >> thread & 1) != 0 && thread != parent->thread &&
            !conflict(&parent->executed, &parent->pending[thread])) {
            sleep |= 1u << thread;
        }
    }
    return sleep;
}

/* Fills a new node; false when there is nothing to explore. */
static bool make_node(node *fresh, uint32_t enabled, const operation *pending, uint32_t last)
{
    memcpy(fresh->pending, pending, sizeof fresh->pending);
    fresh->enabled = enabled;
    fresh->done = 0;
    fresh->choice = 0;
    fresh->choice_count = 0;
    fresh->sleep = !options.bounded && depth > 0 ? sleep_of_child(&nodes[depth - 1]) : 0;
    uint32_t before = depth > 0 ? nodes[depth - 1].preemptions : 0;
    uint32_t awake = enabled & ~fresh->sleep;
    bool last_can = (awake >> last & 1) != 0;
    if (options.bounded && last_can && before >= options.preemptions) {
        awake = 1u << last;
    }
    if (awake == 0) {
        return false;
    }
    fresh->thread = last_can ? last : (uint32_t)__builtin_ctz(awake);
    fresh->backtrack = options.bounded ? awake : 1u << fresh->thread;
    return true;
}

static uint32_t pick_replayed(uint32_t enabled, uint32_t last)
{
    node *here = &nodes[depth];
    if (depth >= replay_length) {
        here->thread = (enabled >> last & 1) != 0 ? last : (uint32_t)__builtin_ctz(enabled);
        here->choice = 0;
    }
    if ((enabled >> here->thread & 1) == 0) {
        failure("replay", "the schedule does not fit: thread %u cannot go on at step %u",
                here->thread, depth);
    }
    here->choice_count = 0;
    depth++;
    return here->thread;
}

static uint32_t pick_by_chance(uint32_t enabled, uint32_t last)
{
    node *here = &nodes[depth++];
    here->thread = last;
    here->choice = 0;
    here->choice_count = 0;
    if ((enabled >> last & 1) == 0 || draw(2) == 0) {
        for (uint32_t skipped = draw((uint32_t)__builtin_popcount(enabled)); skipped > 0;
             skipped--) {
            enabled &= enabled - 1;
        }
        here->thread = (uint32_t)__builtin_ctz(enabled);
    }
    return here->thread;
}

uint32_t search_pick(uint32_t enabled, const operation *pending, uint32_t last)
{
    if (depth >= DEPTH_LIMIT) {
        failure("endless", "an execution of more than %d operations", DEPTH_LIMIT);
    }
    if (replaying) {
        return pick_replayed(enabled, last);
    }
    if (chance != 0) {
        return pick_by_chance(enabled, last);
    }
    if (!options.bounded && depth > fresh_from) {
        analyze(pending);
    }
    node *here = &nodes[depth];
    if (depth < length) {
        if (here->enabled != enabled) {
            failure("explorer", "an execution did not repeat at step %u", depth);
        }
    } else {
        if (!make_node(here, enabled, pending, last)) {
            return SEARCH_REDUNDANT;
        }
        length++;
    }
    here->preemptions = (depth > 0 ? nodes[depth - 1].preemptions : 0) +
                        (here->thread != last && (enabled >> last & 1) != 0);
    depth++;
    return here->thread;
}

uint32_t search_choose(uint32_t count)
{
    node *here = &nodes[depth - 1];
    if (chance != 0) {
        here->choice = draw(count);
    } else if (!replaying && here->choice_count != 0 && here->choice_count != count) {
        failure("explorer", "an operation did not repeat at step %u", depth - 1);
    }
    here->choice_count = count;
    if (here->choice >= count) {
        failure("replay", "the schedule does not fit: no outcome %u at step %u", here->choice,
                depth - 1);
    }
    return here->choice;
}

void search_record(const operation *executed)
{
    uint32_t index = depth - 1;
    node *here = &nodes[index];
    if (index >= fresh_from && !options.bounded && !replaying) {
        here->executed = *executed;
        memcpy(here->clock, clocks[here->thread], sizeof here->clock);
        for (uint32_t i = 0; i < index; i++) {
            const node *before = &nodes[i];
            if (before->thread == here->thread || i + 1 <= here->clock[before->thread] ||
                !conflict(&before->executed, executed)) {
                continue;
            }
            for (uint32_t thread = 0; thread < THREAD_LIMIT; thread++) {
                if (before->clock[thread] > here->clock[thread]) {
                    here->clock[thread] = before->clock[thread];
                }
            }
        }
        here->clock[here->thread] = index + 1;
    }
    memcpy(clocks[here->thread], here->clock, sizeof here->clock);
}

void search_note_start(uint32_t child, uint32_t parent)
{
    memcpy(clocks[child], clocks[parent], sizeof clocks[child]);
}

uint32_t search_depth(void)
{
    return depth;
}

void search_print(char *text, uint32_t size)
{
    uint32_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < depth && used + 24 < size;) {
        uint32_t count = 1;
        while (i + count < depth && nodes[i + count].thread == nodes[i].thread &&
               nodes[i + count].choice == nodes[i].choice) {
            count++;
        }
        used += (uint32_t)snprintf(text + used, size - used, "%s%u", i == 0 ? "" : ",",
                                   nodes[i].thread);
        if (nodes[i].choice != 0) {
            used += (uint32_t)snprintf(text + used, size - used, ":%u", nodes[i].choice);
        }
        if (count > 1) {
            used += (uint32_t)snprintf(text + used, size - used, "x%u", count);
        }
        i += count;
    }
}
