/* Team: each tile once, in whatever hands; helpers leave; sleepers wake. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "hal/cpu/team.h"

#define STEP_COUNT 40
#define TILE_LIMIT 300

/* What a kernel of these tests counts: how often each tile of its step ran, and whether the step before
 * was complete when it did. Plain memory, so that a sanitizer sees a tile in two hands. */
typedef struct counted_step {
    uint32_t *tiles; /* one counter a tile */
    int64_t tile_count;
    const struct counted_step *before;
    uint32_t work;
    uint32_t rounds; /* how often the list ran, this time included; set between runs */
} counted_step;

static _Atomic bool violated;
static _Atomic uint32_t helped;
static _Thread_local bool is_caller;

static void run_counted(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    const counted_step *step = *(const counted_step *const *)parameters;
    (void)buffers;
    if (!is_caller) {
        hd_add_relaxed(&helped, 1);
    }
    for (int64_t tile = begin; tile < end; tile++) {
        memset(scratch, (int)tile, 64); /* this thread's alone */
        volatile uint32_t spin = 0;
        while (spin < step->work) {
            spin = spin + 1;
        }
        step->tiles[tile]++;
        if (step->tiles[tile] != step->rounds) {
            hd_store_relaxed(&violated, true);
        }
        for (int64_t i = 0; step->before != NULL && i < step->before->tile_count; i++) {
            if (step->before->tiles[i] != step->rounds) {
                hd_store_relaxed(&violated, true);
            }
        }
        for (size_t i = 0; i < 64; i++) {
            if (((unsigned char *)scratch)[i] != (unsigned char)tile) {
                hd_store_relaxed(&violated, true);
            }
        }
    }
}

typedef struct counted_list {
    counted_step steps[STEP_COUNT];
    const counted_step *parameters[STEP_COUNT];
    hd_step kernels[STEP_COUNT];
    hd_recipe recipe;
    hd_cpu_command_list *list;
} counted_list;

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static void make_list(counted_list *list, uint64_t seed)
{
    uint64_t state = seed;
    memset(list, 0, sizeof *list);
    list->recipe = (hd_recipe){.steps = list->kernels,
                               .step_count = 1 + next_random(&state) % STEP_COUNT,
                               .scratch_size = 64};
    for (size_t i = 0; i < list->recipe.step_count; i++) {
        counted_step *step = &list->steps[i];
        step->tile_count =
            next_random(&state) % 3 == 0 ? 1 : 1 + (int64_t)(next_random(&state) % 40);
        step->tile_count = next_random(&state) % 20 == 0 ? TILE_LIMIT : step->tile_count;
        step->work = (uint32_t)(next_random(&state) % 3 == 0 ? 2000 : 20);
        step->tiles = calloc((size_t)step->tile_count, sizeof *step->tiles);
        assert_non_null(step->tiles);
        step->before = i == 0 ? NULL : &list->steps[i - 1];
        list->parameters[i] = step;
        list->kernels[i] = (hd_step){.kernel = {.run = run_counted,
                                                .parameters = &list->parameters[i],
                                                .tile_count = step->tile_count,
                                                .scratch_size = 64}};
        list->recipe.parallel = list->recipe.parallel || step->tile_count > 1;
    }
    assert_int_equal(hd_cpu_command_list_create(&list->recipe, &(hd_list_memory){0}, &list->list),
                     HD_OK);
}

static void free_list(counted_list *list)
{
    hd_cpu_command_list_destroy(&list->list);
    for (size_t i = 0; i < list->recipe.step_count; i++) {
        free(list->steps[i].tiles);
    }
}

static void run_list_once(hd_cpu_team *team, uint32_t job, counted_list *list,
                          unsigned char *scratch)
{
    for (size_t i = 0; i < list->recipe.step_count; i++) {
        list->steps[i].rounds++;
    }
    is_caller = true;
    (void)!hd_cpu_team_run(team, job, list->list, scratch, 64, NULL);
    for (size_t i = 0; i < list->recipe.step_count; i++) {
        for (int64_t tile = 0; tile < list->steps[i].tile_count; tile++) {
            if (list->steps[i].tiles[tile] != list->steps[i].rounds) {
                hd_store_relaxed(&violated, true);
            }
        }
    }
}

typedef struct caller {
    hd_cpu_team *team;
    uint32_t job;
    uint64_t seed;
    pthread_t thread;
} caller;

/* The list is the caller's alone and goes when the run is over: nobody may be inside any more. */
static void *run_many_lists(void *argument)
{
    caller *self = argument;
    unsigned char *scratch = aligned_alloc(64, 64 * 64);
    if (scratch == NULL) {
        hd_store_relaxed(&violated, true);
        return NULL;
    }
    for (uint64_t i = 0; i < 25; i++) {
        counted_list *list = malloc(sizeof *list);
        if (list == NULL) {
            break;
        }
        make_list(list, self->seed + i);
        for (size_t repeat = 0; repeat < 4; repeat++) {
            run_list_once(self->team, self->job, list, scratch);
        }
        free_list(list);
        memset(list, 0xFF, sizeof *list);
        free(list);
    }
    free(scratch);
    return NULL;
}

static void run_callers(uint32_t cores, uint32_t caller_count)
{
    hd_cpu_team *team;
    caller callers[12];
    assert_int_equal(hd_cpu_team_create(cores, &team), HD_OK);
    assert_int_equal(hd_cpu_team_size(team), cores);
    for (uint32_t i = 0; i < caller_count; i++) {
        callers[i] = (caller){.team = team, .job = 1 + i, .seed = cores * 1000 + i * 77};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, run_many_lists, &callers[i]), 0);
    }
    for (uint32_t i = 0; i < caller_count; i++) {
        pthread_join(callers[i].thread, NULL);
    }
    hd_cpu_team_destroy(&team);
    assert_null(team);
    assert_false(hd_load_relaxed(&violated));
}

static void every_tile_runs_exactly_once_with_any_number_of_workers(void **state)
{
    (void)state;
    for (uint32_t cores = 1; cores <= 9; cores += cores < 4 ? 1 : 2) {
        run_callers(cores, 1);
    }
}

static void every_tile_runs_exactly_once_with_several_callers(void **state)
{
    (void)state;
    static const uint32_t callers[] = {2, 3, 8, 12};
    for (size_t i = 0; i < 4; i++) {
        run_callers(4, callers[i]);
    }
}

static uint64_t processor_nanoseconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * UINT64_C(1000000000) +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void workers_sleep_when_idle_and_wake_to_help(void **state)
{
    (void)state;
    hd_cpu_team *team;
    counted_list *list = malloc(sizeof *list);
    unsigned char *scratch = aligned_alloc(64, 64 * 64);
    assert_non_null(list);
    assert_non_null(scratch);
    assert_int_equal(hd_cpu_team_create(4, &team), HD_OK);
    make_list(list, 3);
    for (size_t i = 0; i < list->recipe.step_count; i++) {
        list->steps[i].work = 200000;
    }
    for (size_t round = 0; round < 3; round++) {
        usleep(50000);
        uint64_t before = processor_nanoseconds();
        usleep(100000);
        /* three would burn 0.3 s */
        assert_in_range(processor_nanoseconds() - before, 0, UINT64_C(50000000));
        hd_store_relaxed(&helped, 0);
        /* A machine with one free core may keep the workers away for a while. */
        for (size_t i = 0; i < 200 && hd_load_relaxed(&helped) == 0; i++) {
            run_list_once(team, 5, list, scratch);
        }
        assert_true(hd_load_relaxed(&helped) > 0);
    }
    assert_false(hd_load_relaxed(&violated));
    free_list(list);
    free(list);
    free(scratch);
    hd_cpu_team_destroy(&team);
}

static void teams_come_and_go(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60; i++) {
        hd_cpu_team *team;
        assert_int_equal(hd_cpu_team_create(1 + i % 8, &team), HD_OK);
        if (i % 3 == 0) {
            usleep(300);
        }
        hd_cpu_team_destroy(&team);
    }
    hd_cpu_team *none = NULL;
    hd_cpu_team_destroy(&none);
}

static void a_team_without_its_threads_still_computes(void **state)
{
    (void)state;
#if defined(HD_FAULT)
    uint32_t smaller = 0;
    for (uint64_t nth = 1; nth < 20; nth++) {
        hd_cpu_team *team = NULL;
        hd_fault_arm(nth, 0, 0);
        hd_status status = hd_cpu_team_create(4, &team);
        hd_fault_disarm();
        if (status != HD_OK) {
            assert_int_equal(status, HD_OUT_OF_MEMORY);
            assert_null(team);
            continue;
        }
        smaller += hd_cpu_team_size(team) < 4;
        caller self = {.team = team, .job = 1, .seed = nth};
        run_many_lists(&self);
        hd_cpu_team_destroy(&team);
    }
    assert_true(smaller > 0);
    assert_false(hd_load_relaxed(&violated));
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tile_runs_exactly_once_with_any_number_of_workers),
        cmocka_unit_test(every_tile_runs_exactly_once_with_several_callers),
        cmocka_unit_test(workers_sleep_when_idle_and_wake_to_help),
        cmocka_unit_test(teams_come_and_go),
        cmocka_unit_test(a_team_without_its_threads_still_computes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
