#define TABLE_NAME hd_cpu_elementwise_float32_baseline
#include "hal/cpu/ops/elementwise_float32.inc"
