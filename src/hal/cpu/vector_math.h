/* Vector math: functions of float32 arrays, in the widest instructions that the processor has.
 *
 * `out` may be `in` (exactly), otherwise they do not overlap. BITS: an element's result depends on
 * its value only; tails go through the same instructions, masked.
 * Errors, in units in the last place, are what tests/unit/test_vector_math.c holds. Functions from
 * SLEEF 3.5 (sleef.org) are its 1.0-ULP ones; our own have their source at their definition.
 *
 * Thread-safety: any thread. */
#ifndef HD_HAL_CPU_VECTOR_MATH_H
#define HD_HAL_CPU_VECTOR_MATH_H

#include <stddef.h>

/* X(name): out = name(in). Own: exp, expm1, tanh, sigmoid, silu, mish, erf, gelu, gelu_tanh, sin, cos
 * (SLEEF's beyond |x| = 4096); the others are SLEEF's or made of them. */
#define HD_VECTOR_UNARY_LIST(X)                                                                    \
    X(exp)                                                                                         \
    X(expm1)                                                                                       \
    X(log)                                                                                         \
    X(log1p)                                                                                       \
    X(sqrt)                                                                                        \
    X(reciprocal)                                                                                  \
    X(erf)                                                                                         \
    X(tanh)                                                                                        \
    X(sigmoid)                                                                                     \
    X(silu)      /* x · sigmoid(x) */                                                              \
    X(gelu)      /* x/2 · (1 + erf(x/√2)) */                                                       \
    X(gelu_tanh) /* x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))) */                                  \
    X(softplus)  /* log(1 + exp(x)) */                                                             \
    X(mish)      /* x · tanh(softplus(x)) */                                                       \
    X(sin)                                                                                         \
    X(cos)                                                                                         \
    X(tan)                                                                                         \
    X(asin)                                                                                        \
    X(acos)                                                                                        \
    X(atan)                                                                                        \
    X(sinh)                                                                                        \
    X(cosh)                                                                                        \
    X(asinh)                                                                                       \
    X(acosh)                                                                                       \
    X(atanh)                                                                                       \
    X(relu)                                                                                        \
    X(floor)                                                                                       \
    X(ceil)                                                                                        \
    X(round) /* halves to even */

/* X(name): out = name(in) with two parameters, as ONNX defines them. */
#define HD_VECTOR_PARAMETRIC_LIST(X)                                                               \
    X(clip)             /* min(max(x, alpha), beta); NaN stays */                                  \
    X(leaky_relu)       /* alpha · x below 0 */                                                    \
    X(hard_sigmoid)     /* min(max(alpha·x + beta, 0), 1) */                                       \
    X(hard_swish)       /* x · min(max(alpha·x + beta, 0), 1) */                                   \
    X(elu)              /* alpha · (exp(x) - 1) below 0 */                                         \
    X(celu)             /* alpha · (exp(x/alpha) - 1) below 0 */                                   \
    X(selu)             /* beta · (alpha · (exp(x) - 1) below 0) */                                \
    X(thresholded_relu) /* 0 up to alpha */                                                        \
    X(swish)            /* x · sigmoid(alpha·x) */

typedef void hd_cpu_vector_unary(float *out, const float *in, size_t n);
typedef void hd_cpu_vector_parametric(float *out, const float *in, size_t n, float alpha,
                                      float beta);
/* out = f(a, b), elementwise; out may be a or b. */
typedef void hd_cpu_vector_binary(float *out, const float *a, const float *b, size_t n);
/* out = exp(in - shift), and the sum of out in a fixed order of 16 partial sums (BITS). */
typedef float hd_cpu_vector_exp_sum_function(float *out, const float *in, float shift, size_t n);

#define HD_VECTOR_DECLARE_(name) hd_cpu_vector_unary hd_cpu_vector_##name;
HD_VECTOR_UNARY_LIST(HD_VECTOR_DECLARE_)
#undef HD_VECTOR_DECLARE_
#define HD_VECTOR_DECLARE_(name) hd_cpu_vector_parametric hd_cpu_vector_##name;
HD_VECTOR_PARAMETRIC_LIST(HD_VECTOR_DECLARE_)
#undef HD_VECTOR_DECLARE_
hd_cpu_vector_binary hd_cpu_vector_pow;
hd_cpu_vector_exp_sum_function hd_cpu_vector_exp_sum;

/* The same functions as a table, for kernels that choose when they are compiled. */
typedef struct hd_cpu_vector_functions {
#define HD_VECTOR_MEMBER_(name) hd_cpu_vector_unary *name;
    HD_VECTOR_UNARY_LIST(HD_VECTOR_MEMBER_)
#undef HD_VECTOR_MEMBER_
#define HD_VECTOR_MEMBER_(name) hd_cpu_vector_parametric *name;
    HD_VECTOR_PARAMETRIC_LIST(HD_VECTOR_MEMBER_)
#undef HD_VECTOR_MEMBER_
    hd_cpu_vector_binary *pow;
    hd_cpu_vector_exp_sum_function *exp_sum;
} hd_cpu_vector_functions;

/* This process's table. */
const hd_cpu_vector_functions *hd_cpu_vector_functions_get(void);

/* One table an instruction set; calling one that the processor lacks is an illegal instruction. */
extern const hd_cpu_vector_functions hd_cpu_vector_functions_baseline;
#if defined(__x86_64__)
extern const hd_cpu_vector_functions hd_cpu_vector_functions_avx2;
extern const hd_cpu_vector_functions hd_cpu_vector_functions_avx512;
#endif

#endif
