/* Convolution: the sizes of one Conv or ConvTranspose, fused or not, with every attribute resolved
 * (auto_pad, output_shape, defaults). Inference and every backend's kernels read it from here.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_CONVOLUTION_H
#define HD_OPERATION_CONVOLUTION_H

#include "operation/operation.h"

#define HD_CONVOLUTION_MAX_SPATIAL 3

/* Spatial dimensions come in ONNX's order, the innermost (width) last. An output position o reads the
 * input position o·stride − pad_begin + k·dilation; a transposed convolution's input position i adds
 * to the output position i·stride − pad_begin + k·dilation. */
typedef struct hd_convolution {
    bool transposed;
    bool
        channels_last; /* "heddle.…": [N, spatial…, C] in and out, but for what is planar; else [N, C, spatial…] */
    bool planar_input, planar_output; /* "heddle.…": [N, C, spatial…] after all */
    uint32_t spatial;                 /* 1 to 3; 2 when channels_last */
    int64_t batch;
    int64_t group;
    int64_t channels;        /* of the input */
    int64_t output_channels; /* of the output */
    int64_t input[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t output[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t kernel[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t stride[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t dilation[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t pad_begin[HD_CONVOLUTION_MAX_SPATIAL];
} hd_convolution;

/* Reads "Conv", "ConvTranspose", "heddle.Conv" and "heddle.ConvTranspose" (operation->fused), whose
 * inputs' dtypes and shapes are set. HD_BAD_MODEL, HD_INVALID_ARGUMENT: operands or attributes do not
 * fit together. */
HD_MUST_CHECK hd_status hd_convolution_resolve(const hd_operation *operation,
                                               hd_convolution *convolution, hd_error *error);

/* The output's shape. */
hd_shape hd_convolution_shape(const hd_convolution *convolution);

/* Adds leading spatial dimensions of size 1, so that there are always three. */
void hd_convolution_make_spatial(hd_convolution *convolution);

#endif
