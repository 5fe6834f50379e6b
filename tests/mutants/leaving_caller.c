/* A caller that replays a new list each time. In the mutants it does not wait for the workers: for their
 * last tiles, or for their leaving the job. */
#include <stdio.h>
#include <stdlib.h>

#include "hal/cpu/team.h"

#define RUNS  2000
#define TILES 12

static void run_tile(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)parameters;
    for (int64_t tile = begin; tile < end; tile++) {
        *(float *)scratch = (float)tile;
        for (int64_t i = 0; i < 64; i++) {
            ((float *)buffers[0])[tile * 64 + i] += *(float *)scratch;
        }
    }
}

int main(void)
{
    hd_cpu_team *team;
    unsigned char *scratch = aligned_alloc(64, 4 * 64);
    if (scratch == NULL || hd_cpu_team_create(4, &team) != HD_OK) {
        return 2;
    }
    for (int run = 0; run < RUNS; run++) {
        float *data = calloc(TILES * 64, sizeof *data);
        hd_step steps[4];
        hd_reference references[4];
        for (size_t i = 0; i < 4; i++) {
            steps[i] =
                (hd_step){.kernel = {.run = run_tile, .tile_count = TILES, .scratch_size = 64},
                          .first_reference = (uint32_t)i,
                          .reference_count = 1};
            references[i] = (hd_reference){.space = HD_SPACE_CONSTANT, .constant = data};
        }
        hd_recipe recipe = {.steps = steps,
                            .step_count = 4,
                            .references = references,
                            .reference_total = 4,
                            .scratch_size = 64,
                            .parallel = true};
        hd_cpu_command_list *list;
        if (data == NULL ||
            hd_cpu_command_list_create(&recipe, &(hd_list_memory){0}, &list) != HD_OK) {
            return 2;
        }
        (void)!hd_cpu_team_run(team, 1, list, scratch, 64, NULL);
        for (size_t i = 0; i < TILES * 64; i++) {
            if (data[i] != 4 * (float)(i / 64)) {
                fputs("a wrong result\n", stderr); /* the sanitizer is what must see it */
            }
        }
        hd_cpu_command_list_destroy(&list);
        free(data);
    }
    hd_cpu_team_destroy(&team);
    free(scratch);
    return 0;
}
