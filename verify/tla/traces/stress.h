/* What the programs share that put one object under threads of the system, round by round, and print what each call was given,
 * when it began and ended (nanoseconds), and what it answered: lines
 *
 *   call THREAD WORD... BEGIN END [MEMBER...]
 *
 * of which verify/tla/traces/stressing.py makes traces. usage: PROGRAM ROUNDS SEED */
#ifndef HD_VERIFY_STRESS_H
#define HD_VERIFY_STRESS_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"

#define STRESS_CALLS 64
#define STRESS_LONG  UINT64_C(30000000000)
#define STRESS_SHORT UINT64_C(100000)
#define STRESS_PAUSE 300000

typedef struct stress_call {
    char text[64]; /* up to the times */
    char members[64];
    uint64_t begin, end;
} stress_call;

typedef struct stress_player {
    void *round;
    uint32_t number; /* of the thread */
    uint64_t chance;
    uint32_t count;
    stress_call calls[STRESS_CALLS];
} stress_player;

/* Source: Marsaglia, Xorshift RNGs, Journal of Statistical Software 8 (14), 2003. */
static inline uint32_t stress_draw(stress_player *self, uint32_t count)
{
    self->chance ^= self->chance << 13;
    self->chance ^= self->chance >> 7;
    self->chance ^= self->chance << 17;
    return (uint32_t)(self->chance >> 32) % count;
}

static inline void stress_pause(stress_player *self)
{
    struct timespec time = {.tv_nsec = (long)stress_draw(self, STRESS_PAUSE)};
    if (stress_draw(self, 3) != 0) {
        nanosleep(&time, NULL);
    }
}

static const char *const stress_limits[] = {"none", "some", "forever"};

/* When the wait of a call with limit `limit` ends. */
static inline uint64_t stress_deadline(uint32_t limit)
{
    return limit == 0 ? 0 : limit == 2 ? HD_FOREVER : hd_clock_now() + STRESS_SHORT;
}

static inline stress_call *stress_begin(stress_player *self)
{
    if (self->count == STRESS_CALLS) {
        fprintf(stderr, "stress: too many calls\n");
        exit(1);
    }
    stress_call *call = &self->calls[self->count++];
    call->members[0] = '\0';
    call->begin = hd_clock_now();
    return call;
}

static inline void stress_start(stress_player *players, uint32_t count, void *round, uint64_t seed)
{
    for (uint32_t i = 0; i < count; i++) {
        players[i] = (stress_player){
            .round = round, .number = i, .chance = (seed * 64 + i) * 2654435761u + 1};
        stress_draw(&players[i], 2);
    }
}

static inline void stress_need(bool ok)
{
    if (!ok) {
        fprintf(stderr, "stress: no memory, or no threads\n");
        exit(1);
    }
}

static inline void stress_print(const stress_player *players, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < players[i].count; k++) {
            const stress_call *call = &players[i].calls[k];
            printf("call %u %s %llu %llu%s\n", i, call->text, (unsigned long long)call->begin,
                   (unsigned long long)call->end, call->members);
        }
    }
    printf("done\n");
}

/* Plays the rounds; each prints a line `round ...` first. */
static inline int stress_main(int count, char **arguments, size_t size,
                              void (*play)(void *round, uint64_t seed))
{
    if (count != 3) {
        fprintf(stderr, "usage: %s ROUNDS SEED\n", arguments[0]);
        return 2;
    }
    uint64_t rounds = strtoull(arguments[1], NULL, 10), seed = strtoull(arguments[2], NULL, 10);
    void *round = calloc(1, size);
    for (uint64_t i = 0; round != NULL && i < rounds; i++) {
        play(round, seed * rounds + i);
    }
    free(round);
    return round == NULL;
}

#endif
