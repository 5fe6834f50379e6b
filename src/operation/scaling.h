/* Scaling: the sizes and coordinates of one Resize or Upsample, of any operator set, with every
 * attribute and input resolved. Inference and every backend's kernels read it from here.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_SCALING_H
#define HD_OPERATION_SCALING_H

#include "operation/operation.h"

typedef enum hd_scaling_mode {
    HD_SCALING_NEAREST,
    HD_SCALING_LINEAR,
    HD_SCALING_CUBIC
} hd_scaling_mode;

/* What `nearest` is for a Resize of opset 10 that makes an axis smaller: that axis takes the next element, as ONNX's
 * example of that opset does (scale 0.6: elements 0 and 2) and onnxruntime; others take the one before, as "floor". A
 * position within float32's rounding of an element is that. */
#define HD_SCALING_OLD_NEAREST "ceil where smaller"

typedef struct hd_scaling {
    hd_scaling_mode mode;
    hd_shape input;
    hd_shape output;
    double scale[HD_MAX_RANK];
    /* scale = scale_to / scale_from without rounding, so that positions are exact */
    double scale_to[HD_MAX_RANK];
    double scale_from[HD_MAX_RANK];
    double roi_begin[HD_MAX_RANK];
    double roi_end[HD_MAX_RANK];
    const char *transformation; /* coordinate_transformation_mode, or what old operator sets mean */
    const char *nearest;        /* nearest_mode, or HD_SCALING_OLD_NEAREST */
    double cubic_a;
    bool exclude_outside;
    bool antialias;
    float extrapolation;
} hd_scaling;

/* The first input whose value is needed and unknown, or 0 when all are there (input 0 is the data). */
size_t hd_scaling_needs(const hd_operation *operation);

/* Reads Resize, Upsample and heddle.Resize, whose data is [N, H, W, C] while roi, scales, sizes and
 * axes keep ONNX's order [N, C, H, W]. HD_BAD_MODEL, HD_INVALID_ARGUMENT. Only once hd_scaling_needs
 * gives 0. */
HD_MUST_CHECK hd_status hd_scaling_resolve(const hd_operation *operation, hd_scaling *scaling,
                                           hd_error *error);

/* How many input elements one output element of this axis is made of. */
int64_t hd_scaling_taps(const hd_scaling *scaling, uint32_t axis);

/* Fills the taps of output position `position`: places inside the input, and weights. False: the
 * position lies outside the input and takes the extrapolation value. */
bool hd_scaling_tap(const hd_scaling *scaling, uint32_t axis, int64_t position, int32_t *places,
                    float *weights);

#endif
