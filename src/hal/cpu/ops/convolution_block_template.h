/* Convolution block, the template: included once by the file of each instruction set, which defines
 *   PIXELS, DEPTHWISE_PIXELS, DEPTHWISE_VECTORS   the sizes of the register blocks, with PIXEL_LIST and DEPTHWISE_PIXEL_LIST
 *   PLANE_OUTPUTS, PLANE_LIST, PLANE_LIST_WIDE    those of convolution_planes_template.h
 *   KERNELS                                       the table's name */
#include "hal/cpu/lanes_transpose.h"

#define INLINE    static inline __attribute__((always_inline))
#define MOST_SUMS (2 * (PIXELS > DEPTHWISE_PIXELS ? PIXELS : DEPTHWISE_PIXELS))
/* Keeps the compiler from making one pointer a pixel of the few that address them all. */
#define HIDE(pointer) __asm__("" : "+r"(pointer))

INLINE lanes activate(hd_activation_kind kind, lanes alpha, lanes beta, lanes x)
{
    const lanes zero = lanes_set(0.0F);
    switch (kind) {
    case HD_ACTIVATION_RELU:
        return lanes_larger(zero, x);
    case HD_ACTIVATION_CLIP:
        return lanes_smaller(beta, lanes_larger(alpha, x));
    case HD_ACTIVATION_LEAKY_RELU:
        return lanes_select(lanes_less(x, zero), alpha * x, x);
    case HD_ACTIVATION_HARD_SIGMOID:
    case HD_ACTIVATION_HARD_SWISH: {
        lanes gate = alpha * x + beta;
        gate = lanes_smaller(lanes_set(1.0F), lanes_larger(zero, gate));
        if (kind == HD_ACTIVATION_HARD_SWISH) {
            gate = x * gate;
        }
        return gate;
    }
    default:
        return x;
    }
}

/* Bias, residual, activation and the store of `vectors` vectors a pixel. offset: of the first pixel from
 * the block's output, in floats. */
INLINE void finish_kind(const hd_cpu_convolution_block *block, int64_t offset, const float *sums,
                        int64_t vectors, hd_activation_kind kind)
{
    const lanes alpha = lanes_set(block->activation.alpha),
                beta = lanes_set(block->activation.beta);
    /* Multiplying by 1 and adding -0 change no value. */
    const lanes scale = lanes_set(block->activation.scales ? block->activation.scale : 1.0F);
    const lanes shift = lanes_set(block->activation.scales ? block->activation.shift : -0.0F);
    const int64_t pixels = block->pixels;
    for (int64_t v = 0; v < vectors; v++) {
        const int64_t column = v * LANE_COUNT, some = block->columns - column;
        if (some <= 0) {
            return;
        }
        const float *sum = sums + column, *residual = block->residual;
        float *output = block->output + offset + column;
        const lanes bias = block->bias == NULL ? lanes_set(-0.0F)
                           : some >= LANE_COUNT
                               ? lanes_load(block->bias + column)
                               : lanes_load_part(block->bias + column, lanes_first(some));
        if (some >= LANE_COUNT && residual == NULL) {
            for (int64_t p = 0; p < pixels; p++) {
                lanes x =
                    activate(kind, alpha, beta, lanes_load(sum + p * vectors * LANE_COUNT) + bias);
                lanes_store(output + p * block->output_pixel, x * scale + shift);
            }
            continue;
        }
        for (int64_t p = 0; p < pixels; p++) {
            lanes x = lanes_load(sum + p * vectors * LANE_COUNT) + bias;
            if (residual != NULL) {
                const float *from = residual + offset + column + p * block->output_pixel;
                x = x + (some >= LANE_COUNT ? lanes_load(from)
                                            : lanes_load_part(from, lanes_first(some)));
            }
            x = activate(kind, alpha, beta, x) * scale + shift;
            if (some >= LANE_COUNT) {
                lanes_store(output + p * block->output_pixel, x);
            } else {
                lanes_store_part(output + p * block->output_pixel, lanes_first(some), x);
            }
        }
    }
}

static __attribute__((noinline)) void finish(const hd_cpu_convolution_block *block, int64_t offset,
                                             const float *sums, int64_t vectors)
{
    switch (block->activation.kind) {
    case HD_ACTIVATION_RELU:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_RELU);
        break;
    case HD_ACTIVATION_CLIP:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_CLIP);
        break;
    case HD_ACTIVATION_LEAKY_RELU:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_LEAKY_RELU);
        break;
    case HD_ACTIVATION_HARD_SIGMOID:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_HARD_SIGMOID);
        break;
    case HD_ACTIVATION_HARD_SWISH:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_HARD_SWISH);
        break;
    default:
        finish_kind(block, offset, sums, vectors, HD_ACTIVATION_NONE);
        break;
    }
}

/* The end of a block. Most blocks end in registers: no residual, and no activation but a clip, as which
 * Relu and none count (of a NaN, minimum and maximum keep it). Others go through memory, which is
 * still in the first-level cache. */
INLINE void finish_sums(const hd_cpu_convolution_block *block, int64_t offset, const lanes *sums,
                        const int pixels, const int vectors)
{
    if (block->residual != NULL || !block->clips) {
        float memory[MOST_SUMS * LANE_COUNT] __attribute__((aligned(64)));
        LANES_UNROLL
        for (int i = 0; i < pixels * vectors; i++) {
            lanes_store(memory + i * LANE_COUNT, sums[i]);
        }
        finish(block, offset, memory, vectors);
        return;
    }
    const lanes low = lanes_set(block->low), high = lanes_set(block->high);
    LANES_UNROLL
    for (int v = 0; v < vectors; v++) {
        const int64_t some = block->columns - v * LANE_COUNT;
        const bool whole = v + 1 < vectors || some >= LANE_COUNT;
        const lanes bias = block->bias == NULL ? lanes_set(-0.0F)
                           : whole
                               ? lanes_load(block->bias + v * LANE_COUNT)
                               : lanes_load_part(block->bias + v * LANE_COUNT, lanes_first(some));
        float *output = block->output + offset + v * LANE_COUNT;
        if (block->streams) {
            LANES_UNROLL
            for (int p = 0; p < pixels; p++) {
                lanes x = sums[p * vectors + v] + bias;
                lanes_stream(output, lanes_smaller(high, lanes_larger(low, x)));
                output += block->output_pixel;
            }
        } else if (whole) {
            LANES_UNROLL
            for (int p = 0; p < pixels; p++) {
                lanes x = sums[p * vectors + v] + bias;
                lanes_store(output, lanes_smaller(high, lanes_larger(low, x)));
                output += block->output_pixel;
            }
        } else {
            LANES_UNROLL
            for (int p = 0; p < pixels; p++) {
                lanes x = sums[p * vectors + v] + bias;
                lanes_store_part(output, lanes_first(some),
                                 lanes_smaller(high, lanes_larger(low, x)));
                output += block->output_pixel;
            }
        }
    }
}

/* One step of a product: one weight row of the panel times one input element a pixel. x[i] points to
 * pixel 3·i, so that `stride` and its double reach the two pixels after it in an address. */
INLINE void product_step(lanes *sums, const float *const *x, int64_t stride, int64_t k,
                         const float *weights, const int pixels, const int vectors)
{
    lanes w[2];
    LANES_UNROLL
    for (int v = 0; v < vectors; v++) {
        w[v] = lanes_load(weights + v * LANE_COUNT);
    }
    LANES_UNROLL
    for (int p = 0; p < pixels; p++) {
        lanes element = lanes_set(x[p / 3][(p % 3) * stride + k]);
        LANES_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[p * vectors + v] = lanes_fma(element, w[v], sums[p * vectors + v]);
        }
    }
}

INLINE void product(const hd_cpu_convolution_block *block, const int pixels, const int vectors)
{
    lanes sums[PIXELS * 2];
    LANES_UNROLL
    for (int i = 0; i < pixels * vectors; i++) {
        sums[i] = lanes_set(0.0F);
    }
    if (__builtin_expect(block->partial != NULL && block->goes_on, 0)) {
        LANES_UNROLL
        for (int i = 0; i < pixels * vectors; i++) {
            sums[i] = lanes_load(block->partial + i * LANE_COUNT);
        }
    }
    const int64_t stride = block->input_pixel, run = block->run;
    const int64_t panel = vectors * LANE_COUNT, lines = block->prefetch_lines;
    const float *prefetch = block->prefetch;
    for (int64_t row = 0; row < block->rows; row++) {
        for (int64_t tap = 0; tap < block->taps; tap++) {
            const float *first = block->input + row * block->input_row + tap * block->input_tap;
            const float *weights =
                block->weights + row * block->weight_row + tap * block->weight_tap;
            const float *x[(PIXELS + 2) / 3];
            LANES_UNROLL
            for (int i = 0; i < (pixels + 2) / 3; i++) {
                x[i] = first + 3 * i * stride;
            }
            int64_t k = 0;
            for (; k + HD_CONVOLUTION_STEPS <= run; k += HD_CONVOLUTION_STEPS) {
                for (int64_t line = 0; line < lines; line++, prefetch += 16) {
                    __builtin_prefetch(prefetch, 0, 2);
                }
                LANES_UNROLL
                for (int i = 0; i < HD_CONVOLUTION_STEPS; i++) {
                    product_step(sums, x, stride, i, weights + i * panel, pixels, vectors);
                }
                weights += HD_CONVOLUTION_STEPS * panel;
                LANES_UNROLL
                for (int i = 0; i < (pixels + 2) / 3; i++) {
                    x[i] += HD_CONVOLUTION_STEPS;
                    HIDE(x[i]);
                }
            }
            for (; k < run; k++) {
                product_step(sums, x, stride, 0, weights, pixels, vectors);
                weights += panel;
                LANES_UNROLL
                for (int i = 0; i < (pixels + 2) / 3; i++) {
                    x[i] += 1;
                    HIDE(x[i]);
                }
            }
        }
    }
    if (__builtin_expect(block->partial != NULL && !block->ends, 0)) {
        LANES_UNROLL
        for (int i = 0; i < pixels * vectors; i++) {
            lanes_store(block->partial + i * LANE_COUNT, sums[i]);
        }
        return;
    }
    finish_sums(block, 0, sums, pixels, vectors);
}

/* The input elements of one tap for one or two vectors of channels; only whole ones come in twos. */
INLINE lanes depthwise_load(const float *from, const int vectors, bool whole, int64_t some)
{
    return vectors > 1 || whole ? lanes_load(from) : lanes_load_part(from, lanes_first(some));
}

/* One block of a depthwise convolution. An input column is loaded once and goes to every pixel that
 * reads it, so each sum still takes its taps in ascending order. `checked`: columns outside
 * [0, width) are skipped; `column` is that of the first tap. kernel 0: its width is not a constant. */
INLINE void depthwise(const hd_cpu_convolution_block *block, const float *input, int64_t column,
                      const int pixels, const int vectors, const int kernel, const int stride,
                      const bool checked, lanes *sums)
{
    LANES_UNROLL
    for (int i = 0; i < pixels * vectors; i++) {
        sums[i] = lanes_set(0.0F);
    }
    const int64_t some = block->columns, column_step = block->input_tap;
    const bool whole = some >= LANE_COUNT;
    const uint64_t width = (uint64_t)block->width;
    for (int64_t row = 0; row < block->rows; row++) {
        const float *x = input + row * block->input_row;
        const float *weights = block->weights + row * block->weight_row;
        if (kernel == 0) {
            for (int64_t tap = 0; tap < block->taps; tap++) {
                const lanes w = lanes_load(weights + tap * block->weight_tap);
                LANES_UNROLL
                for (int p = 0; p < pixels; p++) {
                    int64_t at = column + tap * block->tap_columns + p * block->pixel_columns;
                    if ((uint64_t)at < width) {
                        const float *from = x + tap * column_step + p * block->input_pixel;
                        sums[p] = lanes_fma(depthwise_load(from, 1, whole, some), w, sums[p]);
                    }
                }
            }
            continue;
        }
        lanes w[7 * 2];
        LANES_UNROLL
        for (int tap = 0; tap < kernel; tap++) {
            LANES_UNROLL
            for (int v = 0; v < vectors; v++) {
                w[tap * vectors + v] =
                    lanes_load(weights + tap * block->weight_tap + v * LANE_COUNT);
            }
        }
        LANES_UNROLL
        for (int c = 0; c < (pixels - 1) * stride + kernel; c++, x += column_step) {
            if (checked && (uint64_t)(column + c) >= width) {
                continue;
            }
            LANES_UNROLL
            for (int v = 0; v < vectors; v++) {
                const lanes element = depthwise_load(x + v * LANE_COUNT, vectors, whole, some);
                LANES_UNROLL
                for (int p = 0; p < pixels; p++) {
                    const int tap = c - p * stride;
                    if (tap >= 0 && tap < kernel) {
                        sums[p * vectors + v] =
                            lanes_fma(element, w[tap * vectors + v], sums[p * vectors + v]);
                    }
                }
            }
        }
    }
}

/* All blocks of a line: block->blocks times the same number of pixels, side by side. */
INLINE void depthwise_line(const hd_cpu_convolution_block *block, const int pixels,
                           const int vectors, const int kernel, const int stride,
                           const bool checked)
{
    const float *input = block->input;
    int64_t column = block->column;
    for (int64_t i = 0; i < block->blocks; i++) {
        lanes sums[DEPTHWISE_PIXELS * 2];
        /* The rows that the next output row reads in addition come in while this one computes. */
        LANES_UNROLL
        for (int next = 0; next < stride; next++) {
            const float *row = input + (block->rows + next) * block->input_row;
            LANES_UNROLL
            for (int p = 0; p < pixels * stride; p++) {
                LANES_UNROLL
                for (int v = 0; v < vectors; v++) {
                    __builtin_prefetch(row + p * block->input_tap + v * LANE_COUNT);
                }
            }
        }
        depthwise(block, input, column, pixels, vectors, kernel, stride, checked, sums);
        finish_sums(block, i * pixels * block->output_pixel, sums, pixels, vectors);
        input += pixels * block->input_pixel;
        column += pixels * block->pixel_columns;
    }
}

/* One function a register block: the sizes become constants. */
#define PRODUCT(pixels)                                                                            \
    static __attribute__((noinline)) void product_##pixels##_1(                                    \
        const hd_cpu_convolution_block *block)                                                     \
    {                                                                                              \
        product(block, pixels, 1);                                                                 \
    }                                                                                              \
    static __attribute__((noinline)) void product_##pixels##_2(                                    \
        const hd_cpu_convolution_block *block)                                                     \
    {                                                                                              \
        product(block, pixels, 2);                                                                 \
    }
/* Depthwise lines for one kernel and stride: `inner` of whole blocks inside the input, and of any
 * number of pixels, checked. */
#define DEPTHWISE_LINE(pixels, vectors, kernel, stride)                                            \
    static __attribute__((noinline)) void depthwise_##pixels##_##vectors##_##kernel##_##stride(    \
        const hd_cpu_convolution_block *line)                                                      \
    {                                                                                              \
        depthwise_line(line, pixels, vectors, kernel, stride, true);                               \
    }
#define DEPTHWISE_INNER(vectors, kernel, stride)                                                   \
    static __attribute__((noinline)) void depthwise_inner_##vectors##_##kernel##_##stride(         \
        const hd_cpu_convolution_block *line)                                                      \
    {                                                                                              \
        depthwise_line(line, DEPTHWISE_PIXELS, vectors, kernel, stride, false);                    \
    }
#define DEPTHWISE_VECTOR(pixels, vectors)                                                          \
    DEPTHWISE_LINE(pixels, vectors, 3, 1)                                                          \
    DEPTHWISE_LINE(pixels, vectors, 3, 2)                                                          \
    DEPTHWISE_LINE(pixels, vectors, 5, 1)                                                          \
    DEPTHWISE_LINE(pixels, vectors, 5, 2)                                                          \
    DEPTHWISE_LINE(pixels, vectors, 7, 1)
#define DEPTHWISE_INNERS(vectors)                                                                  \
    DEPTHWISE_INNER(vectors, 3, 1)                                                                 \
    DEPTHWISE_INNER(vectors, 3, 2)                                                                 \
    DEPTHWISE_INNER(vectors, 5, 1)                                                                 \
    DEPTHWISE_INNER(vectors, 5, 2)                                                                 \
    DEPTHWISE_INNER(vectors, 7, 1)
#define DEPTHWISE(pixels)     DEPTHWISE_LINE(pixels, 1, 0, 1) DEPTHWISE_VECTOR(pixels, 1)
#define DEPTHWISE_TWO(pixels) DEPTHWISE_VECTOR(pixels, 2)
#define PRODUCT_ROW(pixels)   {product_##pixels##_1, product_##pixels##_2},
#define DEPTHWISE_ROW(pixels)                                                                      \
    {depthwise_##pixels##_1_0_1, depthwise_##pixels##_1_3_1, depthwise_##pixels##_1_3_2,           \
     depthwise_##pixels##_1_5_1, depthwise_##pixels##_1_5_2, depthwise_##pixels##_1_7_1},
#define DEPTHWISE_ROW_TWO(pixels)                                                                  \
    {NULL,                                                                                         \
     depthwise_##pixels##_2_3_1,                                                                   \
     depthwise_##pixels##_2_3_2,                                                                   \
     depthwise_##pixels##_2_5_1,                                                                   \
     depthwise_##pixels##_2_5_2,                                                                   \
     depthwise_##pixels##_2_7_1},
#define DEPTHWISE_INNER_ROW(vectors)                                                               \
    {NULL,                                                                                         \
     depthwise_inner_##vectors##_3_1,                                                              \
     depthwise_inner_##vectors##_3_2,                                                              \
     depthwise_inner_##vectors##_5_1,                                                              \
     depthwise_inner_##vectors##_5_2,                                                              \
     depthwise_inner_##vectors##_7_1},

PIXEL_LIST(PRODUCT)
DEPTHWISE_PIXEL_LIST(DEPTHWISE)
DEPTHWISE_INNERS(1)
#if DEPTHWISE_VECTORS > 1
DEPTHWISE_PIXEL_LIST(DEPTHWISE_TWO)
DEPTHWISE_INNERS(2)
#endif

static hd_cpu_convolution_run_block *const products[][2] = {PIXEL_LIST(PRODUCT_ROW)};
static hd_cpu_convolution_run_block *const depthwises[][6] = {DEPTHWISE_PIXEL_LIST(DEPTHWISE_ROW)};
#if DEPTHWISE_VECTORS > 1
static hd_cpu_convolution_run_block *const depthwises_two[][6] = {
    DEPTHWISE_PIXEL_LIST(DEPTHWISE_ROW_TWO)};
static hd_cpu_convolution_run_block *const depthwise_inners[][6] = {DEPTHWISE_INNER_ROW(1)
                                                                        DEPTHWISE_INNER_ROW(2)};
#else
static hd_cpu_convolution_run_block *const depthwise_inners[][6] = {DEPTHWISE_INNER_ROW(1)};
#endif

static void run_product(const hd_cpu_convolution_block *block)
{
    products[block->pixels - 1][block->columns > LANE_COUNT](block);
}

/* The specialized kernels' index by kernel width and stride; 0: none. */
static int depthwise_way(const hd_cpu_convolution_block *line)
{
    if (line->tap_columns != 1 || line->pixel_columns > 2) {
        return 0;
    }
    const int second = (int)line->pixel_columns - 1;
    return line->taps == 3                  ? 1 + second
           : line->taps == 5                ? 3 + second
           : line->taps == 7 && second == 0 ? 5
                                            : 0;
}

static void depthwise_vector(const hd_cpu_convolution_block *line, int way, int vectors)
{
    const bool inside = line->column >= 0 &&
                        line->column + (line->blocks * line->pixels - 1) * line->pixel_columns +
                                (line->taps - 1) * line->tap_columns <
                            line->width;
    if (inside && way != 0 && line->pixels == DEPTHWISE_PIXELS) {
        depthwise_inners[vectors - 1][way](line);
        return;
    }
#if DEPTHWISE_VECTORS > 1
    if (vectors == 2) {
        depthwises_two[line->pixels - 1][way](line);
        return;
    }
#endif
    depthwises[line->pixels - 1][way](line);
}

static void run_depthwise(const hd_cpu_convolution_block *line)
{
    const int way = depthwise_way(line);
    if (line->columns <= LANE_COUNT) {
        depthwise_vector(line, way, 1);
        return;
    }
    if (DEPTHWISE_VECTORS > 1 && way != 0 && line->columns == 2 * LANE_COUNT) {
        depthwise_vector(line, way, 2);
        return;
    }
    hd_cpu_convolution_block part = *line;
    part.columns = LANE_COUNT;
    depthwise_vector(&part, way, 1);
    part.columns = line->columns - LANE_COUNT;
    part.input += LANE_COUNT;
    part.weights += LANE_COUNT;
    part.output += LANE_COUNT;
    part.bias = part.bias == NULL ? NULL : part.bias + LANE_COUNT;
    part.residual = part.residual == NULL ? NULL : part.residual + LANE_COUNT;
    depthwise_vector(&part, way, 1);
}

#include "hal/cpu/ops/convolution_planes_template.h"
#include "hal/cpu/ops/convolution_winograd_template.h"

/* A block of a transpose with fewer rows or columns than a vector has lanes. */
static void transpose_some(const float *input, int64_t input_stride, int64_t rows, int64_t columns,
                           float *output, int64_t output_stride)
{
    float from[LANE_COUNT * LANE_COUNT] = {0}, to[LANE_COUNT * LANE_COUNT];
    for (int64_t row = 0; row < rows; row++) {
        lanes_store(from + row * LANE_COUNT,
                    lanes_load_part(input + row * input_stride, lanes_first(columns)));
    }
    lanes_transpose(from, LANE_COUNT, to, LANE_COUNT, false);
    for (int64_t column = 0; column < columns; column++) {
        lanes_store_part(output + column * output_stride, lanes_first(rows),
                         lanes_load(to + column * LANE_COUNT));
    }
}

/* Columns outside, so that only as many lines of the output are being filled as a vector has lanes. */
static void transpose(const float *input, int64_t input_stride, int64_t rows, int64_t columns,
                      float *output, int64_t output_stride, bool streams)
{
    const int64_t whole_rows = rows - rows % LANE_COUNT;
    for (int64_t column = 0; column < columns; column += LANE_COUNT) {
        const int64_t some = columns - column < LANE_COUNT ? columns - column : LANE_COUNT;
        float *to = output + column * output_stride;
        if (some < LANE_COUNT) {
            for (int64_t row = 0; row < rows; row += LANE_COUNT) {
                transpose_some(input + row * input_stride + column, input_stride,
                               rows - row < LANE_COUNT ? rows - row : LANE_COUNT, some, to + row,
                               output_stride);
            }
            break;
        }
        for (int64_t row = 0; row < whole_rows; row += LANE_COUNT) {
            const float *from = input + row * input_stride + column;
            if (streams) {
                lanes_transpose(from, input_stride, to + row, output_stride, true);
            } else {
                lanes_transpose(from, input_stride, to + row, output_stride, false);
            }
        }
        if (whole_rows < rows) {
            transpose_some(input + whole_rows * input_stride + column, input_stride,
                           rows - whole_rows, LANE_COUNT, to + whole_rows, output_stride);
        }
    }
}

const hd_cpu_convolution_kernels KERNELS = {
    .lanes = LANE_COUNT,
    .pixels = PIXELS,
    .depthwise_pixels = DEPTHWISE_PIXELS,
    .product = run_product,
    .depthwise = run_depthwise,
    .plane_outputs = PLANE_OUTPUTS,
    .planes = run_planes,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .transpose = transpose,
};
