/* Lookup: the order of elements by which "heddle.Lookup" finds one among sorted keys.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_LOOKUP_H
#define HD_OPERATION_LOOKUP_H

#include <stdbool.h>

#include "heddle/tensor.h"

/* Room for an element of any type. */
typedef union hd_lookup_element {
    float single;
    double twice;
    int64_t integer;
    hd_string text;
} hd_lookup_element;

/* An element as it is compared. */
typedef struct hd_lookup_key {
    hd_dtype dtype;
    int64_t index;   /* the caller's */
    int64_t integer; /* of the integers' types */
    double number;   /* float32, float64 */
    hd_string text;
} hd_lookup_key;

/* Whether elements of a type are looked up: float32, float64, int64, int32, int16, texts. */
bool hd_lookup_takes(hd_dtype dtype);

/* Element `index` of an array of such a type. */
hd_lookup_key hd_lookup_key_at(hd_dtype dtype, const void *data, int64_t index);

/* Below 0, 0, above 0: a stands before b, is b, stands behind it. NaN is NaN, and behind all numbers. Both are of one type. */
int hd_lookup_compare(const hd_lookup_key *a, const hd_lookup_key *b);
/* The same and, among equals, by their index; for qsort. */
int hd_lookup_compare_keys(const void *a, const void *b);

#endif
