/* Elementwise operators and chains of them: each thread runs a small program over groups of four neighbours, so that an
 * instruction is looked up once for all of them, or over one element where there are no more than threads. The last result is in
 * registers, what is read later in local memory. Words have 4 bytes, and 8 where a value has 8 bytes or is a uint32 (so that integers can be taken as signed).
 *
 * BITS: an element follows from its operands alone; sums, products, quotients and roots are rounded once, as IEEE 754 says.
 * Thread-safety: any number of launches at once. The output may lie on a flat input whose elements have its size: a thread reads
 * its elements before it writes them. */
#include "elementwise_step.cuh"
#include "order.h"

namespace {

/* Neighbours that a thread of N elements has at once. */
template <int N> constexpr int GROUP = N < 4 ? N : 4;

/* --- memory */

/* Where an input has element `index` of the output. */
__device__ __forceinline__ unsigned locate(const hd_cuda_elementwise &p, int input, unsigned index)
{
    unsigned offset = 0;
    for (int d = p.rank - 1; d > 0; d--) {
        unsigned above = hd_divide(index, p.dims[d]);
        offset += (index - above * p.dims[d].by) * p.strides[input][d];
        index = above;
    }
    return p.rank == 0 ? 0 : offset + index * p.strides[input][0];
}

/* The elements of an input at those of the output from `first` on; behind the end the last ones. */
template <class Word, int N> __device__ __forceinline__ void load(const hd_cuda_elementwise &p, int input, unsigned first, Word (&v)[N])
{
    const void *data = p.inputs[input];
    const int bits = p.bits[input], access = p.access[input];
    const bool may = (access == HD_CUDA_FLAT || access == HD_CUDA_NEIGHBOURS) && is_aligned(data, bits);
#pragma unroll
    for (int g = 0; g < N / GROUP<N>; g++) {
        unsigned at = first + g * GROUP<N> * HD_CUDA_ELEMENTWISE_BLOCK;
        Word *to = v + g * GROUP<N>;
        if constexpr (GROUP<N> == 4) {
            if (may && at + 4 <= p.count) {
                load_four(data, bits, access == HD_CUDA_FLAT ? at : locate(p, input, at), to);
                continue;
            }
        }
        if (access == HD_CUDA_REPEATED) {
            Word one = load_one<Word>(data, bits, locate(p, input, min(at, p.count - 1)));
            
#pragma unroll
            for (int j = 0; j < GROUP<N>; j++) {
                to[j] = one;
            }
        } else {
#pragma unroll
            for (int j = 0; j < GROUP<N>; j++) {
                to[j] = load_one<Word>(data, bits, locate(p, input, min(at + j, p.count - 1)));
            }
        }
    }
}

template <class Word, int N> __device__ __forceinline__ void store(const hd_cuda_elementwise &p, unsigned first, const Word (&v)[N])
{
    const bool may = is_aligned(p.y, p.y_bits);
#pragma unroll
    for (int g = 0; g < N / GROUP<N>; g++) {
        unsigned at = first + g * GROUP<N> * HD_CUDA_ELEMENTWISE_BLOCK;
        if constexpr (GROUP<N> == 4) {
            if (may && at + 4 <= p.count) {
                store_four(p.y, p.y_bits, at, v + g * GROUP<N>);
                continue;
            }
        }
#pragma unroll
        for (int j = 0; j < GROUP<N>; j++) {
            if (at + j < p.count) {
                store_one(p.y, p.y_bits, at + j, v[g * GROUP<N> + j]);
            }
        }
    }
}

/* --- the program */

template <class Word, int N> __device__ __forceinline__ void fetch(const hd_cuda_elementwise &p, int from, unsigned first, const Lanes<Word, N> *slots, const Lanes<Word, N> &last, Lanes<Word, N> &v)
{
    if (from == HD_CUDA_FROM_LAST) {
        v = last;
    } else if (from < HD_CUDA_FROM_CONSTANT) {
        load(p, from, first, v.v);
    } else if (from >= HD_CUDA_FROM_SLOT && from < HD_CUDA_FROM_LAST) {
        v = slots[from - HD_CUDA_FROM_SLOT];
    } else {
        Word constant = from == HD_CUDA_FROM_NOWHERE ? Word(0) : static_cast<Word>(p.constants[from - HD_CUDA_FROM_CONSTANT]);
#pragma unroll
        for (int i = 0; i < N; i++) {
            v.v[i] = constant;
        }
    }
}

template <class Word, int N> __device__ __forceinline__ void run(const hd_cuda_elementwise &p)
{
    const unsigned first = blockIdx.x * (N * HD_CUDA_ELEMENTWISE_BLOCK) + threadIdx.x * GROUP<N>;
    Lanes<Word, N> slots[HD_CUDA_ELEMENTWISE_SLOTS], last = {};
    for (int k = 0; k < p.instruction_count; k++) {
        const hd_cuda_instruction in = p.instructions[k];
        Lanes<Word, N> x, y, z;
        fetch(p, in.x, first, slots, last, x);
        if (in.code == HD_CUDA_COPY_VALUE) {
#pragma unroll
            for (int i = 0; i < N; i++) {
                last.v[i] = cut(x.v[i], in.bits);
            }
        } else {
            fetch(p, in.y, first, slots, last, y);
            if (in.z == HD_CUDA_FROM_LAST || in.z == HD_CUDA_FROM_NOWHERE) {
                z = last;
            } else if (in.z >= HD_CUDA_FROM_SLOT) {
                z = slots[in.z - HD_CUDA_FROM_SLOT];
            } else {
#pragma unroll
                for (int i = 0; i < N; i++) {
                    z.v[i] = static_cast<Word>(p.constants[in.z - HD_CUDA_FROM_CONSTANT]);
                }
            }
            instruction_step(in, x, y, z, last);
        }
        if (in.keep != HD_CUDA_FROM_NOWHERE) {
            slots[in.keep] = last;
        }
    }
    store(p, first, last.v);
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_ELEMENTWISE_BLOCK, 8) hd_elementwise_narrow(const __grid_constant__ hd_cuda_elementwise p)
{
    hd_follow();
    run<unsigned, HD_CUDA_ELEMENTWISE_NARROW / HD_CUDA_ELEMENTWISE_BLOCK>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_ELEMENTWISE_BLOCK, 16) hd_elementwise_single(const __grid_constant__ hd_cuda_elementwise p)
{
    hd_follow();
    run<unsigned, 1>(p);
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_ELEMENTWISE_BLOCK, 8) hd_elementwise_wide(const __grid_constant__ hd_cuda_elementwise p)
{
    hd_follow();
    run<unsigned long long, HD_CUDA_ELEMENTWISE_WIDE / HD_CUDA_ELEMENTWISE_BLOCK>(p);
}
