/* One function for each code of an elementwise program, hd_step_CODE, compiled to PTX alone: kernels that are made for one program are
 * put together of their texts (hal/cuda/elementwise_text.c). Words have 4 bytes.
 *
 * The texts have no calls, and read whole words only: what a function reads passes through an assembly that the compiler does not look into. */
#define HD_CALLED __forceinline__
#include "elementwise_step.cuh"

namespace {

__device__ __forceinline__ Lanes<unsigned, 1> whole(unsigned word)
{
    Lanes<unsigned, 1> lanes;
    asm("mov.b32 %0, %1;" : "=r"(lanes.v[0]) : "r"(word));
    return lanes;
}

template <int CODE> __device__ __forceinline__ unsigned step(unsigned x, unsigned y, unsigned z)
{
    /* the text that is put behind it cuts the result to a narrower type */
    const hd_cuda_instruction in = {CODE, HD_CUDA_BITS_U32, 0, 0, 0, 0};
    if constexpr (CODE == HD_CUDA_COPY_VALUE) {
        return whole(x).v[0];
    } else {
        Lanes<unsigned, 1> r;
        instruction_step(in, whole(x), whole(y), whole(z), r);
        return whole(r.v[0]).v[0];
    }
}

} // namespace

#define FUNCTION(name)                                                                             \
    extern "C" __device__ unsigned hd_step_##name(unsigned x, unsigned y, unsigned z)              \
    {                                                                                              \
        return step<HD_CUDA_##name>(x, y, z);                                                      \
    }
HD_CUDA_CODE_LIST(FUNCTION)
