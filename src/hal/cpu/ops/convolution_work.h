/* Convolution work: what the kernels of one float32 convolution know, and the ways that compute it.
 *
 * Thread-safety: immutable once made. */
#ifndef HD_HAL_CPU_OPS_CONVOLUTION_WORK_H
#define HD_HAL_CPU_OPS_CONVOLUTION_WORK_H

#include "base/memory.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/convolution_block.h"
#include "hal/cpu/packing.h"
#include "operation/convolution.h"

typedef struct hd_cpu_convolution_image hd_cpu_convolution_image;
struct hd_cpu_convolution_work;

/* Computes output rows [begin, end) of an image, of all channels. */
typedef void hd_cpu_convolution_rows(const struct hd_cpu_convolution_work *work,
                                     const hd_cpu_convolution_image *image, int64_t begin,
                                     int64_t end);

/* Sizes of two spatial dimensions, height and width; one-dimensional ones have height 1. */
typedef struct hd_cpu_convolution_work {
    hd_convolution sizes;
    const hd_cpu_convolution_kernels *kernels;
    const float *weights; /* packed; NULL: the weight is no constant and is packed in scratch */
    hd_cpu_packing_kind packing;
    hd_shape weight_shape; /* as the model has it */
    hd_activation activation;
    size_t residual; /* index of the buffer, 0: none */
    size_t output;   /* index of the buffer */
    bool has_bias;

    /* A transposed convolution whose stride is its kernel's size is folded: `sizes` are then those of a
     * 1x1 product whose output channels are (kernel row, kernel column, channel), and a result pixel
     * is fold[0] rows of fold[1] output pixels. Else 1. */
    int64_t fold[2];
    int64_t phases;       /* output columns of one phase meet the same kernel columns */
    int64_t phase_pixels; /* most pixels of a phase in an output row */
    int64_t phase_blocks; /* register blocks of such pixels */
    int64_t block_pixels; /* pixels of a register block; the first longer_blocks have one more */
    int64_t longer_blocks;
    int64_t panels;       /* of all groups */
    int64_t group_panels; /* of one group of the convolution */
    int64_t tile_panels;  /* panels that a tile computes, so that their weights stay in the cache */
    bool large;           /* the output is larger than caches and may be streamed */
    int64_t block_tiles;  /* tiles over all output pixels, for each set of panels */
    int64_t chunk_rows;   /* planar, planes: output rows a tile; depthwise: rows for all channels */
    hd_cpu_convolution_rows *rows; /* planar: what computes a tile's */
    size_t weight_floats;          /* of scratch, where the weight is no constant */
    size_t input_floats;           /* of scratch: input rows of a chunk, channels last */
    size_t output_floats;          /* of scratch: output rows of a chunk, channels last */
    size_t edge_floats;            /* of scratch: padded input columns of a block */
    size_t bias_floats;            /* of scratch, folded: the bias, once a column */
    size_t folded_floats;          /* of scratch, folded: results of a block */
    size_t winograd_floats;        /* of scratch, Winograd: its parts */
    /* planes: floats of one, and of one of its rows; padding is part of them */
    int64_t plane;
    int64_t plane_row;
    /* planes: pixels of a chunk, in whole blocks: floats of an output plane */
    int64_t plane_pixels;
    /* Winograd: most tiles that are transformed before they are multiplied */
    int64_t winograd_tiles;
    int64_t winograd_channels; /* Winograd: floats of a transformed tile's channels */
} hd_cpu_convolution_work;

/* Where a run reads and writes. Rows are those of one image; `first_row` is the one that `input` (and
 * `output`, `residual`) begins with. */
struct hd_cpu_convolution_image {
    const float *weights;
    const float *bias;
    const float *input;
    int64_t input_first_row;
    const float *residual;
    float *output;
    int64_t output_first_row;
    bool streams;
    bool fetches;    /* each panel brings the next one's weights to the second-level cache */
    float *edge;     /* scratch */
    float *folded;   /* scratch: a block's results before they go to their rows */
    float *winograd; /* scratch: zeros, transformed inputs, products */
};

static inline bool hd_cpu_convolution_is_aligned(const void *memory)
{
    return (uintptr_t)memory % HD_CACHE_LINE == 0;
}

static inline int64_t hd_cpu_convolution_padded(int64_t count, int64_t lanes)
{
    return (count + lanes - 1) / lanes * lanes;
}

/* Computes register blocks [begin, end) of output row `row`, panels [first_panel, last_panel). */
typedef void hd_cpu_convolution_row(const hd_cpu_convolution_work *work,
                                    const hd_cpu_convolution_image *image, int64_t row,
                                    int64_t begin, int64_t end, int64_t first_panel,
                                    int64_t last_panel);
hd_cpu_convolution_row hd_cpu_convolution_product_row;
hd_cpu_convolution_row hd_cpu_convolution_folded_row; /* of a folded one */
/* Computes output rows [begin, end) of a depthwise convolution for `some` channels (at most two
 * vectors) from `channel` on. */
void hd_cpu_convolution_depthwise_rows(const hd_cpu_convolution_work *work,
                                       const hd_cpu_convolution_image *image, int64_t begin,
                                       int64_t end, int64_t channel, int64_t some);

/* A block with its activation (one that the kernels apply themselves, or none) and the step from one pixel of
 * a row to the next; and the activation that they do not know, over `columns` channels of some pixels
 * while these are in the cache. */
hd_cpu_convolution_block hd_cpu_convolution_block_begin(const hd_cpu_convolution_work *work);
void hd_cpu_convolution_activate_late(const hd_cpu_convolution_work *work, float *output,
                                      int64_t pixels, int64_t pixel_step, int64_t columns);

/* Winograd (convolution_winograd.c): 2x2 tiles of output, counted row by row over an image. Computes tiles
 * [begin, end), panels [first_panel, last_panel). cut: the sizes of blocks and scratch. */
#define HD_WINOGRAD_POSITIONS 16
/* tiles of a row, of an image */
int64_t hd_cpu_convolution_winograd_columns(const hd_convolution *sizes);
int64_t hd_cpu_convolution_winograd_count(const hd_convolution *sizes);
void hd_cpu_convolution_winograd_cut(hd_cpu_convolution_work *work);
void hd_cpu_convolution_winograd_tiles(const hd_cpu_convolution_work *work,
                                       const hd_cpu_convolution_image *image, int64_t begin,
                                       int64_t end, int64_t first_panel, int64_t last_panel);

/* The way over planes (convolution_planes.c): whether it is one, and the faster one; tiles and scratch; what runs a tile. */
bool hd_cpu_convolution_fits_planes(const hd_cpu_convolution_work *work);
void hd_cpu_convolution_cut_planes(hd_cpu_convolution_work *work, hd_kernel *kernel);
hd_kernel_run hd_cpu_convolution_run_planes;

/* The planar way (convolution_planar.c), for all packings by work->rows, which gets multiples of `step` rows. */
void hd_cpu_convolution_cut_planar(hd_cpu_convolution_work *work, int64_t step, hd_kernel *kernel);
hd_kernel_run hd_cpu_convolution_run_planar;

/* The parts of a run's scratch; weights that are no constant are packed into the first. */
void hd_cpu_convolution_begin(const hd_cpu_convolution_work *work, void *const *buffers,
                              void *scratch, hd_cpu_convolution_image *image, float **input,
                              float **output);

/* Packing (packed_convolution.c): which one of a weight that is no constant, its floats, and the packing
 * itself. */
hd_cpu_packing_kind hd_cpu_convolution_packing(const hd_shape *shape, int64_t group,
                                               bool transposed);
int64_t hd_cpu_convolution_packed_count(hd_cpu_packing_kind packing, const hd_shape *shape,
                                        int64_t group);
void hd_cpu_convolution_pack(hd_cpu_packing_kind packing, const hd_shape *shape, int64_t group,
                             const float *weights, float *packed);

/* Kernels of any rank and of float64 too: convolution_plain.c. */
hd_status hd_cpu_convolution_compile_plain(hd_cpu_compilation *compilation,
                                           const hd_convolution *convolution);

#endif
