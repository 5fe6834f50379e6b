/* Convolution case: a convolution's sizes, its operands with a reference in double precision, and the checks that
 * every way of computing it must pass.
 *
 * Thread-safety: one thread at a time an object. */
#ifndef HD_TEST_CONVOLUTION_CASE_H
#define HD_TEST_CONVOLUTION_CASE_H

#include "operation/fused.h"
#include "support/operation_runner.h"

/* Two spatial dimensions, or one (the width; height 1). */
typedef struct convolution_case {
    bool transposed;
    bool one_dimensional;
    int64_t batch, channels, outputs, group;
    int64_t height, width;
    int64_t kernel[2], stride[2], dilation[2], begin[2], end[2], output_padding[2];
} convolution_case;

/* One group, without steps. */
#define CONVOLUTION_PLAIN .group = 1, .stride = {1, 1}, .dilation = {1, 1}

typedef struct convolution_operands {
    float *x, *x_last, *w, *bias, *residual;
    double *expected; /* planar */
    int64_t outputs;  /* elements */
} convolution_operands;

/* Operands of fixed seeds; the caller frees them. */
convolution_operands convolution_operands_make(const convolution_case *c);
void convolution_operands_free(convolution_operands *o);

/* w as the operator's second input. */
hd_tensor convolution_weights(const convolution_case *c, const float *w);

/* The second input packed as a model would have it, which the caller destroys; NULL where it is not packed. */
hd_packed *convolution_pack_weights(operation_case *test, int64_t group);

/* "heddle.Conv" or its transposed kin against the reference, with packed weights, in every partition, and one image
 * alone against the batch. */
void convolution_check_fused(const convolution_case *c, hd_activation activation, bool residual);

/* ONNX's operator and the fused one, in every partition. */
void convolution_check(const convolution_case *c);

#endif
