/* stress ROUNDS SEED: the batch queue under threads of the system. In each round some threads submit requests, workers
 * collect them, and the queue is closed at some moment. Prints what each call was given, when it began and ended
 * (nanoseconds), and what it answered:
 *
 *   round MAX_ROWS CAPACITY DELAYED
 *   call THREAD submit REQUEST LIMIT STATUS BEGIN END       LIMIT: none, some, forever
 *   call THREAD collect WORKER MORE BEGIN END REQUEST...
 *   call THREAD drain|cancel BEGIN END REQUEST...           and what was cancelled
 *   call THREAD end BEGIN END
 *   call THREAD await STATUS BEGIN END
 *   done */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/thread.h"
#include "runtime/batch_queue.h"

#define SUBMITTERS  3
#define EACH        2 /* requests of a submitter */
#define WORKERS     2
#define REQUESTS    (SUBMITTERS * EACH)
#define CALL_LIMIT  64
#define KINDS       2
#define LONG        UINT64_C(30000000000)
#define SHORT       UINT64_C(100000)
#define DELAY       UINT64_C(2000000)
#define PAUSE_LIMIT 300000

typedef struct call_record {
    char text[64]; /* up to the times */
    char requests[64];
    uint64_t begin, end;
} call_record;

typedef struct player {
    struct stress_round *round;
    uint32_t number; /* of the thread */
    uint64_t chance;
    uint32_t count;
    call_record calls[CALL_LIMIT];
} player;

typedef struct stress_round {
    hd_batch_queue queue;
    hd_batch_worker workers[WORKERS];
    hd_batch_request requests[REQUESTS];
    char kinds[KINDS];
    pthread_barrier_t start;
    player players[SUBMITTERS + WORKERS + 1];
} stress_round;

/* Source: Marsaglia, Xorshift RNGs, Journal of Statistical Software 8 (14), 2003. */
static uint32_t draw(player *self, uint32_t count)
{
    self->chance ^= self->chance << 13;
    self->chance ^= self->chance >> 7;
    self->chance ^= self->chance << 17;
    return (uint32_t)(self->chance >> 32) % count;
}

static void pause_for_a_while(player *self)
{
    struct timespec time = {.tv_nsec = (long)draw(self, PAUSE_LIMIT)};
    if (draw(self, 3) != 0) {
        nanosleep(&time, NULL);
    }
}

static call_record *begin(player *self)
{
    if (self->count == CALL_LIMIT) {
        fprintf(stderr, "stress: too many calls\n");
        exit(1);
    }
    call_record *call = &self->calls[self->count++];
    call->requests[0] = '\0';
    call->begin = hd_clock_now();
    return call;
}

static void note_requests(stress_round *round, call_record *call, const hd_batch_list *list)
{
    size_t used = 0;
    uint32_t left = REQUESTS; /* a broken list may be a circle */
    for (const hd_batch_request *at = list->first; at != NULL && left-- > 0; at = at->next) {
        used += (size_t)snprintf(call->requests + used, sizeof call->requests - used, " %u",
                                 (unsigned)(at - round->requests));
    }
}

static void submit(void *argument)
{
    player *self = argument;
    static const char *const names[] = {"none", "some", "forever"};
    pthread_barrier_wait(&self->round->start);
    for (uint32_t i = 0; i < EACH; i++) {
        uint32_t number = self->number * EACH + i, limit = draw(self, 3);
        hd_batch_request *request = &self->round->requests[number];
        *request = (hd_batch_request){.kind = &self->round->kinds[number % 3 == 2], .rows = 1};
        pause_for_a_while(self);
        uint64_t deadline = limit == 0 ? 0 : limit == 2 ? HD_FOREVER : hd_clock_now() + SHORT;
        call_record *call = begin(self);
        hd_status status = hd_batch_queue_submit(&self->round->queue, request, deadline);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "submit %u %s %d", number, names[limit],
                 (int)status);
    }
}

static void work(void *argument)
{
    player *self = argument;
    uint32_t number = self->number - SUBMITTERS;
    hd_batch_list batch;
    bool more;
    pthread_barrier_wait(&self->round->start);
    do {
        call_record *call = begin(self);
        more = hd_batch_queue_collect(&self->round->queue, &self->round->workers[number], &batch);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "collect %u %d", number, more);
        note_requests(self->round, call, &batch);
        pause_for_a_while(self);
    } while (more);
}

static void close_queue(player *self)
{
    hd_batch_queue *queue = &self->round->queue;
    hd_batch_list cancelled = {.count = 0};
    bool cancels = draw(self, 2) == 0;
    pthread_barrier_wait(&self->round->start);
    for (uint32_t i = 1 + draw(self, 8); i > 0; i--) {
        pause_for_a_while(self);
    }
    call_record *call = begin(self);
    hd_batch_queue_close(queue, cancels ? &cancelled : NULL);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "%s", cancels ? "cancel" : "drain");
    note_requests(self->round, call, &cancelled);
    if (cancels) {
        call = begin(self);
        hd_batch_queue_end(queue, cancelled.count);
        call->end = hd_clock_now();
        snprintf(call->text, sizeof call->text, "end");
    }
    call = begin(self);
    hd_status status = hd_batch_queue_await(queue, hd_clock_now() + LONG);
    call->end = hd_clock_now();
    snprintf(call->text, sizeof call->text, "await %d", (int)status);
}

static void play(stress_round *round, uint64_t seed)
{
    hd_thread threads[SUBMITTERS + WORKERS];
    player *closer = &round->players[SUBMITTERS + WORKERS];
    for (uint32_t i = 0; i <= SUBMITTERS + WORKERS; i++) {
        round->players[i] =
            (player){.round = round, .number = i, .chance = (seed * 64 + i) * 2654435761u + 1};
        draw(&round->players[i], 2);
    }
    round->queue.max_rows = 1 + draw(closer, 2);
    round->queue.capacity = 1 + draw(closer, 2);
    round->queue.max_delay = draw(closer, 2) == 0 ? 0 : DELAY;
    bool ok = hd_batch_queue_init(&round->queue) == HD_OK &&
              pthread_barrier_init(&round->start, NULL, SUBMITTERS + WORKERS + 1) == 0;
    for (uint32_t i = 0; ok && i < WORKERS; i++) {
        ok = hd_batch_worker_init(&round->workers[i]) == HD_OK;
    }
    for (uint32_t i = 0; ok && i < SUBMITTERS + WORKERS; i++) {
        ok = hd_thread_start(&threads[i], "stress", i < SUBMITTERS ? submit : work,
                             &round->players[i]) == HD_OK;
    }
    if (!ok) {
        fprintf(stderr, "stress: no threads\n");
        exit(1);
    }
    close_queue(closer);
    for (uint32_t i = 0; i < SUBMITTERS + WORKERS; i++) {
        hd_thread_join(&threads[i]);
    }
    printf("round %u %u %d\n", round->queue.max_rows, round->queue.capacity,
           round->queue.max_delay != 0);
    for (uint32_t i = 0; i <= SUBMITTERS + WORKERS; i++) {
        for (uint32_t k = 0; k < round->players[i].count; k++) {
            const call_record *call = &round->players[i].calls[k];
            printf("call %u %s %llu %llu%s\n", i, call->text, (unsigned long long)call->begin,
                   (unsigned long long)call->end, call->requests);
        }
    }
    printf("done\n");
    for (uint32_t i = 0; i < WORKERS; i++) {
        hd_batch_worker_destroy(&round->workers[i]);
    }
    hd_batch_queue_destroy(&round->queue);
    pthread_barrier_destroy(&round->start);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: stress ROUNDS SEED\n");
        return 2;
    }
    uint64_t rounds = strtoull(arguments[1], NULL, 10), seed = strtoull(arguments[2], NULL, 10);
    stress_round *round = calloc(1, sizeof *round);
    for (uint64_t i = 0; round != NULL && i < rounds; i++) {
        play(round, seed * rounds + i);
    }
    free(round);
    return round == NULL;
}
