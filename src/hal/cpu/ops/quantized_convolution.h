/* Quantized convolution: what its files share. Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_QUANTIZED_CONVOLUTION_H
#define HD_HAL_CPU_OPS_QUANTIZED_CONVOLUTION_H

#include "hal/cpu/ops/quantized_product.h"

/* Where the kernel reads rows from lines of the image: a tile is some lines of outputs, each cut into pieces, by some
 * panels. */
typedef struct hd_cpu_quantized_lines {
    hd_cpu_integer_pack_row *pack; /* of what is copied */
    int64_t size;                  /* bytes of an element that is copied: 1 or 2 */
    bool is_direct;  /* the lines are the image's own; else copies with zero points at their ends */
    int64_t outputs; /* of a line */
    int64_t width, pieces; /* outputs of a piece, which is a product's rows; pieces of a line */
    int64_t lines, blocks; /* of a tile; tiles that a plane has */
    int64_t
        planes; /* of outputs; where is_direct all pixels are one line of one plane, if the stride is 1 */
    int64_t pitch;          /* elements of a copied line */
    int64_t height;         /* copied lines of a plane */
    const int32_t *offsets; /* of each quad from the first input of an output */
    int8_t *ones; /* a panel of one column, 1 at each term, for sums of rows; NULL: never of use */
    int32_t *ones_order;
} hd_cpu_quantized_lines;

/* A row of the product has an output position's inputs, (kernel position, channel) ascending, each line of the kernel filled up
 * to whole quads; and the zero point beyond the image. */
typedef struct hd_cpu_quantized_convolution {
    hd_cpu_quantized_product product;
    hd_convolution sizes; /* three spatial dimensions; leading ones of size 1 are added */
    int64_t plane, pixels, taps;
    int64_t channels; /* of a group */
    int64_t row_blocks, panels, panel_groups;
    size_t
        gathered; /* where in the scratch rows lie before they are packed; behind them, as lines of positions */
    size_t right, output;
    hd_cpu_quantized_lines lines;
} hd_cpu_quantized_convolution;

/* Inputs of a line of the kernel. */
static inline int64_t hd_cpu_quantized_run(const hd_cpu_quantized_convolution *q)
{
    return q->channels * q->sizes.kernel[HD_CONVOLUTION_MAX_SPATIAL - 1];
}

static inline hd_cpu_integer_steps
hd_cpu_quantized_weight_steps(const hd_cpu_quantized_convolution *q)
{
    return hd_cpu_integer_steps_of_image(q->channels,
                                         q->sizes.kernel[HD_CONVOLUTION_MAX_SPATIAL - 1], q->taps);
}

/* The zero point of the image, as a byte. */
static inline uint8_t hd_cpu_quantized_image_zero(const hd_cpu_quantized_convolution *q,
                                                  void *const *buffers)
{
    const hd_cpu_quantized_factor *zero = &q->product.a_zero;
    return zero->buffer < 0 ? 0 : *(const uint8_t *)buffers[zero->buffer];
}

/* Packs the tile's rows from an image whose channels lie last. image: the group's first channel; the scratch has the
 * zero points. */
void hd_cpu_quantized_gather_last(const hd_cpu_quantized_convolution *q, void *const *buffers,
                                  const uint8_t *image, int64_t first, int64_t rows,
                                  hd_cpu_quantized_scratch *scratch);

/* A tile of lines. */
typedef struct hd_cpu_quantized_lines_tile {
    int64_t plane;     /* batch and group */
    int64_t output[3]; /* its first, as (z, y, x) */
    int64_t rows;      /* outputs of each line */
    int64_t count;     /* lines */
    int64_t panel_group;
} hd_cpu_quantized_lines_tile;

/* Chooses pieces and lines of a tile; false where its copies would be too long. */
bool hd_cpu_quantized_lines_cut(hd_cpu_quantized_convolution *q, bool is_direct);
/* Bytes of a tile's copies, and how many tiles there are but for groups of panels. */
int64_t hd_cpu_quantized_lines_bytes(const hd_cpu_quantized_convolution *q);
int64_t hd_cpu_quantized_lines_tiles(const hd_cpu_quantized_convolution *q);
hd_cpu_quantized_lines_tile hd_cpu_quantized_lines_tile_of(const hd_cpu_quantized_convolution *q,
                                                           int64_t tile);
/* Copies all lines that a tile needs. image: the group's first channel; zero: as packed. */
void hd_cpu_quantized_lines_copy(const hd_cpu_quantized_convolution *q, const uint8_t *image,
                                 int32_t zero, const int64_t output[3], void *to);

/* Outputs that lie side by side, from number `first` of a plane on, and the rows that they are computed from. */
typedef struct hd_cpu_quantized_stretch {
    int64_t first, rows;
    hd_cpu_integer_left left;
} hd_cpu_quantized_stretch;

/* Computes some outputs of plane `plane` (batch and group) with the panels of one group of them. The scratch has the sums and zero
 * points of their rows, in the same order. */
void hd_cpu_quantized_run_panels(const hd_cpu_quantized_convolution *q, void *const *buffers,
                                 int64_t plane, int64_t panel_group,
                                 const hd_cpu_quantized_stretch *stretches, int64_t count,
                                 hd_cpu_quantized_scratch *scratch);

/* A convolution of packed weights and channels that lie last, by lines: false where those would be too long, and nothing is
 * done; then *out_status is not set. */
bool hd_cpu_quantized_finish_lines(hd_cpu_compilation *compilation, hd_cpu_quantized_convolution *q,
                                   hd_status *out_status);

/* A QLinearConv of one input and output channel a group, of channels that lie last, by lines; else as above. */
bool hd_cpu_quantized_finish_depthwise(hd_cpu_compilation *compilation,
                                       hd_cpu_quantized_convolution *q, hd_status *out_status);

#endif
