#include "hal/cuda/list.h"

#include <string.h>

#include "base/memory.h"
#include "hal/cuda/graph.h"
#include "hal/cuda/product_half.h"
#include "hal/cuda/step.h"

/* Fewer kernels in a row are launched one by one. */
#define GRAPH_KERNELS 2

/* An address that a launch brings. */
typedef struct binding {
    hd_cuda_command *command;
    size_t at;      /* in its parameters, where it is put */
    hd_space space; /* INPUT, OUTPUT, HOST; NONE: the scratch memory */
    uint32_t index;
    size_t offset; /* bytes that are added */
    bool is_map;
    unsigned char
        *bound; /* the address that was put last; NULL at first, as the parameters have it */
} binding;

/* Commands in a row: kernels of a graph, or what is put on the stream one by one. */
typedef struct stretch {
    size_t first, count;
    hd_cuda_graph *graph; /* NULL: one by one */
} stretch;

typedef struct cuda_list {
    hd_cuda_command *commands;
    size_t command_count;
    binding *bindings;
    size_t binding_count;
    stretch *stretches;
    size_t stretch_count;
    unsigned char *parameters; /* of all commands */
} cuda_list;

static size_t parameter_size(const hd_cuda_launch *launch)
{
    /* as tensor maps want it */
    return launch->function == HD_CUDA_COPY ? 64 : hd_align_up(launch->size, 64);
}

static hd_status reserve(const hd_recipe *recipe, cuda_list *list)
{
    size_t commands = 0, bindings = 0, bytes = 0;
    for (size_t s = 0; s < recipe->step_count; s++) {
        const hd_cuda_step *step = recipe->steps[s].kernel.parameters;
        for (size_t i = 0; i < step->launch_count; i++) {
            commands++;
            bindings += step->launches[i].pointer_count;
            bytes += parameter_size(&step->launches[i]);
        }
    }
    list->commands = hd_alloc_zero(commands + 1, sizeof *list->commands);
    list->bindings = hd_alloc(bindings * sizeof *list->bindings);
    list->stretches = hd_alloc_zero(commands + 1, sizeof *list->stretches);
    list->parameters = hd_alloc_aligned(bytes);
    return list->commands == NULL || list->bindings == NULL || list->stretches == NULL ||
                   list->parameters == NULL
               ? HD_OUT_OF_MEMORY
               : HD_OK;
}

/* Tells the kernel where an operand lies. */
static CUresult put_address(const hd_cuda_unit *unit, unsigned char *at, unsigned char *address,
                            bool is_map)
{
    if (is_map) {
        return unit->driver->cuTensorMapReplaceAddress((CUtensorMap *)(void *)at, address);
    }
    memcpy(at, &address, sizeof address);
    return CUDA_SUCCESS;
}

static void add_binding(cuda_list *list, const binding *place, hd_space space, uint32_t index,
                        size_t offset)
{
    binding *made = &list->bindings[list->binding_count++];
    *made = *place;
    made->space = space;
    made->index = index;
    made->offset += offset;
}

/* A list on its way. */
typedef struct recording {
    const hd_cuda_unit *unit;
    cuda_list *list;
    const hd_recipe *recipe;
    const hd_list_memory *memory;
    unsigned char *parameters; /* of the next command */
    const hd_cuda_launch
        *before; /* that the last command is of, alone or with others; NULL: none */
    const hd_step *step_before;
} recording;

static CUresult add_pointer(const recording *self, const hd_step *step,
                            const hd_cuda_launch *launch, uint32_t number, size_t shift)
{
    cuda_list *list = self->list;
    const hd_cuda_pointer *pointer = &launch->pointers[number];
    const binding place = {.command = &list->commands[list->command_count - 1],
                           .at = launch->function == HD_CUDA_COPY ? number * sizeof(void *)
                                                                  : pointer->at + shift,
                           .offset = pointer->offset,
                           .is_map = number < launch->map_count};
    if (pointer->operand == HD_CUDA_SCRATCH) {
        add_binding(list, &place, HD_SPACE_NONE, 0, 0);
        return CUDA_SUCCESS;
    }
    const hd_reference *reference =
        &self->recipe->references[step->first_reference + pointer->operand];
    if (reference->space == HD_SPACE_INPUT || reference->space == HD_SPACE_OUTPUT) {
        add_binding(list, &place, reference->space, reference->index, 0);
        return CUDA_SUCCESS;
    }
    if (reference->space == HD_SPACE_HOST) {
        add_binding(list, &place, HD_SPACE_HOST, 0, reference->offset);
        return CUDA_SUCCESS;
    }
    unsigned char *address = hd_reference_resolve(reference, self->memory, NULL, NULL);
    address = address == NULL ? NULL : address + pointer->offset;
    return put_address(self->unit, place.command->parameters + place.at, address, place.is_map);
}

static void add_command(const hd_cuda_unit *unit, cuda_list *list, const hd_cuda_launch *launch,
                        unsigned char *parameters)
{
    hd_cuda_command *made = &list->commands[list->command_count++];
    *made = (hd_cuda_command){.parameters = parameters, .size = launch->size};
    if (launch->function == HD_CUDA_COPY) {
        memset(parameters, 0, parameter_size(launch));
        return;
    }
    made->function =
        launch->compiled != NULL ? launch->compiled : unit->functions[launch->function];
    made->is_early = unit->is_early[launch->function];
    made->config = (CUlaunchConfig){.gridDimX = launch->grid[0],
                                    .gridDimY = launch->grid[1],
                                    .gridDimZ = launch->grid[2],
                                    .blockDimX = launch->block,
                                    .blockDimY = 1,
                                    .blockDimZ = 1,
                                    .sharedMemBytes = launch->shared};
    if (launch->cluster > 0) {
        made->attribute.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        made->attribute.value.clusterDim.x = 1;
        made->attribute.value.clusterDim.y = launch->cluster;
        made->attribute.value.clusterDim.z = 1;
        made->config.numAttrs = 1;
    }
    memcpy(parameters, launch->parameters, launch->size);
}

/* Whether the launch reads its first operand where the one before does. */
static bool reads_the_same(const recording *self, const hd_step *step, const hd_cuda_launch *launch)
{
    const hd_reference *references = self->recipe->references;
    const hd_reference *a =
        &references[self->step_before->first_reference + self->before->pointers[0].operand];
    const hd_reference *b = &references[step->first_reference + launch->pointers[0].operand];
    return a->space == b->space && a->index == b->index && a->offset == b->offset &&
           a->constant == b->constant;
}

static CUresult add_launch(recording *self, const hd_step *step, const hd_cuda_launch *launch)
{
    size_t shift = 0;
    bool joins =
        launch->joins && self->before != NULL && self->before->joins &&
        reads_the_same(self, step, launch) &&
        hd_cuda_half_product_join(self->unit, &self->list->commands[self->list->command_count - 1],
                                  launch, &shift);
    if (!joins) {
        add_command(self->unit, self->list, launch, self->parameters);
        self->parameters += parameter_size(launch);
        self->before = launch;
        self->step_before = step;
    }
    CUresult result = CUDA_SUCCESS;
    for (uint32_t p = joins ? 1 : 0; p < launch->pointer_count && result == CUDA_SUCCESS; p++) {
        result = add_pointer(self, step, launch, p, shift);
    }
    return result;
}

static void destroy(hd_unit *unit, hd_command_list **list)
{
    (void)unit;
    cuda_list *dead = (cuda_list *)*list;
    if (dead != NULL) {
        hd_free(dead->commands);
        hd_free(dead->bindings);
        for (size_t i = 0; i < dead->stretch_count; i++) {
            hd_cuda_graph_destroy(&dead->stretches[i].graph);
        }
        hd_free(dead->stretches);
        hd_free(dead->parameters);
        hd_free(dead);
        *list = NULL;
    }
}

/* Finds the stretches, and has those of several kernels made graphs of. */
static hd_status make_stretches(const hd_cuda_unit *unit, cuda_list *list)
{
    hd_status status = HD_OK;
    for (size_t i = 0; i < list->command_count && status == HD_OK;) {
        stretch *made = &list->stretches[list->stretch_count++];
        bool is_copy = list->commands[i].function == NULL;
        made->first = i;
        while (i < list->command_count && (list->commands[i].function == NULL) == is_copy) {
            i++;
        }
        made->count = i - made->first;
        if (!is_copy && made->count >= GRAPH_KERNELS) {
            status =
                hd_cuda_graph_create(unit, &list->commands[made->first], made->count, &made->graph);
        }
    }
    return status;
}

static hd_status record(hd_unit *unit, const hd_recipe *recipe, const hd_list_memory *memory,
                        hd_command_list **out_list)
{
    cuda_list *list = hd_alloc_zero(1, sizeof *list);
    *out_list = (hd_command_list *)list;
    if (list == NULL || reserve(recipe, list) != HD_OK) {
        destroy(unit, out_list);
        return HD_OUT_OF_MEMORY;
    }
    hd_status status = hd_cuda_enter((const hd_cuda_unit *)unit); /* tensor maps need it, too */
    if (status != HD_OK) {
        destroy(unit, out_list);
        return status;
    }
    recording self = {(const hd_cuda_unit *)unit, list, recipe, memory,
                      list->parameters,           NULL, NULL};
    CUresult result = CUDA_SUCCESS;
    for (size_t s = 0; s < recipe->step_count; s++) {
        const hd_cuda_step *what = recipe->steps[s].kernel.parameters;
        for (size_t i = 0; i < what->launch_count && result == CUDA_SUCCESS; i++) {
            result = add_launch(&self, &recipe->steps[s], &what->launches[i]);
        }
    }
    status = hd_cuda_status(result);
    status = status == HD_OK ? make_stretches((const hd_cuda_unit *)unit, list) : status;
    if (status != HD_OK) {
        destroy(unit, out_list);
    }
    return status;
}

static CUresult bind(const hd_cuda_unit *unit, const cuda_list *list, const hd_launch *launch)
{
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < list->binding_count && result == CUDA_SUCCESS; i++) {
        binding *bound = &list->bindings[i];
        unsigned char *address = bound->space == HD_SPACE_INPUT    ? launch->inputs[bound->index]
                                 : bound->space == HD_SPACE_OUTPUT ? launch->outputs[bound->index]
                                 : bound->space == HD_SPACE_HOST   ? launch->host
                                                                   : launch->scratch;
        address = address == NULL ? NULL : address + bound->offset;
        if (bound->bound != address) {
            result =
                put_address(unit, bound->command->parameters + bound->at, address, bound->is_map);
            bound->bound = address;
            bound->command->is_changed = true;
        }
    }
    return result;
}

static CUresult run_command(const hd_cuda_driver *driver, CUstream stream, hd_cuda_command *what)
{
    if (what->function == NULL) {
        CUdeviceptr addresses[2];
        memcpy(addresses, what->parameters, sizeof addresses);
        return driver->cuMemcpyAsync(addresses[1], addresses[0], what->size, stream);
    }
    void *parameters[] = {what->parameters};
    what->config.hStream = stream;
    what->config.attrs = &what->attribute;
    return driver->cuLaunchKernelEx(&what->config, what->function, parameters, NULL);
}

hd_status hd_cuda_list_submit(hd_cuda_unit *unit, CUstream stream, const hd_launch *launch)
{
    cuda_list *list = (cuda_list *)launch->list;
    CUresult result = bind(unit, list, launch);
    for (size_t s = 0; s < list->stretch_count && result == CUDA_SUCCESS; s++) {
        const stretch *part = &list->stretches[s];
        if (part->graph != NULL) {
            result = hd_cuda_graph_launch(part->graph, stream);
            continue;
        }
        for (size_t i = 0; i < part->count && result == CUDA_SUCCESS; i++) {
            result = run_command(unit->driver, stream, &list->commands[part->first + i]);
        }
    }
    return hd_cuda_status(result);
}

const hd_list_table hd_cuda_lists = {record, destroy};
