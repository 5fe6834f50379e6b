#include "hal/cuda/graph.h"

#include "base/memory.h"

/* What the driver is taken to keep for a node, on the device and beside it; it does not tell. */
#define NODE_BYTES 4096

struct hd_cuda_graph {
    const hd_cuda_unit *unit;
    hd_cuda_command *commands;
    size_t count;
    CUgraph graph;
    CUgraphExec exec;
    hd_memory_owner *owner; /* who was charged for the nodes */
    bool is_charged;
    CUgraphNode nodes[]; /* one a command */
};

static void fill_node(const hd_cuda_command *command, void **parameters,
                      CUDA_KERNEL_NODE_PARAMS *node)
{
    const CUlaunchConfig *config = &command->config;
    *node = (CUDA_KERNEL_NODE_PARAMS){.func = command->function,
                                      .gridDimX = config->gridDimX,
                                      .gridDimY = config->gridDimY,
                                      .gridDimZ = config->gridDimZ,
                                      .blockDimX = config->blockDimX,
                                      .blockDimY = config->blockDimY,
                                      .blockDimZ = config->blockDimZ,
                                      .sharedMemBytes = config->sharedMemBytes,
                                      .kernelParams = parameters};
}

static CUresult add_node(hd_cuda_graph *self, size_t index)
{
    const hd_cuda_driver *driver = self->unit->driver;
    const hd_cuda_command *command = &self->commands[index];
    void *parameters[] = {command->parameters};
    CUDA_KERNEL_NODE_PARAMS node;
    fill_node(command, parameters, &node);
    CUresult result =
        driver->cuGraphAddKernelNode(&self->nodes[index], self->graph, NULL, 0, &node);
    if (result == CUDA_SUCCESS && index > 0) {
        const CUgraphEdgeData early = {.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC,
                                       .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC};
        result = driver->cuGraphAddDependencies(self->graph, &self->nodes[index - 1],
                                                &self->nodes[index],
                                                command->is_early ? &early : NULL, 1);
    }
    if (result == CUDA_SUCCESS && command->config.numAttrs > 0) {
        result = driver->cuGraphKernelNodeSetAttribute(self->nodes[index], command->attribute.id,
                                                       &command->attribute.value);
    }
    return result;
}

hd_status hd_cuda_graph_create(const hd_cuda_unit *unit, hd_cuda_command *commands, size_t count,
                               hd_cuda_graph **out_graph)
{
    hd_cuda_graph *self = hd_alloc_zero(1, sizeof *self + count * sizeof self->nodes[0]);
    *out_graph = self;
    if (self == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    self->unit = unit;
    self->commands = commands;
    self->count = count;
    hd_status status = hd_cuda_enter(unit);
    self->is_charged = status == HD_OK && hd_memory_charge(count * NODE_BYTES, &self->owner);
    if (status == HD_OK && !self->is_charged) {
        status = HD_OUT_OF_MEMORY;
    }
    CUresult result = status == HD_OK ? unit->driver->cuGraphCreate(&self->graph, 0) : CUDA_SUCCESS;
    for (size_t i = 0; i < count && status == HD_OK && result == CUDA_SUCCESS; i++) {
        result = add_node(self, i);
    }
    if (status == HD_OK && result == CUDA_SUCCESS) {
        result = unit->driver->cuGraphInstantiate(&self->exec, self->graph, 0);
    }
    status = status == HD_OK ? hd_cuda_status(result) : status;
    if (status != HD_OK) {
        hd_cuda_graph_destroy(out_graph);
    }
    return status;
}

void hd_cuda_graph_destroy(hd_cuda_graph **graph)
{
    hd_cuda_graph *dead = *graph;
    if (dead == NULL) {
        return;
    }
    if (hd_cuda_enter(dead->unit) == HD_OK) {
        if (dead->exec != NULL) {
            (void)hd_cuda_status(dead->unit->driver->cuGraphExecDestroy(dead->exec));
        }
        if (dead->graph != NULL) {
            (void)hd_cuda_status(dead->unit->driver->cuGraphDestroy(dead->graph));
        }
    }
    if (dead->is_charged) {
        hd_memory_discharge(dead->count * NODE_BYTES, dead->owner);
    }
    hd_free(dead);
    *graph = NULL;
}

CUresult hd_cuda_graph_launch(hd_cuda_graph *graph, CUstream stream)
{
    const hd_cuda_driver *driver = graph->unit->driver;
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < graph->count && result == CUDA_SUCCESS; i++) {
        hd_cuda_command *command = &graph->commands[i];
        if (command->is_changed) {
            void *parameters[] = {command->parameters};
            CUDA_KERNEL_NODE_PARAMS node;
            fill_node(command, parameters, &node);
            result = driver->cuGraphExecKernelNodeSetParams(graph->exec, graph->nodes[i], &node);
            command->is_changed = false;
        }
    }
    return result == CUDA_SUCCESS ? driver->cuGraphLaunch(graph->exec, stream) : result;
}
