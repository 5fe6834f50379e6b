/* Philox: random numbers by counting, Philox 4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
 * 1, 2, 3" (SC 2011). A number follows from key and counter alone, so any thread makes any of them (BITS).
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_PHILOX_H
#define HD_OPERATION_PHILOX_H

#include <stdint.h>

typedef struct hd_philox {
    uint32_t words[4];
} hd_philox;

static inline hd_philox hd_philox_make(uint64_t counter, uint64_t stream, uint64_t key)
{
    uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)stream,
                     (uint32_t)(stream >> 32)};
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ low, (uint32_t)b,
                                  (uint32_t)(a >> 32) ^ c[3] ^ high, (uint32_t)a};
        for (int i = 0; i < 4; i++) {
            c[i] = next[i];
        }
        low += 0x9E3779B9u;
        high += 0xBB67AE85u;
    }
    return (hd_philox){{c[0], c[1], c[2], c[3]}};
}

#endif
