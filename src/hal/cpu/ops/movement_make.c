#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/movement.h"
#include "operation/narrow.h"

/* --- Dropout of inference: the input, and a mask that is all true */

typedef struct dropout {
    size_t output;
    int64_t bytes, mask_count, tile_count;
    size_t mask_element;
    unsigned char one[8];
} dropout;

/* The bits of 1 in a dtype, little-endian. */
static void write_one(hd_dtype dtype, unsigned char bytes[8])
{
    const float single = 1;
    const double twice = 1;
    memset(bytes, 0, 8);
    switch (dtype) {
    case HD_FLOAT32:
        memcpy(bytes, &single, sizeof single);
        break;
    case HD_FLOAT64:
        memcpy(bytes, &twice, sizeof twice);
        break;
    case HD_FLOAT16:
        bytes[1] = 0x3C;
        break;
    case HD_BFLOAT16:
        bytes[0] = 0x80;
        bytes[1] = 0x3F;
        break;
    default:
        bytes[0] = 1;
        break;
    }
}

static void run_dropout(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const dropout *p = parameters;
    int64_t from = hd_cpu_tile_begin(p->bytes, p->tile_count, begin);
    int64_t to = hd_cpu_tile_begin(p->bytes, p->tile_count, end);
    unsigned char *target = buffers[p->output];
    unsigned char *mask = p->mask_element != 0 ? buffers[p->output + 1] : NULL;
    if (to > from && target != NULL && target != buffers[0]) {
        memcpy(target + from, (const unsigned char *)buffers[0] + from, (size_t)(to - from));
    }
    if (mask == NULL) {
        return;
    }
    from = hd_cpu_tile_begin(p->mask_count, p->tile_count, begin);
    to = hd_cpu_tile_begin(p->mask_count, p->tile_count, end);
    for (int64_t i = from; i < to; i++) {
        memcpy(mask + i * (int64_t)p->mask_element, p->one, p->mask_element);
    }
}

hd_status hd_cpu_compile_dropout(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    dropout *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->output = operation->input_count;
    p->mask_count = hd_shape_count(&operation->inputs[0].shape);
    p->bytes = p->mask_count * (int64_t)hd_dtype_size(operation->inputs[0].dtype);
    if (operation->output_count > 1 && operation->outputs[1].dtype != HD_DTYPE_NONE) {
        p->mask_element = hd_dtype_size(operation->outputs[1].dtype);
        write_one(operation->outputs[1].dtype, p->one);
    }
    p->tile_count = hd_cpu_tile_count(p->mask_count, 1);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.inplace_inputs = 1;
    compilation->kernel.run = run_dropout;
    return HD_OK;
}

/* --- numbers that are known once the shapes are */

typedef struct numbers {
    int64_t count;
    int64_t values[HD_MAX_RANK];
} numbers;

static void run_numbers(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const numbers *p = parameters;
    if (begin < end) {
        memcpy(buffers[1], p->values, (size_t)p->count * sizeof p->values[0]);
    }
}

static hd_status compile_numbers(hd_cpu_compilation *compilation, int64_t count,
                                 const int64_t *values)
{
    numbers *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->count = count;
    memcpy(p->values, values, (size_t)count * sizeof values[0]);
    compilation->kernel.run = run_numbers;
    return HD_OK;
}

hd_status hd_cpu_compile_shape_of(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t rank = shape->rank, start = hd_operation_int(operation, "start", 0);
    start += start < 0 ? rank : 0;
    start = start < 0 ? 0 : start > rank ? rank : start;
    return compile_numbers(compilation, operation->outputs[0].shape.dims[0], shape->dims + start);
}

hd_status hd_cpu_compile_size(hd_cpu_compilation *compilation)
{
    int64_t count = hd_shape_count(&compilation->operation->inputs[0].shape);
    return compile_numbers(compilation, 1, &count);
}

/* --- one value everywhere, or on one diagonal of a matrix and zero elsewhere */

typedef struct constant {
    int64_t count, tile_count;
    int64_t rows, columns, diagonal; /* of EyeLike; rows 0: everywhere */
    size_t element;
    unsigned char value[8];
} constant;

static void run_constant(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    const constant *p = parameters;
    int64_t size = (int64_t)p->element;
    int64_t from = hd_cpu_tile_begin(p->count, p->tile_count, begin);
    int64_t to = hd_cpu_tile_begin(p->count, p->tile_count, end);
    unsigned char *target = buffers[1];
    for (int64_t i = from; i < to; i++) {
        memcpy(target + i * size, p->value, p->element);
    }
}

static void run_eye(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                    void *scratch)
{
    (void)scratch;
    const constant *p = parameters;
    int64_t row = hd_cpu_tile_begin(p->rows, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    size_t row_bytes = (size_t)p->columns * p->element;
    for (; row < last; row++) {
        unsigned char *target = (unsigned char *)buffers[1] + (size_t)row * row_bytes;
        hd_stop_clear(target, row_bytes);
        /* k beyond the columns, either way, touches no row; nothing overflows then. */
        bool inside = p->diagonal < p->columns && p->diagonal > -p->rows &&
                      row + p->diagonal >= 0 && row + p->diagonal < p->columns;
        if (inside) {
            memcpy(target + (size_t)(row + p->diagonal) * p->element, p->value, p->element);
        }
    }
}

hd_status hd_cpu_compile_constant_of_shape(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_attribute *value = hd_operation_attribute(operation, "value");
    constant *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->element = hd_dtype_size(operation->outputs[0].dtype);
    p->count = hd_shape_count(&operation->outputs[0].shape);
    p->tile_count = hd_cpu_tile_count(p->count, 1);
    if (value != NULL) {
        if (hd_narrow_is_packed(value->tensor->dtype)) {
            hd_narrow_unpack(value->tensor->dtype, value->tensor->data, 1, (uint8_t *)p->value);
        } else {
            memcpy(p->value, value->tensor->data, p->element);
        }
    }
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_constant;
    return HD_OK;
}

hd_status hd_cpu_compile_eye_like(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *output = &operation->outputs[0];
    constant *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    write_one(output->dtype, p->value);
    p->element = hd_dtype_size(output->dtype);
    p->rows = output->shape.dims[0];
    p->columns = output->shape.dims[1];
    p->diagonal = hd_operation_int(operation, "k", 0);
    p->tile_count = hd_cpu_tile_count(p->rows, p->columns);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_eye;
    return HD_OK;
}

/* --- Range */

typedef struct range {
    hd_dtype dtype;
    int64_t count, tile_count;
} range;

/* start + i · delta; integers wrap only where inference would have refused them. */
static void run_range(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    (void)scratch;
    const range *p = parameters;
    int64_t from = hd_cpu_tile_begin(p->count, p->tile_count, begin);
    int64_t to = hd_cpu_tile_begin(p->count, p->tile_count, end);
    if (p->dtype == HD_FLOAT32) {
        float start = *(const float *)buffers[0], delta = *(const float *)buffers[2];
        for (int64_t i = from; i < to; i++) {
            ((float *)buffers[3])[i] = start + (float)i * delta;
        }
    } else if (p->dtype == HD_FLOAT64) {
        double start = *(const double *)buffers[0], delta = *(const double *)buffers[2];
        for (int64_t i = from; i < to; i++) {
            ((double *)buffers[3])[i] = start + (double)i * delta;
        }
    } else if (p->dtype == HD_INT64) {
        uint64_t start = *(const uint64_t *)buffers[0], delta = *(const uint64_t *)buffers[2];
        for (int64_t i = from; i < to; i++) {
            ((uint64_t *)buffers[3])[i] = start + (uint64_t)i * delta;
        }
    } else if (p->dtype == HD_INT32) {
        uint32_t start = *(const uint32_t *)buffers[0], delta = *(const uint32_t *)buffers[2];
        for (int64_t i = from; i < to; i++) {
            ((uint32_t *)buffers[3])[i] = start + (uint32_t)i * delta;
        }
    } else {
        uint16_t start = *(const uint16_t *)buffers[0], delta = *(const uint16_t *)buffers[2];
        for (int64_t i = from; i < to; i++) {
            ((uint16_t *)buffers[3])[i] = (uint16_t)(start + (uint32_t)i * delta);
        }
    }
}

hd_status hd_cpu_compile_range(hd_cpu_compilation *compilation)
{
    range *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->dtype = compilation->operation->outputs[0].dtype;
    p->count = compilation->operation->outputs[0].shape.dims[0];
    p->tile_count = hd_cpu_tile_count(p->count, 1);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_range;
    return HD_OK;
}

/* --- Trilu */

typedef struct trilu {
    size_t output;
    bool upper, has_k;
    int64_t matrices_rows; /* of all matrices */
    int64_t rows, columns, tile_count;
    size_t element;
} trilu;

static void run_trilu(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    (void)scratch;
    const trilu *p = parameters;
    int64_t k = 0;
    if (p->has_k) {
        k = *(const int64_t *)buffers[1];
    }
    /* Beyond the matrix every k is alike. */
    k = k < -p->rows ? -p->rows : k > p->columns ? p->columns : k;
    int64_t at = hd_cpu_tile_begin(p->matrices_rows, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(p->matrices_rows, p->tile_count, end);
    size_t row_bytes = (size_t)p->columns * p->element;
    for (; at < last; at++) {
        const unsigned char *source = (const unsigned char *)buffers[0] + (size_t)at * row_bytes;
        unsigned char *target = (unsigned char *)buffers[p->output] + (size_t)at * row_bytes;
        /* The upper part starts at column row + k, the lower part ends behind it. */
        int64_t edge = at % p->rows + k + (p->upper ? 0 : 1);
        edge = edge < 0 ? 0 : edge > p->columns ? p->columns : edge;
        size_t split = (size_t)edge * p->element;
        size_t keep = p->upper ? split : 0, clear = p->upper ? 0 : split;
        size_t kept = p->upper ? row_bytes - split : split;
        if (target != source) {
            hd_stop_copy(target + keep, source + keep, kept);
        }
        hd_stop_clear(target + clear, row_bytes - kept);
    }
}

hd_status hd_cpu_compile_trilu(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    trilu *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->output = operation->input_count;
    p->upper = hd_operation_int(operation, "upper", 1) != 0;
    p->has_k = hd_operation_has(operation, 1);
    p->columns = shape->dims[shape->rank - 1];
    p->rows = shape->dims[shape->rank - 2];
    p->matrices_rows = hd_shape_count_range(shape, 0, shape->rank - 1);
    p->element = hd_dtype_size(operation->inputs[0].dtype);
    p->tile_count = hd_cpu_tile_count(p->matrices_rows, p->columns);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.inplace_inputs = 1;
    compilation->kernel.run = run_trilu;
    return HD_OK;
}

/* --- ReverseSequence */

typedef struct reverse_sequence {
    int64_t first, second; /* the two leading axes */
    bool time_first;
    int64_t block; /* bytes */
    int64_t tile_count;
} reverse_sequence;

/* Lengths outside [0, time] are clamped to it. */
static void run_reverse_sequence(const void *parameters, void *const *buffers, int64_t begin,
                                 int64_t end, void *scratch)
{
    (void)scratch;
    const reverse_sequence *p = parameters;
    int64_t items = p->first * p->second;
    int64_t at = hd_cpu_tile_begin(items, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(items, p->tile_count, end);
    int64_t times = p->time_first ? p->first : p->second;
    for (; at < last; at++) {
        int64_t outer = at / p->second, inner = at % p->second;
        int64_t time = p->time_first ? outer : inner, batch = p->time_first ? inner : outer;
        int64_t length = ((const int64_t *)buffers[1])[batch];
        length = length < 0 ? 0 : length > times ? times : length;
        int64_t from_time = time < length ? length - 1 - time : time;
        int64_t from =
            p->time_first ? from_time * p->second + batch : batch * p->second + from_time;
        hd_stop_copy((unsigned char *)buffers[2] + at * p->block,
                     (const unsigned char *)buffers[0] + from * p->block, (size_t)p->block);
    }
}

hd_status hd_cpu_compile_reverse_sequence(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    reverse_sequence *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->first = shape->dims[0];
    p->second = shape->dims[1];
    p->time_first = hd_operation_int(operation, "time_axis", 0) == 0;
    p->block = hd_shape_count_range(shape, 2, shape->rank) *
               (int64_t)hd_dtype_size(operation->inputs[0].dtype);
    p->tile_count = hd_cpu_tile_count(p->first * p->second, p->block / 8 + 8);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_reverse_sequence;
    return HD_OK;
}
