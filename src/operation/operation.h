/* Operation: one operator with its attributes and the types and shapes of its operands, all known.
 * It is what a plan hands to a backend, which answers with a kernel.
 *
 * Thread-safety: immutable while a backend looks at it. */
#ifndef HD_OPERATION_OPERATION_H
#define HD_OPERATION_OPERATION_H

#include <stdbool.h>

#include "base/status.h"
#include "heddle/graph.h"
#include "operation/operator_id.h"

typedef struct hd_shape {
    uint32_t rank;
    int64_t dims[HD_MAX_RANK];
} hd_shape;

/* One input or output. dtype HD_DTYPE_NONE: an optional input that is left out.
 * `data`: the elements, where they are known while planning (constants and what was folded from
 * them); else NULL. `packed`: the backend's own form of a constant (a weight matrix in panels), made
 * once when the model was loaded; then `data` may be NULL although the value is constant. */
typedef struct hd_operand {
    hd_dtype dtype;
    hd_shape shape;
    const void *data;
    const struct hd_packed *packed;
} hd_operand;

typedef struct hd_operation {
    hd_operator_id id; /* ONNX's operator, or "heddle.…" for what fusion made */
    const char *name;  /* the node's name, for messages; may be "" */
    uint32_t opset;    /* version of ONNX's operator set that gives the operator its meaning */
    const hd_attribute *attributes;
    size_t attribute_count;
    hd_operand *inputs;
    size_t input_count;
    hd_operand *outputs; /* an output that nobody wants has dtype HD_DTYPE_NONE before inference */
    size_t output_count;
    /* the parameters of a "heddle.…" operation (fused.h); NULL: it has none */
    const struct hd_fused *fused;
} hd_operation;

/* a · b, or INT64_MAX where that does not fit: for prices, and for sizes that are refused later. Neither is negative. */
static inline int64_t hd_multiply_bounded(int64_t a, int64_t b)
{
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* Elements of a shape; 1 for rank 0. Shapes of plans are checked to fit, so it does not overflow. */
int64_t hd_shape_count(const hd_shape *shape);
/* Product of dims[begin..end). */
int64_t hd_shape_count_range(const hd_shape *shape, uint32_t begin, uint32_t end);
bool hd_shape_equal(const hd_shape *a, const hd_shape *b);
/* The bytes of a tensor; false, and 0 of them, when they or the elements leave 63 bits, or a dimension is negative. */
bool hd_shape_size(const hd_shape *shape, hd_dtype dtype, size_t *out_size);
/* Whether it has such a size. */
bool hd_shape_is_valid(const hd_shape *shape, hd_dtype dtype);
/* Row-major strides in elements. */
void hd_shape_strides(const hd_shape *shape, int64_t strides[HD_MAX_RANK]);
/* NumPy's broadcasting of two shapes (numpy.org, "Broadcasting"); false when they do not fit. */
bool hd_shape_broadcast(const hd_shape *a, const hd_shape *b, hd_shape *out);
/* "2x3x4" or "scalar", cut to size; returns text. */
const char *hd_shape_text(const hd_shape *shape, char *text, size_t size);

/* Input `index` is there (given and not left out). */
static inline bool hd_operation_has(const hd_operation *operation, size_t index)
{
    return index < operation->input_count && operation->inputs[index].dtype != HD_DTYPE_NONE;
}

/* The attribute or NULL; the typed forms give `otherwise` when it is not there. */
const hd_attribute *hd_operation_attribute(const hd_operation *operation, const char *name);
int64_t hd_operation_int(const hd_operation *operation, const char *name, int64_t otherwise);
float hd_operation_float(const hd_operation *operation, const char *name, float otherwise);
const char *hd_operation_string(const hd_operation *operation, const char *name,
                                const char *otherwise);
/* The ints of an attribute, their number in *out_count (0 and NULL when it is not there). */
const int64_t *hd_operation_ints(const hd_operation *operation, const char *name,
                                 size_t *out_count);

/* Element `index` of an operand of type int32, int64 or bool whose data is known. */
int64_t hd_operand_int(const hd_operand *operand, int64_t index);

/* *axis += rank when negative; false when it is not in [-rank, rank). */
bool hd_axis_normalize(int64_t *axis, uint32_t rank);

/* hd_fail with "node 'NAME' (TYPE): " before the sentence. */
hd_status hd_operation_fail(const hd_operation *operation, hd_error *error, hd_status status,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
