#define HD_VECTOR_TABLE hd_vector_functions_baseline
#include "hal/cpu/vector_math_template.inc"
