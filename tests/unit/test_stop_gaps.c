/* usage: unit_test_stop_gaps [TEST [OPERATOR...]]
 *
 * How long a run goes on without looking at what may stop it: each operator on operands of which it computes for long
 * (support/long_case.h), on one thread, to the end and once more stopped halfway; planning, and what follows the last
 * look, are counted as well. The longest such gap is the time after which a cancelled run is final. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "heddle/heddle.h"
#include "support/long_case.h"
#include "support/slowness.h"
#include "support/stop_watch.h"
#include "support/test_device.h"

#define GAP_LIMIT (SLOWNESS * 10 * MILLISECOND) /* of the processor's time; 20 ms are promised */
#define TRIES     8 /* another program may take the caches, or the large pages, away */
#define RUN_LIMIT ((SLOWNESS > 1 ? 600 : run_time) * MILLISECOND) /* then a run is stopped */

static uint64_t run_time = 100; /* `make stop-long` asks for more by HEDDLE_STOP_TIME */

/* The longest gap of a run, which is stopped when it has taken `limit`; *out_time: what it took. */
static uint64_t measure(long_case *c, uint64_t limit, uint64_t *out_time)
{
    hd_tensor outputs[8] = {{.name = NULL}};
    hd_error error = {0};
    watch w = watch_begin(limit);
    hd_status status = hd_model_run_until(c->model, &w.stop, c->inputs, c->input_count, outputs,
                                          c->output_count, &error);
    watch_note(&w);
    if (status != HD_OK && status != HD_CANCELLED) {
        fail_msg("%s: %s", c->text, error.message);
    }
    for (size_t i = 0; i < c->output_count; i++) {
        hd_tensor_release(&outputs[i]);
    }
    *out_time = w.last - w.begin;
    return w.worst;
}

static int wanted_count;
static char **wanted;
static size_t too_long;

static void check(hd_device *device, const row_case *row, bool constants)
{
    long_case c;
    long_case_open(&c, device, row, constants, false);
    uint64_t least = UINT64_MAX;
    for (int try = 0; try < TRIES && least > GAP_LIMIT; try++) {
        uint64_t time, cut_time, gap = measure(&c, RUN_LIMIT, &time);
        uint64_t cut = measure(&c, time / 2, &cut_time);
        gap = gap > cut ? gap : cut;
        least = gap < least ? gap : least;
    }
    if (least > GAP_LIMIT / 4 || wanted_count > 0) {
        print_message("%7.2f ms: %s%s\n", (double)least / 1e6, c.text,
                      constants ? ", constants" : "");
    }
    too_long += least > GAP_LIMIT;
    long_case_close(&c);
}

static bool is_wanted(const char *type)
{
    for (int i = 0; i < wanted_count; i++) {
        if (strcmp(wanted[i], type) == 0) {
            return true;
        }
    }
    return wanted_count == 0;
}

static void every_operator_looks_in_time(void **state)
{
    (void)state;
    hd_error error;
    hd_device *device;
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    assert_int_equal(hd_device_open(test_device_name(), &options, &device, &error), HD_OK);
    for (size_t i = 0; i < long_row_count; i++) {
        row_case row;
        for (const char *types = long_rows[i].types; row_case_next(&long_rows[i], &types, &row);) {
            bool packs = strstr(row.type, "Conv") != NULL || strcmp(row.type, "MatMul") == 0;
            if (!is_wanted(row.type)) {
                continue;
            }
            check(device, &row, false);
            if (packs) {
                check(device, &row, true);
            }
        }
    }
    hd_device_destroy(&device);
    assert_int_equal(too_long, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_operator_looks_in_time)};
    const char *time = getenv("HEDDLE_STOP_TIME");
    run_time = time == NULL ? run_time : strtoull(time, NULL, 10);
    wanted_count = argc > 2 ? argc - 2 : 0; /* argv[1] is a test's name */
    wanted = argv + 2;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
