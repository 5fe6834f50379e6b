/* The timeline under threads of the system. In each round one thread signals points, others wait for them, and others set
 * watches. Calls, as stress.h prints them:
 *
 *   round
 *   call THREAD wait LIMIT STATUS POINT BEGIN END           LIMIT: none, some, forever
 *   call THREAD watch NUMBER IS_SET POINT BEGIN END
 *   call THREAD signal POINT BEGIN END NUMBER...            and the watches that were told
 *   done */
#define _GNU_SOURCE
#include "stress.h"

#include <stddef.h>

#include "runtime/timeline.h"

#define WAITERS  2
#define WATCHERS 2
#define EACH     2 /* calls of each */
#define THREADS  (WAITERS + WATCHERS + 1)
#define POINTS   3
#define WATCHES  2

typedef struct watch_place {
    hd_timeline_watch watch; /* first */
    stress_call **call;
    uint32_t number;
} watch_place;

typedef struct stress_round {
    hd_timeline timeline;
    watch_place watches[WATCHES];
    stress_call *signal; /* the one that is under way */
    pthread_barrier_t start;
    stress_player players[THREADS];
} stress_round;

static void note_told(hd_timeline_watch *watch)
{
    watch_place *place = (watch_place *)watch;
    stress_call *call = *place->call;
    size_t used = 0;
    while (used + 3 < sizeof call->members && call->members[used] != '\0') {
        used++;
    }
    snprintf(call->members + used, sizeof call->members - used, " %u", place->number);
}

static void await_points(stress_round *round, stress_player *self)
{
    uint32_t limit = stress_draw(self, 3), point = 1 + stress_draw(self, POINTS);
    uint64_t deadline = stress_deadline(limit);
    stress_call *call = stress_begin(self);
    hd_status status = hd_timeline_wait(&round->timeline, point, deadline);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "wait %s %d %u", stress_limits[limit], (int)status,
             point);
}

static void set_watch(stress_round *round, stress_player *self)
{
    uint32_t number = stress_draw(self, WATCHES), point = 1 + stress_draw(self, POINTS);
    stress_call *call = stress_begin(self);
    bool is_set = hd_timeline_set_watch(&round->timeline, &round->watches[number].watch, point);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "watch %u %d %u", number, is_set, point);
}

static void look_on(void *argument)
{
    stress_player *self = argument;
    stress_round *round = self->round;
    pthread_barrier_wait(&round->start);
    for (uint32_t i = 0; i < EACH; i++) {
        stress_pause(self);
        if (self->number < WAITERS) {
            await_points(round, self);
        } else {
            set_watch(round, self);
        }
    }
}

static void signal_points(stress_round *round, stress_player *self)
{
    pthread_barrier_wait(&round->start);
    for (uint32_t point = 1; point <= POINTS; point++) {
        stress_pause(self);
        stress_pause(self);
        stress_call *call = stress_begin(self);
        round->signal = call;
        hd_timeline_signal(&round->timeline, point);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "signal %u", point);
    }
}

static void play(void *place, uint64_t seed)
{
    stress_round *round = place;
    hd_thread threads[THREADS];
    stress_start(round->players, THREADS, round, seed);
    stress_need(hd_timeline_init(&round->timeline) == HD_OK);
    stress_need(pthread_barrier_init(&round->start, NULL, THREADS) == 0);
    for (uint32_t i = 0; i < WATCHES; i++) {
        round->watches[i] =
            (watch_place){.watch = {.reached = note_told}, .call = &round->signal, .number = i};
    }
    for (uint32_t point = 1; point <= POINTS; point++) {
        stress_need(hd_timeline_submit(&round->timeline) == point);
    }
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        stress_need(hd_thread_start(&threads[i], "stress", look_on, &round->players[i]) == HD_OK);
    }
    signal_points(round, &round->players[THREADS - 1]);
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        hd_thread_join(&threads[i]);
    }
    printf("round\n");
    stress_print(round->players, THREADS);
    hd_timeline_destroy(&round->timeline);
    pthread_barrier_destroy(&round->start);
}

int main(int count, char **arguments)
{
    return stress_main(count, arguments, sizeof(stress_round), play);
}
