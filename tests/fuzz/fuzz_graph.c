/* Graphs: models with their structure changed, one step from one that runs (graph_mutation.h). What loads is run
 * alone by one thread on a device of one thread, and then by two threads at once, twice each, on a device of three:
 * all end alike, and with the same bits (BITS). */
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>

#include "graph_elements.h"
#include "graph_mutation.h"
#include "graph_rows.h"
#include "heddle/heddle.h"
#include "support/operator_rows.h"

/* So that a case takes milliseconds. */
#define WORK_LIMIT       (UINT64_C(1) << 23)
#define RUN_MEMORY_LIMIT (UINT64_C(4) << 20)
#define MEMORY_LIMIT     (UINT64_C(64) << 20)
#define INPUT_LIMIT      ((size_t)256 << 10)
#define OPERAND_LIMIT    16
#define THREADS          3
#define ROUNDS           2 /* a new plan, and a kept one */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t capacity, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);

/* How deep the files got. */
static struct {
    size_t files, loaded, planned, ran;
} counts;

typedef struct operands {
    hd_tensor inputs[OPERAND_LIMIT];
    size_t input_count, output_count;
} operands;

/* What a run ended with; its outputs are the library's, or lie in memory of exactly their size. */
typedef struct outcome {
    hd_status status;
    hd_error error;
    hd_tensor outputs[OPERAND_LIMIT];
} outcome;

static void require(bool condition, const char *what, const outcome *a, const outcome *b)
{
    if (!condition) {
        fprintf(stderr, "%s\nalone: %s: %s\nbeside another: %s: %s\n", what,
                hd_status_name(a->status), a->error.message, hd_status_name(b->status),
                b->error.message);
        abort();
    }
}

/* With HD_FUZZ_TELL in the environment: why mutants fail, to be counted by whoever changes the mutator. */
static void tell(const outcome *failed, const char *when)
{
    static int tells = -1;
    tells = tells < 0 ? getenv("HD_FUZZ_TELL") != NULL : tells;
    if (tells && failed->status != HD_OK) {
        fprintf(stderr, "%s: %s\n", when, failed->error.message);
    }
}

/* --- inputs */

/* What a dimension that the model leaves open is in these runs: what its symbol says ("n=3"), or small. */
static int64_t open_size(const char *symbol)
{
    double size;
    bool says = symbol != NULL && row_input_elements(symbol, &size, 1) == 1;
    return says && size >= 0 && size <= 1e15 ? (int64_t)size : 2;
}

static double made_up(hd_dtype dtype, size_t i, fuzz_random *random, bool has_extremes)
{
    static const double extremes[] = {
        (double)NAN, (double)INFINITY, (double)-INFINITY, -0.0, 1e-40, 3e38, -3e38, 7e4};
    bool is_real =
        dtype == HD_FLOAT32 || dtype == HD_FLOAT64 || dtype == HD_FLOAT16 || dtype == HD_BFLOAT16;
    if (!is_real) {
        return (double)(i % 3);
    }
    return has_extremes && fuzz_once_in(random, 16) ? extremes[fuzz_below(random, 8)]
                                                    : (double)fuzz_below(random, 512) / 128.0 - 2.0;
}

/* False where it is too large for a test. */
static bool make_input(const hd_value_info *info, fuzz_random *random, bool has_extremes,
                       hd_tensor *out)
{
    double elements[ROW_ELEMENT_LIMIT];
    size_t given = row_input_elements(info->name, elements, ROW_ELEMENT_LIMIT);
    size_t size = hd_dtype_size(info->dtype), count = 1;
    *out = (hd_tensor){.name = info->name,
                       .dtype = info->dtype,
                       .rank = info->rank == HD_RANK_UNKNOWN ? 1 : info->rank};
    for (uint32_t i = 0; i < out->rank; i++) {
        out->dims[i] = info->rank == HD_RANK_UNKNOWN ? 2
                       : info->dims[i] < 0           ? open_size(info->dim_names[i])
                                                     : info->dims[i];
        if (out->dims[i] < 0 || (uint64_t)out->dims[i] > INPUT_LIMIT ||
            count * (size_t)out->dims[i] > INPUT_LIMIT) {
            return false;
        }
        count *= (size_t)out->dims[i];
    }
    out->size = count * size;
    out->data = malloc(out->size == 0 ? 1 : out->size);
    for (size_t i = 0; out->data != NULL && i < count; i++) {
        fuzz_store(out->dtype, out->data, i,
                   i < given ? elements[i] : made_up(out->dtype, i, random, has_extremes));
    }
    if (hd_dtype_bits(out->dtype) < 8 &&
        out->data != NULL) { /* any bytes will do, and no more than there must be */
        out->size = (count * hd_dtype_bits(out->dtype) + 7) / 8;
        void *exact = realloc(out->data, out->size == 0 ? 1 : out->size);
        out->data = exact != NULL ? exact : out->data;
    }
    return out->data != NULL;
}

static size_t text_count(const hd_tensor *tensor)
{
    size_t count = 1;
    for (uint32_t d = 0; d < tensor->rank; d++) {
        count *= (size_t)tensor->dims[d];
    }
    return count;
}

static const char *const overrides[] = GRAPH_OVERRIDE_NAMES;

static bool is_overridable(const char *name)
{
    for (size_t i = 0; i < GRAPH_OVERRIDE_COUNT; i++) {
        if (strcmp(name, overrides[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool make_operands(const hd_model *model, uint64_t seed, operands *out)
{
    fuzz_random random = {seed};
    bool has_extremes = fuzz_once_in(&random, 8);
    *out = (operands){.output_count = hd_model_output_count(model)};
    size_t count = hd_model_input_count(model);
    if (count > OPERAND_LIMIT || out->output_count > OPERAND_LIMIT) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_input_info(model, i, &info) != HD_OK) {
            abort();
        }
        if (is_overridable(info.name) && fuzz_once_in(&random, 2)) {
            continue; /* the run takes the initializer */
        }
        if (!make_input(&info, &random, has_extremes, &out->inputs[out->input_count++])) {
            return false;
        }
    }
    return true;
}

/* --- runs */

static void run(hd_model *model, const operands *o, outcome *out)
{
    out->error = (hd_error){.status = HD_OK};
    out->status =
        hd_model_run(model, o->inputs, o->input_count, out->outputs, o->output_count, &out->error);
}

static bool is_of_memory(const outcome *o)
{
    return o->status == HD_OUT_OF_MEMORY ||
           (o->status == HD_UNSUPPORTED && strstr(o->error.message, "run_memory_limit") != NULL);
}

static void check(const operands *o, const outcome *alone, const outcome *now)
{
    if (is_of_memory(now) || is_of_memory(alone)) {
        /* what there is depends on what runs beside it, and scratch memory on the device's
         * threads */
        return;
    }
    require(now->status == alone->status, "another status", alone, now);
    require(now->status == HD_OK ||
                (now->error.status == now->status && now->error.message[0] != '\0'),
            "no sentence", alone, now);
    for (size_t i = 0; now->status == HD_OK && i < o->output_count; i++) {
        const hd_tensor *a = &alone->outputs[i], *b = &now->outputs[i];
        require(a->dtype == b->dtype && a->rank == b->rank && a->size == b->size &&
                    memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0,
                "another shape", alone, now);
        /* texts lie behind what points to them */
        size_t skipped = a->dtype == HD_STRING ? text_count(a) * sizeof(hd_string) : 0;
        require(a->size == skipped ||
                    memcmp((const char *)a->data + skipped, (const char *)b->data + skipped,
                           a->size - skipped) == 0,
                "other bits", alone, now);
    }
}

typedef struct task {
    hd_model *model;
    const operands *operands;
    const outcome *alone;
    bool brings_memory; /* for the outputs, as much as they need */
} task;

static void work(const task *t)
{
    for (int round = 0; round < ROUNDS; round++) {
        outcome now = {.status = HD_OK};
        bool brings = t->brings_memory && t->alone->status == HD_OK;
        for (size_t i = 0; brings && i < t->operands->output_count; i++) {
            size_t size = t->alone->outputs[i].size;
            now.outputs[i] = (hd_tensor){.data = malloc(size == 0 ? 1 : size), .size = size};
            memset(now.outputs[i].data, 0xA5, size);
        }
        run(t->model, t->operands, &now);
        check(t->operands, t->alone, &now);
        for (size_t i = 0; i < t->operands->output_count; i++) {
            if (brings) {
                free(now.outputs[i].data);
            } else {
                hd_tensor_release(&now.outputs[i]);
            }
        }
    }
}

/* The second thread, which lives as long as the process. */
static struct {
    sem_t begin, end;
    task task;
} partner;

static void *partner_main(void *unused)
{
    while (sem_wait(&partner.begin) == 0) {
        work(&partner.task);
        sem_post(&partner.end);
    }
    return unused;
}

static void run_beside(hd_model *model, const operands *o, const outcome *alone)
{
    partner.task = (task){model, o, alone, true};
    sem_post(&partner.begin);
    work(&(task){model, o, alone, false});
    while (sem_wait(&partner.end) != 0) {
    }
}

static hd_device *open_device(uint32_t threads)
{
    hd_device *device = NULL;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = threads, .memory_limit = MEMORY_LIMIT};
    if (hd_device_open("cpu", &options, &device, NULL) != HD_OK) {
        abort();
    }
    return device;
}

static hd_model *load(hd_device *device, const uint8_t *data, size_t size, outcome *out)
{
    hd_model *model = NULL;
    hd_model_options options = {.struct_size = sizeof options,
                                .work_limit = WORK_LIMIT,
                                .run_memory_limit = RUN_MEMORY_LIMIT,
                                .override_names = overrides,
                                .override_count = GRAPH_OVERRIDE_COUNT};
    out->error = (hd_error){.status = HD_OK};
    out->status = hd_model_load_memory(device, data, size, &options, &model, &out->error);
    return model;
}

static hd_device *device_alone, *device_shared;

static void print_counts(void)
{
    fprintf(stderr, "graphs: %zu, loaded: %zu, planned: %zu, ran: %zu\n", counts.files,
            counts.loaded, counts.planned, counts.ran);
}

static void begin(void)
{
    pthread_t thread;
    device_alone = open_device(1);
    device_shared = open_device(THREADS);
    if (sem_init(&partner.begin, 0, 0) != 0 || sem_init(&partner.end, 0, 0) != 0 ||
        pthread_create(&thread, NULL, partner_main, NULL) != 0 || pthread_detach(thread) != 0) {
        abort();
    }
    atexit(print_counts);
}

/* Returns whether it ran. */
static bool run_all(hd_model *alone_model, hd_model *shared_model, uint64_t seed)
{
    operands o;
    outcome alone = {.status = HD_OK};
    hd_memory_info memory = {.struct_size = sizeof memory};
    bool ran = false;
    if (make_operands(alone_model, seed, &o)) {
        run(alone_model, &o, &alone);
        counts.planned +=
            hd_device_get_memory(device_alone, &memory) == HD_OK && memory.plan_bytes > 0;
        ran = alone.status == HD_OK;
        counts.ran += ran;
        tell(&alone, "run");
        run_beside(shared_model, &o, &alone);
        for (size_t i = 0; i < o.output_count; i++) {
            hd_tensor_release(&alone.outputs[i]);
        }
    }
    for (size_t i = 0; i < OPERAND_LIMIT; i++) {
        free(o.inputs[i].data);
    }
    return ran;
}

/* What runs get follows from the file. */
static uint64_t hash(const uint8_t *data, size_t size)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * UINT64_C(0x100000001B3);
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outcome alone = {.status = HD_OK}, shared = {.status = HD_OK};
    bool is_of_use = false;
    if (device_alone == NULL) {
        begin();
    }
    hd_model *alone_model = load(device_alone, data, size, &alone);
    hd_model *shared_model = load(device_shared, data, size, &shared);
    check(&(operands){.output_count = 0}, &alone, &shared);
    counts.files++;
    tell(&alone, "load");
    if (alone_model != NULL && shared_model != NULL) {
        counts.loaded++;
        uint64_t seed = hash(data, size);
        is_of_use = run_all(alone_model, shared_model, seed) || seed % 16 == 0;
    }
    hd_model_destroy(&alone_model);
    hd_model_destroy(&shared_model);
    return is_of_use ? 0 : -1; /* what grows out of it mostly fails as it does */
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity, unsigned int seed)
{
    fuzz_random random = {seed};
    return fuzz_once_in(&random, 128)
               ? LLVMFuzzerMutate(data, size, capacity)
               : graph_mutate(data, size, capacity, NULL, 0, fuzz_draw(&random));
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t capacity, unsigned int seed)
{
    if (a_size > capacity) {
        return 0;
    }
    if (a_size > 0) {
        memcpy(out, a, a_size);
    }
    fuzz_random random = {seed};
    bool grafts = fuzz_once_in(&random, 6); /* libFuzzer asks for it half of the times */
    return graph_mutate(out, a_size, capacity, grafts ? b : NULL, b_size, fuzz_draw(&random));
}
