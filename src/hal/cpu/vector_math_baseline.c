#define HD_VECTOR_TABLE hd_cpu_vector_functions_baseline
#include "hal/cpu/vector_math_template.inc"
