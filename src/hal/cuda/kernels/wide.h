/* Wide: elements that are moved together. A caller's tensor may begin at any multiple of its own element's size, and an access that is
 * not aligned to what it moves is a fault, which ends CUDA for the process: where an address does not fit, its bytes are moved singly. */
#ifndef HD_HAL_CUDA_KERNELS_WIDE_H
#define HD_HAL_CUDA_KERNELS_WIDE_H

#ifdef __CUDACC__
static __device__ __forceinline__ bool hd_is_aligned(const void *address, unsigned bytes)
{
    return (reinterpret_cast<unsigned long long>(address) & (bytes - 1)) == 0;
}

/* y[to] = x[from]. is_aligned: both arrays are to T. */
template <class T>
static __device__ __forceinline__ void hd_move(void *y, long long to, const void *x, long long from,
                                               bool is_aligned)
{
    if (is_aligned) {
        static_cast<T *>(y)[to] = static_cast<const T *>(x)[from];
        return;
    }
    unsigned char *target =
        static_cast<unsigned char *>(y) + static_cast<long long>(sizeof(T)) * to;
    const unsigned char *source =
        static_cast<const unsigned char *>(x) + static_cast<long long>(sizeof(T)) * from;
    for (unsigned i = 0; i < sizeof(T); i++) {
        target[i] = source[i];
    }
}
#endif

#endif
