#include "hal/cpu/vector_math.h"

#include "base/atomic.h"
#include "hal/cpu/isa.h"

static const hd_cpu_vector_functions *_Atomic chosen;

const hd_cpu_vector_functions *hd_cpu_vector_functions_get(void)
{
    /* Relaxed: pairs with the store below; the tables are constant, and all threads choose alike. */
    const hd_cpu_vector_functions *functions = hd_load_relaxed(&chosen);
    if (functions != NULL) {
        return functions;
    }
    functions = &hd_cpu_vector_functions_baseline;
#if defined(__x86_64__)
    if (hd_cpu_isa() == HD_ISA_AVX512) {
        functions = &hd_cpu_vector_functions_avx512;
    } else if (hd_cpu_isa() == HD_ISA_AVX2) {
        functions = &hd_cpu_vector_functions_avx2;
    }
#endif
    hd_store_relaxed(&chosen, functions);
    return functions;
}

#define DEFINE_UNARY(name)                                                                         \
    void hd_cpu_vector_##name(float *out, const float *in, size_t n)                               \
    {                                                                                              \
        hd_cpu_vector_functions_get()->name(out, in, n);                                           \
    }
HD_VECTOR_UNARY_LIST(DEFINE_UNARY)

#define DEFINE_PARAMETRIC(name)                                                                    \
    void hd_cpu_vector_##name(float *out, const float *in, size_t n, float alpha, float beta)      \
    {                                                                                              \
        hd_cpu_vector_functions_get()->name(out, in, n, alpha, beta);                              \
    }
HD_VECTOR_PARAMETRIC_LIST(DEFINE_PARAMETRIC)

void hd_cpu_vector_pow(float *out, const float *a, const float *b, size_t n)
{
    hd_cpu_vector_functions_get()->pow(out, a, b, n);
}

float hd_cpu_vector_exp_sum(float *out, const float *in, float shift, size_t n)
{
    return hd_cpu_vector_functions_get()->exp_sum(out, in, shift, n);
}
