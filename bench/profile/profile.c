/* profile MODEL-FOLDER [REPEATS]: where the time of one run goes, step by step, on one thread.
 *
 * Reads FOLDER/model.onnx and FOLDER/inputs/NAME.npy, makes the plan as a run does, then runs its kernels
 * in order, over and over, and shows the shortest time of each. It looks inside the
 * library (heddle_internal), so it is a tool for those who work on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "graph/model.h"
#include "hal/cpu/command_list.h"
#include "heddle/file.h"
#include "heddle/heddle.h"

static void show_plan(const hd_model *model, hd_plan *plan, uint32_t lane, int repeats)
{
    const hd_cpu_command_list *list = (const hd_cpu_command_list *)plan->lists[lane].list;
    unsigned char *scratch = model->device->workspaces[lane].scratch[0].memory;
    size_t count = plan->recipe.step_count;
    uint64_t *best = calloc(count, sizeof *best), total = 0;
    for (int r = 0; r < repeats && best != NULL; r++) {
        for (size_t i = 0; i < count; i++) {
            const hd_step *step = &plan->recipe.steps[i];
            uint64_t start = hd_clock_now();
            step->kernel.run(step->kernel.parameters, list->buffers + step->first_reference, 0,
                             step->kernel.tile_count, scratch);
            uint64_t time = hd_clock_now() - start;
            best[i] = r == 0 || time < best[i] ? time : best[i];
        }
    }
    printf("%10s %7s  %-24s %s\n", "us", "tiles", "type", "node");
    for (size_t i = 0; i < count && best != NULL; i++) {
        const hd_step *step = &plan->recipe.steps[i];
        total += best[i];
        printf("%10.2f %7lld  %-24s %.60s\n", (double)best[i] / 1e3,
               (long long)step->kernel.tile_count, step->type, step->name);
    }
    free(best);
    printf("%10.2f          in all, %zu steps, arena %zu bytes\n", (double)total / 1e3,
           plan->recipe.step_count, plan->recipe.arena_size);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: profile MODEL-FOLDER [REPEATS]\n");
        return 2;
    }
    int repeats = argc > 2 ? atoi(argv[2]) : 21;
    hd_error error = {0};
    hd_device_options options = {.struct_size = sizeof options, .thread_count = 1};
    hd_device *device = NULL;
    hd_model *model = NULL;
    char path[1024];
    snprintf(path, sizeof path, "%s/model.onnx", argv[1]);
    if (hd_device_open("cpu", &options, &device, &error) != HD_OK ||
        hd_model_load(device, path, NULL, &model, &error) != HD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    hd_tensor inputs[64] = {{0}}, outputs[64] = {{0}};
    for (size_t i = 0; i < hd_model_input_count(model); i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_input_info(model, i, &info) != HD_OK) {
            return 1;
        }
        snprintf(path, sizeof path, "%s/inputs/%s.npy", argv[1], info.name);
        if (hd_tensor_load(path, &inputs[i], &error) != HD_OK) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
        inputs[i].name = NULL;
    }
    if (hd_model_run(model, inputs, hd_model_input_count(model), outputs,
                     hd_model_output_count(model), &error) != HD_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        for (size_t i = 0; i < HD_MEMO_COUNT; i++) {
            hd_plan *plan = model->memos[lane].plans[i];
            if (plan != NULL && plan->lists[lane].list != NULL) {
                show_plan(model, plan, lane, repeats);
            }
        }
    }
    return 0;
}
