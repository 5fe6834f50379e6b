/* The slot pool under threads of the system. Two of its slots and the spare are there; in each round owners and runs lease and
 * give back, slots are forgotten, and at some moment the pool is closed. Calls, as stress.h prints them:
 *
 *   round
 *   call THREAD lease OWNER LIMIT STATUS SLOT BEGIN END     LIMIT: none, some, forever; OWNER: o0, ..., or runs, n0, ...
 *   call THREAD return OWNER SLOT BEGIN END
 *   call THREAD forget OWNER SLOT BEGIN END
 *   call THREAD refuse BEGIN END
 *   call THREAD close LIMIT STATUS BEGIN END                behind refuse
 *   done */
#define _GNU_SOURCE
#include "stress.h"

#include "runtime/slot_pool.h"

#define OWNERS  2
#define RUNS    2
#define EACH    2 /* leases of each */
#define THREADS (OWNERS + RUNS + 1)
#define SLOTS   2 /* beside the spare; the others are leased until the pool refuses */

typedef struct stress_round {
    hd_slot_pool pool;
    pthread_barrier_t start;
    stress_player players[THREADS];
} stress_round;

static const char *const names[] = {"o0", "o1", "n0", "n1"};

static void give_back(stress_round *round, stress_player *self, uint32_t slot)
{
    stress_call *call = stress_begin(self);
    hd_slot_pool_return(&round->pool, slot);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "return %s %u", names[self->number], slot);
    if (stress_draw(self, 3) == 0) {
        call = stress_begin(self);
        hd_slot_pool_forget(&round->pool, slot);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "forget %s %u", names[self->number], slot);
    }
}

static void lease(void *argument)
{
    stress_player *self = argument;
    stress_round *round = self->round;
    pthread_barrier_wait(&round->start);
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t limit = stress_draw(self, 3), hint = stress_draw(self, SLOTS + 1), slot;
        hint = hint == 0 ? HD_SLOT_NONE : hint;
        stress_pause(self);
        uint64_t deadline = stress_deadline(limit);
        stress_call *call = stress_begin(self);
        hd_status status =
            self->number < OWNERS
                ? hd_slot_pool_lease(&round->pool, hint, deadline, &slot)
                : hd_slot_pool_lease_for_run(&round->pool, hint, deadline, NULL, &slot);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "lease %s %s %d %u", names[self->number],
                 stress_limits[limit], (int)status, status == HD_OK ? slot : 0);
        if (status == HD_OK) {
            stress_pause(self);
            give_back(round, self, slot);
        }
    }
}

static void close_pool(stress_round *round, stress_player *self)
{
    uint32_t limit = 1 + stress_draw(self, 2);
    pthread_barrier_wait(&round->start);
    for (uint32_t i = 1 + stress_draw(self, 8); i > 0; i--) {
        stress_pause(self);
    }
    stress_call *call = stress_begin(self);
    hd_slot_pool_refuse(&round->pool);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "refuse");
    for (uint32_t slot = SLOTS + 1; slot < HD_STREAM_COUNT; slot++) {
        hd_slot_pool_return(&round->pool, slot);
    }
    uint64_t deadline = stress_deadline(limit);
    call = stress_begin(self);
    hd_status status = hd_slot_pool_close(&round->pool, deadline);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "close %s %d", stress_limits[limit], (int)status);
}

static void play(void *place, uint64_t seed)
{
    stress_round *round = place;
    hd_thread threads[THREADS];
    stress_start(round->players, THREADS, round, seed);
    stress_need(hd_slot_pool_init(&round->pool) == HD_OK);
    stress_need(pthread_barrier_init(&round->start, NULL, THREADS) == 0);
    for (uint32_t slot = SLOTS + 1; slot < HD_STREAM_COUNT; slot++) {
        stress_need(hd_slot_pool_take_idle(&round->pool, slot));
    }
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        stress_need(hd_thread_start(&threads[i], "stress", lease, &round->players[i]) == HD_OK);
    }
    close_pool(round, &round->players[THREADS - 1]);
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        hd_thread_join(&threads[i]);
    }
    printf("round\n");
    stress_print(round->players, THREADS);
    hd_slot_pool_destroy(&round->pool);
    pthread_barrier_destroy(&round->start);
}

int main(int count, char **arguments)
{
    return stress_main(count, arguments, sizeof(stress_round), play);
}
