/* How the inputs and the output of a recorded CUDA graph are bound anew, and what graphs cost. */
#include "spike.h"
#include <unistd.h>

enum { ELEMENTS = 4096, MOST = 200, SETS = 4, REPEATS = 1000 };
enum variant {
    FIXED,
    NODES,
    COPY_PAGEABLE,
    COPY_PINNED,
    TABLE_KERNEL,
    TABLE_MEMOPS,
    HEAD_KERNEL,
    HEAD_COPY,
    ZERO_COPY,
    STAGING,
    COPY_NODES,
    RECAPTURE,
    NO_GRAPH,
    VARIANTS
};
static const char *const names[VARIANTS] = {"none (same buffers)",
                                            "a: set 3 nodes",
                                            "b1: copy table, pageable",
                                            "b2: copy table, pinned",
                                            "b3: kernel writes table",
                                            "b4: stream memops write table",
                                            "b5: head kernel node, set 1 node",
                                            "b6: head copy node, pinned",
                                            "c: table in pinned memory",
                                            "d: staging, 2 in + 1 out",
                                            "d2: copy kernels inside, set 2 nodes",
                                            "e: capture + exec update",
                                            "no graph, plain launches"};

typedef struct {
    CUdeviceptr in0, in1, out;
} binding;
typedef struct {
    CUgraph graph;
    CUgraphExec exec;
    CUgraphNode nodes[MOST], head, tail;
    CUdeviceptr table;
    uint64_t *host_table;
    int count;
} recording;

static CUcontext context;
static CUfunction step, set_table, copy_pair, spin;
static CUdeviceptr scratch[2], weights;
static binding sets[SETS], staging;

/* The arguments of kernel i of a chain; a null in the binding makes the kernel read the table. */
typedef struct {
    CUdeviceptr table, a, b, out;
    int count;
    void *pointers[5];
} arguments;
static void **fill(arguments *x, int i, int count, CUdeviceptr table, binding bind)
{
    x->table = table, x->count = ELEMENTS;
    x->a = i == 0 ? bind.in0 : scratch[i % 2];
    x->b = i == count / 2 ? bind.in1 : weights;
    x->out = i == count - 1 ? bind.out : scratch[(i + 1) % 2];
    x->pointers[0] = &x->table, x->pointers[1] = &x->a, x->pointers[2] = &x->b;
    x->pointers[3] = &x->out, x->pointers[4] = &x->count;
    return x->pointers;
}

static CUDA_KERNEL_NODE_PARAMS node_params(CUfunction f, unsigned blocks, unsigned threads,
                                           void **pointers)
{
    CUDA_KERNEL_NODE_PARAMS p = {.func = f,
                                 .gridDimX = blocks,
                                 .gridDimY = 1,
                                 .gridDimZ = 1,
                                 .blockDimX = threads,
                                 .blockDimY = 1,
                                 .blockDimZ = 1,
                                 .kernelParams = pointers};
    return p;
}

static void set_node(recording *r, int i, binding bind)
{
    arguments x;
    CUDA_KERNEL_NODE_PARAMS p =
        node_params(step, ELEMENTS / 128, 128, fill(&x, i, r->count, r->table, bind));
    CHECK(cuGraphExecKernelNodeSetParams(r->exec, r->nodes[i], &p));
}

static void set_head(recording *r, binding bind, int create)
{
    void *pointers[4] = {&r->table, &bind.in0, &bind.in1, &bind.out};
    CUDA_KERNEL_NODE_PARAMS p = node_params(set_table, 1, 1, pointers);
    if (create)
        CHECK(cuGraphAddKernelNode(&r->head, r->graph, NULL, 0, &p));
    else
        CHECK(cuGraphExecKernelNodeSetParams(r->exec, r->head, &p));
}

/* The copying kernels at the ends of a graph: inputs into, output out of the arena. */
static void set_ends(recording *r, binding bind, int create)
{
    CUdeviceptr none = 0;
    int count = ELEMENTS;
    void *in[5] = {&bind.in0, &staging.in0, &bind.in1, &staging.in1, &count};
    void *out[5] = {&staging.out, &bind.out, &none, &none, &count};
    CUDA_KERNEL_NODE_PARAMS p = node_params(copy_pair, ELEMENTS / 128, 128, in), q = p;
    q.kernelParams = out;
    if (create) {
        CHECK(cuGraphAddKernelNode(&r->head, r->graph, NULL, 0, &p));
        CHECK(cuGraphAddKernelNode(&r->tail, r->graph, NULL, 0, &q));
    } else {
        CHECK(cuGraphExecKernelNodeSetParams(r->exec, r->head, &p));
        CHECK(cuGraphExecKernelNodeSetParams(r->exec, r->tail, &q));
    }
}

static void record(recording *r, int count, enum variant v)
{
    binding bind = v == STAGING || v == COPY_NODES ? staging : sets[0];
    memset(r, 0, sizeof *r);
    r->count = count;
    CHECK(cuMemAlloc(&r->table, 24));
    CHECK(cuMemHostAlloc((void **)&r->host_table, 24,
                         CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE));
    CHECK(cuGraphCreate(&r->graph, 0));
    if (v >= COPY_PAGEABLE && v <= ZERO_COPY)
        bind = (binding){0, 0, 0};
    if (v == ZERO_COPY)
        CHECK(cuMemHostGetDevicePointer(&r->table, r->host_table, 0));
    if (v == HEAD_KERNEL)
        set_head(r, sets[0], 1);
    if (v == COPY_NODES)
        set_ends(r, sets[0], 1);
    if (v == HEAD_COPY) {
        CUDA_MEMCPY3D copy = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                              .srcHost = r->host_table,
                              .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                              .dstDevice = r->table,
                              .WidthInBytes = 24,
                              .Height = 1,
                              .Depth = 1};
        CHECK(cuGraphAddMemcpyNode(&r->head, r->graph, NULL, 0, &copy, context));
    }
    CUgraphNode last = r->head;
    for (int i = 0; i < count; i++) {
        arguments x;
        CUDA_KERNEL_NODE_PARAMS p =
            node_params(step, ELEMENTS / 128, 128, fill(&x, i, count, r->table, bind));
        CHECK(cuGraphAddKernelNode(&r->nodes[i], r->graph, last ? &last : NULL, last ? 1 : 0, &p));
        last = r->nodes[i];
    }
    if (r->tail)
        CHECK(cuGraphAddDependencies(r->graph, &last, &r->tail, NULL, 1));
    CHECK(cuGraphInstantiate(&r->exec, r->graph, 0));
}

static void launch_chain(int count, binding bind, CUstream stream)
{
    for (int i = 0; i < count; i++) {
        arguments x;
        CHECK(launch(step, stream, ELEMENTS / 128, 128, fill(&x, i, count, 0, bind)));
    }
}

static void bind_table_by_memops(recording *r, binding bind, CUstream stream)
{
    CUstreamBatchMemOpParams ops[3] = {{.operation = CU_STREAM_MEM_OP_WRITE_VALUE_64}};
    ops[1] = ops[2] = ops[0];
    for (int i = 0; i < 3; i++) {
        ops[i].writeValue.operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
        ops[i].writeValue.address = r->table + 8 * (unsigned)i;
        ops[i].writeValue.value64 = i == 0 ? bind.in0 : i == 1 ? bind.in1 : bind.out;
    }
    CHECK(cuStreamBatchMemOp(stream, 3, ops, 0));
}

static void bind_recapture(recording *r, binding bind, CUstream stream)
{
    CUgraph graph;
    CUgraphExecUpdateResultInfo info;
    CHECK(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    launch_chain(r->count, bind, stream);
    CHECK(cuStreamEndCapture(stream, &graph));
    CHECK(cuGraphExecUpdate(r->exec, graph, &info));
    CHECK(cuGraphDestroy(graph));
}

static void bind_set(recording *r, enum variant v, binding bind, CUstream stream)
{
    uint64_t pageable[3] = {bind.in0, bind.in1, bind.out};
    void *pointers[4] = {&r->table, &bind.in0, &bind.in1, &bind.out};
    switch (v) {
    case NODES:
        set_node(r, 0, bind), set_node(r, r->count / 2, bind), set_node(r, r->count - 1, bind);
        break;
    case COPY_PAGEABLE:
        CHECK(cuMemcpyHtoDAsync(r->table, pageable, 24, stream));
        break;
    case COPY_PINNED:
        memcpy(r->host_table, pageable, 24);
        CHECK(cuMemcpyHtoDAsync(r->table, r->host_table, 24, stream));
        break;
    case TABLE_KERNEL:
        CHECK(launch(set_table, stream, 1, 1, pointers));
        break;
    case TABLE_MEMOPS:
        bind_table_by_memops(r, bind, stream);
        break;
    case HEAD_KERNEL:
        set_head(r, bind, 0);
        break;
    case HEAD_COPY:
    case ZERO_COPY:
        memcpy(r->host_table, pageable, 24);
        break;
    case STAGING:
        CHECK(cuMemcpyDtoDAsync(staging.in0, bind.in0, ELEMENTS * 4, stream));
        CHECK(cuMemcpyDtoDAsync(staging.in1, bind.in1, ELEMENTS * 4, stream));
        break;
    case COPY_NODES:
        set_ends(r, bind, 0);
        break;
    case RECAPTURE:
        bind_recapture(r, bind, stream);
        break;
    default:
        break;
    }
}

static void verify(int count, int set, enum variant v)
{
    static uint32_t x[ELEMENTS], in1[ELEMENTS], w[ELEMENTS], got[ELEMENTS];
    CHECK(cuMemcpyDtoH(x, sets[set].in0, sizeof x));
    CHECK(cuMemcpyDtoH(in1, sets[set].in1, sizeof in1));
    CHECK(cuMemcpyDtoH(w, weights, sizeof w));
    CHECK(cuMemcpyDtoH(got, sets[set].out, sizeof got));
    for (int i = 0; i < count; i++)
        for (int e = 0; e < ELEMENTS; e++)
            x[e] = 3u * x[e] + (i == count / 2 ? in1[e] : w[e]);
    if (memcmp(x, got, sizeof x))
        printf("WRONG RESULT %s, %d kernels\n", names[v], count), exit(1);
    CHECK(cuMemsetD32(sets[set].out, 0xdeadbeef, ELEMENTS));
}

static void measure_rebinding(int count, CUstream stream)
{
    static recording r[VARIANTS];
    static double bind_us[VARIANTS][REPEATS], launch_us[VARIANTS][REPEATS],
        total_us[VARIANTS][REPEATS];
    for (int v = 0; v < VARIANTS; v++)
        record(&r[v], count, (enum variant)v);
    for (int k = -20; k < REPEATS; k++)
        for (int v = 0; v < VARIANTS; v++) {
            int set = v == FIXED ? 0 : (k + 20) % SETS;
            double t0 = now_us();
            bind_set(&r[v], (enum variant)v, sets[set], stream);
            double t1 = now_us();
            if (v == NO_GRAPH)
                launch_chain(count, sets[set], stream);
            else
                CHECK(cuGraphLaunch(r[v].exec, stream));
            double t2 = now_us();
            if (v == STAGING)
                CHECK(cuMemcpyDtoDAsync(sets[set].out, staging.out, ELEMENTS * 4, stream));
            double t3 = now_us();
            CHECK(cuStreamSynchronize(stream));
            double t4 = now_us();
            if (k < 0 || k > REPEATS - 5)
                verify(count, set, (enum variant)v);
            if (k >= 0)
                bind_us[v][k] = t1 - t0 + t3 - t2, launch_us[v][k] = t2 - t1,
                total_us[v][k] = t4 - t0;
        }
    for (int v = 0; v < VARIANTS; v++) {
        printf("rebind %3d kernels, %-33s", count, names[v]);
        print_spread("bind", bind_us[v], REPEATS);
        print_spread("launch", launch_us[v], REPEATS);
        print_spread("total", total_us[v], REPEATS);
        printf(" us\n");
    }
}

/* Sixteen runs in flight, each bound anew: is a binding a snapshot, and what does the host pay? */
static void measure_deep(int count, CUstream stream)
{
    enum { DEEP = 16, TIMES = 200 };
    static const enum variant list[] = {FIXED,       NODES,      COPY_PAGEABLE, TABLE_KERNEL,
                                        HEAD_KERNEL, COPY_NODES, NO_GRAPH};
    enum { LIST = sizeof list / sizeof *list };
    static recording r[LIST];
    static double host_us[LIST][TIMES], total_us[LIST][TIMES];
    for (int v = 0; v < LIST; v++)
        record(&r[v], count, list[v]);
    for (int k = -5; k < TIMES; k++)
        for (int v = 0; v < LIST; v++) {
            double t0 = now_us();
            for (int i = 0; i < DEEP; i++) {
                bind_set(&r[v], list[v], sets[i % SETS], stream);
                if (list[v] == NO_GRAPH)
                    launch_chain(count, sets[i % SETS], stream);
                else
                    CHECK(cuGraphLaunch(r[v].exec, stream));
            }
            double t1 = now_us();
            CHECK(cuStreamSynchronize(stream));
            double t2 = now_us();
            for (int s = 0; s < SETS && list[v] != FIXED && (k < 0 || k == TIMES - 1); s++)
                verify(count, s, list[v]);
            if (k >= 0)
                host_us[v][k] = (t1 - t0) / DEEP, total_us[v][k] = (t2 - t0) / DEEP;
        }
    for (int v = 0; v < LIST; v++) {
        printf("16 in flight, %3d kernels, %-36s", count, names[list[v]]);
        print_spread("host", host_us[v], TIMES), print_spread("total", total_us[v], TIMES);
        printf(" us a run\n");
    }
}

static double resident_kib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
}

static void measure_instantiation(int count, CUstream stream)
{
    enum { COPIES = 256 };
    static double create[COPIES], first[COPIES], again[COPIES], drop[COPIES];
    recording r;
    CUgraphExec execs[COPIES];
    size_t before, after, all;
    record(&r, count, FIXED);
    CHECK(cuGraphLaunch(r.exec, stream));
    CHECK(cuCtxSynchronize());
    CHECK(cuMemGetInfo(&before, &all));
    double host = resident_kib();
    for (int i = 0; i < COPIES; i++) {
        double t0 = now_us();
        CHECK(cuGraphInstantiate(&execs[i], r.graph, 0));
        double t1 = now_us();
        CHECK(cuGraphLaunch(execs[i], stream));
        double t2 = now_us();
        CHECK(cuStreamSynchronize(stream));
        double t3 = now_us();
        CHECK(cuGraphLaunch(execs[i], stream));
        double t4 = now_us();
        CHECK(cuStreamSynchronize(stream));
        create[i] = t1 - t0, first[i] = t2 - t1, again[i] = t4 - t3;
    }
    CHECK(cuMemGetInfo(&after, &all));
    host = resident_kib() - host;
    for (int i = 0; i < COPIES; i++) {
        double t0 = now_us();
        CHECK(cuGraphExecDestroy(execs[i]));
        drop[i] = now_us() - t0;
    }
    printf("instantiate %3d kernels:", count);
    print_spread("create", create, COPIES), print_spread("first launch", first, COPIES);
    print_spread("second launch", again, COPIES), print_spread("destroy", drop, COPIES);
    printf(" us; device %.1f KiB, host %.1f KiB each\n", (double)(before - after) / 1024 / COPIES,
           host / COPIES);
}

enum mode { OWN, OWN_DEEP, SHARED_LOCK_LAUNCH, SHARED_LEASE, MODES };
static const char *const mode_names[MODES] = {"own graph, sync each", "own graph, sync every 16",
                                              "shared graph, lock around launch",
                                              "shared graph, lock until done"};
typedef struct {
    enum mode mode;
    recording *r;
    CUstream stream;
    double until;
    long done;
} caller;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *call_graph(void *argument)
{
    caller *c = argument;
    CHECK(cuCtxSetCurrent(context));
    while (now_us() < c->until) {
        for (int i = 0; i < (c->mode == OWN_DEEP ? 16 : 1); i++, c->done++) {
            if (c->mode >= SHARED_LOCK_LAUNCH)
                pthread_mutex_lock(&lock);
            CHECK(cuGraphLaunch(c->r->exec, c->stream));
            if (c->mode == SHARED_LEASE)
                CHECK(cuStreamSynchronize(c->stream));
            if (c->mode >= SHARED_LOCK_LAUNCH)
                pthread_mutex_unlock(&lock);
        }
        CHECK(cuStreamSynchronize(c->stream));
    }
    return NULL;
}

static void measure_threads(int count, CUstream *streams)
{
    static recording r[8];
    for (int i = 0; i < 8; i++)
        record(&r[i], count, FIXED);
    for (int threads = 1; threads <= 8; threads *= 2) {
        double rate[MODES][5];
        for (int k = 0; k < 5; k++)
            for (int m = 0; m < MODES; m++) {
                pthread_t id[8];
                caller c[8];
                double start = now_us(), total = 0;
                for (int i = 0; i < threads; i++) {
                    c[i] = (caller){(enum mode)m, m < SHARED_LOCK_LAUNCH ? &r[i] : &r[0],
                                    streams[i], start + 1e5, 0};
                    pthread_create(&id[i], NULL, call_graph, &c[i]);
                }
                for (int i = 0; i < threads; i++)
                    pthread_join(id[i], NULL), total += (double)c[i].done;
                rate[m][k] = total / (now_us() - start) * 1e3;
            }
        for (int m = 0; m < MODES; m++) {
            printf("threads %d, %d kernels, %-33s", threads, count, mode_names[m]);
            print_spread("", rate[m], 5);
            printf(" k launches/s\n");
        }
    }
}

/* One kernel of one block that runs 200 us: do eight launches on eight streams overlap? */
static void measure_overlap(CUstream *streams)
{
    uint64_t wait = 200000;
    void *pointers[1] = {&wait};
    CUDA_KERNEL_NODE_PARAMS p = node_params(spin, 1, 1, pointers);
    CUgraph graph;
    CUgraphNode node;
    CUgraphExec execs[8];
    double us[2][50];
    CHECK(cuGraphCreate(&graph, 0));
    CHECK(cuGraphAddKernelNode(&node, graph, NULL, 0, &p));
    for (int i = 0; i < 8; i++)
        CHECK(cuGraphInstantiate(&execs[i], graph, 0));
    for (int k = -3; k < 50; k++)
        for (int m = 0; m < 2; m++) {
            double t0 = now_us();
            for (int i = 0; i < 8; i++)
                CHECK(cuGraphLaunch(execs[m ? 0 : i], streams[i]));
            CHECK(cuCtxSynchronize());
            if (k >= 0)
                us[m][k] = now_us() - t0;
        }
    printf("overlap of 8 launches of 200 us:");
    print_spread("own graphs", us[0], 50), print_spread("one graph", us[1], 50);
    printf(" us\n");
}

int main(void)
{
    static const int counts[3] = {10, 50, 200};
    CUdevice device;
    CUstream streams[8];
    CHECK(cuInit(0));
    CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device));
    CHECK(cuCtxSetCurrent(context));
    CUmodule module = load_module();
    step = load_function(module, "step"), set_table = load_function(module, "set_table");
    copy_pair = load_function(module, "copy_pair"), spin = load_function(module, "spin");
    for (int i = 0; i < 8; i++)
        CHECK(cuStreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
    CUdeviceptr *all[6 + 3 * SETS] = {&scratch[0],  &scratch[1],  &weights,
                                      &staging.in0, &staging.in1, &staging.out};
    for (int s = 0; s < SETS; s++)
        all[6 + 3 * s] = &sets[s].in0, all[7 + 3 * s] = &sets[s].in1, all[8 + 3 * s] = &sets[s].out;
    uint32_t data[ELEMENTS], seed = 12345;
    for (int b = 0; b < 6 + 3 * SETS; b++) {
        for (int e = 0; e < ELEMENTS; e++)
            data[e] = seed = seed * 1664525u + 1013904223u;
        CHECK(cuMemAlloc(all[b], sizeof data));
        CHECK(cuMemcpyHtoD(*all[b], data, sizeof data));
    }
    for (int i = 0; i < 3; i++)
        measure_rebinding(counts[i], streams[0]);
    for (int i = 0; i < 3; i++)
        measure_deep(counts[i], streams[0]);
    for (int i = 0; i < 3; i++)
        measure_instantiation(counts[i], streams[0]);
    measure_overlap(streams);
    measure_threads(10, streams);
    return 0;
}
