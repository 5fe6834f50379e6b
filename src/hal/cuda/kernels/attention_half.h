/* The parameters of the attention kernels; see attention_half.cu. */
#ifndef HD_HAL_CUDA_KERNELS_ATTENTION_HALF_H
#define HD_HAL_CUDA_KERNELS_ATTENTION_HALF_H

/* Kernels: hd_attention_<type>_<D>x<warps>, of 32 warps threads, for 16 warps queries. */
#define HD_ATTENTION_HALF_KEYS 64 /* of a tile */
#define HD_ATTENTION_HALF_SHARED(d, warps)                                                         \
    ((16 * (warps) + 4 * HD_ATTENTION_HALF_KEYS) * ((d) + 8) * 2) /* bytes */

/* Strides are in elements. Head h of a token begins h * D elements into its row. Rows of q, k, v and y begin at multiples of 16 bytes. */
typedef struct hd_cuda_attention_half {
    const void *q; /* [batch, queries, heads * D] */
    const void *k; /* [batch, keys, heads * D] */
    const void *v; /* [batch, keys, heads * D] */
    /* added to the scaled scores, [batch, heads, queries, keys] by strides of which any may be
     * 0; or NULL */
    const float *mask;
    void *y; /* [batch, queries, heads * D] */
    int batch, heads, queries, keys;
    float scale;
    int q_stride, k_stride, v_stride, y_stride; /* from token to token */
    long long q_batch_stride, k_batch_stride, v_batch_stride, y_batch_stride;
    long long mask_batch_stride, mask_head_stride, mask_query_stride, mask_key_stride;
} hd_cuda_attention_half;

#endif
