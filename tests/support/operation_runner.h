/* Operation runner: one operator from type, attributes and inputs to outputs, without a plan: it
 * infers, compiles and runs the CPU's kernel, its tiles in whatever partition a test asks for.
 *
 *     int64_t axis = 1;
 *     hd_attribute attributes[] = {operation_int("axis", axis)};
 *     operation_case c = {.type = "Softmax", .opset = 13, .attributes = attributes,
 *                         .attribute_count = 1, .input_count = 1, .output_count = 1,
 *                         .inputs = {OPERATION_TENSOR(HD_FLOAT32, x, 2, 3)}};
 *     operation_result r;
 *     assert_int_equal(operation_run(&c, &r), HD_OK);
 *     ... r.outputs[0].dims, r.outputs[0].data ...
 *     operation_result_clear(&r);
 *     operation_check_partitions(&c);
 *
 * Thread-safety: one thread at a time a result; a case is only read. */
#ifndef HD_TEST_OPERATION_RUNNER_H
#define HD_TEST_OPERATION_RUNNER_H

#include "hal/cpu/kernel.h"
#include "hal/cpu/packed.h"
#include "operation/fused.h"

#define OPERATION_MAX_OPERANDS 32

/* How the tiles are handed to the kernel. */
typedef enum operation_partition {
    OPERATION_WHOLE,    /* one call for all tiles */
    OPERATION_SINGLE,   /* a call a tile, from the first to the last */
    OPERATION_REVERSED, /* a call a tile, from the last to the first */
    OPERATION_SHUFFLED, /* ranges of one to three tiles, in an order that `seed` fixes */
    OPERATION_PARTITION_COUNT
} operation_partition;

typedef struct operation_case {
    const char *type;
    uint32_t opset; /* 0: 21 */
    const hd_attribute *attributes;
    size_t attribute_count;
    hd_tensor inputs[OPERATION_MAX_OPERANDS]; /* dtype HD_DTYPE_NONE: left out */
    size_t input_count;
    size_t output_count;       /* 0: 1 */
    uint64_t unwanted_outputs; /* bit i: nobody wants output i */
    /* bit i: input i's data is known to inference and compilation. Others are shown to them only
     * once inference says that it needs them */
    uint64_t known_inputs;
    const hd_packed *packed[OPERATION_MAX_OPERANDS]; /* input i's packed form, where it has one */
    const hd_fused *fused;
    operation_partition partition;
    uint32_t seed;
    bool misaligned; /* each operand lies one element after a cache line's start */
    bool in_place;   /* output 0 lies on the first input that the kernel allows; none: as usual */
} operation_case;

typedef struct operation_result {
    hd_error error;       /* filled when operation_run fails */
    size_t needed_inputs; /* bit i: inference needed the value of input i */
    hd_kernel kernel;     /* parameters are valid until operation_result_clear; zero for a view */
    hd_tensor outputs[OPERATION_MAX_OPERANDS]; /* data: hd_alloc'd, owned; true dimensions */
    size_t output_count;
    hd_region region;
} operation_result;

/* HD_OK or what inference, compilation or the lookup (HD_UNSUPPORTED) answered; *result is filled in
 * both cases and must be cleared. Outputs are filled with 0xA5 before the run, and the bytes around
 * every operand are checked afterwards: HD_INTERNAL when the kernel wrote out of bounds. */
hd_status operation_run(const operation_case *test, operation_result *result);
void operation_result_clear(operation_result *result);

/* Runs the case in every partition, misaligned and in place, and fails the cmocka test unless all
 * outputs are equal bit for bit (BITS). */
void operation_check_partitions(const operation_case *test);

/* Same dtype, dimensions and bytes; fails the cmocka test otherwise. `expected` has dtype, dims, data. */
void operation_check_output(const hd_tensor *output, const hd_tensor *expected);

/* float32 or float64 outputs: |a - b| <= absolute + relative·|b| for each element, NaN equal to NaN. */
void operation_check_close(const hd_tensor *output, const hd_tensor *expected, double relative,
                           double absolute);

hd_tensor operation_tensor(hd_dtype dtype, const void *data, uint32_t rank, const int64_t *dims);
/* OPERATION_TENSOR(HD_FLOAT32, data, 2, 3): a 2x3 tensor. OPERATION_SCALAR: rank 0. */
#define OPERATION_TENSOR(dtype, data, ...)                                                         \
    operation_tensor((dtype), (data), sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),          \
                     (int64_t[]){__VA_ARGS__})
#define OPERATION_SCALAR(dtype, data) operation_tensor((dtype), (data), 0, NULL)

hd_attribute operation_int(const char *name, int64_t value);
hd_attribute operation_float(const char *name, float value);
hd_attribute operation_string(const char *name, const char *value);
hd_attribute operation_ints(const char *name, const int64_t *values, size_t count);
hd_attribute operation_floats(const char *name, const float *values, size_t count);
/* OPERATION_INTS("axes", 0, 2) */
#define OPERATION_INTS(name, ...)                                                                  \
    operation_ints((name), (int64_t[]){__VA_ARGS__},                                               \
                   sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Fills `count` floats with values of a fixed-seed sequence in [-1, 1). */
void operation_fill_floats(float *values, int64_t count, uint32_t seed);

#endif
