/* FLAT: memory does not grow with the number of runs or threads, and a warm run allocates nothing.
 *
 * usage: bits_test_flat [RUNS]   default: $HEDDLE_FLAT_RUNS, or 20,000 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/malloc_count.h"
#include "cli/process.h"
#include "subject.h"
#include "support/test_device.h"

#define CALLERS    4
#define TOKENS     16 /* of a sequence, in cases that have one */
#define WARM_RUNS  50
#define WARM_S     0.3
#define CHECKS     10
#define STREAMS    31
#define SLACK      ((uint64_t)256 << 10) /* the system counts pages in portions */
#define BIG_CASE   "linear_64x2048x2048"
#define SMALL_CASE "transformer_b4s128d256h4"

static uint64_t run_count = 20000;

/* A model with inputs and outputs for SUBJECT_THREADS callers, whose memory is touched already. */
typedef struct fixture {
    hd_device *device;
    hd_model *model;
    hd_case_weights weights;
    hd_case_inputs inputs;
    hd_tensor given[SUBJECT_THREADS];
    hd_tensor outputs[SUBJECT_THREADS];
    uint64_t raw_bytes; /* of the weights as the graph was given them */
} fixture;

static void fixture_open(fixture *fixture, const char *name, int64_t rows)
{
    const hd_case_definition *definition = hd_case_find(name);
    hd_error error = {0};
    memset(fixture, 0, sizeof *fixture);
    assert_non_null(definition);
    assert_true(hd_case_weights_create(definition, &fixture->weights));
    assert_true(
        hd_case_inputs_create(definition, SUBJECT_THREADS, CASE_STEP_ALIGNED, &fixture->inputs));
    for (uint32_t i = 0; i < definition->weight_count; i++) {
        fixture->raw_bytes +=
            (uint64_t)hd_case_element_count(&definition->weights[i].shape) * sizeof(float);
    }
    assert_int_equal(hd_device_open(test_device_name(), NULL, &fixture->device, &error), HD_OK);
    assert_int_equal(hd_case_model_create(fixture->device, definition, &fixture->weights, true,
                                          &fixture->model, &error),
                     HD_OK);
    for (size_t i = 0; i < SUBJECT_THREADS; i++) {
        hd_tensor *given = &fixture->given[i];
        hd_case_inputs_get(&fixture->inputs, i, given);
        given->size = given->size / (size_t)given->dims[0] * (size_t)rows;
        given->dims[0] = rows;
        if (given->rank == 3) {
            given->size = given->size / (size_t)given->dims[1] * TOKENS;
            given->dims[1] = TOKENS;
        }
        size_t size = (size_t)hd_case_element_count(&definition->output) * sizeof(float);
        fixture->outputs[i] = (hd_tensor){.data = calloc(1, size), .size = size};
        assert_non_null(fixture->outputs[i].data);
        memset(fixture->outputs[i].data, 1, size);
    }
}

static void fixture_close(fixture *fixture)
{
    for (size_t i = 0; i < SUBJECT_THREADS; i++) {
        free(fixture->outputs[i].data);
    }
    hd_model_destroy(&fixture->model);
    hd_device_destroy(&fixture->device);
    hd_case_inputs_free(&fixture->inputs);
    hd_case_weights_free(&fixture->weights);
}

typedef struct caller {
    fixture *fixture;
    size_t thread;
    uint64_t runs;
    hd_error error;
} caller;

static void run_many(void *context)
{
    caller *caller = context;
    fixture *fixture = caller->fixture;
    for (uint64_t i = 0; i < caller->runs; i++) {
        if (hd_model_run(fixture->model, &fixture->given[caller->thread], 1,
                         &fixture->outputs[caller->thread], 1, &caller->error) != HD_OK) {
            return;
        }
    }
}

static void run_callers(fixture *fixture, size_t threads, uint64_t runs)
{
    caller callers[SUBJECT_THREADS];
    for (size_t i = 0; i < threads; i++) {
        callers[i] = (caller){.fixture = fixture, .thread = i, .runs = runs};
    }
    assert_int_equal(hd_process_run_threads(threads, run_many, callers, sizeof callers[0]),
                     EXIT_CODE_OK);
    for (size_t i = 0; i < threads; i++) {
        if (callers[i].error.status != HD_OK) {
            fail_msg("%s", callers[i].error.message);
        }
    }
}

static hd_memory_info held_by(const fixture *fixture)
{
    hd_memory_info info = {.struct_size = sizeof info};
    assert_int_equal(hd_device_get_memory(fixture->device, &info), HD_OK);
    return info;
}

/* Runs until all streams that these callers meet on have made their arenas: how many that are is up to
 * the system, and 31 at most. */
static void warm_up(fixture *fixture)
{
    uint64_t arena_bytes = 0;
    for (int unchanged = 0, rounds = 0; unchanged < 5 && rounds < 2 * STREAMS; rounds++) {
        run_callers(fixture, CALLERS, WARM_RUNS);
        hd_memory_info held = held_by(fixture);
        unchanged = held.arena_bytes == arena_bytes ? unchanged + 1 : 0;
        arena_bytes = held.arena_bytes;
    }
}

/* Threads are started anew in each portion, so that ending threads leave nothing behind either. */
static void resident_memory_is_flat_over_many_runs(void **state)
{
    (void)state;
    fixture fixture;
    fixture_open(&fixture, SMALL_CASE, 1);
    run_callers(&fixture, 1, 3);
    hd_memory_info one = held_by(&fixture);
    warm_up(&fixture);
    hd_memory_info held = held_by(&fixture), now = held;
    uint64_t before = hd_process_resident_bytes();
    for (int i = 0; i < CHECKS; i++) {
        run_callers(&fixture, CALLERS, run_count / CALLERS / CHECKS);
        now = held_by(&fixture);
        assert_int_equal(now.weight_bytes, held.weight_bytes);
        assert_int_equal(now.plan_bytes, held.plan_bytes);
        assert_true(now.arena_bytes <= one.arena_bytes * STREAMS);
    }
    uint64_t late_arenas = now.arena_bytes - held.arena_bytes;
    uint64_t after = hd_process_resident_bytes();
    print_message(
        "%llu runs: %llu KiB resident before, %llu after; arenas: %llu KiB of one caller, "
        "%llu in all\n",
        (unsigned long long)run_count, (unsigned long long)before / 1024,
        (unsigned long long)after / 1024, (unsigned long long)one.arena_bytes / 1024,
        (unsigned long long)now.arena_bytes / 1024);
    if (!SUBJECT_SANITIZED) { /* whose own books grow */
        assert_true(after <= before + late_arenas + SLACK);
    }
    fixture_close(&fixture);
}

static void warm_runs_do_not_allocate(void **state)
{
    (void)state;
    static const char *const names[] = {SMALL_CASE, "linear_16x512x256", "layernorm_16x512x768"};
    if (hd_malloc_count_read() < 0) {
        print_message("SKIPPED: a sanitizer's malloc is not counted\n");
        skip();
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        fixture fixture;
        fixture_open(&fixture, names[i], 1);
        caller caller = {.fixture = &fixture, .runs = 3};
        /* Warm is also that the device's workers, which start when they find a core, have started. */
        for (double end = hd_process_clock() + WARM_S; hd_process_clock() < end;) {
            run_many(&caller);
        }
        int64_t before = hd_malloc_count_read();
        caller.runs = 1000;
        run_many(&caller);
        int64_t count = hd_malloc_count_read() - before;
        assert_int_equal(caller.error.status, HD_OK);
        assert_int_equal(count, 0);
        void *volatile memory = malloc(1); /* and the counter does count */
        free(memory);
        assert_int_equal(hd_malloc_count_read() - before, 2);
        fixture_close(&fixture);
    }
}

static void weights_lie_in_memory_once_for_any_number_of_threads(void **state)
{
    (void)state;
    fixture fixture;
    fixture_open(&fixture, BIG_CASE, 64);
    run_callers(&fixture, 1, 3);
    hd_memory_info one = held_by(&fixture);
    uint64_t before = hd_process_resident_bytes();
    run_callers(&fixture, SUBJECT_THREADS, 3);
    hd_memory_info many = held_by(&fixture);
    uint64_t after = hd_process_resident_bytes();
    print_message("weights: %llu KiB given, %llu held; 1 thread: %llu KiB resident, 16: %llu\n",
                  (unsigned long long)fixture.raw_bytes / 1024,
                  (unsigned long long)one.weight_bytes / 1024, (unsigned long long)before / 1024,
                  (unsigned long long)after / 1024);
    assert_int_equal(many.weight_bytes, one.weight_bytes);
    assert_int_equal(many.plan_bytes >= one.plan_bytes, 1);
    assert_true(one.weight_bytes >= fixture.raw_bytes);
    assert_true(one.weight_bytes < fixture.raw_bytes + fixture.raw_bytes / 4);
    if (!SUBJECT_SANITIZED) {
        assert_true(after - before < fixture.raw_bytes);
    }
    fixture_close(&fixture);
}

static void a_destroyed_model_leaves_nothing_behind(void **state)
{
    (void)state;
    fixture fixture;
    fixture_open(&fixture, SMALL_CASE, 1);
    run_callers(&fixture, CALLERS, 3);
    hd_model_destroy(&fixture.model);
    hd_memory_info held = held_by(&fixture);
    assert_int_equal(held.weight_bytes, 0);
    assert_int_equal(held.plan_bytes, 0);
    fixture_close(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resident_memory_is_flat_over_many_runs),
        cmocka_unit_test(warm_runs_do_not_allocate),
        cmocka_unit_test(weights_lie_in_memory_once_for_any_number_of_threads),
        cmocka_unit_test(a_destroyed_model_leaves_nothing_behind),
    };
    /* a name is for support/one_test.c */
    bool is_number = argc > 1 && argv[1][0] >= '0' && argv[1][0] <= '9';
    const char *number = is_number ? argv[1] : getenv("HEDDLE_FLAT_RUNS");
    if (number != NULL) {
        run_count = strtoull(number, NULL, 10);
    }
    if (SUBJECT_SANITIZED) {
        run_count /= 20;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
