/* Steps: what an instruction of an elementwise program does with words. The interpreter (elementwise.cu) and the functions that
 * kernels for one program are put together of (elementwise_functions.cu) are compiled from this, so their bits are equal. */
#ifndef HD_HAL_CUDA_KERNELS_ELEMENTWISE_STEP_CUH
#define HD_HAL_CUDA_KERNELS_ELEMENTWISE_STEP_CUH

#include "elementwise.h"

#include <cuda_fp16.h>
#include <type_traits>

#include "activation.h"
#include "words.h"

/* Of long functions, so that the interpreter's loop stays short. */
#ifndef HD_CALLED
#define HD_CALLED __noinline__
#endif

namespace {

__device__ __forceinline__ float number(unsigned bits)
{
    return __uint_as_float(bits);
}

__device__ __forceinline__ float maximum(float x, float y)
{
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

__device__ __forceinline__ float minimum(float x, float y)
{
    float r;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(x), "f"(y));
    return r;
}

__device__ HD_CALLED float remainder_of(float x, float y)
{
    return fmodf(x, y);
}

__device__ __forceinline__ float modulo_of(float x, float y)
{
    float rest = remainder_of(x, y);
    return rest != 0.0f && (rest < 0.0f) != (y < 0.0f) ? __fadd_rn(rest, y) : rest;
}

__device__ HD_CALLED float power_of(float x, float y)
{
    return powf(x, y);
}

/* Squares and cubes are products, as on the host. */
__device__ __forceinline__ float power(float x, float y)
{
    float square = __fmul_rn(x, x);
    return y == 2.0f ? square : y == 3.0f ? __fmul_rn(square, x) : power_of(x, y);
}

__device__ HD_CALLED float rare(int code, float x, float alpha, float beta)
{
    switch (code) {
    case HD_CUDA_GELU_BY_TANH: {
        /* (1 + tanh u)/2 = 1 / (1 + e^-2u) */
        float factor = __fmaf_rn(__fmul_rn(x, x), -0.0713548163f, -1.59576912f);
        return __fdiv_rn(x, __fadd_rn(1.0f, expf(__fmul_rn(x, factor))));
    }
    case HD_CUDA_SOFTPLUS:
        return __fadd_rn(x < 0.0f ? 0.0f : x, log1pf(expf(-fabsf(x))));
    case HD_CUDA_MISH: {
        /* tanh(log(1 + e)) = (e² + 2e) / (e² + 2e + 2), 1 from 20 on. */
        float e = expf(x > 20.0f ? 20.0f : x), w = __fmul_rn(e, __fadd_rn(e, 2.0f));
        return __fmul_rn(x, __fdiv_rn(w, __fadd_rn(w, 2.0f)));
    }
    case HD_CUDA_SIN:
        return sinf(x);
    case HD_CUDA_COS:
        return cosf(x);
    case HD_CUDA_TAN:
        return tanf(x);
    case HD_CUDA_ASIN:
        return asinf(x);
    case HD_CUDA_ACOS:
        return acosf(x);
    case HD_CUDA_ATAN:
        return atanf(x);
    case HD_CUDA_SINH:
        return sinhf(x);
    case HD_CUDA_COSH:
        return coshf(x);
    case HD_CUDA_ASINH:
        return asinhf(x);
    case HD_CUDA_ACOSH:
        return acoshf(x);
    case HD_CUDA_ATANH:
        return atanhf(x);
    case HD_CUDA_LEAKY:
        return x < 0.0f ? __fmul_rn(alpha, x) : x;
    case HD_CUDA_ELU:
        return x < 0.0f ? __fmul_rn(alpha, expm1f(x)) : x;
    case HD_CUDA_CELU:
        return x < 0.0f ? __fmul_rn(alpha, expm1f(__fdiv_rn(x, alpha))) : x;
    case HD_CUDA_SELU:
        return __fmul_rn(beta, x < 0.0f ? __fmul_rn(alpha, expm1f(x)) : x);
    case HD_CUDA_HARD_SIGMOID_OF:
        return hd_clip(__fadd_rn(__fmul_rn(alpha, x), beta), 0.0f, 1.0f);
    case HD_CUDA_HARD_SWISH_OF:
        return __fmul_rn(x, hd_clip(__fadd_rn(__fmul_rn(alpha, x), beta), 0.0f, 1.0f));
    default: /* HD_CUDA_SWISH */
        return __fmul_rn(x, hd_sigmoid(__fmul_rn(alpha, x)));
    }
}

__device__ __forceinline__ long long integer_of(float x)
{
    return x != x ? 0 : __float2ll_rz(x);
}

__device__ __forceinline__ unsigned long long unsigned_of(float x)
{
    return x >= 9223372036854775808.0f ? __float2ull_rz(x) : static_cast<unsigned long long>(integer_of(x));
}

/* The value cut to float32, its last bit set if anything was lost: rounding that to a type of at most 22 bits rounds once. */
__device__ HD_CALLED float odd_of(bool is_negative, unsigned long long magnitude)
{
    float cut = __ull2float_rz(magnitude);
    unsigned bits = __float_as_uint(cut);
    if (static_cast<unsigned long long>(cut) != magnitude) {
        bits |= 1;
    }
    return number(is_negative ? bits | 0x80000000u : bits);
}

__device__ __forceinline__ unsigned bfloat_of(float x)
{
    unsigned bits = __float_as_uint(x);
    return (x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16) & 0xffff;
}

template <class S> __device__ __forceinline__ S quotient(S x, S y)
{
    if (y == 0) {
        return 0;
    }
    using U = typename std::make_unsigned<S>::type;
    return y == -1 ? static_cast<S>(U(0) - static_cast<U>(x)) : x / y;
}

template <class S> __device__ __forceinline__ S rest(S x, S y)
{
    return y == 0 || y == -1 ? 0 : x % y;
}

template <class S> __device__ __forceinline__ S modulo(S x, S y)
{
    S r = rest(x, y);
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/* x^y modulo the word's size; for negative y the quotient 1/x^-y towards zero, 0 also for x = 0. */
template <class S> __device__ HD_CALLED S integer_power(S x, S y)
{
    if (y < 0) {
        return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
    }
    using U = typename std::make_unsigned<S>::type;
    U result = 1, base = static_cast<U>(x);
    for (U left = static_cast<U>(y); left != 0; left >>= 1) {
        if (left & 1) {
            result *= base;
        }
        base *= base;
    }
    return static_cast<S>(result);
}


template <class Word, int N> struct Lanes {
    Word v[N];

    template <class F> __device__ __forceinline__ void numbers(const Lanes &x, F f)
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = __float_as_uint(f(number(static_cast<unsigned>(x.v[i]))));
        }
    }
    template <class F> __device__ __forceinline__ void numbers(const Lanes &x, const Lanes &y, F f)
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = __float_as_uint(f(number(static_cast<unsigned>(x.v[i])), number(static_cast<unsigned>(y.v[i]))));
        }
    }
    /* Of numbers, to a word. */
    template <class F> __device__ __forceinline__ void tests(const Lanes &x, const Lanes &y, F f)
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = static_cast<Word>(f(number(static_cast<unsigned>(x.v[i])), number(static_cast<unsigned>(y.v[i]))));
        }
    }
    /* Of signed integers; the result is cut to its type. */
    template <class F> __device__ __forceinline__ void integers(const Lanes &x, const Lanes &y, int bits, F f)
    {
        using S = typename Signed<Word>::type;
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = cut(static_cast<Word>(f(static_cast<S>(x.v[i]), static_cast<S>(y.v[i]))), bits);
        }
    }
    /* Of words, whose sums and products wrap around. */
    template <class F> __device__ __forceinline__ void words(const Lanes &x, const Lanes &y, int bits, F f)
    {
#pragma unroll
        for (int i = 0; i < N; i++) {
            v[i] = cut(static_cast<Word>(f(x.v[i], y.v[i])), bits);
        }
    }
};

template <class Word, int N> __device__ __forceinline__ void number_step(const hd_cuda_instruction in, const Lanes<Word, N> &x, const Lanes<Word, N> &y, const Lanes<Word, N> &z, Lanes<Word, N> &r)
{
    switch (in.code) {
    case HD_CUDA_NUMBER_ADD:
        return r.numbers(x, y, [](float a, float b) { return __fadd_rn(a, b); });
    case HD_CUDA_NUMBER_SUBTRACT:
        return r.numbers(x, y, [](float a, float b) { return __fsub_rn(a, b); });
    case HD_CUDA_NUMBER_MULTIPLY:
        return r.numbers(x, y, [](float a, float b) { return __fmul_rn(a, b); });
    case HD_CUDA_NUMBER_DIVIDE:
        return r.numbers(x, y, [](float a, float b) { return __fdiv_rn(a, b); });
    case HD_CUDA_NUMBER_MAXIMUM:
        return r.numbers(x, y, [](float a, float b) { return maximum(a, b); });
    case HD_CUDA_NUMBER_MINIMUM:
        return r.numbers(x, y, [](float a, float b) { return minimum(a, b); });
    case HD_CUDA_NUMBER_AT_LEAST:
        return r.numbers(x, y, [](float a, float b) { return a < b ? b : a; });
    case HD_CUDA_NUMBER_AT_MOST:
        return r.numbers(x, y, [](float a, float b) { return a > b ? b : a; });
    case HD_CUDA_NUMBER_MODULO:
        return r.numbers(x, y, [](float a, float b) { return modulo_of(a, b); });
    case HD_CUDA_NUMBER_REMAINDER:
        return r.numbers(x, y, [](float a, float b) { return remainder_of(a, b); });
    case HD_CUDA_NUMBER_EQUAL:
        return r.tests(x, y, [](float a, float b) { return a == b; });
    case HD_CUDA_NUMBER_LESS:
        return r.tests(x, y, [](float a, float b) { return a < b; });
    case HD_CUDA_NUMBER_LESS_OR_EQUAL:
        return r.tests(x, y, [](float a, float b) { return a <= b; });
    case HD_CUDA_NUMBER_PRELU:
        return r.numbers(x, y, [](float a, float b) { return a < 0.0f ? __fmul_rn(b, a) : a; });
    case HD_CUDA_NUMBER_POWER:
        return r.numbers(x, y, [](float a, float b) { return power(a, b); });
    case HD_CUDA_NUMBER_ABSOLUTE:
        return r.words(x, x, HD_CUDA_BITS_U32, [](Word a, Word) { return a & 0x7fffffffu; });
    case HD_CUDA_NUMBER_NEGATE:
        return r.words(x, x, HD_CUDA_BITS_U32, [](Word a, Word) { return a ^ 0x80000000u; });
    case HD_CUDA_NUMBER_SIGN:
        return r.numbers(x, [](float a) { return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : a; });
    case HD_CUDA_NUMBER_IS_NAN:
        return r.tests(x, x, [](float a, float) { return a != a; });
    case HD_CUDA_NUMBER_IS_POSITIVE_INFINITY:
        return r.tests(x, x, [](float a, float) { return a == __builtin_huge_valf(); });
    case HD_CUDA_NUMBER_IS_NEGATIVE_INFINITY:
        return r.tests(x, x, [](float a, float) { return a == -__builtin_huge_valf(); });
    case HD_CUDA_NUMBER_IS_INFINITE:
        return r.tests(x, x, [](float a, float) { return fabsf(a) == __builtin_huge_valf(); });
    case HD_CUDA_NUMBER_RELU:
        return r.numbers(x, [](float a) { return a > 0.0f || a != a ? a : 0.0f; });
    case HD_CUDA_NUMBER_SQRT:
        return r.numbers(x, [](float a) { return __fsqrt_rn(a); });
    case HD_CUDA_NUMBER_RECIPROCAL:
        return r.numbers(x, [](float a) { return __frcp_rn(a); });
    case HD_CUDA_NUMBER_FLOOR:
        return r.numbers(x, [](float a) { return floorf(a); });
    case HD_CUDA_NUMBER_CEIL:
        return r.numbers(x, [](float a) { return ceilf(a); });
    case HD_CUDA_NUMBER_ROUND:
        return r.numbers(x, [](float a) { return rintf(a); });
    case HD_CUDA_NUMBER_EXP:
        return r.numbers(x, [](float a) { return expf(a); });
    case HD_CUDA_NUMBER_LOG:
        return r.numbers(x, [](float a) { return logf(a); });
    case HD_CUDA_NUMBER_ERF:
        return r.numbers(x, [](float a) { return erff(a); });
    case HD_CUDA_NUMBER_TANH:
        return r.numbers(x, [](float a) { return tanhf(a); });
    case HD_CUDA_NUMBER_SIGMOID:
        return r.numbers(x, [](float a) { return hd_sigmoid(a); });
    case HD_CUDA_NUMBER_GELU:
        return r.numbers(x, [](float a) { return hd_gelu(a); });
    default:
#pragma unroll
        for (int i = 0; i < N; i++) {
            r.v[i] = __float_as_uint(rare(in.code, number(static_cast<unsigned>(x.v[i])), number(static_cast<unsigned>(y.v[i])), number(static_cast<unsigned>(z.v[i]))));
        }
    }
}

template <class Word, int N> __device__ __forceinline__ void convert_step(const hd_cuda_instruction in, const Lanes<Word, N> &x, Lanes<Word, N> &r)
{
    using S = typename Signed<Word>::type;
    auto make = [&](auto f) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            r.v[i] = cut(static_cast<Word>(f(x.v[i])), in.bits);
        }
    };
    switch (in.code) {
    case HD_CUDA_INTEGER_OF_NUMBER:
        return make([](Word a) { return integer_of(number(static_cast<unsigned>(a))); });
    case HD_CUDA_UNSIGNED_OF_NUMBER:
        return make([](Word a) { return unsigned_of(number(static_cast<unsigned>(a))); });
    case HD_CUDA_NUMBER_OF_INTEGER:
        return make([](Word a) { return __float_as_uint(static_cast<float>(static_cast<S>(a))); });
    case HD_CUDA_NUMBER_OF_UNSIGNED:
        return make([](Word a) { return __float_as_uint(static_cast<float>(a)); });
    case HD_CUDA_ODD_OF_INTEGER:
        return make([](Word a) {
            long long wide = static_cast<S>(a);
            return __float_as_uint(odd_of(wide < 0, wide < 0 ? 0ull - static_cast<unsigned long long>(wide) : static_cast<unsigned long long>(wide)));
        });
    case HD_CUDA_ODD_OF_UNSIGNED:
        return make([](Word a) { return __float_as_uint(odd_of(false, a)); });
    case HD_CUDA_HALF_OF_NUMBER:
        return make([](Word a) { return __half_as_ushort(__float2half_rn(number(static_cast<unsigned>(a)))); });
    case HD_CUDA_NUMBER_OF_HALF:
        return make([](Word a) { return __float_as_uint(__half2float(__ushort_as_half(static_cast<unsigned short>(a)))); });
    case HD_CUDA_BFLOAT_OF_NUMBER:
        return make([](Word a) { return bfloat_of(number(static_cast<unsigned>(a))); });
    case HD_CUDA_NUMBER_OF_BFLOAT:
        return make([](Word a) { return static_cast<unsigned>(a) << 16; });
    case HD_CUDA_NUMBER_IS_NOT_ZERO:
        return make([](Word a) { return number(static_cast<unsigned>(a)) != 0.0f; });
    default: /* HD_CUDA_INTEGER_IS_NOT_ZERO */
        return make([](Word a) { return a != 0; });
    }
}

template <class Word, int N> __device__ __forceinline__ void integer_step(const hd_cuda_instruction in, const Lanes<Word, N> &x, const Lanes<Word, N> &y, Lanes<Word, N> &r)
{
    using S = typename Signed<Word>::type;
    const unsigned width = in.bits == HD_CUDA_BITS_U8 ? 8 : in.bits == HD_CUDA_BITS_U16 ? 16 : in.bits == HD_CUDA_BITS_U32 ? 32 : 64;
    switch (in.code) {
    case HD_CUDA_INTEGER_ADD:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a + b; });
    case HD_CUDA_INTEGER_SUBTRACT:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a - b; });
    case HD_CUDA_INTEGER_MULTIPLY:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a * b; });
    case HD_CUDA_INTEGER_DIVIDE:
        return r.integers(x, y, in.bits, [](S a, S b) { return quotient(a, b); });
    case HD_CUDA_INTEGER_MAXIMUM:
        return r.integers(x, y, in.bits, [](S a, S b) { return a > b ? a : b; });
    case HD_CUDA_INTEGER_MINIMUM:
        return r.integers(x, y, in.bits, [](S a, S b) { return a < b ? a : b; });
    case HD_CUDA_INTEGER_MODULO:
        return r.integers(x, y, in.bits, [](S a, S b) { return modulo(a, b); });
    case HD_CUDA_INTEGER_REMAINDER:
        return r.integers(x, y, in.bits, [](S a, S b) { return rest(a, b); });
    case HD_CUDA_INTEGER_EQUAL:
        return r.integers(x, y, in.bits, [](S a, S b) { return a == b; });
    case HD_CUDA_INTEGER_LESS:
        return r.integers(x, y, in.bits, [](S a, S b) { return a < b; });
    case HD_CUDA_INTEGER_LESS_OR_EQUAL:
        return r.integers(x, y, in.bits, [](S a, S b) { return a <= b; });
    case HD_CUDA_INTEGER_PRELU:
        return r.words(x, y, in.bits, [](Word a, Word b) { return static_cast<S>(a) < 0 ? a * b : a; });
    case HD_CUDA_INTEGER_POWER:
        return r.integers(x, y, in.bits, [](S a, S b) { return integer_power(a, b); });
    case HD_CUDA_INTEGER_ABSOLUTE:
        return r.words(x, x, in.bits, [](Word a, Word) { return static_cast<S>(a) < 0 ? Word(0) - a : a; });
    case HD_CUDA_INTEGER_NEGATE:
        return r.words(x, x, in.bits, [](Word a, Word) { return Word(0) - a; });
    case HD_CUDA_INTEGER_SIGN:
        return r.integers(x, x, in.bits, [](S a, S) { return (a > 0) - (a < 0); });
    case HD_CUDA_INTEGER_AND:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a & b; });
    case HD_CUDA_INTEGER_OR:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a | b; });
    case HD_CUDA_INTEGER_XOR:
        return r.words(x, y, in.bits, [](Word a, Word b) { return a ^ b; });
    case HD_CUDA_INTEGER_NOT:
        return r.words(x, x, in.bits, [](Word a, Word) { return ~a; });
    case HD_CUDA_INTEGER_IS_ZERO:
        return r.words(x, x, in.bits, [](Word a, Word) { return a == 0; });
    case HD_CUDA_INTEGER_SHIFT_LEFT:
        return r.words(x, y, in.bits, [=](Word a, Word b) { return b < width ? a << b : Word(0); });
    case HD_CUDA_INTEGER_SHIFT_RIGHT:
        return r.words(x, y, in.bits, [=](Word a, Word b) { return b < width ? a >> b : Word(0); });
    default:
        return convert_step(in, x, r);
    }
}

template <class Word, int N> __device__ __forceinline__ void instruction_step(const hd_cuda_instruction in, const Lanes<Word, N> &x, const Lanes<Word, N> &y, const Lanes<Word, N> &z, Lanes<Word, N> &r)
{
    if (in.code == HD_CUDA_CHOOSE) {
#pragma unroll
        for (int i = 0; i < N; i++) {
            r.v[i] = x.v[i] != 0 ? y.v[i] : z.v[i];
        }
    } else if (in.code < HD_CUDA_INTEGER_ADD || in.code >= HD_CUDA_CALLED) {
        number_step(in, x, y, z, r);
    } else {
        integer_step(in, x, y, r);
    }
}

} // namespace

#endif
