/* Byte transpose: a matrix of bytes turned around, in squares of 16.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_BYTE_TRANSPOSE_H
#define HD_HAL_CPU_BYTE_TRANSPOSE_H

#include <stdint.h>

/* to[c * to_step + r] = from[r * from_step + c] for rows x columns; they do not overlap. */
void hd_cpu_transpose_bytes(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step,
                            int64_t rows, int64_t columns);

#endif
