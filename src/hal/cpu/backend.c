/* The CPU's row of the seam. */
#include "hal/cpu/backend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/stop.h"
#include "base/thread.h"
#include "hal/cpu/command_list.h"
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

static uint32_t count(void)
{
    return 1;
}

static void describe(uint32_t ordinal, hd_device_info *info)
{
    (void)ordinal;
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

/* A queue of the CPU is a lane's way to the team; what is submitted is done when submit returns. */
struct hd_queue {
    hd_cpu_team *team;
    uint32_t job;
};

typedef struct cpu_unit {
    hd_unit unit; /* first */
    hd_cpu_team *team;
    hd_queue queues[HD_LANE_COUNT];
} cpu_unit;

_Static_assert(HD_JOB_COUNT == HD_LANE_COUNT, "each lane has a job");

static hd_status open_unit(uint32_t ordinal, const hd_unit_options *options, hd_unit **out_unit,
                           hd_error *error)
{
    (void)ordinal;
    cpu_unit *self = hd_alloc_zero(1, sizeof *self);
    if (self == NULL || hd_cpu_team_create(options->thread_count, &self->team) != HD_OK) {
        hd_free(self);
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a device");
    }
    self->unit = (hd_unit){.backend = &hd_backend_cpu,
                           .is_host = true,
                           .queue_count = HD_LANE_COUNT,
                           .scratch_count = hd_cpu_team_size(self->team)};
    for (uint32_t i = 0; i < HD_LANE_COUNT; i++) {
        self->queues[i] = (hd_queue){self->team, i};
    }
    *out_unit = &self->unit;
    return HD_OK;
}

static void close_unit(hd_unit **unit)
{
    cpu_unit *self = (cpu_unit *)*unit;
    if (self != NULL) {
        hd_cpu_team_destroy(&self->team);
        hd_free(self);
        *unit = NULL;
    }
}

static bool is_lost(const hd_unit *unit)
{
    (void)unit;
    return false;
}

static void *create_memory(hd_unit *unit, hd_memory_place place, size_t size)
{
    (void)unit, (void)place;
    void *memory = hd_pages_alloc(size);
    if (memory != NULL) {
        hd_stop_touch(memory, size);
    }
    return memory;
}

static void destroy_memory(hd_unit *unit, hd_memory_place place, void *memory, size_t size)
{
    (void)unit, (void)place;
    hd_pages_free(memory, size);
}

static hd_status copy_memory(hd_unit *unit, void *to, const void *from, size_t size)
{
    (void)unit;
    hd_stop_copy(to, from, size);
    return HD_OK;
}

/* All memory is the host's. */
static bool holds_memory(hd_unit *unit, const void *memory, size_t size)
{
    (void)unit, (void)memory, (void)size;
    return true;
}

static bool supports(const hd_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cpu_operator_find(operation->id) != NULL;
}

static bool supports_in_chain(const hd_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return hd_cpu_elementwise_fuses(operation);
}

/* AVX-512 without VNNI takes as long for bytes as for float32, by 2x2 tiles longer (docs/performance.md). */
static bool quantized_is_faster(const hd_unit *unit)
{
    (void)unit;
    return hd_cpu_isa() == HD_ISA_AVX2 || (hd_cpu_isa() == HD_ISA_AVX512 && hd_cpu_isa_has_vnni());
}

static hd_constant_form constant_form(const hd_unit *unit, const hd_operation *operation,
                                      size_t index)
{
    (void)unit;
    return (hd_constant_form){hd_cpu_packing(operation, index),
                              hd_operation_int(operation, "group", 1)};
}

static hd_status create_constant(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                 hd_packed **out_packed, hd_error *error)
{
    (void)unit;
    return hd_cpu_pack((hd_cpu_packing_kind)form.kind, constant, form.group, out_packed, error);
}

static void destroy_constant(hd_unit *unit, hd_packed **packed)
{
    (void)unit;
    hd_cpu_packed_destroy(packed);
}

static hd_status make_kernel(hd_unit *unit, const hd_operation *operation, hd_region *region,
                             hd_kernel *kernel, hd_error *error)
{
    (void)unit;
    return hd_cpu_compile_operation(operation, region, kernel, error);
}

static hd_status record(hd_unit *unit, const hd_recipe *recipe, const hd_list_memory *memory,
                        hd_command_list **out_list)
{
    (void)unit;
    return hd_cpu_command_list_create(recipe, memory, (hd_cpu_command_list **)out_list);
}

static void destroy_list(hd_unit *unit, hd_command_list **list)
{
    (void)unit;
    hd_cpu_command_list_destroy((hd_cpu_command_list **)list);
}

static hd_status create_queue(hd_unit *unit, uint32_t number, hd_queue **out_queue)
{
    *out_queue = &((cpu_unit *)unit)->queues[number];
    return HD_OK;
}

static void destroy_queue(hd_unit *unit, hd_queue **queue)
{
    (void)unit;
    *queue = NULL;
}

static hd_status submit(hd_queue *queue, const hd_launch *launch, uint64_t *out_point)
{
    hd_cpu_command_list *list = (hd_cpu_command_list *)launch->list;
    *out_point = 0;
    hd_cpu_command_list_bind(list, launch->inputs, launch->outputs);
    return hd_cpu_team_run(queue->team, queue->job, list, launch->scratch,
                           list->recipe->scratch_size, launch->stop);
}

static uint64_t reached(const hd_queue *queue)
{
    (void)queue;
    return UINT64_MAX;
}

static hd_status wait_for(hd_queue *queue, uint64_t point, uint64_t deadline)
{
    (void)queue, (void)point, (void)deadline;
    return HD_OK;
}

static const hd_memory_table memory_table = {create_memory, destroy_memory, copy_memory,
                                             holds_memory};
static const hd_compile_table compile_table = {.supports = supports,
                                               .supports_in_chain = supports_in_chain,
                                               .quantized_is_faster = quantized_is_faster,
                                               .constant_form = constant_form,
                                               .constant_create = create_constant,
                                               .constant_destroy = destroy_constant,
                                               .kernel = make_kernel};
static const hd_list_table list_table = {record, destroy_list};
static const hd_queue_table queue_table = {create_queue, destroy_queue, submit, reached, wait_for};

const hd_backend hd_backend_cpu = {.name = "cpu",
                                   .kind = HD_DEVICE_CPU,
                                   .count = count,
                                   .describe = describe,
                                   .open = open_unit,
                                   .close = close_unit,
                                   .lost = is_lost,
                                   .memory = &memory_table,
                                   .compile = &compile_table,
                                   .lists = &list_table,
                                   .queues = &queue_table};
