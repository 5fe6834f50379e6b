/* Narrow numbers: element types of at most 8 bits that are for storage and conversion alone, ONNX's float8 kinds and
 * what is narrower (onnx.ai, "Float stored in 8 bits", "4 bit integer types").
 *
 * Values of a graph take a byte each: an integer is what int8 or uint8 would be, a float its code in the low bits. Files and
 * an hd_tensor pack those of less than 8 bits one behind the other, from the low bits up (graph/graph_narrow.h).
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_NARROW_H
#define HD_OPERATION_NARROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heddle/tensor.h"

/* How a number that lies between two of float8e8m0 becomes one of them. */
typedef enum hd_narrow_rounding {
    HD_NARROW_UP,
    HD_NARROW_DOWN,
    HD_NARROW_NEAREST /* a half goes up */
} hd_narrow_rounding;

bool hd_narrow_is(hd_dtype dtype);
/* A narrow type that is no integer. */
bool hd_narrow_is_float(hd_dtype dtype);
/* A narrow integer's least and largest number; 0 and 0 for other types. */
void hd_narrow_bounds(hd_dtype dtype, int32_t *out_low, int32_t *out_high);

/* A narrow float's value. */
float hd_narrow_decode(hd_dtype dtype, uint8_t code);
/* The nearest one, a half to the even one; `rounding` is float8e8m0's. saturates: what is too large becomes the largest
 * number, also an infinity; else infinity or, without one, NaN. */
uint8_t hd_narrow_encode(hd_dtype dtype, float value, bool saturates, hd_narrow_rounding rounding);

/* A type of less than 8 bits, which is packed. */
static inline bool hd_narrow_is_packed(hd_dtype dtype)
{
    return dtype >= HD_UINT4 && dtype <= HD_FLOAT6E3M2 && dtype != HD_FLOAT8E8M0;
}

/* Bytes of `count` elements, packed; of types that are not narrow, as if they had a byte. */
size_t hd_narrow_packed_size(hd_dtype dtype, size_t count);
/* From packed bytes to one a byte, which do not overlap. Types of 8 bits are copied. */
void hd_narrow_unpack(hd_dtype dtype, const uint8_t *packed, size_t count, uint8_t *out);
/* The same back: out has hd_narrow_packed_size bytes, the last one's bits that no element has are 0. It may be where `in` is. */
void hd_narrow_pack(hd_dtype dtype, const uint8_t *in, size_t count, uint8_t *out);

/* Bytes of `count` elements of any type in an hd_tensor. */
static inline size_t hd_tensor_bytes(hd_dtype dtype, size_t count)
{
    return hd_narrow_is_packed(dtype) ? hd_narrow_packed_size(dtype, count)
                                      : count * hd_dtype_size(dtype);
}

#endif
