#include "hal/cpu/ops/indexing.h"

#include "base/memory.h"
#include "base/stop.h"

/* An element as a number whose order is the element's: unsigned comparison serves all dtypes.
 * Not-a-number is the greatest and equal to itself, as NumPy sorts; -0 equals 0. */
static uint64_t element_key(hd_dtype dtype, const unsigned char *element)
{
    const uint64_t sign = (uint64_t)1 << 63;
    switch (dtype) {
    case HD_FLOAT32: {
        float value;
        uint32_t bits;
        memcpy(&value, element, sizeof value);
        memcpy(&bits, element, sizeof bits);
        if (value != value) {
            return UINT64_MAX;
        }
        bits = value == 0 ? 0 : bits;
        return (bits >> 31) != 0 ? (uint64_t)~bits : (uint64_t)bits | (uint64_t)1 << 31;
    }
    case HD_FLOAT64: {
        double value;
        uint64_t bits;
        memcpy(&value, element, sizeof value);
        memcpy(&bits, element, sizeof bits);
        if (value != value) {
            return UINT64_MAX;
        }
        bits = value == 0 ? 0 : bits;
        return (bits & sign) != 0 ? ~bits : bits | sign;
    }
    case HD_INT8:
        return (uint64_t)(int64_t)(int8_t)element[0] ^ sign;
    case HD_INT16: {
        int16_t value;
        memcpy(&value, element, sizeof value);
        return (uint64_t)(int64_t)value ^ sign;
    }
    case HD_INT32: {
        int32_t value;
        memcpy(&value, element, sizeof value);
        return (uint64_t)(int64_t)value ^ sign;
    }
    case HD_INT64: {
        uint64_t value;
        memcpy(&value, element, sizeof value);
        return value ^ sign;
    }
    default: {
        uint64_t value = 0; /* unsigned, little-endian */
        memcpy(&value, element, hd_dtype_size(dtype));
        return value;
    }
    }
}

static bool has_key(hd_dtype dtype)
{
    return dtype != HD_FLOAT16 && dtype != HD_BFLOAT16;
}

/* --- TopK: a heap of the best so far for each lane */

typedef struct candidate {
    uint64_t key;
    int64_t index;
} candidate;

typedef struct top_k {
    size_t output;
    hd_dtype dtype;
    bool largest, has_indices;
    int64_t outer, dim, inner, count, tile_count;
    size_t element;
} top_k;

/* Greater keys first, then smaller indices: a total order, so that the result is unique (BITS). */
static bool is_better(const candidate *a, const candidate *b)
{
    return a->key != b->key ? a->key > b->key : a->index < b->index;
}

/* Restores a heap with the worst candidate at its root, below `root`. */
static void sift_down(candidate *heap, int64_t root, int64_t count)
{
    candidate moved = heap[root];
    for (;;) {
        int64_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_better(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!is_better(&moved, &heap[child])) {
            break;
        }
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

/* The best `count` of a lane, best first; false: stopped on the way. */
static bool select_lane(const top_k *p, const unsigned char *lane, candidate *heap)
{
    size_t stride = (size_t)p->inner * p->element;
    for (int64_t i = 0; i < p->dim; i++) {
        uint64_t key = element_key(p->dtype, lane + (size_t)i * stride);
        if (hd_stop_ends(i)) {
            return false;
        }
        candidate next = {.key = p->largest ? key : ~key, .index = i};
        if (i < p->count) {
            heap[i] = next;
            if (i + 1 == p->count) {
                for (int64_t root = p->count / 2; root-- > 0 && !hd_stop_ends(root);) {
                    sift_down(heap, root, p->count);
                }
            }
        } else if (is_better(&next, &heap[0])) {
            heap[0] = next;
            sift_down(heap, 0, p->count);
        }
    }
    for (int64_t left = p->count - 1; left > 0; left--) {
        candidate worst = heap[0];
        heap[0] = heap[left];
        heap[left] = worst;
        sift_down(heap, 0, left);
        if (hd_stop_ends(left)) {
            return false;
        }
    }
    return true;
}

static void run_top_k(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    const top_k *p = parameters;
    int64_t lanes = p->outer * p->inner;
    int64_t lane = hd_cpu_tile_begin(lanes, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(lanes, p->tile_count, end);
    unsigned char *values = buffers[p->output];
    int64_t *indices = p->has_indices ? buffers[p->output + 1] : NULL;
    candidate *heap = scratch;
    for (; lane < last && p->count > 0; lane++) {
        int64_t outer = lane / p->inner, inner = lane % p->inner;
        const unsigned char *from = (const unsigned char *)buffers[0] +
                                    (size_t)(outer * p->dim * p->inner + inner) * p->element;
        if (!select_lane(p, from, heap)) {
            return;
        }
        for (int64_t i = 0; i < p->count && !hd_stop_ends(i); i++) {
            int64_t place = (outer * p->count + i) * p->inner + inner;
            if (values != NULL) {
                hd_cpu_block_copy(values + (size_t)place * p->element,
                                  from + (size_t)(heap[i].index * p->inner) * p->element,
                                  p->element);
            }
            if (indices != NULL) {
                indices[place] = heap[i].index;
            }
        }
    }
}

hd_status hd_cpu_compile_top_k(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = hd_operation_int(operation, "axis", -1);
    hd_axis_normalize(&axis, shape->rank);
    if (!has_key(operation->inputs[0].dtype)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "dtype %s",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    top_k *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->output = operation->input_count;
    p->dtype = operation->inputs[0].dtype;
    p->has_indices = operation->output_count > 1;
    p->largest = hd_operation_int(operation, "largest", 1) != 0;
    p->outer = hd_shape_count_range(shape, 0, (uint32_t)axis);
    p->dim = shape->dims[axis];
    p->inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank);
    p->count = operation->outputs[0].shape.dims[axis];
    p->element = hd_dtype_size(p->dtype);
    p->tile_count = hd_cpu_tile_count(p->outer * p->inner, 8 * p->dim);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.scratch_size = (size_t)p->count * sizeof(candidate);
    compilation->kernel.run = run_top_k;
    return HD_OK;
}

/* --- NonZero */

typedef struct non_zero {
    hd_shape shape;
    hd_dtype dtype;
    uint64_t zero; /* the key of 0 */
    size_t element;
} non_zero;

/* One tile: where an index goes follows from all elements before. Indices are written as they are
 * found, axis by axis from the row's own start; that start follows from their count, so they are
 * counted first. */
static void run_non_zero(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    const non_zero *p = parameters;
    const unsigned char *source = buffers[0];
    int64_t *indices = buffers[1], *dims = buffers[2];
    int64_t count = hd_shape_count(&p->shape), found = 0, at = 0;
    int64_t index[HD_MAX_RANK] = {0};
    if (begin >= end) {
        return;
    }
    for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
        found += element_key(p->dtype, source + (size_t)i * p->element) != p->zero;
    }
    if (hd_stop_asked() != HD_OK) {
        return; /* it may be too few */
    }
    dims[0] = p->shape.rank;
    dims[1] = found;
    for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
        if (element_key(p->dtype, source + (size_t)i * p->element) != p->zero) {
            for (uint32_t axis = 0; axis < p->shape.rank; axis++) {
                indices[axis * found + at] = index[axis];
            }
            at++;
        }
        for (uint32_t axis = p->shape.rank; axis-- > 0;) {
            if (++index[axis] < p->shape.dims[axis]) {
                break;
            }
            index[axis] = 0;
        }
    }
}

hd_status hd_cpu_compile_non_zero(hd_cpu_compilation *compilation)
{
    static const unsigned char zero[8] = {0};
    const hd_operation *operation = compilation->operation;
    if (!has_key(operation->inputs[0].dtype)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "dtype %s",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    non_zero *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->shape = operation->inputs[0].shape;
    p->dtype = operation->inputs[0].dtype;
    p->zero = element_key(p->dtype, zero);
    p->element = hd_dtype_size(p->dtype);
    compilation->kernel.run = run_non_zero;
    return HD_OK;
}

/* --- Compress */

typedef struct compress {
    int64_t outer, dim, kept; /* kept: elements of the axis that the condition reaches */
    size_t block;             /* bytes behind the axis */
    hd_shape shape;           /* of the output; `axis` is replaced by the true count */
    uint32_t axis;
} compress;

static void run_compress(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    const compress *p = parameters;
    const unsigned char *source = buffers[0], *condition = buffers[1];
    unsigned char *target = buffers[2];
    int64_t *dims = buffers[3], count = 0;
    if (begin >= end) {
        return;
    }
    for (int64_t i = 0; i < p->kept && !hd_stop_ends(i); i++) {
        count += condition[i] != 0;
    }
    memcpy(dims, p->shape.dims, p->shape.rank * sizeof dims[0]);
    dims[p->axis] = count;
    if (p->block == 0) {
        return;
    }
    for (int64_t outer = 0; outer < p->outer; outer++) {
        for (int64_t i = 0; i < p->kept && !hd_stop_ends(i); i++) {
            if (condition[i] != 0) {
                hd_cpu_block_copy(target, source + (size_t)(outer * p->dim + i) * p->block,
                                  p->block);
                target += p->block;
            }
        }
    }
}

hd_status hd_cpu_compile_compress(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    compress *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->shape = operation->outputs[0].shape;
    p->block = hd_dtype_size(operation->inputs[0].dtype);
    p->outer = 1;
    p->dim = hd_shape_count(shape);
    if (hd_operation_attribute(operation, "axis") != NULL) {
        int64_t axis = hd_operation_int(operation, "axis", 0);
        hd_axis_normalize(&axis, shape->rank);
        p->axis = (uint32_t)axis;
        p->outer = hd_shape_count_range(shape, 0, p->axis);
        p->dim = shape->dims[axis];
        p->block *= (size_t)hd_shape_count_range(shape, p->axis + 1, shape->rank);
    }
    p->kept = p->shape.dims[p->axis];
    compilation->kernel.run = run_compress;
    return HD_OK;
}

/* --- Unique: slices along an axis, sorted by their elements, then by where they come from */

typedef struct unique {
    hd_dtype dtype;
    bool sorted;
    int64_t outer, dim, inner;
    size_t element;
    uint32_t axis;
    size_t outputs;
    hd_shape shape; /* of output 0 */
} unique;

/* < 0, 0, > 0: slice a before, like, behind slice b. */
static int compare_slices(const unique *p, const unsigned char *source, int64_t a, int64_t b)
{
    for (int64_t outer = 0; outer < p->outer && !hd_stop_ends_every(outer, 16); outer++) {
        for (int64_t inner = 0; inner < p->inner && !hd_stop_ends(inner); inner++) {
            int64_t first = (outer * p->dim + a) * p->inner + inner;
            int64_t second = (outer * p->dim + b) * p->inner + inner;
            uint64_t key_a = element_key(p->dtype, source + (size_t)first * p->element);
            uint64_t key_b = element_key(p->dtype, source + (size_t)second * p->element);
            if (key_a != key_b) {
                return key_a < key_b ? -1 : 1;
            }
        }
    }
    return 0;
}

/* By content, then by position; with source NULL by position alone. */
static bool is_before(const unique *p, const unsigned char *source, int64_t a, int64_t b)
{
    int order = source == NULL ? 0 : compare_slices(p, source, a, b);
    return order != 0 ? order < 0 : a < b;
}

static void sift_slice(const unique *p, const unsigned char *source, int64_t *heap, int64_t root,
                       int64_t count)
{
    int64_t moved = heap[root];
    for (;;) {
        int64_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && is_before(p, source, heap[child], heap[child + 1])) {
            child++;
        }
        if (!is_before(p, source, moved, heap[child])) {
            break;
        }
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

/* Slices that are sorted from one look to the next. */
static int64_t sorting_turns(const unique *p)
{
    int64_t elements;
    return __builtin_mul_overflow(16 * p->outer, p->inner, &elements) ? 1 : hd_stop_turns(elements);
}

static void sort_slices(const unique *p, const unsigned char *source, int64_t *slices,
                        int64_t count)
{
    int64_t turns = sorting_turns(p);
    for (int64_t root = count / 2; root-- > 0;) {
        sift_slice(p, source, slices, root, count);
        if (root % turns == 0 && hd_stop_asked() != HD_OK) {
            return;
        }
    }
    for (int64_t left = count - 1; left > 0; left--) {
        int64_t greatest = slices[0];
        slices[0] = slices[left];
        slices[left] = greatest;
        sift_slice(p, source, slices, 0, left);
        if (left % turns == 0 && hd_stop_asked() != HD_OK) {
            return;
        }
    }
}

/* Writes what is wanted of the groups: first[g] is a group's first slice, group_of[i] a slice's group. */
static void write_unique(const unique *p, void *const *buffers, const int64_t *first,
                         const int64_t *group_of, int64_t groups)
{
    const unsigned char *source = buffers[0];
    unsigned char *values = buffers[1];
    size_t row = (size_t)p->inner * p->element;
    for (int64_t outer = 0; values != NULL && row > 0 && outer < p->outer; outer++) {
        for (int64_t i = 0; i < groups && !hd_stop_ends_every(i, 256); i++) {
            hd_cpu_block_copy(values + (size_t)(outer * groups + i) * row,
                              source + (size_t)(outer * p->dim + first[i]) * row, row);
        }
    }
    int64_t *indices = p->outputs > 1 ? buffers[2] : NULL;
    int64_t *inverse = p->outputs > 2 ? buffers[3] : NULL;
    int64_t *counts = p->outputs > 3 ? buffers[4] : NULL;
    for (int64_t i = 0; i < groups && !hd_stop_ends(i); i++) {
        if (indices != NULL) {
            indices[i] = first[i];
        }
        if (counts != NULL) {
            counts[i] = 0;
        }
    }
    for (int64_t i = 0; i < p->dim && !hd_stop_ends(i); i++) {
        if (inverse != NULL) {
            inverse[i] = group_of[i];
        }
        if (counts != NULL) {
            counts[group_of[i]]++;
        }
    }
    for (size_t i = 0; i < p->outputs; i++) {
        int64_t *dims = buffers[1 + p->outputs + i];
        if (i == 0) {
            memcpy(dims, p->shape.dims, p->shape.rank * sizeof dims[0]);
            dims[p->axis] = groups;
        } else {
            dims[0] = i == 2 ? p->dim : groups;
        }
    }
}

static void run_unique(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const unique *p = parameters;
    const unsigned char *source = buffers[0];
    int64_t *order = scratch, *first = order + p->dim, *group_of = first + p->dim, groups = 0;
    if (begin >= end) {
        return;
    }
    for (int64_t i = 0; i < p->dim && !hd_stop_ends(i); i++) {
        order[i] = i;
    }
    if (hd_stop_asked() != HD_OK) {
        return; /* what follows goes by all of them; so below */
    }
    sort_slices(p, source, order, p->dim);
    if (hd_stop_asked() != HD_OK) {
        return;
    }
    /* Equal slices stand together, the earliest in front; it stands for its group. */
    int64_t turns = sorting_turns(p);
    for (int64_t i = 0; i < p->dim && (i % turns != 0 || hd_stop_asked() == HD_OK); i++) {
        if (i == 0 || compare_slices(p, source, order[i - 1], order[i]) != 0) {
            first[groups++] = order[i];
        }
        group_of[order[i]] = groups - 1;
    }
    if (hd_stop_asked() != HD_OK) {
        return;
    }
    if (!p->sorted) {
        /* Groups by their first slice: `order` tells a slice its group's new number. */
        sort_slices(p, NULL, first, groups);
        int64_t next = 0;
        int64_t *number = order; /* of each old group; its first slice is met before the others */
        for (int64_t i = 0; i < groups && !hd_stop_ends(i); i++) {
            number[i] = -1;
        }
        for (int64_t i = 0; i < p->dim && !hd_stop_ends(i); i++) {
            if (number[group_of[i]] < 0) {
                number[group_of[i]] = next++;
            }
            group_of[i] = number[group_of[i]];
        }
    }
    write_unique(p, buffers, first, group_of, groups);
}

hd_status hd_cpu_compile_unique(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    if (!has_key(operation->inputs[0].dtype)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "dtype %s",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    unique *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->dtype = operation->inputs[0].dtype;
    p->sorted = hd_operation_int(operation, "sorted", 1) != 0;
    p->element = hd_dtype_size(p->dtype);
    p->outputs = operation->output_count;
    p->shape = operation->outputs[0].shape;
    p->outer = p->inner = 1;
    p->dim = hd_shape_count(shape);
    if (hd_operation_attribute(operation, "axis") != NULL) {
        int64_t axis = hd_operation_int(operation, "axis", 0);
        hd_axis_normalize(&axis, shape->rank);
        p->axis = (uint32_t)axis;
        p->outer = hd_shape_count_range(shape, 0, p->axis);
        p->dim = shape->dims[axis];
        p->inner = hd_shape_count_range(shape, p->axis + 1, shape->rank);
    }
    if (hd_shape_count(shape) == 0) { /* slices of nothing are equal, however many rows they have */
        p->outer = 0;
    }
    if (!hd_multiply_size((size_t)p->dim, 3 * sizeof(int64_t), &compilation->kernel.scratch_size)) {
        return hd_cpu_out_of_memory(compilation);
    }
    compilation->kernel.run = run_unique;
    return HD_OK;
}
