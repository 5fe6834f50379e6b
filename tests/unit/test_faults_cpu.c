/* Faults in what only the CPU does: long runs row by row, and by a runner. Each fallible call fails once (test_faults.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault.h"
#include "graph/model.h"

#include "fault_runs.h" /* last: it names a variable as headers name parameters */

#if !defined(HD_FAULT)
int main(void)
{
    puts("1..0 # SKIP this build makes nothing fail (preset: fault)");
    return 0;
}
#else

/* A long run does its rows one after the other where every core has one; behind as many as there are cores
 * a runner does, or, when none can be started, the caller. */
static void long_run(uint32_t others)
{
    hd_device *shared = device;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    assert_int_equal(build_graph(&shared_graph, NULL), HD_OK);
    bool reached = true;
    run_rows = 6;
    for (uint64_t nth = 1; reached; nth++) {
        hd_error error;
        run_owned = nth % 2 == 0;
        assert_int_equal(hd_device_open("cpu", &options, &device, NULL), HD_OK);
        assert_int_equal(hd_model_create(device, shared_graph, NULL, &shared_model, NULL), HD_OK);
        for (size_t i = 0; i < HD_DURATION_COUNT; i++) { /* as if runs took a second */
            atomic_store(&shared_model->run_nanoseconds[i], UINT64_C(1000000000));
        }
        hd_add_relaxed(&device->long_runs, others);
        hd_fault_arm(nth, 0, 0);
        hd_status status = run_shared(&error);
        reached = hd_fault_count() >= nth;
        hd_fault_disarm();
        assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
        assert_true(reached || (status == HD_OK && nth > 4));
        /* of all rows, of one */
        assert_true(reached || hd_plan_cache_count(shared_model->plans) == 2);
        assert_true(reached ||
                    (shared_model->memos[HD_STREAM_COUNT].plans[0] != NULL) == (others > 0));
        assert_int_equal(run_shared(&error), HD_OK);
        hd_sub_relaxed(&device->long_runs, others);
        hd_model_destroy(&shared_model);
        fault_runs_check_nothing_is_held();
        hd_device_destroy(&device);
        assert_true(nth < 2000);
    }
    hd_graph_destroy(&shared_graph);
    device = shared;
}

static void row_by_row(void **state)
{
    (void)state;
    long_run(0);
}

static void by_a_runner(void **state)
{
    (void)state;
    long_run(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(row_by_row),
        cmocka_unit_test(by_a_runner),
    };
    return cmocka_run_group_tests(tests, fault_runs_open, fault_runs_close);
}
#endif
