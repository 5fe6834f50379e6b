/* Quantized convolution: what its files share. Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_QUANTIZED_CONVOLUTION_H
#define HD_HAL_CPU_OPS_QUANTIZED_CONVOLUTION_H

#include "hal/cpu/ops/quantized_product.h"

/* A row of the product has an output position's inputs, (kernel position, channel) ascending, and the zero point beyond
 * the image. */
typedef struct hd_cpu_quantized_convolution {
    hd_cpu_quantized_product product;
    hd_convolution sizes; /* three spatial dimensions; leading ones of size 1 are added */
    int64_t plane, pixels, taps;
    int64_t channels; /* of a group */
    int64_t row_blocks, panels, panel_groups;
    size_t
        gathered; /* where in the scratch rows lie before they are packed; behind them, as lines of positions */
    size_t right, output;
} hd_cpu_quantized_convolution;

/* The zero point of the image, as a byte. */
static inline uint8_t hd_cpu_quantized_image_zero(const hd_cpu_quantized_convolution *q,
                                                  void *const *buffers)
{
    const hd_cpu_quantized_factor *zero = &q->product.a_zero;
    return zero->buffer < 0 ? 0 : *(const uint8_t *)buffers[zero->buffer];
}

/* Packs the tile's rows from an image whose channels lie last. image: the group's first channel; the scratch has the
 * zero points. */
void hd_cpu_quantized_gather_last(const hd_cpu_quantized_convolution *q, const uint8_t *image,
                                  int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch);

/* A depthwise convolution of channels that lie last. */
hd_status hd_cpu_quantized_finish_depthwise(hd_cpu_compilation *compilation,
                                            hd_cpu_quantized_convolution *q);

#endif
