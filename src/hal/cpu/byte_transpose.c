#include "hal/cpu/byte_transpose.h"

#include <string.h>

#include "base/stop.h"
#include "hal/cpu/lanes.h"

#define SIDE 16

typedef uint8_t line __attribute__((vector_size(SIDE)));

/* The first halves of two lines, byte by byte in turn; the second ones. */
static inline line low_halves(line a, line b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline line high_halves(line a, line b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                   31);
}

/* Each round makes pairs of what lies 8 lines apart; after four of them all is turned around. */
static inline void turn(line *lines)
{
    line next[SIDE];
    LANES_UNROLL
    for (int round = 0; round < 4; round++) {
        line *from = round % 2 == 0 ? lines : next, *to = round % 2 == 0 ? next : lines;
        LANES_UNROLL
        for (int i = 0; i < SIDE / 2; i++) {
            to[2 * i] = low_halves(from[i], from[i + SIDE / 2]);
            to[2 * i + 1] = high_halves(from[i], from[i + SIDE / 2]);
        }
    }
}

static void transpose_square(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step,
                             int64_t rows, int64_t columns)
{
    line lines[SIDE];
    if (rows == SIDE && columns == SIDE) {
        LANES_UNROLL
        for (int r = 0; r < SIDE; r++) {
            memcpy(&lines[r], from + r * from_step, SIDE);
        }
        turn(lines);
        LANES_UNROLL
        for (int c = 0; c < SIDE; c++) {
            memcpy(to + c * to_step, &lines[c], SIDE);
        }
        return;
    }
    memset(lines, 0, sizeof lines);
    for (int64_t r = 0; r < rows; r++) {
        memcpy(&lines[r], from + r * from_step, (size_t)columns);
    }
    turn(lines);
    for (int64_t c = 0; c < columns; c++) {
        memcpy(to + c * to_step, &lines[c], (size_t)rows);
    }
}

void hd_cpu_transpose_bytes(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step,
                            int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows && !hd_stop_ends_every(r / SIDE, 64); r += SIDE) {
        const int64_t high = rows - r < SIDE ? rows - r : SIDE;
        for (int64_t c = 0; c < columns; c += SIDE) {
            const int64_t wide = columns - c < SIDE ? columns - c : SIDE;
            transpose_square(to + c * to_step + r, to_step, from + r * from_step + c, from_step,
                             high, wide);
        }
    }
}
