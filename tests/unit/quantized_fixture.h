/* What the tests of quantized operators share. */
#ifndef HD_TEST_QUANTIZED_FIXTURE_H
#define HD_TEST_QUANTIZED_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "hal/cpu/packed.h"
#include "operation_runner.h"

static inline void *take(size_t size)
{
    void *memory = hd_alloc_aligned(size + 1);
    assert_non_null(memory);
    return memory;
}

static inline uint8_t *bytes(int64_t count, uint32_t seed)
{
    uint8_t *values = take((size_t)count);
    uint32_t state = seed * 2654435761u + 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (uint8_t)(state >> 24);
        /* Many extremes, where sums would saturate. */
        values[i] = state >> 8 & 3 ? values[i] : state >> 10 & 1 ? 255 : state >> 11 & 1 ? 128 : 0;
    }
    return values;
}

static inline int32_t value_of(hd_dtype dtype, const uint8_t *data, int64_t i)
{
    return dtype == HD_INT8 ? ((const int8_t *)data)[i] : data[i];
}

static inline void expect(operation_case *test, const hd_tensor *expected)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    operation_check_output(&result.outputs[0], expected);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

static inline float rounded(float x, float low, float high)
{
    x = x > low ? x : low;
    return rintf(x < high ? x : high);
}

#endif
