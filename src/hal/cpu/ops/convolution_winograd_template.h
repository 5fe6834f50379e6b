/* Winograd, the template: included once by convolution_block_template.h for each instruction set. The two
 * transforms of F(2x2, 3x3), Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015:
 * additions and subtractions in one order, so every instruction set gives the same bits. */

/* Four elements, `step` apart, to as many. */
INLINE void winograd_four(const vector *a, vector *to, const int step)
{
    to[0] = vector_subtract(a[0], a[2 * step]);
    to[step] = vector_add(a[step], a[2 * step]);
    to[2 * step] = vector_subtract(a[2 * step], a[step]);
    to[3 * step] = vector_subtract(a[step], a[3 * step]);
}

INLINE void winograd_input_vector(const float *const *pixels, int64_t c, int64_t some, float *to,
                                  int64_t step)
{
    vector x[16], half[16];
    UNROLL
    for (int i = 0; i < 16; i++) {
        x[i] = some >= LANES ? vector_load(pixels[i] + c) : vector_load_some(pixels[i] + c, some);
    }
    UNROLL
    for (int column = 0; column < 4; column++) {
        winograd_four(x + column, half + column, 4);
    }
    UNROLL
    for (int row = 0; row < 4; row++) {
        winograd_four(half + 4 * row, x + 4 * row, 1);
    }
    UNROLL
    for (int i = 0; i < 16; i++) {
        vector_store(to + i * step + c, x[i]);
    }
}

static void winograd_input(const float *const *pixels, int64_t channels, float *to, int64_t step)
{
    int64_t c = 0;
    for (; c + LANES <= channels; c += LANES) {
        winograd_input_vector(pixels, c, LANES, to, step);
    }
    if (c < channels) {
        winograd_input_vector(pixels, c, channels - c, to, step);
    }
}

/* The sums of both rows of the tiles go through memory that stays in the first-level cache, then as those
 * of a product's pixels. */
INLINE void winograd_sums(const hd_cpu_convolution_winograd *tiles, const int vectors)
{
    float sums[2][MOST_SUMS * LANES] __attribute__((aligned(64)));
    const int64_t panel = vectors * LANES, pixels = tiles->block.pixels;
    for (int64_t pixel = 0; pixel < pixels; pixel += 2) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            const float *from = tiles->products + pixel / 2 * panel + v * LANES;
            vector m[16], rows[2][4];
            UNROLL
            for (int i = 0; i < 16; i++) {
                m[i] = vector_load(from + i * tiles->step);
            }
            UNROLL
            for (int i = 0; i < 4; i++) {
                rows[0][i] = vector_add(vector_add(m[i], m[4 + i]), m[8 + i]);
                rows[1][i] = vector_subtract(vector_subtract(m[4 + i], m[8 + i]), m[12 + i]);
            }
            UNROLL
            for (int row = 0; row < 2; row++) {
                const vector *r = rows[row];
                float *to = sums[row] + pixel * panel + v * LANES;
                vector_store(to, vector_add(vector_add(r[0], r[1]), r[2]));
                vector_store(to + panel, vector_subtract(vector_subtract(r[1], r[2]), r[3]));
            }
        }
    }
    for (int64_t row = 0; row < tiles->rows; row++) {
        finish(&tiles->block, row * tiles->output_row, sums[row], vectors);
    }
}

static void winograd_output(const hd_cpu_convolution_winograd *tiles)
{
    if (tiles->block.columns > LANES) {
        winograd_sums(tiles, 2);
    } else {
        winograd_sums(tiles, 1);
    }
}
