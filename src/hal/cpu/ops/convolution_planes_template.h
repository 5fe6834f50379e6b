/* Convolution planes, the template: included once by convolution_block_template.h for each instruction set.
 * Needs PLANE_OUTPUTS (output channels of a register block of 2 vectors) and PLANE_LIST(X), X(outputs)
 * for 1 to PLANE_OUTPUTS, PLANE_LIST_WIDE(X) for 1 to PLANE_OUTPUTS / 2, of 4 vectors. */

/* One block: some output channels times `vectors` vectors of pixels, kept in registers over all taps. */
INLINE void planes(const hd_cpu_convolution_planes *block, const int outputs, const int vectors)
{
    lanes sums[PLANE_OUTPUTS * 2];
    LANES_UNROLL
    for (int i = 0; i < outputs * vectors; i++) {
        sums[i] = lanes_set(0.0F);
    }
    const int64_t plane = block->input_plane, step = block->weight_step;
    const float *w = block->weights;
    for (int64_t row = 0; row < block->rows; row++) {
        for (int64_t tap = 0; tap < block->taps; tap++) {
            const float *x = block->input + row * block->input_row + tap * block->input_tap;
            for (int64_t k = 0; k < block->channels; k++, x += plane, w += step) {
                lanes pixels[4];
                LANES_UNROLL
                for (int v = 0; v < vectors; v++) {
                    pixels[v] = lanes_load(x + v * LANE_COUNT);
                    /* Planes lie in as many pages: no processor fetches them by itself. */
                    __builtin_prefetch(x + 8 * plane + v * LANE_COUNT);
                }
                LANES_UNROLL
                for (int m = 0; m < outputs; m++) {
                    const lanes weight = lanes_set(w[m]);
                    LANES_UNROLL
                    for (int v = 0; v < vectors; v++) {
                        sums[m * vectors + v] = lanes_fma(pixels[v], weight, sums[m * vectors + v]);
                    }
                }
            }
        }
    }
    LANES_UNROLL
    for (int m = 0; m < outputs; m++) {
        const lanes bias = lanes_set(block->bias == NULL ? -0.0F : block->bias[m]);
        LANES_UNROLL
        for (int v = 0; v < vectors; v++) {
            lanes_store(block->output + m * block->output_plane + v * LANE_COUNT,
                        sums[m * vectors + v] + bias);
        }
    }
}

#define PLANES(outputs)                                                                            \
    static __attribute__((noinline)) void planes_##outputs(const hd_cpu_convolution_planes *block) \
    {                                                                                              \
        planes(block, outputs, 2);                                                                 \
    }
#define PLANES_WIDE(outputs)                                                                       \
    static __attribute__((noinline)) void planes_wide_##outputs(                                   \
        const hd_cpu_convolution_planes *block)                                                    \
    {                                                                                              \
        planes(block, outputs, 4);                                                                 \
    }
#define PLANES_ENTRY(outputs)      planes_##outputs,
#define PLANES_WIDE_ENTRY(outputs) planes_wide_##outputs,

PLANE_LIST(PLANES)
PLANE_LIST_WIDE(PLANES_WIDE)

static void run_planes(const hd_cpu_convolution_planes *block)
{
    static void (*const narrow[])(const hd_cpu_convolution_planes *) = {PLANE_LIST(PLANES_ENTRY)};
    static void (*const wide[])(const hd_cpu_convolution_planes *) = {
        PLANE_LIST_WIDE(PLANES_WIDE_ENTRY)};
    (block->wide ? wide : narrow)[block->outputs - 1](block);
}
