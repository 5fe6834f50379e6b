/* The CPU's row of the seam. */
#include "hal/backend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/thread.h"
#include "hal/cpu/compile.h"
#include "hal/cpu/isa.h"
#include "hal/cpu/ops/elementwise.h"
#include "hal/cpu/packed.h"
#include "hal/cpu/team.h"

static void read_processor_name(char *text, size_t size)
{
    snprintf(text, size, "x86-64 processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL && colon[1] != '\0') {
            snprintf(text, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    fclose(file);
}

static void describe(hd_device_info *info)
{
    static const char *const instruction_sets[] = {"SSE2", "AVX2", "AVX-512"};
    int cancelling = hd_thread_hold_cancelling(); /* files are cancellation points */
    *info = (hd_device_info){.kind = HD_DEVICE_CPU, .core_count = hd_thread_core_count()};
    snprintf(info->name, sizeof info->name, "cpu");
    read_processor_name(info->description, sizeof info->description);
    hd_thread_restore_cancelling(cancelling);
    snprintf(info->driver, sizeof info->driver, "%s", instruction_sets[hd_cpu_isa()]);
    info->queue_count = HD_STREAM_COUNT;
    long pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page_size > 0) {
        info->memory_bytes = (uint64_t)pages * (uint64_t)page_size;
    }
}

/* An executor of the CPU is its team. */
static hd_status executor_create(uint32_t thread_count, hd_executor **out_executor)
{
    return hd_team_create(thread_count, (hd_team **)out_executor);
}

static void executor_destroy(hd_executor **executor)
{
    hd_team_destroy((hd_team **)executor);
}

static uint32_t executor_size(const hd_executor *executor)
{
    return hd_team_size((const hd_team *)executor);
}

static hd_status executor_run(hd_executor *executor, uint32_t lane, const hd_command_list *list,
                              unsigned char *scratch, size_t scratch_stride, const hd_stop *stop)
{
    return hd_team_run((hd_team *)executor, lane, list, scratch, scratch_stride, stop);
}

_Static_assert(HD_JOB_COUNT == HD_LANE_COUNT, "each lane has a job");

const hd_backend hd_backend_cpu = {.kind = HD_DEVICE_CPU,
                                   .describe = describe,
                                   .executor_create = executor_create,
                                   .executor_destroy = executor_destroy,
                                   .executor_size = executor_size,
                                   .executor_run = executor_run,
                                   .packing = hd_cpu_packing,
                                   .pack = hd_cpu_pack,
                                   .packed_destroy = hd_cpu_packed_destroy,
                                   .compile = hd_cpu_compile_operation,
                                   .fuses_elementwise = hd_cpu_elementwise_fuses};
