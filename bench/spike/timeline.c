/* What events, a 64-bit timeline, waiting and allocation cost. */
#include "spike.h"

enum { BATCH = 64, ROUNDS = 200 };
static CUcontext context;
static CUdevice device;
static CUfunction spin, store_word;
static CUstream one, two;
static CUevent event, blocking_event, remote;
static CUdeviceptr device_word, pinned_word;
static volatile uint64_t *pinned, flagged;

static void start_spin(CUstream stream, uint64_t microseconds)
{
    uint64_t wait = microseconds * 1000;
    void *pointers[1] = {&wait};
    CHECK(launch(spin, stream, 1, 1, pointers));
}

static void CUDA_CB set_flag(void *value)
{
    flagged = (uint64_t)(uintptr_t)value;
}

enum call {
    RECORD,
    WAIT_PENDING,
    QUERY_DONE,
    QUERY_PENDING,
    STREAM_QUERY,
    WRITE_DEVICE,
    WRITE_PINNED,
    WAIT_VALUE,
    LAUNCH,
    HOST_FUNCTION,
    ALLOC_ASYNC,
    CALLS
};
static const char *const call_names[CALLS] = {"cuEventRecord",
                                              "cuStreamWaitEvent, pending",
                                              "cuEventQuery, done",
                                              "cuEventQuery, pending",
                                              "cuStreamQuery, busy",
                                              "cuStreamWriteValue64, device",
                                              "cuStreamWriteValue64, pinned",
                                              "cuStreamWaitValue64, satisfied",
                                              "cuLaunchKernel",
                                              "cuLaunchHostFunc",
                                              "cuMemAllocAsync + FreeAsync 1 MiB"};

static void make_call(enum call c, uint64_t value)
{
    uint64_t none = 0;
    void *pointers[1] = {&none};
    CUdeviceptr memory;
    switch (c) {
    case RECORD:
        CHECK(cuEventRecord(event, one));
        break;
    case WAIT_PENDING:
        CHECK(cuStreamWaitEvent(one, remote, 0));
        break;
    case QUERY_DONE:
        CHECK(cuEventQuery(event));
        break;
    case QUERY_PENDING:
        if (cuEventQuery(remote) != CUDA_ERROR_NOT_READY)
            printf("remote was done\n");
        break;
    case STREAM_QUERY:
        if (cuStreamQuery(two) != CUDA_ERROR_NOT_READY)
            printf("two was done\n");
        break;
    case WRITE_DEVICE:
        CHECK(cuStreamWriteValue64(one, device_word, value, 0));
        break;
    case WRITE_PINNED:
        CHECK(cuStreamWriteValue64(one, pinned_word, value, 0));
        break;
    case WAIT_VALUE:
        CHECK(cuStreamWaitValue64(one, device_word, 0, CU_STREAM_WAIT_VALUE_GEQ));
        break;
    case LAUNCH:
        CHECK(launch(spin, one, 1, 1, pointers));
        break;
    case HOST_FUNCTION:
        CHECK(cuLaunchHostFunc(one, set_flag, NULL));
        break;
    case ALLOC_ASYNC:
        CHECK(cuMemAllocAsync(&memory, 1 << 20, one));
        CHECK(cuMemFreeAsync(memory, one));
        break;
    default:
        break;
    }
}

static void measure_calls(void)
{
    static double us[CALLS][ROUNDS];
    for (int k = -5; k < ROUNDS; k++)
        for (int c = 0; c < CALLS; c++) {
            CHECK(cuEventRecord(event, one));
            CHECK(cuCtxSynchronize());
            start_spin(two, 1000);
            CHECK(cuEventRecord(remote, two));
            double t0 = now_us();
            for (int i = 0; i < BATCH; i++)
                make_call((enum call)c, (uint64_t)i);
            if (k >= 0)
                us[c][k] = (now_us() - t0) / BATCH;
            CHECK(cuCtxSynchronize());
        }
    for (int c = 0; c < CALLS; c++)
        printf("call %-34s", call_names[c]), print_spread("", us[c], ROUNDS), printf(" us\n");
}

enum way {
    POLL_WRITE,
    POLL_KERNEL,
    POLL_FLAG,
    EVENT_POLL,
    EVENT_SPIN,
    STREAM_SYNC,
    EVENT_BLOCK,
    WAYS
};
static const char *const way_names[WAYS] = {"poll pinned word, cuStreamWriteValue64",
                                            "poll pinned word, stored by a kernel",
                                            "poll a flag set by cuLaunchHostFunc",
                                            "poll cuEventQuery",
                                            "cuEventSynchronize",
                                            "cuStreamSynchronize",
                                            "cuEventSynchronize, blocking"};

/* Enqueues the completion signal of a way; what it costs counts into the latency. */
static void wait_by(enum way w, uint64_t value)
{
    void *pointers[2] = {&pinned_word, &value};
    switch (w) {
    case POLL_WRITE:
        CHECK(cuStreamWriteValue64(one, pinned_word, value, 0));
        break;
    case POLL_KERNEL:
        CHECK(launch(store_word, one, 1, 1, pointers));
        break;
    case POLL_FLAG:
        CHECK(cuLaunchHostFunc(one, set_flag, (void *)(uintptr_t)value));
        break;
    case EVENT_POLL:
    case EVENT_SPIN:
        CHECK(cuEventRecord(event, one));
        break;
    case EVENT_BLOCK:
        CHECK(cuEventRecord(blocking_event, one));
        break;
    default:
        break;
    }
    switch (w) {
    case POLL_WRITE:
    case POLL_KERNEL:
        while (*pinned != value) {
        }
        break;
    case POLL_FLAG:
        while (flagged != value) {
        }
        break;
    case EVENT_POLL:
        while (cuEventQuery(event) != CUDA_SUCCESS) {
        }
        break;
    case EVENT_SPIN:
        CHECK(cuEventSynchronize(event));
        break;
    case EVENT_BLOCK:
        CHECK(cuEventSynchronize(blocking_event));
        break;
    default:
        CHECK(cuStreamSynchronize(one));
        break;
    }
}

static void measure_waits(const char *label, uint64_t microseconds, int rounds)
{
    static double us[WAYS][2000], busy[WAYS][2000];
    static uint64_t value;
    for (int k = -5; k < rounds; k++)
        for (int w = 0; w < WAYS; w++) {
            double t0 = now_us(), c0 = clock_us(CLOCK_PROCESS_CPUTIME_ID);
            start_spin(one, microseconds);
            wait_by((enum way)w, ++value);
            double t1 = now_us(), c1 = clock_us(CLOCK_PROCESS_CPUTIME_ID);
            CHECK(cuStreamSynchronize(one));
            if (k >= 0)
                us[w][k] = t1 - t0, busy[w][k] = c1 - c0;
        }
    for (int w = 0; w < WAYS; w++) {
        printf("wait %s, %-38s", label, way_names[w]);
        print_spread("end to end", us[w], rounds), print_spread("cpu", busy[w], rounds),
            printf(" us\n");
    }
}

/* 100 hops between two streams, an empty kernel each; a gate holds them until all are enqueued. */
static void measure_hops(void)
{
    enum { HOPS = 100 };
    static const char *const labels[4] = {"one stream, no hop", "event", "value in device memory",
                                          "value in pinned memory"};
    static double us[4][ROUNDS];
    static uint64_t value;
    CUevent begin, end, hop[HOPS];
    CHECK(cuEventCreate(&begin, 0)), CHECK(cuEventCreate(&end, 0));
    for (int i = 0; i < HOPS; i++)
        CHECK(cuEventCreate(&hop[i], CU_EVENT_DISABLE_TIMING));
    for (int k = -3; k < ROUNDS; k++)
        for (int m = 0; m < 4; m++) {
            CUdeviceptr word = m == 2 ? device_word : pinned_word;
            CHECK(cuStreamWriteValue64(one, word, value, 0)), CHECK(cuStreamSynchronize(one));
            start_spin(one, 3000);
            CHECK(cuEventRecord(begin, one));
            for (int i = 0; i < HOPS; i++) {
                CUstream from = m && i % 2 ? two : one, to = m && i % 2 == 0 ? two : one;
                start_spin(from, 0);
                if (m == 1)
                    CHECK(cuEventRecord(hop[i], from)), CHECK(cuStreamWaitEvent(to, hop[i], 0));
                if (m < 2)
                    continue;
                CHECK(cuStreamWriteValue64(from, word, ++value, 0));
                CHECK(cuStreamWaitValue64(to, word, value, CU_STREAM_WAIT_VALUE_GEQ));
            }
            CHECK(cuEventRecord(end, one)), CHECK(cuCtxSynchronize());
            float ms;
            CHECK(cuEventElapsedTime(&ms, begin, end));
            if (k >= 0)
                us[m][k] = (double)ms * 1e3 / HOPS;
        }
    for (int m = 0; m < 4; m++)
        printf("hop, empty kernel + %-24s", labels[m]), print_spread("", us[m], ROUNDS),
            printf(" us\n");
}

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

static void measure_allocation(void)
{
    static double us[5][ROUNDS];
    static const char *const labels[5] = {
        "cuMemAlloc + cuMemFree, idle", "cuMemFree beside 1 ms kernel",
        "own list: mutex, pop, push", "cuMemAllocAsync + FreeAsync + sync, keep 0",
        "the same, keep all"};
    void *list[4] = {&us[0], &us[1], &us[2], &us[3]};
    volatile int top = 4;
    CUdeviceptr memory;
    CUmemoryPool pool;
    CHECK(cuDeviceGetDefaultMemPool(&pool, device));
    for (int k = -5; k < ROUNDS; k++)
        for (int m = 0; m < 5; m++) {
            uint64_t keep = m == 4 ? UINT64_MAX : 0;
            CHECK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
            if (m == 4) /* fill the pool before the clock starts */
                CHECK(cuMemAllocAsync(&memory, 1 << 20, one)), CHECK(cuMemFreeAsync(memory, one));
            if (m == 1)
                CHECK(cuMemAlloc(&memory, 1 << 20));
            CHECK(cuCtxSynchronize());
            if (m == 1)
                start_spin(two, 1000);
            double t0 = now_us();
            if (m == 0)
                CHECK(cuMemAlloc(&memory, 1 << 20));
            if (m <= 1)
                CHECK(cuMemFree(memory));
            for (int i = 0; m == 2 && i < 1000; i++) {
                pthread_mutex_lock(&cache_lock);
                void *volatile entry = list[--top];
                pthread_mutex_unlock(&cache_lock), pthread_mutex_lock(&cache_lock);
                list[top++] = entry;
                pthread_mutex_unlock(&cache_lock);
            }
            if (m >= 3) {
                CHECK(cuMemAllocAsync(&memory, 1 << 20, one)), CHECK(cuMemFreeAsync(memory, one));
                CHECK(cuStreamSynchronize(one));
            }
            if (k >= 0)
                us[m][k] = (now_us() - t0) / (m == 2 ? 1000 : 1);
            CHECK(cuCtxSynchronize());
        }
    for (int m = 0; m < 5; m++)
        printf("allocate 1 MiB, %-44s", labels[m]), print_spread("", us[m], ROUNDS),
            printf(" us\n");
}

/* An empty kernel and a wait, while another stream of the same or of another context works. */
static void measure_contexts(void)
{
    static double us[3][ROUNDS];
    static const char *const labels[3] = {"alone", "beside a busy stream", "beside a busy context"};
    CUcontext other;
    CHECK(cuCtxCreate(&other, NULL, 0, device));
    CUfunction other_spin = load_function(load_module(), "spin");
    uint64_t wait = 20000000;
    void *pointers[1] = {&wait};
    for (int m = 0; m < 3; m++)
        for (int k = 0; k < ROUNDS; k++) {
            if (k % 20 == 0) {
                CHECK(cuCtxSetCurrent(other)), CHECK(cuCtxSynchronize());
                if (m == 2)
                    CHECK(launch(other_spin, NULL, 1, 1, pointers));
                CHECK(cuCtxSetCurrent(context)), CHECK(cuCtxSynchronize());
                if (m == 1)
                    start_spin(two, 20000);
            }
            double t0 = now_us();
            start_spin(one, 0);
            CHECK(cuStreamSynchronize(one));
            us[m][k] = now_us() - t0;
        }
    for (int m = 0; m < 3; m++)
        printf("launch + sync %-24s", labels[m]), print_spread("", us[m], ROUNDS), printf(" us\n");
}

static void print_device(void)
{
    static const struct {
        const char *name;
        CUdevice_attribute id;
    } list[] = {
        {"64-bit stream memops", CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS},
        {"wait value nor", CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR},
        {"flush remote writes", CU_DEVICE_ATTRIBUTE_CAN_FLUSH_REMOTE_WRITES},
        {"timeline semaphore interop", CU_DEVICE_ATTRIBUTE_TIMELINE_SEMAPHORE_INTEROP_SUPPORTED},
        {"memory pools", CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED},
        {"unified addressing", CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING},
        {"registered host pointer usable",
         CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM},
        {"pageable memory access", CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS},
        {"compute preemption", CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED},
        {"host native atomics", CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED},
        {"async copy engines", CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT}};
    int value, low, high;
    CHECK(cuDriverGetVersion(&value));
    printf("attributes: driver api %d", value);
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        CHECK(cuDeviceGetAttribute(&value, list[i].id, device)),
            printf("; %s %d", list[i].name, value);
    CHECK(cuCtxGetStreamPriorityRange(&low, &high));
    printf("; priorities %d..%d\n", low, high);
}

int main(void)
{
    CHECK(cuInit(0)), CHECK(cuDeviceGet(&device, 0));
    CHECK(cuDevicePrimaryCtxRetain(&context, device)), CHECK(cuCtxSetCurrent(context));
    CUmodule module = load_module();
    spin = load_function(module, "spin"), store_word = load_function(module, "store_word");
    CHECK(cuStreamCreate(&one, CU_STREAM_NON_BLOCKING)),
        CHECK(cuStreamCreate(&two, CU_STREAM_NON_BLOCKING));
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING)),
        CHECK(cuEventCreate(&remote, CU_EVENT_DISABLE_TIMING));
    CHECK(cuEventCreate(&blocking_event, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC));
    CHECK(cuMemAlloc(&device_word, 8)), CHECK(cuMemsetD32(device_word, 0, 2));
    CHECK(cuMemHostAlloc((void **)&pinned, 8, CU_MEMHOSTALLOC_DEVICEMAP));
    CHECK(cuMemHostGetDevicePointer(&pinned_word, (void *)pinned, 0));
    print_device();
    measure_calls();
    measure_waits("20 us kernel", 20, 2000);
    measure_waits("2 ms kernel", 2000, 100);
    measure_hops();
    measure_allocation();
    measure_contexts();
    return 0;
}
