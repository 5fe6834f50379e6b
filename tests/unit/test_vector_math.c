/* Vector math: each function of each instruction set against double precision; tails; order. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hal/cpu/activation.h"
#include "hal/cpu/isa.h"
#include "hal/cpu/vector_math.h"

#define BLOCK              1024
#define STRIDE_OF_PATTERNS 1999 /* every so many of the 2^32 bit patterns are tried */

typedef struct variant {
    const char *name;
    const hd_cpu_vector_functions *functions;
    hd_cpu_isa_level needs;
} variant;

static const variant variants[] = {
    {"baseline", &hd_cpu_vector_functions_baseline, HD_ISA_BASELINE},
#if defined(__x86_64__)
    {"avx2", &hd_cpu_vector_functions_avx2, HD_ISA_AVX2},
    {"avx512", &hd_cpu_vector_functions_avx512, HD_ISA_AVX512},
#endif
};
#define VARIANT_COUNT (sizeof variants / sizeof variants[0])

static double reference_reciprocal(double x)
{
    return 1.0 / x;
}

static double reference_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double reference_silu(double x)
{
    return x / (1.0 + exp(-x));
}

static double reference_gelu(double x)
{
    return 0.5 * x * (1.0 + erf(x * sqrt(0.5)));
}

static double reference_gelu_tanh(double x)
{
    return x / (1.0 + exp(-2.0 * sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static double reference_softplus(double x)
{
    return fmax(x, 0.0) + log1p(exp(-fabs(x)));
}

static double reference_mish(double x)
{
    return x * tanh(reference_softplus(x));
}

static double reference_relu(double x)
{
    return x < 0.0 ? 0.0 : x;
}

/* Allowed: `ulps` units in the last place of the result, or `absolute`, where |x| <= bound. */
typedef struct claim {
    const char *name;
    size_t member;
    double (*reference)(double);
    double ulps;
    double absolute;
    double bound;
} claim;

#define CLAIM(name, reference, ulps, absolute, bound)                                              \
    {#name, offsetof(hd_cpu_vector_functions, name), reference, ulps, absolute, bound}
static const claim claims[] = {
    CLAIM(exp, exp, 1.5, 0, INFINITY),
    CLAIM(expm1, expm1, 2.5, 0, INFINITY),
    CLAIM(log, log, 1.1, 0, INFINITY),
    CLAIM(log1p, log1p, 1.1, 0, 1e38),
    CLAIM(sqrt, sqrt, 0.5001, 0, INFINITY),
    CLAIM(reciprocal, reference_reciprocal, 0.5001, 0, INFINITY),
    CLAIM(erf, erf, 4.0, 0, INFINITY),
    CLAIM(tanh, tanh, 4.0, 0, INFINITY),
    CLAIM(sigmoid, reference_sigmoid, 4.0, 1e-37, INFINITY),
    CLAIM(silu, reference_silu, 4.0, 1e-35, 1e38),
    CLAIM(gelu, reference_gelu, 4.0, 5e-7, 1e38),
    CLAIM(gelu_tanh, reference_gelu_tanh, 4.0, 5e-7, 1e38),
    CLAIM(softplus, reference_softplus, 4.0, 0, INFINITY),
    CLAIM(mish, reference_mish, 6.0, 0, 80.0),
    CLAIM(sin, sin, 2.5, 6e-8, INFINITY),
    CLAIM(cos, cos, 2.5, 6e-8, INFINITY),
    CLAIM(tan, tan, 1.1, 0, INFINITY),
    CLAIM(asin, asin, 1.1, 0, INFINITY),
    CLAIM(acos, acos, 1.1, 0, INFINITY),
    CLAIM(atan, atan, 1.1, 0, INFINITY),
    CLAIM(sinh, sinh, 1.1, 0, 88.0),
    CLAIM(cosh, cosh, 1.1, 0, 88.0),
    CLAIM(asinh, asinh, 1.1, 0, 1e18),
    CLAIM(acosh, acosh, 1.1, 0, 1e18),
    CLAIM(atanh, atanh, 1.1, 0, INFINITY),
    CLAIM(relu, reference_relu, 0, 0, INFINITY),
    CLAIM(floor, floor, 0, 0, INFINITY),
    CLAIM(ceil, ceil, 0, 0, INFINITY),
    CLAIM(round, rint, 0, 0, INFINITY),
};
#define CLAIM_COUNT (sizeof claims / sizeof claims[0])

static hd_cpu_vector_unary *member_of(const hd_cpu_vector_functions *functions, const claim *of)
{
    hd_cpu_vector_unary *function;
    memcpy(&function, (const char *)functions + of->member, sizeof function);
    return function;
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Distance in units of the last place of `want`; 0 when `got` is the float32 nearest to it. */
static double ulps_between(float got, double want)
{
    float nearest = (float)want;
    if (got == nearest) {
        return 0.0;
    }
    int exponent;
    frexp(nearest, &exponent);
    double unit = ldexp(1.0, exponent - 24 < -149 ? -149 : exponent - 24);
    return fabs((double)got - want) / unit;
}

static void check_claim(const variant *of, const claim *about)
{
    hd_cpu_vector_unary *function = member_of(of->functions, about);
    float in[BLOCK], out[BLOCK];
    double worst = 0.0;
    float worst_at = 0.0f;
    uint64_t bits = 1;
    while (bits <= UINT32_MAX) {
        size_t n = 0;
        for (; n < BLOCK && bits <= UINT32_MAX; bits += STRIDE_OF_PATTERNS) {
            in[n++] = float_of_bits((uint32_t)bits);
        }
        function(out, in, n);
        for (size_t i = 0; i < n; i++) {
            double want = about->reference((double)in[i]);
            if (isnan(want)) {
                if (!isnan(out[i])) {
                    fail_msg("%s %s(%a) = %a, not NaN", of->name, about->name, (double)in[i],
                             (double)out[i]);
                }
                continue;
            }
            if (fabs((double)in[i]) > about->bound ||
                fabs((double)out[i] - want) <= about->absolute) {
                continue;
            }
            double error = ulps_between(out[i], want);
            if (!(error <= worst)) {
                worst = error;
                worst_at = in[i];
            }
        }
    }
    print_message("%-8s %-10s %.2f units at %.9g\n", of->name, about->name, worst,
                  (double)worst_at);
    if (!(worst <= about->ulps)) {
        fail_msg("%s %s is off by %.2f units at %a", of->name, about->name, worst,
                 (double)worst_at);
    }
}

static void functions_stay_within_their_error(void **state)
{
    (void)state;
    for (size_t v = 0; v < VARIANT_COUNT; v++) {
        if (variants[v].needs > hd_cpu_isa()) {
            continue;
        }
        for (size_t c = 0; c < CLAIM_COUNT; c++) {
            check_claim(&variants[v], &claims[c]);
        }
    }
}

static void results_do_not_depend_on_position(void **state)
{
    (void)state;
    float in[80], whole[80], part[80];
    for (size_t i = 0; i < 80; i++) {
        in[i] = i % 7 == 3 ? 5000.0f + (float)i : ((float)i - 40.0f) * 0.37f;
    }
    for (size_t v = 0; v < VARIANT_COUNT; v++) {
        if (variants[v].needs > hd_cpu_isa()) {
            continue;
        }
        for (size_t c = 0; c < CLAIM_COUNT; c++) {
            hd_cpu_vector_unary *function = member_of(variants[v].functions, &claims[c]);
            function(whole, in, 80);
            for (size_t n = 0; n <= 35; n++) {
                size_t begin = n % 11;
                memset(part, 0x5A, sizeof part);
                function(part, in + begin, n);
                assert_memory_equal(part, whole + begin, n * sizeof(float));
                uint32_t guard;
                memcpy(&guard, &part[n], sizeof guard);
                assert_int_equal(guard, 0x5A5A5A5A); /* nothing was written behind the end */
            }
            memcpy(part, in, sizeof in);
            function(part, part, 80);
            assert_memory_equal(part, whole, sizeof whole);
        }
    }
}

static void exp_sum_adds_in_one_order_on_all_instruction_sets(void **state)
{
    (void)state;
    float in[100], out[100], expected[100];
    for (size_t i = 0; i < 100; i++) {
        in[i] = (float)((i * 37) % 100) * 0.11f;
    }
    for (size_t v = 0; v < VARIANT_COUNT; v++) {
        if (variants[v].needs > hd_cpu_isa()) {
            continue;
        }
        for (size_t n = 0; n <= 100; n++) {
            float shifted[100];
            for (size_t i = 0; i < n; i++) {
                shifted[i] = in[i] - 10.0f;
            }
            variants[v].functions->exp(expected, shifted, n);
            float partial[16] = {0};
            for (size_t i = 0; i < n; i++) {
                partial[i % 16] += expected[i];
            }
            for (size_t width = 8; width > 0; width /= 2) {
                for (size_t k = 0; k < width; k++) {
                    partial[k] += partial[k + width];
                }
            }
            float sum = variants[v].functions->exp_sum(out, in, 10.0f, n);
            assert_memory_equal(out, expected, n * sizeof(float));
            assert_true(sum == partial[0]);
        }
    }
}

static void pow_follows_c(void **state)
{
    (void)state;
    static const float bases[] = {0.0f,   -0.0f, 1.0f,     -1.0f,     2.5f, -2.5f,
                                  1e-20f, 7e8f,  INFINITY, -INFINITY, NAN};
    static const float exponents[] = {0.0f,  1.0f, 2.0f,     3.0f,      -1.0f, 0.5f,
                                      -2.5f, 7.0f, INFINITY, -INFINITY, NAN};
    for (size_t v = 0; v < VARIANT_COUNT; v++) {
        if (variants[v].needs > hd_cpu_isa()) {
            continue;
        }
        for (size_t b = 0; b < 11; b++) {
            float base[11], out[11];
            for (size_t e = 0; e < 11; e++) {
                base[e] = bases[b];
            }
            variants[v].functions->pow(out, base, exponents, 11);
            for (size_t e = 0; e < 11; e++) {
                double want = pow((double)bases[b], (double)exponents[e]);
                if (isnan(want)) {
                    assert_true(isnan(out[e]));
                } else if (!(ulps_between(out[e], want) <= 1.51)) {
                    fail_msg("%s pow(%a, %a) = %a, not %a", variants[v].name, (double)bases[b],
                             (double)exponents[e], (double)out[e], want);
                }
            }
        }
    }
}

static void activations_take_their_parameters(void **state)
{
    (void)state;
    float in[5] = {-4.0f, -0.5f, 0.0f, 0.5f, 7.0f}, x[5];
    hd_activation clip = {.kind = HD_ACTIVATION_CLIP, .alpha = 0.0f, .beta = 6.0f};
    memcpy(x, in, sizeof in);
    hd_cpu_activation_apply(&clip, x, 5);
    assert_true(x[0] == 0.0f && x[3] == 0.5f && x[4] == 6.0f);
    hd_activation swish = {.kind = HD_ACTIVATION_HARD_SWISH, .alpha = 1.0f / 6.0f, .beta = 0.5f};
    memcpy(x, in, sizeof in);
    hd_cpu_activation_apply(&swish, x, 5);
    assert_true(x[0] == 0.0f && x[4] == 7.0f && fabsf(x[3] - 0.5f * (0.5f / 6.0f + 0.5f)) < 1e-6f);
    hd_activation leaky = {.kind = HD_ACTIVATION_LEAKY_RELU, .alpha = 0.1f, .beta = 0.0f};
    memcpy(x, in, sizeof in);
    hd_cpu_activation_apply(&leaky, x, 5);
    assert_true(x[0] == 0.1f * -4.0f && x[4] == 7.0f);
    hd_activation none = {.kind = HD_ACTIVATION_NONE, .alpha = 0.0f, .beta = 0.0f};
    memcpy(x, in, sizeof in);
    hd_cpu_activation_apply(&none, x, 5);
    assert_memory_equal(x, in, sizeof in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_stay_within_their_error),
        cmocka_unit_test(results_do_not_depend_on_position),
        cmocka_unit_test(exp_sum_adds_in_one_order_on_all_instruction_sets),
        cmocka_unit_test(pow_follows_c),
        cmocka_unit_test(activations_take_their_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
