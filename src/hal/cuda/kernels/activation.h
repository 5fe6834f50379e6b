/* Activations at the end of products and convolutions. */
#ifndef HD_HAL_CUDA_KERNELS_ACTIVATION_H
#define HD_HAL_CUDA_KERNELS_ACTIVATION_H

/* As hd_activation_kind (operation/fused.h) numbers them. */
enum {
    HD_CUDA_IDENTITY,
    HD_CUDA_RELU,
    HD_CUDA_GELU,
    HD_CUDA_GELU_TANH,
    HD_CUDA_TANH,
    HD_CUDA_SIGMOID,
    HD_CUDA_SILU,
    HD_CUDA_CLIP,
    HD_CUDA_LEAKY_RELU,
    HD_CUDA_HARD_SIGMOID,
    HD_CUDA_HARD_SWISH
};

typedef struct hd_cuda_activation {
    int kind;
    float alpha, beta;
    int scales; /* then y = activation * scale + shift, each step rounded */
    float scale, shift;
} hd_cuda_activation;

#ifdef __CUDACC__
/* NaN stays NaN in all of them. */
static __device__ __forceinline__ float hd_clip(float v, float low, float high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

static __device__ __forceinline__ float hd_sigmoid(float v)
{
    return __fdiv_rn(1.0f, __fadd_rn(1.0f, expf(-v)));
}

static __device__ __forceinline__ float hd_gelu(float v)
{
    return __fmul_rn(__fmul_rn(0.5f, v),
                     __fadd_rn(1.0f, erff(__fmul_rn(v, 0.70710678118654752440f))));
}

static __device__ float hd_activate_rare(float v, const hd_cuda_activation &a)
{
    switch (a.kind) {
    case HD_CUDA_GELU_TANH: {
        float cube = __fmul_rn(__fmul_rn(v, v), v);
        float t = tanhf(__fmul_rn(0.79788456080286535588f, __fmaf_rn(0.044715f, cube, v)));
        return __fmul_rn(__fmul_rn(0.5f, v), __fadd_rn(1.0f, t));
    }
    case HD_CUDA_TANH:
        return tanhf(v);
    case HD_CUDA_SIGMOID:
        return hd_sigmoid(v);
    case HD_CUDA_SILU:
        return v == -__builtin_huge_valf() ? -0.0f : __fmul_rn(v, hd_sigmoid(v));
    case HD_CUDA_CLIP:
        return hd_clip(v, a.alpha, a.beta);
    case HD_CUDA_LEAKY_RELU:
        return v < 0.0f ? __fmul_rn(a.alpha, v) : v;
    case HD_CUDA_HARD_SIGMOID:
        return hd_clip(__fadd_rn(__fmul_rn(a.alpha, v), a.beta), 0.0f, 1.0f);
    default:
        return __fmul_rn(v, hd_clip(__fadd_rn(__fmul_rn(a.alpha, v), a.beta), 0.0f, 1.0f));
    }
}

static __device__ __forceinline__ float hd_activate(float v, const hd_cuda_activation &a)
{
    if (a.kind == HD_CUDA_IDENTITY) {
        return v;
    }
    v = a.kind == HD_CUDA_RELU   ? (v > 0.0f || v != v ? v : 0.0f)
        : a.kind == HD_CUDA_GELU ? hd_gelu(v)
                                 : hd_activate_rare(v, a);
    return a.scales ? __fadd_rn(__fmul_rn(v, a.scale), a.shift) : v;
}
#endif

#endif
