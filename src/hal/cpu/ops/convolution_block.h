/* Convolution block: the innermost kernels of convolutions over channels-last tensors: some output
 * pixels of one row times one panel of output channels, kept in registers over all taps.
 *
 * BITS: an output element is the sum over (kernel row, kernel column, channel), ascending, of fused
 * multiply-adds that start from zero (the baseline, without FMA, rounds product and sum), then + bias,
 * + residual, activation, whatever the number of pixels and vectors in the block.
 *
 * Thread-safety: immutable tables; a block belongs to its caller. */
#ifndef HD_HAL_CPU_OPS_CONVOLUTION_BLOCK_H
#define HD_HAL_CPU_OPS_CONVOLUTION_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "operation/fused.h"

/* Products of a run between two looks at its end and at what is to be prefetched. */
#define HD_CONVOLUTION_STEPS 4

/* Floats of the sums of a block. */
#define HD_CONVOLUTION_PARTIAL 1024

/* Strides count floats. Taps of a row that lie side by side in memory are one run; so a run is the
 * channels of one tap, or of all taps of a kernel row. */
typedef struct hd_cpu_convolution_block {
    const float *input;    /* first run of the first pixel */
    const float *weights;  /* the panel, at the first run */
    const float *bias;     /* of the panel's first channel, or NULL */
    const float *residual; /* laid out as the output, or NULL */
    float *output;         /* first pixel, the panel's first channel */
    int64_t rows;          /* kernel rows that lie in the input */
    int64_t taps;          /* runs a row */
    int64_t run;           /* products a run; depthwise: 1 */
    int64_t input_row;
    int64_t input_tap;
    int64_t input_pixel;
    int64_t weight_row;
    int64_t weight_tap;
    int64_t output_pixel;
    /* weights that are read next, for the second-level cache: every HD_CONVOLUTION_STEPS
     * products fetch so many lines of 16 floats */
    const float *prefetch;
    int64_t prefetch_lines;
    /* A product in pieces: NULL, or room for HD_CONVOLUTION_PARTIAL floats, at a cache line, by which its sums go from
     * one piece to the next: the first does not go on from there, the last ends. */
    float *partial;
    bool goes_on;
    bool ends;
    int64_t pixels;  /* at most hd_cpu_convolution_kernels.pixels */
    int64_t columns; /* output channels of the panel that exist */
    /* Depthwise: input and output point to the first of `blocks` blocks side by side, as if the taps
     * outside the input were there too; these say which are. */
    int64_t blocks;
    int64_t column;      /* the input column of the first tap */
    int64_t width;       /* columns of the input */
    int64_t tap_columns; /* columns from one tap to the next, and from one pixel to the next */
    int64_t pixel_columns;
    hd_activation activation; /* one that hd_cpu_convolution_activates, or none */
    bool clips;               /* the activation is no more than a clip to [low, high] */
    float low;
    float high;
    /* the output goes past the caches: it is larger than they are, every vector of it exists and
     * is aligned; then hd_cpu_convolution_fence before others read it */
    bool streams;
} hd_cpu_convolution_block;

typedef void hd_cpu_convolution_run_block(const hd_cpu_convolution_block *block);

/* The other way around, for few output channels, of which a vector would hold more: lanes are pixels of a
 * plane a channel, side by side, and the elements of a weight go to all of them. */
typedef struct hd_cpu_convolution_planes {
    /* plane of the first channel: what the first tap of the first pixel reads */
    const float *input;
    const float *weights; /* the panel, from the first output channel on */
    const float *bias;    /* of that channel, or NULL */
    float *output;        /* plane of that channel: the first pixel */
    int64_t rows;         /* kernel rows, columns and channels */
    int64_t taps;
    int64_t channels;
    int64_t input_plane;
    int64_t input_row;
    int64_t input_tap;
    int64_t weight_step;
    int64_t output_plane;
    int64_t outputs; /* at most plane_outputs */
    bool wide;       /* 4 vectors of pixels, for at most half as many outputs, else 2 */
} hd_cpu_convolution_planes;

/* Winograd: the last step of some 2x2 tiles of output, side by side. */
typedef struct hd_cpu_convolution_winograd {
    const float *products; /* [16][tiles][panel], of the first tile */
    int64_t step;          /* floats from one of the 16 to the next */
    int64_t rows;          /* output rows that exist: 1 or 2 */
    int64_t output_row;
    /* residual, output: the first pixel; pixels: of a row, at most as many as a product's; what
     * is not about the output does not count */
    hd_cpu_convolution_block block;
} hd_cpu_convolution_winograd;

/* The kernels of one instruction set. */
typedef struct hd_cpu_convolution_kernels {
    /* floats of a vector; a panel holds 2·lanes columns, the last may hold lanes */
    int64_t lanes;
    int64_t pixels;           /* most pixels of a product's block */
    int64_t depthwise_pixels; /* most pixels of a depthwise block */
    hd_cpu_convolution_run_block
        *product; /* columns ≤ 2·lanes; weights: [rows][taps][run][panel] */
    /* columns ≤ 2·lanes; weights: [rows][taps], by the strides */
    hd_cpu_convolution_run_block *depthwise;
    int64_t plane_outputs; /* most output channels of a block of planes */
    void (*planes)(
        const hd_cpu_convolution_planes *block); /* adds the bias, but does not activate */
    /* The 16 transformed elements of a tile for each channel: element i of channel c goes to
     * to[i*step + c], for c < channels rounded up to whole vectors. pixels: the 4x4 inputs, row by row. */
    void (*winograd_input)(const float *const *pixels, int64_t channels, float *to, int64_t step);
    void (*winograd_output)(const hd_cpu_convolution_winograd *tiles);
    /* output[c][x] = input[x][c] for 0 ≤ c < columns, 0 ≤ x < rows; streams: past the caches, all
     * addresses of vectors aligned */
    void (*transpose)(const float *input, int64_t input_stride, int64_t rows, int64_t columns,
                      float *output, int64_t output_stride, bool streams);
} hd_cpu_convolution_kernels;

extern const hd_cpu_convolution_kernels hd_cpu_convolution_kernels_baseline;
#if defined(__x86_64__)
extern const hd_cpu_convolution_kernels hd_cpu_convolution_kernels_avx2;
extern const hd_cpu_convolution_kernels hd_cpu_convolution_kernels_avx512;
#endif

/* Makes streamed outputs visible to other threads as plain stores are. */
static inline void hd_cpu_convolution_fence(void)
{
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

/* Those of this process. */
const hd_cpu_convolution_kernels *hd_cpu_convolution_kernels_get(void);

/* The block kernels apply these activations themselves; others follow in a pass over the block. */
static inline bool hd_cpu_convolution_activates(hd_activation_kind kind)
{
    return kind == HD_ACTIVATION_NONE || kind == HD_ACTIVATION_RELU || kind == HD_ACTIVATION_CLIP ||
           kind == HD_ACTIVATION_LEAKY_RELU || kind == HD_ACTIVATION_HARD_SIGMOID ||
           kind == HD_ACTIVATION_HARD_SWISH;
}

#endif
