/* Einsum: the equation of ONNX's Einsum (numpy.einsum's, with "..."), resolved for given shapes.
 *
 * Thread-safety: plain values. */
#ifndef HD_OPERATION_EINSUM_H
#define HD_OPERATION_EINSUM_H

#include "base/region.h"
#include "operation/operation.h"

enum { HD_EINSUM_LABELS = 64 };

/* One output element is the sum, over all values of the labels behind the output's, of the
 * product of one element of each input. A label is a dimension: a letter, or one that "..."
 * stands for. */
typedef struct hd_einsum {
    uint32_t input_count;
    uint32_t output_rank; /* labels [0, output_rank) are the output's axes, in order */
    uint32_t label_count; /* the others are summed, in order of appearance */
    int64_t sizes[HD_EINSUM_LABELS];
    /* What one step along a label is in each input, in elements: 0 where the input repeats, the sum
     * of two where a letter stands twice in a term (a diagonal). */
    int64_t (*strides)[HD_EINSUM_LABELS];
} hd_einsum;

/* Reads the attribute `equation` against the shapes of the inputs. HD_BAD_MODEL,
 * HD_INVALID_ARGUMENT or HD_OUT_OF_MEMORY through hd_operation_fail. The strides lie in the region. */
HD_MUST_CHECK hd_status hd_einsum_resolve(const hd_operation *operation, hd_region *region,
                                          hd_einsum *einsum, hd_error *error);

#endif
