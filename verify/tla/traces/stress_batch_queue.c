/* The batch queue under threads of the system. In each round some threads submit requests, workers
 * collect them, and the queue is closed at some moment. Calls, as stress.h prints them:
 *
 *   round MAX_ROWS CAPACITY DELAYED
 *   call THREAD submit REQUEST LIMIT STATUS BEGIN END       LIMIT: none, some, forever
 *   call THREAD collect WORKER MORE BEGIN END REQUEST...
 *   call THREAD drain|cancel BEGIN END REQUEST...           and what was cancelled
 *   call THREAD end BEGIN END
 *   call THREAD await STATUS BEGIN END
 *   done */
#define _GNU_SOURCE
#include "stress.h"

#include "runtime/batch_queue.h"

#define SUBMITTERS 3
#define EACH       2 /* requests of a submitter */
#define WORKERS    2
#define THREADS    (SUBMITTERS + WORKERS + 1)
#define REQUESTS   (SUBMITTERS * EACH)
#define KINDS      2
#define DELAY      UINT64_C(2000000)

typedef struct stress_round {
    hd_batch_queue queue;
    hd_batch_worker workers[WORKERS];
    hd_batch_request requests[REQUESTS];
    char kinds[KINDS];
    pthread_barrier_t start;
    stress_player players[THREADS];
} stress_round;

static void note_requests(stress_round *round, stress_call *call, const hd_batch_list *list)
{
    size_t used = 0;
    uint32_t left = REQUESTS; /* a broken list may be a circle */
    for (const hd_batch_request *at = list->first; at != NULL && left-- > 0; at = at->next) {
        used += (size_t)snprintf(call->members + used, sizeof call->members - used, " %u",
                                 (unsigned)(at - round->requests));
    }
}

static void submit(void *argument)
{
    stress_player *self = argument;
    stress_round *round = self->round;
    pthread_barrier_wait(&round->start);
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t number = self->number * EACH + i, limit = stress_draw(self, 3);
        hd_batch_request *request = &round->requests[number];
        *request = (hd_batch_request){.kind = &round->kinds[number % 3 == 2], .rows = 1};
        stress_pause(self);
        uint64_t deadline = stress_deadline(limit);
        stress_call *call = stress_begin(self);
        hd_status status = hd_batch_queue_submit(&round->queue, request, deadline);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "submit %u %s %d", number, stress_limits[limit],
                 (int)status);
    }
}

static void work(void *argument)
{
    stress_player *self = argument;
    stress_round *round = self->round;
    uint32_t number = self->number - SUBMITTERS;
    hd_batch_list batch;
    bool more;
    pthread_barrier_wait(&round->start);
    do {
        stress_call *call = stress_begin(self);
        more = hd_batch_queue_collect(&round->queue, &round->workers[number], &batch);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "collect %u %d", number, more);
        note_requests(round, call, &batch);
        stress_pause(self);
    } while (more);
}

static void close_queue(stress_player *self)
{
    stress_round *round = self->round;
    hd_batch_queue *queue = &round->queue;
    hd_batch_list cancelled = {.count = 0};
    bool cancels = stress_draw(self, 2) == 0;
    pthread_barrier_wait(&round->start);
    for (uint32_t i = 1 + stress_draw(self, 8); i > 0; i--) {
        stress_pause(self);
    }
    stress_call *call = stress_begin(self);
    hd_batch_queue_close(queue, cancels ? &cancelled : NULL);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "%s", cancels ? "cancel" : "drain");
    note_requests(round, call, &cancelled);
    if (cancels) {
        call = stress_begin(self);
        hd_batch_queue_end(queue, cancelled.count);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "end");
    }
    call = stress_begin(self);
    hd_status status = hd_batch_queue_await(queue, hd_clock_now() + STRESS_LONG);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "await %d", (int)status);
}

static void play(void *place, uint64_t seed)
{
    stress_round *round = place;
    hd_thread threads[THREADS];
    stress_player *closer = &round->players[THREADS - 1];
    stress_start(round->players, THREADS, round, seed);
    round->queue.max_rows = 1 + stress_draw(closer, 2);
    round->queue.capacity = 1 + stress_draw(closer, 2);
    round->queue.max_delay = stress_draw(closer, 2) == 0 ? 0 : DELAY;
    stress_need(hd_batch_queue_init(&round->queue) == HD_OK);
    stress_need(pthread_barrier_init(&round->start, NULL, THREADS) == 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        stress_need(hd_batch_worker_init(&round->workers[i]) == HD_OK);
    }
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        stress_need(hd_thread_start(&threads[i], "stress", i < SUBMITTERS ? submit : work,
                                    &round->players[i]) == HD_OK);
    }
    close_queue(closer);
    for (uint32_t i = 0; i < THREADS - 1; i++) {
        hd_thread_join(&threads[i]);
    }
    printf("round %u %u %d\n", round->queue.max_rows, round->queue.capacity,
           round->queue.max_delay != 0);
    stress_print(round->players, THREADS);
    for (uint32_t i = 0; i < WORKERS; i++) {
        hd_batch_worker_destroy(&round->workers[i]);
    }
    hd_batch_queue_destroy(&round->queue);
    pthread_barrier_destroy(&round->start);
}

int main(int count, char **arguments)
{
    return stress_main(count, arguments, sizeof(stress_round), play);
}
