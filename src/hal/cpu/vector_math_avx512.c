#if defined(__x86_64__)
#define HD_VECTOR_TABLE hd_cpu_vector_functions_avx512
#include "hal/cpu/vector_math_template.inc"
#else
typedef int hd_cpu_vector_math_avx512_is_empty;
#endif
