/* Futures under threads of the system. In each round a request holds the caller's memory, once or as one of a batch twice,
 * ends well or fails, while others cancel it and wait for it. Calls, as stress.h prints them:
 *
 *   round
 *   call THREAD hold IS_HELD BEGIN END
 *   call THREAD let_go BEGIN END
 *   call THREAD commit STATUS BEGIN END
 *   call THREAD finish STATUS BEGIN END                     what the request says
 *   call THREAD cancel STATUS BEGIN END                     what stands
 *   call THREAD wait LIMIT STATUS BEGIN END                 LIMIT: none, some, forever
 *   done */
#define _GNU_SOURCE
#include "stress.h"

#include "runtime/future.h"

#define CANCELLERS 2
#define WAITERS    2
#define EACH       2 /* waits of each */
#define THREADS    (CANCELLERS + WAITERS + 1)

typedef struct stress_round {
    hd_future *future;
    int written; /* the caller's memory, by the request alone */
    pthread_barrier_t start;
    stress_player players[THREADS];
} stress_round;

static void cancel(stress_round *round, stress_player *self)
{
    for (uint32_t i = stress_draw(self, 10); i > 0; i--) {
        stress_pause(self);
    }
    if (stress_draw(self, 3) == 0) {
        return;
    }
    stress_call *call = stress_begin(self);
    hd_status status = hd_future_cancel(round->future);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "cancel %d", (int)status);
}

static void await_end(stress_round *round, stress_player *self)
{
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t limit = stress_draw(self, 3);
        stress_pause(self);
        stress_call *call = stress_begin(self);
        hd_status status = hd_future_wait(round->future,
                                          limit == 2   ? HD_WAIT_FOREVER
                                          : limit == 1 ? 1
                                                       : 0,
                                          NULL);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "wait %s %d", stress_limits[limit], (int)status);
    }
}

static void use(void *argument)
{
    stress_player *self = argument;
    stress_round *round = self->round;
    pthread_barrier_wait(&round->start);
    if (self->number < CANCELLERS) {
        cancel(round, self);
    } else {
        await_end(round, self);
    }
}

static bool hold(stress_round *round, stress_player *self)
{
    stress_pause(self);
    stress_call *call = stress_begin(self);
    bool is_held = hd_future_hold(round->future);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "hold %d", is_held);
    stress_pause(self);
    return is_held;
}

static void work(stress_round *round, stress_player *self)
{
    bool is_twice = stress_draw(self, 2) == 0, fails = stress_draw(self, 3) == 0;
    hd_status status = HD_OK;
    stress_call *call;
    pthread_barrier_wait(&round->start);
    stress_pause(self);
    bool is_held = hold(round, self);
    if (is_held && is_twice) {
        call = stress_begin(self);
        hd_future_let_go(round->future);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "let_go");
        is_held = hold(round, self);
    }
    if (is_held && !fails) {
        call = stress_begin(self);
        status = hd_future_commit(round->future);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "commit %d", (int)status);
        round->written += status == HD_OK;
        stress_pause(self);
    }
    status = !is_held ? HD_CANCELLED : fails ? HD_OUT_OF_MEMORY : status;
    call = stress_begin(self);
    hd_future_finish(round->future, status, NULL);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "finish %d", (int)status);
}

static void play(void *place, uint64_t seed)
{
    stress_round *round = place;
    hd_thread threads[THREADS];
    stress_start(round->players, THREADS, round, seed);
    stress_need(hd_future_create(NULL, NULL, true, &round->future) == HD_OK);
    stress_need(pthread_barrier_init(&round->start, NULL, THREADS) == 0);
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        stress_need(hd_thread_start(&threads[i], "stress", use, &round->players[i]) == HD_OK);
    }
    work(round, &round->players[THREADS - 1]);
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        hd_thread_join(&threads[i]);
    }
    printf("round\n");
    stress_print(round->players, THREADS);
    hd_future_destroy(&round->future);
    pthread_barrier_destroy(&round->start);
}

int main(int count, char **arguments)
{
    return stress_main(count, arguments, sizeof(stress_round), play);
}
