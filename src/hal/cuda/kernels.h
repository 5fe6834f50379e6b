/* The device's kernels, as they lie in the library: nvcc's fat binaries, one a file of src/hal/cuda/kernels/. */
#ifndef HD_HAL_CUDA_KERNELS_H
#define HD_HAL_CUDA_KERNELS_H

/* The files; the one compute capability, times ten, that a file is for, or 0: for all; whether its kernels are early (kernels/order.h). */
#define HD_CUDA_FILE_LIST(X)                                                                       \
    X(attention_float32, 0, false)                                                                 \
    X(attention_half, 0, true)                                                                     \
    X(attention_wgmma, 90, true)                                                                   \
    X(convolution_float32, 0, false)                                                               \
    X(convolution_plain, 0, false)                                                                 \
    X(elementwise, 0, true)                                                                        \
    X(fourier, 0, false)                                                                           \
    X(integer_product, 0, false)                                                                   \
    X(making, 0, false)                                                                            \
    X(movement, 0, false)                                                                          \
    X(ordering, 0, false)                                                                          \
    X(product_float32, 0, false)                                                                   \
    X(product_half, 90, true)                                                                      \
    X(quantization, 0, false)                                                                      \
    X(recurrent, 0, false)                                                                         \
    X(reduction, 0, false)                                                                         \
    X(rows_float32, 0, false)                                                                      \
    X(rows_half, 0, true)                                                                          \
    X(sampling, 0, false)                                                                          \
    X(scatter, 0, false)                                                                           \
    X(spatial, 0, false)                                                                           \
    X(unpool, 0, false)

/* Kernel hd_<name> of file <file>.cu; whether it may take more than 48 KB of dynamic shared memory, and the compute
 * capability, times ten, that it begins with. */
#define HD_CUDA_KERNEL_LIST(X)                                                                     \
    X(attention_float32, attention_32x8, true, 80)                                                 \
    X(attention_float32, attention_32x16, true, 80)                                                \
    X(attention_float32, attention_32x32, true, 80)                                                \
    X(attention_float32, attention_32x64, true, 80)                                                \
    X(attention_float32, attention_64x8, true, 80)                                                 \
    X(attention_float32, attention_64x16, true, 80)                                                \
    X(attention_float32, attention_64x32, true, 80)                                                \
    X(attention_float32, attention_64x64, true, 80)                                                \
    X(attention_float32, attention_128x8, true, 80)                                                \
    X(attention_float32, attention_128x16, true, 80)                                               \
    X(attention_float32, attention_128x32, true, 80)                                               \
    X(attention_float32, attention_128x64, true, 80)                                               \
    X(attention_half, attention_float16_32x1, true, 80)                                            \
    X(attention_half, attention_float16_32x2, true, 80)                                            \
    X(attention_half, attention_float16_32x4, true, 80)                                            \
    X(attention_half, attention_bfloat16_32x1, true, 80)                                           \
    X(attention_half, attention_bfloat16_32x2, true, 80)                                           \
    X(attention_half, attention_bfloat16_32x4, true, 80)                                           \
    X(attention_wgmma, attention_wgmma_float16_64, true, 90)                                       \
    X(attention_wgmma, attention_wgmma_float16_128, true, 90)                                      \
    X(attention_wgmma, attention_wgmma_bfloat16_64, true, 90)                                      \
    X(attention_wgmma, attention_wgmma_bfloat16_128, true, 90)                                     \
    X(convolution_float32, convolution_wide32x64, true, 80)                                        \
    X(convolution_float32, convolution_wide64x64, true, 80)                                        \
    X(convolution_float32, convolution_wide64x128, true, 80)                                       \
    X(convolution_float32, convolution_wide128x128, true, 80)                                      \
    X(convolution_float32, convolution_single32x64, true, 80)                                      \
    X(convolution_float32, convolution_single64x64, true, 80)                                      \
    X(convolution_float32, convolution_single64x128, true, 80)                                     \
    X(convolution_float32, convolution_split32x64, true, 90)                                       \
    X(convolution_float32, convolution_split64x64, true, 90)                                       \
    X(convolution_float32, convolution_split64x128, true, 90)                                      \
    X(convolution_float32, convolution_depthwise1, false, 80)                                      \
    X(convolution_float32, convolution_depthwise4, false, 80)                                      \
    X(convolution_float32, convolution_plain, false, 80)                                           \
    X(convolution_plain, convolution_any, false, 80)                                               \
    X(elementwise, elementwise_narrow, false, 80)                                                  \
    X(elementwise, elementwise_single, false, 80)                                                  \
    X(elementwise, elementwise_wide, false, 80)                                                    \
    X(fourier, fourier_roots, false, 80)                                                           \
    X(fourier, fourier, false, 80)                                                                 \
    X(integer_product, integer_convolution, false, 80)                                             \
    X(integer_product, integer_matmul, false, 80)                                                  \
    X(making, fill_1, false, 80)                                                                   \
    X(making, fill_2, false, 80)                                                                   \
    X(making, fill_4, false, 80)                                                                   \
    X(making, fill_8, false, 80)                                                                   \
    X(making, one_hot_1, false, 80)                                                                \
    X(making, one_hot_2, false, 80)                                                                \
    X(making, one_hot_4, false, 80)                                                                \
    X(making, one_hot_8, false, 80)                                                                \
    X(making, range_float32, false, 80)                                                            \
    X(making, range_float64, false, 80)                                                            \
    X(making, range_int16, false, 80)                                                              \
    X(making, range_int32, false, 80)                                                              \
    X(making, range_int64, false, 80)                                                              \
    X(movement, copy_1, false, 80)                                                                 \
    X(movement, copy_2, false, 80)                                                                 \
    X(movement, copy_4, false, 80)                                                                 \
    X(movement, copy_8, false, 80)                                                                 \
    X(movement, copy_16, false, 80)                                                                \
    X(movement, turn_1, false, 80)                                                                 \
    X(movement, turn_2, false, 80)                                                                 \
    X(movement, turn_4, false, 80)                                                                 \
    X(movement, turn_8, false, 80)                                                                 \
    X(movement, pad_1, false, 80)                                                                  \
    X(movement, pad_2, false, 80)                                                                  \
    X(movement, pad_4, false, 80)                                                                  \
    X(movement, pad_8, false, 80)                                                                  \
    X(movement, gather_1, false, 80)                                                               \
    X(movement, gather_2, false, 80)                                                               \
    X(movement, gather_4, false, 80)                                                               \
    X(movement, gather_8, false, 80)                                                               \
    X(movement, gather_16, false, 80)                                                              \
    X(movement, gather_elements_1, false, 80)                                                      \
    X(movement, gather_elements_2, false, 80)                                                      \
    X(movement, gather_elements_4, false, 80)                                                      \
    X(movement, gather_elements_8, false, 80)                                                      \
    X(movement, triangle_1, false, 80)                                                             \
    X(movement, triangle_2, false, 80)                                                             \
    X(movement, triangle_4, false, 80)                                                             \
    X(movement, triangle_8, false, 80)                                                             \
    X(ordering, sort_float32, false, 80)                                                           \
    X(ordering, sort_float64, false, 80)                                                           \
    X(ordering, sort_int8, false, 80)                                                              \
    X(ordering, sort_int16, false, 80)                                                             \
    X(ordering, sort_int32, false, 80)                                                             \
    X(ordering, sort_int64, false, 80)                                                             \
    X(ordering, sort_uint8, false, 80)                                                             \
    X(ordering, sort_uint16, false, 80)                                                            \
    X(ordering, sort_uint32, false, 80)                                                            \
    X(ordering, sort_uint64, false, 80)                                                            \
    X(ordering, select_float32, false, 80)                                                         \
    X(ordering, select_float64, false, 80)                                                         \
    X(ordering, select_int8, false, 80)                                                            \
    X(ordering, select_int16, false, 80)                                                           \
    X(ordering, select_int32, false, 80)                                                           \
    X(ordering, select_int64, false, 80)                                                           \
    X(ordering, select_uint8, false, 80)                                                           \
    X(ordering, select_uint16, false, 80)                                                          \
    X(ordering, select_uint32, false, 80)                                                          \
    X(ordering, select_uint64, false, 80)                                                          \
    X(product_float32, product_plain, false, 80)                                                   \
    X(product_float32, product_narrow1x8, true, 80)                                                \
    X(product_float32, product_narrow2x16, true, 80)                                               \
    X(product_float32, product_narrow4x16, true, 80)                                               \
    X(product_float32, product_narrow4x32, true, 80)                                               \
    X(product_float32, product_narrow8x16, true, 80)                                               \
    X(product_float32, product_narrow8x32, true, 80)                                               \
    X(product_float32, product_narrow16x32, true, 80)                                              \
    X(product_float32, product_split32x64, true, 90)                                               \
    X(product_float32, product_split64x64, true, 90)                                               \
    X(product_float32, product_split64x128, true, 90)                                              \
    X(product_float32, product_wide32x64, true, 80)                                                \
    X(product_float32, product_wide64x64, true, 80)                                                \
    X(product_float32, product_wide64x128, true, 80)                                               \
    X(product_float32, product_wide128x128, true, 80)                                              \
    X(product_half, product_float16_1x16, true, 90)                                                \
    X(product_half, product_float16_1x32, true, 90)                                                \
    X(product_half, product_float16_1x64, true, 90)                                                \
    X(product_half, product_float16_2x64, true, 90)                                                \
    X(product_half, product_float16_2x128, true, 90)                                               \
    X(product_half, product_bfloat16_1x16, true, 90)                                               \
    X(product_half, product_bfloat16_1x32, true, 90)                                               \
    X(product_half, product_bfloat16_1x64, true, 90)                                               \
    X(product_half, product_bfloat16_2x64, true, 90)                                               \
    X(product_half, product_bfloat16_2x128, true, 90)                                              \
    X(quantization, quantize, false, 80)                                                           \
    X(quantization, dequantize, false, 80)                                                         \
    X(quantization, dynamic_range, false, 80)                                                      \
    X(quantization, dynamic_quantize, false, 80)                                                   \
    X(recurrent, recurrent, false, 80)                                                             \
    X(reduction, reduce_float32, false, 80)                                                        \
    X(reduction, reduce_int32, false, 80)                                                          \
    X(reduction, reduce_int64, false, 80)                                                          \
    X(reduction, arg_float32, false, 80)                                                           \
    X(reduction, arg_int32, false, 80)                                                             \
    X(reduction, arg_int64, false, 80)                                                             \
    X(reduction, softmax_any_axis, false, 80)                                                      \
    X(reduction, hardmax, false, 80)                                                               \
    X(reduction, normalize, false, 80)                                                             \
    X(reduction, group_norm, false, 80)                                                            \
    X(reduction, batch_norm, false, 80)                                                            \
    X(reduction, lrn, false, 80)                                                                   \
    X(reduction, cum_sum_float32, false, 80)                                                       \
    X(reduction, cum_sum_int32, false, 80)                                                         \
    X(reduction, cum_sum_int64, false, 80)                                                         \
    X(rows_float32, softmax_256, false, 80)                                                        \
    X(rows_float32, softmax_384, false, 80)                                                        \
    X(rows_float32, softmax_768, false, 80)                                                        \
    X(rows_float32, softmax_1024, false, 80)                                                       \
    X(rows_float32, softmax_4096, false, 80)                                                       \
    X(rows_float32, softmax_32768, false, 80)                                                      \
    X(rows_float32, softmax_any, false, 80)                                                        \
    X(rows_float32, layer_norm_256, false, 80)                                                     \
    X(rows_float32, layer_norm_384, false, 80)                                                     \
    X(rows_float32, layer_norm_768, false, 80)                                                     \
    X(rows_float32, layer_norm_1024, false, 80)                                                    \
    X(rows_float32, layer_norm_4096, false, 80)                                                    \
    X(rows_float32, layer_norm_32768, false, 80)                                                   \
    X(rows_float32, layer_norm_any, false, 80)                                                     \
    X(rows_half, softmax_half_256, false, 80)                                                      \
    X(rows_half, softmax_half_384, false, 80)                                                      \
    X(rows_half, softmax_half_768, false, 80)                                                      \
    X(rows_half, softmax_half_1024, false, 80)                                                     \
    X(rows_half, softmax_half_4096, false, 80)                                                     \
    X(rows_half, softmax_half_32768, false, 80)                                                    \
    X(rows_half, softmax_half_any, false, 80)                                                      \
    X(rows_half, layer_norm_half_256, false, 80)                                                   \
    X(rows_half, layer_norm_half_384, false, 80)                                                   \
    X(rows_half, layer_norm_half_768, false, 80)                                                   \
    X(rows_half, layer_norm_half_1024, false, 80)                                                  \
    X(rows_half, layer_norm_half_4096, false, 80)                                                  \
    X(rows_half, layer_norm_half_32768, false, 80)                                                 \
    X(rows_half, layer_norm_half_any, false, 80)                                                   \
    X(sampling, grid_sample, false, 80)                                                            \
    X(sampling, affine_grid, false, 80)                                                            \
    X(sampling, roi_align, false, 80)                                                              \
    X(sampling, roi_pool, false, 80)                                                               \
    X(scatter, gather_points_1, false, 80)                                                         \
    X(scatter, gather_points_2, false, 80)                                                         \
    X(scatter, gather_points_4, false, 80)                                                         \
    X(scatter, gather_points_8, false, 80)                                                         \
    X(scatter, gather_points_16, false, 80)                                                        \
    X(scatter, scatter_1, false, 80)                                                               \
    X(scatter, scatter_2, false, 80)                                                               \
    X(scatter, scatter_4, false, 80)                                                               \
    X(scatter, scatter_8, false, 80)                                                               \
    X(scatter, scatter_16, false, 80)                                                              \
    X(scatter, cache_update_1, false, 80)                                                          \
    X(scatter, cache_update_2, false, 80)                                                          \
    X(scatter, cache_update_4, false, 80)                                                          \
    X(scatter, cache_update_8, false, 80)                                                          \
    X(scatter, cache_update_16, false, 80)                                                         \
    X(scatter, reverse_1, false, 80)                                                               \
    X(scatter, reverse_2, false, 80)                                                               \
    X(scatter, reverse_4, false, 80)                                                               \
    X(scatter, reverse_8, false, 80)                                                               \
    X(scatter, reverse_16, false, 80)                                                              \
    X(scatter, scatter_clear, false, 80)                                                           \
    X(scatter, scatter_places, false, 80)                                                          \
    X(scatter, scatter_float32, false, 80)                                                         \
    X(scatter, scatter_int32, false, 80)                                                           \
    X(scatter, scatter_int64, false, 80)                                                           \
    X(spatial, pool_first, false, 80)                                                              \
    X(spatial, pool_last, false, 80)                                                               \
    X(spatial, pool_last_by_four, false, 80)                                                       \
    X(spatial, nearest_1, false, 80)                                                               \
    X(spatial, nearest_2, false, 80)                                                               \
    X(spatial, nearest_4, false, 80)                                                               \
    X(spatial, nearest_8, false, 80)                                                               \
    X(spatial, nearest_16, false, 80)                                                              \
    X(spatial, blend, false, 80)                                                                   \
    X(spatial, blend_by_four, false, 80)                                                           \
    X(unpool, unpool_clear, false, 80)                                                             \
    X(unpool, unpool_places, false, 80)                                                            \
    X(unpool, unpool, false, 80)                                                                   \
    X(unpool, col2im, false, 80)

typedef enum hd_cuda_file {
#define HD_CUDA_FILE_(file, only, early) HD_CUDA_FILE_##file,
    HD_CUDA_FILE_LIST(HD_CUDA_FILE_)
#undef HD_CUDA_FILE_
        HD_CUDA_FILE_COUNT
} hd_cuda_file;

typedef enum hd_cuda_function {
#define HD_CUDA_FUNCTION_(file, name, big, since) HD_CUDA_##name,
    HD_CUDA_KERNEL_LIST(HD_CUDA_FUNCTION_)
#undef HD_CUDA_FUNCTION_
        HD_CUDA_FUNCTION_COUNT,
    HD_CUDA_COPY = HD_CUDA_FUNCTION_COUNT /* no kernel: the driver copies */
} hd_cuda_function;

#define HD_CUDA_IMAGE_(file, only, early) extern const unsigned char hd_cuda_kernels_##file[];
HD_CUDA_FILE_LIST(HD_CUDA_IMAGE_)
#undef HD_CUDA_IMAGE_

#endif
