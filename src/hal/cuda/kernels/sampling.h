/* The parameters of the kernels that sample images: GridSample, AffineGrid, RoiAlign, MaxRoiPool; see sampling.cu. Counts are in
 * elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_SAMPLING_H
#define HD_HAL_CUDA_KERNELS_SAMPLING_H

#include "divisor.h"

#define HD_CUDA_SAMPLE_BLOCK 128

enum { HD_CUDA_GRID_NEAREST, HD_CUDA_GRID_LINEAR, HD_CUDA_GRID_CUBIC };
enum { HD_CUDA_GRID_ZEROS, HD_CUDA_GRID_BORDER, HD_CUDA_GRID_REFLECTION };

/* y[n, c, point] = x[n, c] at grid[n, point], which has a coordinate a spatial dimension, the last one first. */
typedef struct hd_cuda_grid_sample {
    const float *x, *grid;
    float *y;
    unsigned count;               /* points of all entries */
    hd_cuda_divisor points;       /* of an entry */
    int spatial, channels, in[3]; /* in: a missing first dimension is 1 */
    int mode, padding, aligns_corners;
} hd_cuda_grid_sample;

/* y[n, point] = theta[n] applied to the point's place in [-1, 1]. */
typedef struct hd_cuda_affine_grid {
    const float *theta; /* [n, spatial, spatial + 1] */
    float *y;
    unsigned count;                  /* points of all entries */
    hd_cuda_divisor points, size[3]; /* size: of `spatial` dimensions */
    int spatial, aligns_corners;
} hd_cuda_affine_grid;

/* y[region, channel, bin]: a region of image x[batch of region, channel]. */
typedef struct hd_cuda_roi {
    const float *x, *regions; /* regions: four numbers each; MaxRoiPool: before them the image's */
    const void *images;       /* RoiAlign: of each region */
    float *y;
    unsigned count;
    hd_cuda_divisor channels, rows, columns; /* of y */
    int batch, in[2];
    int images_are_wide; /* int64, else int32 */
    int takes_maximum, is_half_pixel, samples;
    float scale;
} hd_cuda_roi;

#endif
