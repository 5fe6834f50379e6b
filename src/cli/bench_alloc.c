/* heddle bench alloc: what it costs to allocate and free a block of a device's memory, beside the C
 * library's malloc and, where it is installed, mimalloc, in turns in one run. */
#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "cli/process.h"
#include "cli/random.h"
#include "cli/report.h"
#include "cli/session.h"
#include "heddle/memory.h"

#define REPEATS       5
#define HIT_SIZE      4096
#define LIVE_COUNT    64   /* blocks that a thread holds in the mixed case */
#define CHOICE_COUNT  1024 /* sizes and places that it goes through again and again */
#define OPS_PER_CLOCK 256
#define STREAM_LIMIT  31 /* threads beyond share the default stream */

/* An allocator by its two functions; NULL: the device's. */
typedef struct hd_heap {
    const char *hit_name;
    const char *mixed_name;
    void *(*allocate)(size_t size);
    void (*free)(void *memory);
    bool left_out;
} hd_heap;

typedef struct hd_choice {
    uint32_t place;
    uint32_t size;
} hd_choice;

typedef struct hd_alloc_caller {
    hd_device *device;
    hd_stream stream;
    const hd_heap *heap;
    const hd_choice *choices; /* NULL: the hit case */
    bool touches;             /* blocks, which are the host's memory */
    double seconds;
    double elapsed;
    uint64_t ops;
    hd_error error;
    pthread_barrier_t *end;
    void *live[LIVE_COUNT];
} hd_alloc_caller;

typedef struct hd_alloc_bench {
    hd_session session;
    hd_heap heaps[3];
    hd_choice choices[CHOICE_COUNT];
    hd_stream streams[STREAM_LIMIT];
    uint32_t stream_count;
    double seconds;
} hd_alloc_bench;

#define HEAP_COUNT 3

/* Takes the functions from the library itself, since the program counts its own calls of malloc. */
static void open_heap(hd_heap *heap, const char *const *libraries, const char *allocate,
                      const char *release)
{
    void *library = NULL;
    for (; *libraries != NULL && library == NULL; libraries++) {
        library = dlopen(*libraries, RTLD_NOW | RTLD_LOCAL);
    }
    if (library != NULL) {
        /* POSIX: what dlsym returns may be a function. */
        *(void **)&heap->allocate = dlsym(library, allocate);
        *(void **)&heap->free = dlsym(library, release);
    }
    heap->left_out = heap->allocate == NULL || heap->free == NULL;
}

static bool take(hd_alloc_caller *caller, size_t size, void **out_memory)
{
    const hd_heap *heap = caller->heap;
    if (heap->allocate == NULL) {
        return hd_memory_allocate(caller->device, caller->stream, size, 0, out_memory,
                                  &caller->error) == HD_OK;
    }
    *out_memory = heap->allocate(size);
    if (*out_memory == NULL) {
        caller->error.status = HD_OUT_OF_MEMORY;
    }
    return *out_memory != NULL;
}

static bool give(hd_alloc_caller *caller, void *memory)
{
    const hd_heap *heap = caller->heap;
    if (heap->allocate == NULL) {
        return hd_memory_free(caller->device, memory, &caller->error) == HD_OK;
    }
    heap->free(memory);
    return true;
}

static bool do_hits(hd_alloc_caller *caller)
{
    for (uint32_t i = 0; i < OPS_PER_CLOCK; i++) {
        void *memory;
        if (!take(caller, HIT_SIZE, &memory)) {
            return false;
        }
        if (caller->touches) {
            *(volatile char *)memory = 1;
        }
        if (!give(caller, memory)) {
            return false;
        }
    }
    return true;
}

static bool do_mixed(hd_alloc_caller *caller, uint64_t first)
{
    for (uint32_t i = 0; i < OPS_PER_CLOCK; i++) {
        const hd_choice *choice = &caller->choices[(first + i) % CHOICE_COUNT];
        void **place = &caller->live[choice->place];
        if (!give(caller, *place) || !take(caller, choice->size, place)) {
            return false;
        }
        if (caller->touches) {
            *(volatile char *)*place = 1;
        }
    }
    return true;
}

static bool do_some(hd_alloc_caller *caller, uint64_t first)
{
    return caller->choices == NULL ? do_hits(caller) : do_mixed(caller, first);
}

static void run_caller(void *context)
{
    hd_alloc_caller *caller = context;
    bool ok = true;
    for (uint64_t i = 0; i < 4 * CHOICE_COUNT && ok; i += OPS_PER_CLOCK) { /* warms up */
        ok = do_some(caller, i);
    }
    double begin = hd_process_clock();
    for (; ok && caller->elapsed < caller->seconds; caller->ops += OPS_PER_CLOCK) {
        ok = do_some(caller, caller->ops);
        caller->elapsed = hd_process_clock() - begin;
    }
    for (uint32_t i = 0; i < LIVE_COUNT; i++) {
        if (caller->live[i] != NULL) {
            (void)give(caller, caller->live[i]);
        }
    }
    /* A heap hands what a thread that ended had kept to those that go on: none goes on here. (It does
     * so in ways that ThreadSanitizer, which sees our code alone, would take for a race.) */
    (void)pthread_barrier_wait(caller->end);
}

/* One repeat of one case: nanoseconds that an allocation and a free take a thread. */
static hd_exit_code measure(hd_alloc_bench *bench, const hd_heap *heap, bool mixed,
                            uint32_t threads, double *out_ns)
{
    hd_exit_code code = EXIT_CODE_OK;
    pthread_barrier_t end;
    hd_alloc_caller *callers = calloc(threads, sizeof *callers);
    if (callers == NULL || pthread_barrier_init(&end, NULL, threads) != 0) {
        free(callers);
        return hd_failure_print_memory();
    }
    for (uint32_t i = 0; i < threads; i++) {
        callers[i] = (hd_alloc_caller){
            .device = bench->session.device,
            .stream = i < STREAM_LIMIT ? bench->streams[i] : (hd_stream){0},
            .heap = heap,
            .choices = mixed ? bench->choices : NULL,
            .touches = heap->allocate != NULL || bench->session.info.kind == HD_DEVICE_CPU,
            .seconds = bench->seconds,
            .end = &end};
    }
    code = hd_process_run_threads(threads, run_caller, callers, sizeof *callers);
    double elapsed = 0, ops = 0;
    for (uint32_t i = 0; i < threads && code == EXIT_CODE_OK; i++) {
        if (callers[i].error.status != HD_OK) {
            code = heap->allocate == NULL ? hd_failure_print_error(&callers[i].error)
                                          : hd_failure_print_memory();
        }
        elapsed += callers[i].elapsed;
        ops += (double)callers[i].ops;
    }
    *out_ns = elapsed * 1e9 / ops;
    pthread_barrier_destroy(&end);
    free(callers);
    return code;
}

static int compare_numbers(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void write_point(hd_report *report, const char *name, uint32_t threads, double *ns)
{
    qsort(ns, REPEATS, sizeof *ns, compare_numbers);
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_string(json, "case", name);
    hd_json_integer(json, "threads", threads);
    hd_json_number(json, "ns_per_op", ns[REPEATS / 2]);
    hd_json_number(json, "lowest_ns", ns[0]);
    hd_json_number(json, "highest_ns", ns[REPEATS - 1]);
    hd_json_end_object(json);
    if (report->tables) {
        printf("%-16s %8u %10.1f %10.1f %10.1f\n", name, threads, ns[REPEATS / 2], ns[0],
               ns[REPEATS - 1]);
        fflush(stdout);
    }
}

/* All cases in turns, so that what else the machine does meets them alike. */
static hd_exit_code bench_threads(hd_alloc_bench *bench, uint32_t threads, hd_report *report)
{
    double ns[HEAP_COUNT][2][REPEATS];
    hd_exit_code code = EXIT_CODE_OK;
    for (uint32_t repeat = 0; repeat < REPEATS; repeat++) {
        hd_report_progress("%u threads, %u of %u …", threads, repeat + 1, REPEATS);
        for (uint32_t i = 0; i < HEAP_COUNT * 2 && code == EXIT_CODE_OK; i++) {
            const hd_heap *heap = &bench->heaps[i / 2];
            if (!heap->left_out) {
                code = measure(bench, heap, i % 2 == 1, threads, &ns[i / 2][i % 2][repeat]);
            }
        }
    }
    hd_report_progress(NULL);
    for (uint32_t i = 0; i < HEAP_COUNT && code == EXIT_CODE_OK; i++) {
        if (!bench->heaps[i].left_out) {
            write_point(report, bench->heaps[i].hit_name, threads, ns[i][0]);
            write_point(report, bench->heaps[i].mixed_name, threads, ns[i][1]);
        }
    }
    return code;
}

/* Sizes from 64 bytes to 64 KB, as many in each power of two. */
static void choose_sizes(hd_choice *choices)
{
    hd_random_generator generator = {.state = 1};
    for (uint32_t i = 0; i < CHOICE_COUNT; i++) {
        double power = 6 + 10 * (double)(hd_random_next(&generator) >> 11) * 0x1p-53;
        choices[i] = (hd_choice){.place = (uint32_t)(hd_random_next(&generator) % LIVE_COUNT),
                                 .size = (uint32_t)exp2(power)};
    }
}

static hd_exit_code open_bench(const hd_arguments *given, const hd_thread_list *threads,
                               hd_alloc_bench *bench)
{
    static const char *const c_libraries[] = {"libc.so.6", NULL};
    static const char *const mi_libraries[] = {"libmimalloc.so.3", "libmimalloc.so.2", NULL};
    hd_error error = {0};
    uint32_t most = 1;
    hd_exit_code code = hd_session_open(given, NULL, &bench->session);
    for (size_t i = 0; i < threads->count; i++) {
        most = threads->counts[i] > most ? threads->counts[i] : most;
    }
    for (uint32_t i = 0; i < most && i < STREAM_LIMIT && code == EXIT_CODE_OK; i++) {
        if (hd_stream_acquire(bench->session.device, 0, &bench->streams[i], &error) != HD_OK) {
            code = hd_failure_print_error(&error);
        } else {
            bench->stream_count++;
        }
    }
    choose_sizes(bench->choices);
    bench->heaps[0] = (hd_heap){.hit_name = "heddle_hit", .mixed_name = "heddle_mixed"};
    bench->heaps[1] = (hd_heap){.hit_name = "malloc_hit", .mixed_name = "malloc_mixed"};
    bench->heaps[2] = (hd_heap){.hit_name = "mimalloc_hit", .mixed_name = "mimalloc_mixed"};
    open_heap(&bench->heaps[1], c_libraries, "malloc", "free");
    open_heap(&bench->heaps[2], mi_libraries, "mi_malloc", "mi_free");
    return code;
}

static void close_bench(hd_alloc_bench *bench)
{
    for (uint32_t i = 0; i < bench->stream_count; i++) {
        hd_status status = hd_stream_release(bench->session.device, bench->streams[i], NULL);
        (void)status; /* the device goes next, and its streams with it */
    }
    hd_session_close(&bench->session);
}

static void write_left_out(const hd_alloc_bench *bench, hd_report *report)
{
    hd_json_begin_array(&report->json, "left_out");
    for (uint32_t i = 0; i < HEAP_COUNT; i++) {
        const hd_heap *heap = &bench->heaps[i];
        if (heap->left_out) {
            hd_json_string(&report->json, NULL, heap->hit_name);
            hd_json_string(&report->json, NULL, heap->mixed_name);
            if (report->tables) {
                printf("%s and %s are left out: the library is not there%s\n", heap->hit_name,
                       heap->mixed_name, i == 2 ? " (Debian: libmimalloc2.0)" : "");
            }
        }
    }
    hd_json_end_array(&report->json);
}

static hd_exit_code run(const hd_arguments *given)
{
    static hd_alloc_bench bench;
    hd_report report;
    hd_thread_list threads;
    hd_exit_code code = hd_arguments_threads(given, "1,2,4,8", &threads);
    if (code == EXIT_CODE_OK) {
        code = hd_arguments_seconds(given, "--seconds", 0.1, &bench.seconds);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_report_open(given, &report);
    }
    if (code != EXIT_CODE_OK) {
        return code;
    }
    code = open_bench(given, &threads, &bench);
    if (code == EXIT_CODE_OK) {
        hd_report_begin(&report, "bench alloc", bench.session.info.name, "points");
        if (report.tables) {
            printf("%-16s %8s %10s %10s %10s\n", "case", "threads", "ns/op", "lowest", "highest");
        }
        for (size_t i = 0; i < threads.count && code == EXIT_CODE_OK; i++) {
            code = bench_threads(&bench, threads.counts[i], &report);
        }
    }
    if (code == EXIT_CODE_OK) {
        hd_report_end_points(&report);
        write_left_out(&bench, &report);
        hd_json_integer(&report.json, "peak_rss_bytes", (int64_t)hd_process_peak_resident_bytes());
        code = hd_report_end(&report);
    }
    close_bench(&bench);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_bench_alloc = {
    .name = "bench alloc",
    .summary = "Measures allocating and freeing device memory beside malloc and mimalloc.",
    .details =
        "An operation is one allocation and one free, on a stream of the thread's own; 'ns/op' is\n"
        "the time that it takes a thread, the median of 5 repeats in which all cases take turns.\n"
        "hit: 4096 bytes again and again. mixed: 64 blocks a thread, of 64 bytes to 64 KB, of "
        "which a\n"
        "random one is replaced. heddle: hd_memory_allocate and hd_memory_free; malloc: the C\n"
        "library's; mimalloc: where libmimalloc.so.3 or .2 is installed.",
    .options = {{"--threads", "LIST", false, "numbers of threads (default: 1,2,4,8)"},
                {"--seconds", "S", false, "length of a measurement (default: 0.1)"},
                {NULL, NULL, false, NULL}},
    .examples = {"heddle bench alloc --threads 1,2 --json alloc.json", NULL},
    .run = run,
};
