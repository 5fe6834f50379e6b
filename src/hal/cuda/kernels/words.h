/* Words: how the elementwise kernels load values of all types, and store them. */
#ifndef HD_HAL_CUDA_KERNELS_WORDS_H
#define HD_HAL_CUDA_KERNELS_WORDS_H

#include "elementwise.h"

namespace
{

template <class Word> struct Signed {
    using type = int;
};
template <> struct Signed<unsigned long long> {
    using type = long long;
};

/* The word as a value of a type. */
template <class Word> __device__ __forceinline__ Word cut(Word v, int bits)
{
    using S = typename Signed<Word>::type;
    switch (bits) {
    case HD_CUDA_BITS_U8:
        return v & 0xff;
    case HD_CUDA_BITS_U16:
        return v & 0xffff;
    case HD_CUDA_BITS_U32:
        return v & 0xffffffffu;
    case HD_CUDA_BITS_S8:
        return static_cast<Word>(static_cast<S>(static_cast<signed char>(v)));
    case HD_CUDA_BITS_S16:
        return static_cast<Word>(static_cast<S>(static_cast<short>(v)));
    case HD_CUDA_BITS_S32:
        return static_cast<Word>(static_cast<S>(static_cast<int>(v)));
    default:
        return v;
    }
}

template <class Word>
__device__ __forceinline__ Word load_one(const void *data, int bits, unsigned at)
{
    using S = typename Signed<Word>::type;
    switch (bits) {
    case HD_CUDA_BITS_U8:
        return static_cast<const unsigned char *>(data)[at];
    case HD_CUDA_BITS_U16:
        return static_cast<const unsigned short *>(data)[at];
    case HD_CUDA_BITS_S8:
        return static_cast<Word>(static_cast<S>(static_cast<const signed char *>(data)[at]));
    case HD_CUDA_BITS_S16:
        return static_cast<Word>(static_cast<S>(static_cast<const short *>(data)[at]));
    case HD_CUDA_BITS_64:
        if (sizeof(Word) == 8) {
            return static_cast<const Word *>(data)[at];
        }
    case HD_CUDA_BITS_S32:
        if (sizeof(Word) == 8) {
            return static_cast<Word>(static_cast<S>(static_cast<const int *>(data)[at]));
        }
    default:
        return static_cast<const unsigned *>(data)[at];
    }
}

template <class Word, class Four>
__device__ __forceinline__ void spread(const void *data, unsigned at, Word *v)
{
    using S = typename Signed<Word>::type;
    Four four = *reinterpret_cast<const Four *>(static_cast<const decltype(four.x) *>(data) + at);
    v[0] = static_cast<Word>(static_cast<S>(four.x));
    v[1] = static_cast<Word>(static_cast<S>(four.y));
    v[2] = static_cast<Word>(static_cast<S>(four.z));
    v[3] = static_cast<Word>(static_cast<S>(four.w));
}

template <class Word>
__device__ __forceinline__ void load_four(const void *data, int bits, unsigned at, Word *v)
{
    switch (bits) {
    case HD_CUDA_BITS_U8:
        return spread<Word, uchar4>(data, at, v);
    case HD_CUDA_BITS_U16:
        return spread<Word, ushort4>(data, at, v);
    case HD_CUDA_BITS_S8:
        return spread<Word, char4>(data, at, v);
    case HD_CUDA_BITS_S16:
        return spread<Word, short4>(data, at, v);
    case HD_CUDA_BITS_64:
        if constexpr (sizeof(Word) == 8) {
            ulonglong2 a =
                *reinterpret_cast<const ulonglong2 *>(static_cast<const Word *>(data) + at);
            ulonglong2 b =
                *reinterpret_cast<const ulonglong2 *>(static_cast<const Word *>(data) + at + 2);
            v[0] = a.x, v[1] = a.y, v[2] = b.x, v[3] = b.y;
            return;
        }
    case HD_CUDA_BITS_S32:
        return spread<Word, int4>(data, at, v);
    default:
        return spread<Word, uint4>(data, at, v);
    }
}

/* Whether groups of four can be moved at once. */
__device__ __forceinline__ bool is_aligned(const void *data, int bits)
{
    unsigned bytes = bits == HD_CUDA_BITS_U8 || bits == HD_CUDA_BITS_S8     ? 4
                     : bits == HD_CUDA_BITS_U16 || bits == HD_CUDA_BITS_S16 ? 8
                                                                            : 16;
    return (reinterpret_cast<unsigned long long>(data) & (bytes - 1)) == 0;
}

template <class Word>
__device__ __forceinline__ void store_one(void *data, int bits, unsigned at, Word v)
{
    switch (bits) {
    case HD_CUDA_BITS_U8:
    case HD_CUDA_BITS_S8:
        static_cast<unsigned char *>(data)[at] = static_cast<unsigned char>(v);
        return;
    case HD_CUDA_BITS_U16:
    case HD_CUDA_BITS_S16:
        static_cast<unsigned short *>(data)[at] = static_cast<unsigned short>(v);
        return;
    case HD_CUDA_BITS_64:
        static_cast<unsigned long long *>(data)[at] = v;
        return;
    default:
        static_cast<unsigned *>(data)[at] = static_cast<unsigned>(v);
    }
}

template <class Word>
__device__ __forceinline__ void store_four(void *data, int bits, unsigned at, const Word *v)
{
    switch (bits) {
    case HD_CUDA_BITS_U8:
    case HD_CUDA_BITS_S8:
        *reinterpret_cast<uchar4 *>(static_cast<unsigned char *>(data) + at) =
            make_uchar4(v[0], v[1], v[2], v[3]);
        return;
    case HD_CUDA_BITS_U16:
    case HD_CUDA_BITS_S16:
        *reinterpret_cast<ushort4 *>(static_cast<unsigned short *>(data) + at) =
            make_ushort4(v[0], v[1], v[2], v[3]);
        return;
    case HD_CUDA_BITS_64:
        *reinterpret_cast<ulonglong2 *>(static_cast<unsigned long long *>(data) + at) =
            make_ulonglong2(v[0], v[1]);
        *reinterpret_cast<ulonglong2 *>(static_cast<unsigned long long *>(data) + at + 2) =
            make_ulonglong2(v[2], v[3]);
        return;
    default:
        *reinterpret_cast<uint4 *>(static_cast<unsigned *>(data) + at) =
            make_uint4(v[0], v[1], v[2], v[3]);
    }
}

} // namespace

#endif
