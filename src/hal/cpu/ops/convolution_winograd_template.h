/* Winograd, the template: included once by convolution_block_template.h for each instruction set. The two
 * transforms of F(2x2, 3x3), Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015:
 * additions and subtractions in one order, so every instruction set gives the same bits. */

/* Four elements, `step` apart, to as many. */
INLINE void winograd_four(const lanes *a, lanes *to, const int step)
{
    to[0] = a[0] - a[2 * step];
    to[step] = a[step] + a[2 * step];
    to[2 * step] = a[2 * step] - a[step];
    to[3 * step] = a[step] - a[3 * step];
}

INLINE void winograd_input_vector(const float *const *pixels, int64_t c, int64_t some, float *to,
                                  int64_t step)
{
    lanes x[16], half[16];
    LANES_UNROLL
    for (int i = 0; i < 16; i++) {
        x[i] = some >= LANE_COUNT ? lanes_load(pixels[i] + c)
                                  : lanes_load_part(pixels[i] + c, lanes_first(some));
    }
    LANES_UNROLL
    for (int column = 0; column < 4; column++) {
        winograd_four(x + column, half + column, 4);
    }
    LANES_UNROLL
    for (int row = 0; row < 4; row++) {
        winograd_four(half + 4 * row, x + 4 * row, 1);
    }
    LANES_UNROLL
    for (int i = 0; i < 16; i++) {
        lanes_store(to + i * step + c, x[i]);
    }
}

static void winograd_input(const float *const *pixels, int64_t channels, float *to, int64_t step)
{
    int64_t c = 0;
    for (; c + LANE_COUNT <= channels; c += LANE_COUNT) {
        winograd_input_vector(pixels, c, LANE_COUNT, to, step);
    }
    if (c < channels) {
        winograd_input_vector(pixels, c, channels - c, to, step);
    }
}

/* The sums of both rows of the tiles go through memory that stays in the first-level cache, then as those
 * of a product's pixels. */
INLINE void winograd_sums(const hd_cpu_convolution_winograd *tiles, const int vectors)
{
    float sums[2][MOST_SUMS * LANE_COUNT] __attribute__((aligned(64)));
    const int64_t panel = vectors * LANE_COUNT, pixels = tiles->block.pixels;
    for (int64_t pixel = 0; pixel < pixels; pixel += 2) {
        LANES_UNROLL
        for (int v = 0; v < vectors; v++) {
            const float *from = tiles->products + pixel / 2 * panel + v * LANE_COUNT;
            lanes m[16], rows[2][4];
            LANES_UNROLL
            for (int i = 0; i < 16; i++) {
                m[i] = lanes_load(from + i * tiles->step);
            }
            LANES_UNROLL
            for (int i = 0; i < 4; i++) {
                rows[0][i] = m[i] + m[4 + i] + m[8 + i];
                rows[1][i] = m[4 + i] - m[8 + i] - m[12 + i];
            }
            LANES_UNROLL
            for (int row = 0; row < 2; row++) {
                const lanes *r = rows[row];
                float *to = sums[row] + pixel * panel + v * LANE_COUNT;
                lanes_store(to, r[0] + r[1] + r[2]);
                lanes_store(to + panel, r[1] - r[2] - r[3]);
            }
        }
    }
    for (int64_t row = 0; row < tiles->rows; row++) {
        finish(&tiles->block, row * tiles->output_row, sums[row], vectors);
    }
}

static void winograd_output(const hd_cpu_convolution_winograd *tiles)
{
    if (tiles->block.columns > LANE_COUNT) {
        winograd_sums(tiles, 2);
    } else {
        winograd_sums(tiles, 1);
    }
}
