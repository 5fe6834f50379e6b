/* Random numbers: each element follows from the seed and its place (operation/philox.h), so that every run of a plan, on
 * any number of threads, draws the same (BITS).
 *
 * The key is the attribute `seed`, of which equal ones draw equal numbers; without one it is DEFAULT_KEY, and the node's
 * name picks a stream, so that nodes do not draw the same. Element i takes block i / 4 of four words, and word i % 4. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/kernel.h"
#include "operation/philox.h"

#define DEFAULT_KEY UINT64_C(0x486564646C65) /* "Heddle" */
#define BLOCK       4

typedef struct source {
    uint64_t key, stream;
} source;

static source source_of(const hd_operation *operation)
{
    const hd_attribute *seed = hd_operation_attribute(operation, "seed");
    source made = {.key = DEFAULT_KEY};
    if (seed != NULL && seed->kind == HD_ATTRIBUTE_FLOAT) {
        uint32_t bits;
        memcpy(&bits, &seed->f, sizeof bits);
        made.key = bits;
        return made;
    }
    /* FNV-1a (isthe.com/chongo/tech/comp/fnv) */
    made.stream = UINT64_C(0xCBF29CE484222325);
    for (const char *at = operation->name; *at != '\0'; at++) {
        made.stream = (made.stream ^ (unsigned char)*at) * UINT64_C(0x100000001B3);
    }
    return made;
}

/* In (0, 1). */
static double fraction_of(uint32_t word)
{
    return ((double)word + 0.5) * 0x1p-32;
}

/* Four numbers of a kind: uniform in (0, 1), or normal by pairs (Box and Muller, "A Note on the Generation of Random
 * Normal Deviates", 1958). */
static void draw(const source *s, int64_t block, bool is_normal, double out[BLOCK])
{
    const hd_philox made = hd_philox_make((uint64_t)block, s->stream, s->key);
    for (int i = 0; i < BLOCK; i++) {
        out[i] = fraction_of(made.words[i]);
    }
    for (int i = 0; is_normal && i < BLOCK; i += 2) {
        const double radius = sqrt(-2.0 * log(out[i])), angle = 6.283185307179586477 * out[i + 1];
        out[i] = radius * cos(angle);
        out[i + 1] = radius * sin(angle);
    }
}

typedef struct numbers {
    source source;
    bool is_normal, is_trial; /* of Bernoulli: whether a uniform one is below the input's */
    double shift, scale;      /* of the numbers */
    hd_dtype input, dtype;
    int64_t count, blocks, tiles;
    size_t output;
} numbers;

static double chance_of(const numbers *p, const void *input, int64_t index)
{
    return p->input == HD_FLOAT64 ? ((const double *)input)[index]
                                  : (double)((const float *)input)[index];
}

static void store(hd_dtype dtype, void *out, int64_t index, double value)
{
    switch (dtype) {
    case HD_FLOAT32:
        ((float *)out)[index] = (float)value;
        break;
    case HD_FLOAT64:
        ((double *)out)[index] = value;
        break;
    case HD_INT64:
    case HD_UINT64:
        ((int64_t *)out)[index] = (int64_t)value;
        break;
    case HD_INT32:
    case HD_UINT32:
        ((int32_t *)out)[index] = (int32_t)value;
        break;
    case HD_INT16:
    case HD_UINT16:
        ((int16_t *)out)[index] = (int16_t)value;
        break;
    default: /* a byte, or a truth */
        ((uint8_t *)out)[index] = (uint8_t)value;
        break;
    }
}

static void run_numbers(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const numbers *p = parameters;
    void *out = buffers[p->output];
    const int64_t last = hd_cpu_tile_begin(p->blocks, p->tiles, end);
    for (int64_t block = hd_cpu_tile_begin(p->blocks, p->tiles, begin);
         block < last && !hd_stop_ends(block); block++) {
        double drawn[BLOCK];
        draw(&p->source, block, p->is_normal, drawn);
        for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK && i < p->count; i++) {
            const double number = drawn[i % BLOCK];
            store(p->dtype, out, i,
                  p->is_trial ? number < chance_of(p, buffers[0], i)
                              : p->shift + p->scale * number);
        }
    }
}

static hd_status refuse_type(const hd_cpu_compilation *compilation, hd_dtype dtype)
{
    return hd_operation_fail(compilation->operation, compilation->error, HD_UNSUPPORTED,
                             "it has no kernel for %s", hd_dtype_name(dtype));
}

static hd_status compile_numbers(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operator_id id = operation->id;
    const hd_dtype dtype = operation->outputs[0].dtype;
    const bool is_trial = id == HD_OP_BERNOULLI;
    const bool is_float = dtype == HD_FLOAT32 || dtype == HD_FLOAT64;
    numbers *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    if (!is_float &&
        (!is_trial || dtype == HD_FLOAT16 || dtype == HD_BFLOAT16 || dtype > HD_BFLOAT16)) {
        return refuse_type(compilation, dtype);
    }
    if (is_trial && operation->inputs[0].dtype != HD_FLOAT32 &&
        operation->inputs[0].dtype != HD_FLOAT64) {
        return refuse_type(compilation, operation->inputs[0].dtype);
    }
    p->source = source_of(operation);
    p->is_trial = is_trial;
    p->is_normal = id == HD_OP_RANDOM_NORMAL || id == HD_OP_RANDOM_NORMAL_LIKE;
    if (p->is_normal) {
        p->shift = (double)hd_operation_float(operation, "mean", 0.0f);
        p->scale = (double)hd_operation_float(operation, "scale", 1.0f);
    } else {
        p->shift = (double)hd_operation_float(operation, "low", 0.0f);
        p->scale = (double)hd_operation_float(operation, "high", 1.0f) - p->shift;
    }
    p->input = operation->input_count > 0 ? operation->inputs[0].dtype : HD_DTYPE_NONE;
    p->dtype = dtype;
    p->count = hd_shape_count(&operation->outputs[0].shape);
    p->blocks = p->count / BLOCK + (p->count % BLOCK != 0);
    p->output = operation->input_count;
    p->tiles = hd_cpu_tile_count(p->blocks, BLOCK * 16);
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.run = run_numbers;
    return HD_OK;
}

/* --- Multinomial: classes by their weights, whose logarithms are the input */

typedef struct choices {
    source source;
    hd_dtype input, dtype;
    int64_t rows, classes, samples, tiles;
} choices;

static double logarithm_at(const choices *p, const void *input, int64_t index)
{
    return p->input == HD_FLOAT64 ? ((const double *)input)[index]
                                  : (double)((const float *)input)[index];
}

/* sums[c]: the weights of the classes up to c. */
static void sum_weights(const choices *p, const void *input, int64_t row, double *sums)
{
    double most = -INFINITY, sum = 0.0;
    for (int64_t c = 0; c < p->classes; c++) {
        const double logarithm = logarithm_at(p, input, row * p->classes + c);
        most = logarithm > most ? logarithm : most;
    }
    for (int64_t c = 0; c < p->classes && !hd_stop_ends(c); c++) {
        const double weight = exp(logarithm_at(p, input, row * p->classes + c) - most);
        sum += weight == weight ? weight : 0.0;
        sums[c] = sum;
    }
}

/* The first class whose sum is above `wanted`; the last one where none is. */
static int64_t find_class(const double *sums, int64_t classes, double wanted)
{
    int64_t low = 0, high = classes - 1;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sums[middle] > wanted) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static void run_choices(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    const choices *p = parameters;
    double *sums = scratch;
    const int64_t last = hd_cpu_tile_begin(p->rows, p->tiles, end);
    for (int64_t row = hd_cpu_tile_begin(p->rows, p->tiles, begin);
         row < last && !hd_stop_ends_every(row, 16); row++) {
        sum_weights(p, buffers[0], row, sums);
        for (int64_t i = row * p->samples; i < (row + 1) * p->samples && !hd_stop_ends(i); i++) {
            double drawn[BLOCK];
            draw(&p->source, i / BLOCK, false, drawn);
            store(p->dtype, buffers[1], i,
                  (double)find_class(sums, p->classes, drawn[i % BLOCK] * sums[p->classes - 1]));
        }
    }
}

static hd_status compile_choices(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *input = &operation->inputs[0].shape;
    choices *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->input = operation->inputs[0].dtype;
    if (p->input != HD_FLOAT32 && p->input != HD_FLOAT64) {
        return refuse_type(compilation, p->input);
    }
    p->source = source_of(operation);
    p->dtype = operation->outputs[0].dtype;
    p->rows = input->dims[0];
    p->classes = input->dims[1];
    p->samples = operation->outputs[0].shape.dims[1];
    p->tiles = hd_cpu_tile_count(p->rows, p->classes * 20 + p->samples * 40);
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.scratch_size = (size_t)p->classes * sizeof(double);
    compilation->kernel.run = run_choices;
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_random[] = {
    {HD_OP_BERNOULLI, compile_numbers},
    {HD_OP_MULTINOMIAL, compile_choices},
    {HD_OP_RANDOM_NORMAL, compile_numbers},
    {HD_OP_RANDOM_NORMAL_LIKE, compile_numbers},
    {HD_OP_RANDOM_UNIFORM, compile_numbers},
    {HD_OP_RANDOM_UNIFORM_LIKE, compile_numbers},
    {0},
};
