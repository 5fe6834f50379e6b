/* Convolution block, the template: included once by the file of each instruction set, which defines
 *   vector, LANES, PIXELS and DEPTHWISE_PIXELS (sizes of the register blocks), KERNELS (the table's name),
 *   vector_set, vector_load, vector_store, vector_load_some, vector_store_some (first n lanes; n may be
 *   LANES), vector_fma, vector_add, vector_multiply, vector_max, vector_min (of two equal or of a NaN:
 *   the second operand, as on x86), vector_select_negative (x < 0 ? a : b), transpose_block. */

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 32")

INLINE vector activate(hd_activation_kind kind, vector alpha, vector beta, vector x)
{
    const vector zero = vector_set(0.0F);
    switch (kind) {
    case HD_ACTIVATION_RELU:
        return vector_max(zero, x);
    case HD_ACTIVATION_CLIP:
        return vector_min(beta, vector_max(alpha, x));
    case HD_ACTIVATION_LEAKY_RELU:
        return vector_select_negative(x, vector_multiply(alpha, x), x);
    case HD_ACTIVATION_HARD_SIGMOID:
    case HD_ACTIVATION_HARD_SWISH: {
        vector gate = vector_add(vector_multiply(alpha, x), beta);
        gate = vector_min(vector_set(1.0F), vector_max(zero, gate));
        return kind == HD_ACTIVATION_HARD_SWISH ? vector_multiply(x, gate) : gate;
    }
    default:
        return x;
    }
}

/* Bias, residual, activation and the store of `vectors` vectors a pixel. */
INLINE void finish_kind(const hd_convolution_block *block, const float *sums, int64_t vectors,
                        hd_activation_kind kind)
{
    const vector alpha = vector_set(block->activation.alpha), beta = vector_set(block->activation.beta);
    const int64_t pixels = block->pixels;
    for (int64_t v = 0; v < vectors; v++) {
        const int64_t column = v * LANES, some = block->columns - column;
        if (some <= 0) {
            return;
        }
        const float *sum = sums + column, *residual = block->residual;
        float *output = block->output + column;
        /* Adding a bias of -0 changes no value. */
        const vector bias = block->bias == NULL ? vector_set(-0.0F)
                            : some >= LANES     ? vector_load(block->bias + column)
                                                : vector_load_some(block->bias + column, some);
        if (some >= LANES && residual == NULL) {
            for (int64_t p = 0; p < pixels; p++) {
                vector_store(output + p * block->output_pixel,
                             activate(kind, alpha, beta,
                                      vector_add(vector_load(sum + p * vectors * LANES), bias)));
            }
            continue;
        }
        for (int64_t p = 0; p < pixels; p++) {
            vector x = vector_add(vector_load(sum + p * vectors * LANES), bias);
            if (residual != NULL) {
                const float *from = residual + column + p * block->output_pixel;
                x = vector_add(x, some >= LANES ? vector_load(from) : vector_load_some(from, some));
            }
            x = activate(kind, alpha, beta, x);
            if (some >= LANES) {
                vector_store(output + p * block->output_pixel, x);
            } else {
                vector_store_some(output + p * block->output_pixel, x, some);
            }
        }
    }
}

static __attribute__((noinline)) void finish(const hd_convolution_block *block, const float *sums,
                                             int64_t vectors)
{
    switch (block->activation.kind) {
    case HD_ACTIVATION_RELU:
        finish_kind(block, sums, vectors, HD_ACTIVATION_RELU);
        break;
    case HD_ACTIVATION_CLIP:
        finish_kind(block, sums, vectors, HD_ACTIVATION_CLIP);
        break;
    case HD_ACTIVATION_LEAKY_RELU:
        finish_kind(block, sums, vectors, HD_ACTIVATION_LEAKY_RELU);
        break;
    case HD_ACTIVATION_HARD_SIGMOID:
        finish_kind(block, sums, vectors, HD_ACTIVATION_HARD_SIGMOID);
        break;
    case HD_ACTIVATION_HARD_SWISH:
        finish_kind(block, sums, vectors, HD_ACTIVATION_HARD_SWISH);
        break;
    default:
        finish_kind(block, sums, vectors, HD_ACTIVATION_NONE);
        break;
    }
}

/* Registers to memory, from where finish reads them: still in the first-level cache. */
INLINE void finish_sums(const hd_convolution_block *block, const vector *sums, const int pixels,
                        const int vectors)
{
    float memory[PIXELS * 2 * LANES] __attribute__((aligned(64)));
    UNROLL
    for (int i = 0; i < pixels * vectors; i++) {
        vector_store(memory + i * LANES, sums[i]);
    }
    finish(block, memory, vectors);
}

/* One step of a product: one weight row of the panel times one input element a pixel. x[i] points to
 * pixel 3·i, so that `stride` and its double reach the two pixels after it in an address. */
INLINE void product_step(vector *sums, const float *const *x, int64_t stride, int64_t k,
                         const float *weights, const int pixels, const int vectors)
{
    vector w[2];
    UNROLL
    for (int v = 0; v < vectors; v++) {
        w[v] = vector_load(weights + v * LANES);
    }
    UNROLL
    for (int p = 0; p < pixels; p++) {
        vector element = vector_set(x[p / 3][(p % 3) * stride + k]);
        UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[p * vectors + v] = vector_fma(element, w[v], sums[p * vectors + v]);
        }
    }
}

INLINE void product(const hd_convolution_block *block, const int pixels, const int vectors)
{
    vector sums[PIXELS * 2];
    UNROLL
    for (int i = 0; i < pixels * vectors; i++) {
        sums[i] = vector_set(0.0F);
    }
    const int64_t stride = block->input_pixel, run = block->run;
    const int64_t panel = vectors * LANES;
    for (int64_t row = 0; row < block->rows; row++) {
        for (int64_t tap = 0; tap < block->taps; tap++) {
            const float *first = block->input + row * block->input_row + tap * block->input_tap;
            const float *weights = block->weights + row * block->weight_row + tap * block->weight_tap;
            const float *x[(PIXELS + 2) / 3];
            UNROLL
            for (int i = 0; i < (pixels + 2) / 3; i++) {
                x[i] = first + 3 * i * stride;
            }
            int64_t k = 0;
            for (; k + 4 <= run; k += 4) {
                UNROLL
                for (int i = 0; i < 4; i++) {
                    product_step(sums, x, stride, i, weights + i * panel, pixels, vectors);
                }
                weights += 4 * panel;
                UNROLL
                for (int i = 0; i < (pixels + 2) / 3; i++) {
                    x[i] += 4;
                    HIDE(x[i]);
                }
            }
            for (; k < run; k++) {
                product_step(sums, x, stride, 0, weights, pixels, vectors);
                weights += panel;
                UNROLL
                for (int i = 0; i < (pixels + 2) / 3; i++) {
                    x[i] += 1;
                    HIDE(x[i]);
                }
            }
        }
    }
    finish_sums(block, sums, pixels, vectors);
}

INLINE void depthwise(const hd_convolution_block *block, const int pixels, const int vectors)
{
    vector sums[DEPTHWISE_PIXELS * 2 < 4 ? 4 : DEPTHWISE_PIXELS * 2];
    UNROLL
    for (int i = 0; i < pixels * vectors; i++) {
        sums[i] = vector_set(0.0F);
    }
    const bool whole = block->columns >= vectors * LANES;
    for (int64_t row = 0; row < block->rows; row++) {
        const float *x = block->input + row * block->input_row;
        const float *w = block->weights + row * block->weight_row;
        for (int64_t tap = 0; tap < block->taps; tap++) {
            vector weights[4];
            UNROLL
            for (int v = 0; v < vectors; v++) {
                weights[v] = vector_load(w + v * LANES);
            }
            if (whole) {
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    UNROLL
                    for (int v = 0; v < vectors; v++) {
                        sums[p * vectors + v] =
                            vector_fma(vector_load(x + p * block->input_pixel + v * LANES), weights[v],
                                       sums[p * vectors + v]);
                    }
                }
            } else {
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    UNROLL
                    for (int v = 0; v < vectors; v++) {
                        int64_t some = block->columns - v * LANES;
                        if (some > 0) {
                            sums[p * vectors + v] = vector_fma(
                                vector_load_some(x + p * block->input_pixel + v * LANES, some),
                                weights[v], sums[p * vectors + v]);
                        }
                    }
                }
            }
            x += block->input_tap;
            w += block->weight_tap;
        }
    }
    finish_sums(block, sums, pixels, vectors);
}

/* One function a register block: the sizes become constants. */
#define PRODUCT(pixels)                                                                            \
    static __attribute__((noinline)) void product_##pixels##_1(const hd_convolution_block *block)  \
    {                                                                                              \
        product(block, pixels, 1);                                                                 \
    }                                                                                              \
    static __attribute__((noinline)) void product_##pixels##_2(const hd_convolution_block *block)  \
    {                                                                                              \
        product(block, pixels, 2);                                                                 \
    }
#define DEPTHWISE(pixels)                                                                          \
    static __attribute__((noinline)) void depthwise_##pixels##_1(const hd_convolution_block *block) \
    {                                                                                              \
        depthwise(block, pixels, 1);                                                               \
    }                                                                                              \
    static __attribute__((noinline)) void depthwise_##pixels##_2(const hd_convolution_block *block) \
    {                                                                                              \
        depthwise(block, pixels, 2);                                                               \
    }
#define PRODUCT_ROW(pixels) {product_##pixels##_1, product_##pixels##_2},
#define DEPTHWISE_ROW(pixels) {depthwise_##pixels##_1, depthwise_##pixels##_2},

PIXEL_LIST(PRODUCT)
DEPTHWISE_PIXEL_LIST(DEPTHWISE)

static __attribute__((noinline)) void depthwise_1_4(const hd_convolution_block *block)
{
    depthwise(block, 1, 4);
}

static hd_convolution_run_block *const products[][2] = {PIXEL_LIST(PRODUCT_ROW)};
static hd_convolution_run_block *const depthwises[][2] = {DEPTHWISE_PIXEL_LIST(DEPTHWISE_ROW)};

static void run_product(const hd_convolution_block *block)
{
    products[block->pixels - 1][block->columns > LANES](block);
}

static void run_depthwise(const hd_convolution_block *block)
{
    if (block->pixels == 1 && block->columns > 2 * LANES) {
        depthwise_1_4(block);
    } else {
        depthwises[block->pixels - 1][block->columns > LANES](block);
    }
}

static void transpose(const float *input, int64_t input_stride, int64_t rows, int64_t columns,
                      float *output, int64_t output_stride)
{
    int64_t row = 0;
    for (; row + LANES <= rows; row += LANES) {
        int64_t column = 0;
        for (; column + LANES <= columns; column += LANES) {
            transpose_block(input + row * input_stride + column, input_stride,
                            output + column * output_stride + row, output_stride);
        }
        for (; column < columns; column++) {
            for (int64_t i = row; i < row + LANES; i++) {
                output[column * output_stride + i] = input[i * input_stride + column];
            }
        }
    }
    for (; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            output[column * output_stride + row] = input[row * input_stride + column];
        }
    }
}

const hd_convolution_kernels KERNELS = {
    .lanes = LANES,
    .pixels = PIXELS,
    .depthwise_pixels = DEPTHWISE_PIXELS,
    .product = run_product,
    .depthwise = run_depthwise,
    .transpose = transpose,
};
