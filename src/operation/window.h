/* Window: the sizes of one pooling operation, with every attribute resolved (auto_pad, ceil_mode,
 * defaults). Inference and every backend's kernels read it from here.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_WINDOW_H
#define HD_OPERATION_WINDOW_H

#include "operation/operation.h"

#define HD_WINDOW_SPATIAL 3

/* Always three spatial dimensions, in ONNX's order; those that the operation lacks come first and are
 * 1. Output position o reads the input positions o·stride − pad_begin + k·dilation. */
typedef struct hd_window {
    bool channels_last; /* "heddle.…": [N, H, W, C]; else [N, C, spatial…] */
    uint32_t spatial;   /* dimensions that the operation has */
    int64_t batch;
    int64_t channels;
    int64_t input[HD_WINDOW_SPATIAL];
    int64_t output[HD_WINDOW_SPATIAL];
    int64_t kernel[HD_WINDOW_SPATIAL];
    int64_t stride[HD_WINDOW_SPATIAL];
    int64_t dilation[HD_WINDOW_SPATIAL];
    int64_t pad_begin[HD_WINDOW_SPATIAL];
    int64_t pad_end[HD_WINDOW_SPATIAL];
} hd_window;

/* Reads MaxPool, AveragePool, LpPool and their "heddle." forms. HD_BAD_MODEL, HD_INVALID_ARGUMENT,
 * HD_UNSUPPORTED (more than three spatial dimensions). */
HD_MUST_CHECK hd_status hd_window_resolve(const hd_operation *operation, hd_window *window,
                                          hd_error *error);

/* The output's shape. */
hd_shape hd_window_shape(const hd_window *window);

/* The taps [*begin, *end) of dimension `axis` that output position `position` finds inside the input. */
void hd_window_taps(const hd_window *window, int axis, int64_t position, int64_t *begin,
                    int64_t *end);
/* How many it finds inside the padded input. */
int64_t hd_window_padded_taps(const hd_window *window, int axis, int64_t position);

/* MaxUnpool: the shape of which its input is the pooled one, by kernel_shape, strides and pads; false
 * when they do not fit. Indices count in it, also where output_shape asks for a larger output. */
bool hd_window_unpooled(const hd_operation *operation, hd_shape *out_shape);

#endif
