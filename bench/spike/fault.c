/* What is left after a trap or a wild store, one process a case.
   Usage: fault primary|own|idle|alone|second|bystander trap|wild */
#include "spike.h"

#define SHOW(call) printf("    %-58s %s\n", #call, error_name(call))

typedef struct {
    const char *name;
    CUcontext context;
    CUmodule module;
    CUstream stream, side;
    CUevent before, after;
    CUdeviceptr memory;
    CUfunction spin, trap, wild_store;
} world;

static CUdevice device;
static volatile uint64_t *words; /* the program's own memory, registered: outlives every context */

/* Makes a context and what hangs on it; a failure to make the context is a result to show. */
static CUresult open_world(world *w, const char *name, int primary, CUdevice on)
{
    memset(w, 0, sizeof *w);
    w->name = name;
    CUresult made =
        primary ? cuDevicePrimaryCtxRetain(&w->context, on) : cuCtxCreate(&w->context, NULL, 0, on);
    printf("  %s: make context %s\n", name, error_name(made));
    if (made != CUDA_SUCCESS)
        return made;
    CHECK(cuCtxSetCurrent(w->context));
    w->module = load_module();
    w->spin = load_function(w->module, "spin"), w->trap = load_function(w->module, "trap");
    w->wild_store = load_function(w->module, "wild_store");
    CHECK(cuStreamCreate(&w->stream, CU_STREAM_NON_BLOCKING)),
        CHECK(cuStreamCreate(&w->side, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&w->before, CU_EVENT_DISABLE_TIMING)),
        CHECK(cuEventCreate(&w->after, CU_EVENT_DISABLE_TIMING));
    CHECK(cuMemAlloc(&w->memory, 1 << 20));
    return made;
}

static CUresult start_spin(world *w, CUstream stream, uint64_t microseconds)
{
    uint64_t wait = microseconds * 1000;
    void *pointers[1] = {&wait};
    return launch(w->spin, stream, 1, 1, pointers);
}

static void use(world *w, const char *when)
{
    CUresult r = cuCtxSetCurrent(w->context), s = start_spin(w, w->stream, 1),
             t = cuStreamSynchronize(w->stream);
    printf("  %s %s: set current %s, launch %s, sync %s\n", w->name, when, error_name(r),
           error_name(s), error_name(t));
}

static void CUDA_CB host_function(void *flag)
{
    *(volatile int *)flag = 1;
}

static void *other_thread(void *argument)
{
    world *w = argument;
    CUresult current = cuCtxSetCurrent(w->context);
    printf("  another thread, side stream with a kernel in flight: set current %s, sync %s\n",
           error_name(current), error_name(cuStreamSynchronize(w->side)));
    return NULL;
}

static void break_world(world *w, int wild)
{
    pthread_t thread;
    volatile int called = 0;
    CUdeviceptr bad = 0x10, word, more;
    void *pointers[1] = {&bad};
    size_t all, left;
    uint64_t data;
    CHECK(cuCtxSetCurrent(w->context));
    CHECK(cuMemHostGetDevicePointer(&word, (void *)words, 0));
    words[0] = 0;
    CHECK(cuEventRecord(w->before, w->stream)), CHECK(cuStreamSynchronize(w->stream));
    CHECK(start_spin(w, w->side, 20000));
    CHECK(launch(wild ? w->wild_store : w->trap, w->stream, 1, 1, pointers));
    printf("  in the faulted context (%s):\n", w->name);
    printf("    queued at once behind the fault: write value %s",
           error_name(cuStreamWriteValue64(w->stream, word, 7, 0)));
    printf(", record event %s", error_name(cuEventRecord(w->after, w->stream)));
    printf(", host function %s\n",
           error_name(cuLaunchHostFunc(w->stream, host_function, (void *)&called)));
    pthread_create(&thread, NULL, other_thread, w);
    double t0 = now_us();
    CUresult first = CUDA_ERROR_NOT_READY;
    while (first == CUDA_ERROR_NOT_READY && now_us() - t0 < 3e6)
        first = cuStreamQuery(w->stream);
    printf("    cuStreamQuery polled: %s after %.0f us\n", error_name(first), now_us() - t0);
    pthread_join(thread, NULL);
    SHOW(cuStreamSynchronize(w->stream));
    SHOW(cuCtxSynchronize());
    SHOW(cuEventQuery(w->before) /* completed before the fault */);
    SHOW(cuEventQuery(w->after));
    SHOW(start_spin(w, w->side, 1));
    SHOW(cuMemAlloc(&more, 4096));
    SHOW(cuMemcpyDtoH(&data, w->memory, 8));
    SHOW(cuMemGetInfo(&left, &all));
    SHOW(cuMemHostGetDevicePointer(&word, (void *)words, 0));
    SHOW(cuDeviceGetAttribute((int[]){0}, CU_DEVICE_ATTRIBUTE_INTEGRATED, device));
    SHOW(cuMemFree(w->memory));
    SHOW(cuEventDestroy(w->after));
    SHOW(cuStreamDestroy(w->side));
    SHOW(cuModuleUnload(w->module));
    printf("    timeline word written: %s; host function called: %s\n",
           words[0] == 7 ? "yes" : "no", called ? "yes" : "no");
}

static void keep_busy(world *w)
{
    CHECK(cuCtxSetCurrent(w->context)), CHECK(start_spin(w, w->side, 5000));
}

static void show_busy(world *w)
{
    CHECK(cuCtxSetCurrent(w->context));
    printf("  %s: side stream %s\n", w->name, error_name(cuStreamSynchronize(w->side)));
    use(w, "after the fault");
}

static void destroy_own(world *w)
{
    double t0 = now_us();
    CUresult result = cuCtxDestroy(w->context);
    printf("  %s: destroy %s, %.0f us; the program's registered word reads %llu\n", w->name,
           error_name(result), now_us() - t0, (unsigned long long)words[0]);
}

static void open_again(int primary, CUdevice on)
{
    world again;
    double t0 = now_us();
    CUresult made =
        open_world(&again, primary ? "primary context anew" : "own context anew", primary, on);
    if (made != CUDA_SUCCESS)
        return;
    printf("  made with module, streams and memory in %.0f us\n", now_us() - t0);
    use(&again, "(new)");
}

/* One context faults beside others of its process, busy or idle; in the end all of them are torn
 * down. */
static void fault_beside(int primary_breaks, int busy, int wild, CUcontext keeper)
{
    world primary, own, neighbour;
    open_world(&primary, "primary", 1, device), open_world(&own, "own context", 0, device);
    open_world(&neighbour, "neighbour own context", 0, device);
    world *broken = primary_breaks ? &primary : &own, *other = primary_breaks ? &own : &primary;
    if (busy)
        keep_busy(other), keep_busy(&neighbour);
    break_world(broken, wild);
    show_busy(other), show_busy(&neighbour);
    destroy_own(&own);
    open_again(0, device);
    use(&neighbour, "after that");
    destroy_own(&neighbour);
    printf("  last other context: destroy %s\n", error_name(cuCtxDestroy(keeper)));
    printf("  primary: release %s,", error_name(cuDevicePrimaryCtxRelease(device)));
    printf(" reset %s: now no context is left\n", error_name(cuDevicePrimaryCtxReset(device)));
    open_again(1, device), open_again(0, device);
}

static void fault_alone(int wild, CUcontext keeper)
{
    world own;
    CHECK(cuCtxDestroy(keeper));
    open_world(&own, "the only context", 0, device);
    CHECK(cuMemHostRegister((void *)words, 4096, CU_MEMHOSTREGISTER_DEVICEMAP));
    break_world(&own, wild);
    destroy_own(&own);
    open_again(0, device);
}

static void fault_second_device(int wild)
{
    CUdevice second;
    world own, far;
    if (cuDeviceGet(&second, 1) != CUDA_SUCCESS) {
        printf("  no second device\n");
        return;
    }
    open_world(&own, "own context on device 0", 0, device),
        open_world(&far, "primary of device 1", 1, second);
    keep_busy(&far);
    break_world(&own, wild);
    show_busy(&far);
    destroy_own(&own);
    open_again(0, device), open_again(0, second);
    use(&far, "in the end");
}

/* Works for four seconds; other processes fault meanwhile. */
static void stand_by(void)
{
    world w;
    long runs = 0;
    CUresult result = open_world(&w, "bystander process", 1, device);
    for (double end = now_us() + 4e6; result == CUDA_SUCCESS && now_us() < end; runs++) {
        result = start_spin(&w, w.stream, 100);
        if (result == CUDA_SUCCESS)
            result = cuStreamSynchronize(w.stream);
    }
    printf("bystander process: %ld runs, then %s\n", runs, error_name(result));
}

int main(int count, char **values)
{
    const char *which = count > 1 ? values[1] : "own";
    int wild = count > 2 && strcmp(values[2], "wild") == 0;
    CUcontext keeper;
    printf("fault: %s, %s\n", which, wild ? "wild store" : "trap");
    CHECK(cuInit(0)), CHECK(cuDeviceGet(&device, 0));
    if (strcmp(which, "bystander") == 0) {
        stand_by();
        return 0;
    }
    CHECK(cuCtxCreate(&keeper, NULL, 0, device));
    words = aligned_alloc(4096, 4096);
    unsigned flags = CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP;
    if (strcmp(which, "alone"))
        CHECK(cuMemHostRegister((void *)words, 4096, flags));
    if (strcmp(which, "alone") == 0)
        fault_alone(wild, keeper);
    else if (strcmp(which, "second") == 0)
        fault_second_device(wild);
    else
        fault_beside(strcmp(which, "primary") == 0, strcmp(which, "idle") != 0, wild, keeper);
    return 0;
}
