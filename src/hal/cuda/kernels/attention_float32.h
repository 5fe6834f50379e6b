/* The parameters of the float32 attention kernels; see attention_float32.cu. */
#ifndef HD_HAL_CUDA_KERNELS_ATTENTION_FLOAT32_H
#define HD_HAL_CUDA_KERNELS_ATTENTION_FLOAT32_H

/* Keys of a tile. */
#define HD_ATTENTION_KEYS 64

/* Head h of a token begins h * size (of v and y: h * value_size) elements into its row, rows lie one behind the other. */
typedef struct hd_cuda_attention_float32 {
    const float *q; /* [batch, queries, heads * size] */
    const float *k; /* [batch, keys, heads * size] */
    const float *v; /* [batch, keys, heads * value_size] */
    const float
        *mask; /* added to the scaled scores, [batch, heads, queries, keys] by strides; or NULL */
    float *y;  /* [batch, queries, heads * value_size] */
    int heads, queries, keys, size, value_size;
    float scale;
    long long mask_strides[4]; /* elements; 0 where it repeats */
} hd_cuda_attention_float32;

#endif
