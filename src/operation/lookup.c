#include "operation/lookup.h"

#include <math.h>

#include "base/strings.h"

bool hd_lookup_takes(hd_dtype dtype)
{
    return dtype == HD_FLOAT32 || dtype == HD_FLOAT64 || dtype == HD_INT64 || dtype == HD_INT32 ||
           dtype == HD_INT16 || dtype == HD_STRING;
}

hd_lookup_key hd_lookup_key_at(hd_dtype dtype, const void *data, int64_t index)
{
    hd_lookup_key key = {.dtype = dtype};
    switch (dtype) {
    case HD_FLOAT32:
        key.number = (double)((const float *)data)[index];
        break;
    case HD_FLOAT64:
        key.number = ((const double *)data)[index];
        break;
    case HD_STRING:
        key.text = ((const hd_string *)data)[index];
        break;
    case HD_INT64:
        key.integer = ((const int64_t *)data)[index];
        break;
    case HD_INT32:
        key.integer = ((const int32_t *)data)[index];
        break;
    default:
        key.integer = ((const int16_t *)data)[index];
        break;
    }
    return key;
}

static int compare_numbers(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) - isnan(b);
    }
    return (a > b) - (a < b);
}

int hd_lookup_compare(const hd_lookup_key *a, const hd_lookup_key *b)
{
    if (a->dtype == HD_FLOAT32 || a->dtype == HD_FLOAT64) {
        return compare_numbers(a->number, b->number);
    }
    if (a->dtype == HD_STRING) {
        return hd_strings_compare(&a->text, &b->text);
    }
    return (a->integer > b->integer) - (a->integer < b->integer);
}

int hd_lookup_compare_keys(const void *a, const void *b)
{
    const hd_lookup_key *x = a, *y = b;
    const int order = hd_lookup_compare(x, y);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}
