/* How long a run of any of ONNX's own test models goes on without looking at what may stop it, planning included, on
 * one thread: a cancelled run is final after that. Models that Heddle does not load are left out. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "graph/model.h"
#include "heddle/heddle.h"
#include "support/model_case.h"
#include "support/slowness.h"
#include "support/stop_watch.h"

#define GAP_LIMIT (SLOWNESS * 10 * MILLISECOND) /* of the processor's time; 20 ms are promised */
#define TRIES     3

static hd_device *device;
static size_t run_count, too_long;
static uint64_t worst;
static char worst_name[512];

static uint64_t measure(hd_model *model, const hd_tensor *inputs)
{
    hd_tensor outputs[MODEL_CASE_OPERAND_LIMIT] = {{.name = NULL}};
    hd_error error;
    watch w = watch_begin(UINT64_MAX);
    hd_status status = hd_model_run_until(model, &w.stop, inputs, hd_model_input_count(model),
                                          outputs, hd_model_output_count(model), &error);
    watch_note(&w);
    for (size_t i = 0; i < hd_model_output_count(model); i++) {
        hd_tensor_release(&outputs[i]);
    }
    run_count += status == HD_OK;
    return w.worst;
}

static void check_model(const char *folder)
{
    char path[1024];
    hd_error error;
    hd_model *model;
    hd_tensor inputs[MODEL_CASE_OPERAND_LIMIT] = {{.name = NULL}};
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (hd_model_load(device, path, NULL, &model, &error) != HD_OK) {
        return;
    }
    bool fits = hd_model_input_count(model) <= MODEL_CASE_OPERAND_LIMIT &&
                hd_model_output_count(model) <= MODEL_CASE_OPERAND_LIMIT;
    for (size_t i = 0; fits && i < hd_model_input_count(model); i++) {
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%zu.pb", folder, i);
        fits = hd_tensor_load(path, &inputs[i], &error) == HD_OK;
    }
    uint64_t least = UINT64_MAX;
    for (int try = 0; fits && try < TRIES && least > GAP_LIMIT; try++) {
        uint64_t gap = measure(model, inputs);
        least = gap < least ? gap : least;
    }
    if (fits && least > worst) {
        worst = least;
        snprintf(worst_name, sizeof worst_name, "%.*s", (int)sizeof worst_name - 1, folder);
    }
    if (fits && least > GAP_LIMIT) {
        print_message("%7.2f ms: %s\n", (double)least / 1e6, folder);
        too_long++;
    }
    for (size_t i = 0; i < MODEL_CASE_OPERAND_LIMIT; i++) {
        hd_tensor_release(&inputs[i]);
    }
    hd_model_destroy(&model);
}

static void every_model_looks_in_time(void **state)
{
    (void)state;
    static const char *const groups[] = {"node", "pytorch-converted", "pytorch-operator", "simple"};
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    assert_int_equal(hd_device_open("cpu", &options, &device, NULL), HD_OK);
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        char folder[512];
        snprintf(folder, sizeof folder, "%s/%s", HD_TEST_ONNX_DIR, groups[g]);
        DIR *list = opendir(folder);
        struct dirent *entry;
        while (list != NULL && (entry = readdir(list)) != NULL) {
            char path[800];
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            if (entry->d_name[0] != '.') {
                check_model(path);
            }
        }
        if (list != NULL) {
            closedir(list);
        }
    }
    hd_device_destroy(&device);
    print_message("%zu models; the longest gap is %.2f ms: %s\n", run_count, (double)worst / 1e6,
                  worst_name);
    assert_true(run_count > 500);
    assert_int_equal(too_long, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_model_looks_in_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
