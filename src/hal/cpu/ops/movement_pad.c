#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/movement.h"
#include "operation/padding.h"

#define MOST_FILLED ((int64_t)256 << 10) /* bytes of a copy that fills; whole elements */

/* Trailing axes that stay as they are form one block; the last axis that is padded is the row's. The
 * row's middle is one copy, its ends are blocks picked one by one. */
typedef struct pad {
    size_t output;
    size_t value_input; /* 0: `value` */
    uint32_t rank;      /* axes in front of the block, at least 1; the last is the row */
    size_t element;
    int64_t block;                       /* bytes */
    int64_t dims[HD_MAX_RANK];           /* of the output */
    int64_t source_strides[HD_MAX_RANK]; /* bytes */
    const int64_t *sources[HD_MAX_RANK]; /* an output position's input position; -1: the constant */
    int64_t middle_begin, middle_end;    /* the part of a row that is one run of the input */
    int64_t rows, tile_count;
    unsigned char value[8];
} pad;

static void fill(unsigned char *target, int64_t bytes, const unsigned char *value, size_t element)
{
    if (bytes <= 0) {
        return;
    }
    if (element == 1) {
        for (int64_t i = 0, next; (next = hd_stop_reach(i, bytes)) > i; i = next) {
            memset(target + i, value[0], (size_t)(next - i));
        }
        return;
    }
    /* Doubling: what is filled is the pattern of the next copy. */
    memcpy(target, value, element);
    for (int64_t done = (int64_t)element;
         done < bytes && (done < MOST_FILLED || hd_stop_asked() == HD_OK);) {
        int64_t more = done < bytes - done ? done : bytes - done;
        more = more < MOST_FILLED ? more : MOST_FILLED;
        memcpy(target + done, target, (size_t)more);
        done += more;
    }
}

static void pad_ends(const pad *p, const unsigned char *source, unsigned char *target,
                     int64_t begin, int64_t end, const unsigned char *value)
{
    const int64_t *sources = p->sources[p->rank - 1];
    for (int64_t i = begin; i < end && !hd_stop_ends_every(i, 64); i++) {
        if (sources[i] < 0) {
            fill(target + i * p->block, p->block, value, p->element);
        } else {
            hd_stop_copy(target + i * p->block, source + sources[i] * p->block, (size_t)p->block);
        }
    }
}

static void run_pad(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                    void *scratch)
{
    const pad *p = parameters;
    const unsigned char *value = p->value_input != 0 ? buffers[p->value_input] : p->value;
    int64_t row = hd_cpu_tile_begin(p->rows, p->tile_count, begin);
    int64_t last_row = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    uint32_t last = p->rank - 1;
    int64_t index[HD_MAX_RANK] = {0};
    (void)scratch;
    for (int64_t i = last, rest = row; i-- > 0;) {
        index[i] = p->dims[i] == 0 ? 0 : rest % p->dims[i];
        rest = p->dims[i] == 0 ? 0 : rest / p->dims[i];
    }
    for (; row < last_row; row++) {
        unsigned char *target =
            (unsigned char *)buffers[p->output] + row * p->dims[last] * p->block;
        const unsigned char *source = buffers[0];
        bool outside = false;
        for (uint32_t i = 0; i < last && !outside; i++) {
            int64_t position = p->sources[i][index[i]];
            outside = position < 0;
            source += outside ? 0 : position * p->source_strides[i];
        }
        if (outside) {
            fill(target, p->dims[last] * p->block, value, p->element);
        } else {
            pad_ends(p, source, target, 0, p->middle_begin, value);
            if (p->middle_end > p->middle_begin) {
                hd_stop_copy(target + p->middle_begin * p->block,
                             source + p->sources[last][p->middle_begin] * p->block,
                             (size_t)((p->middle_end - p->middle_begin) * p->block));
            }
            pad_ends(p, source, target, p->middle_end, p->dims[last], value);
        }
        for (uint32_t i = last; i-- > 0;) {
            if (++index[i] < p->dims[i]) {
                break;
            }
            index[i] = 0;
        }
    }
}

/* Pads of before opset 11 are of floats, the constant an attribute. */
static hd_status read_value(hd_cpu_compilation *compilation, pad *p)
{
    const hd_operation *operation = compilation->operation;
    if (operation->opset >= 11) {
        bool given = operation->id == HD_OP_PAD && hd_operation_has(operation, 2);
        p->value_input = given ? 2 : 0;
        return HD_OK;
    }
    float value = hd_operation_float(operation, "value", 0);
    double wide = (double)value;
    if (operation->inputs[0].dtype == HD_FLOAT64) {
        memcpy(p->value, &wide, sizeof wide);
    } else if (operation->inputs[0].dtype == HD_FLOAT32) {
        memcpy(p->value, &value, sizeof value);
    } else if (value != 0) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "value %g for dtype %s", wide,
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    return HD_OK;
}

/* The table of one axis; false when out of memory. */
static bool map_axis(hd_cpu_compilation *compilation, pad *p, const hd_padding *padding,
                     uint32_t axis)
{
    const hd_shape *shape = &compilation->operation->inputs[0].shape;
    int64_t dim = shape->rank == 0 ? 1 : shape->dims[axis];
    int64_t *sources = hd_region_array(compilation->region, (size_t)p->dims[axis], sizeof *sources);
    if (sources == NULL) {
        return false;
    }
    for (int64_t i = 0; i < p->dims[axis] && !hd_stop_ends(i); i++) {
        sources[i] = hd_padding_source(padding->mode, dim, i - padding->before[axis]);
    }
    p->sources[axis] = sources;
    return true;
}

static int64_t clamp(int64_t value, int64_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

hd_status hd_cpu_compile_pad(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *from = &operation->inputs[0].shape, *to = &operation->outputs[0].shape;
    hd_padding padding;
    hd_status status = hd_padding_read(operation, &padding, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    pad *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    status = read_value(compilation, p);
    if (status != HD_OK) {
        return status;
    }
    p->output = operation->input_count;
    p->element = hd_dtype_size(operation->inputs[0].dtype);
    /* A scalar counts as one row of one element. */
    p->rank = from->rank == 0 ? 1 : from->rank;
    while (p->rank > 1 && padding.before[p->rank - 1] == 0 && padding.after[p->rank - 1] == 0) {
        p->rank--;
    }
    p->block = (int64_t)p->element * hd_shape_count_range(from, p->rank, from->rank);
    int64_t strides[HD_MAX_RANK] = {1};
    hd_shape_strides(from, strides);
    p->rows = 1;
    for (uint32_t i = 0; i < p->rank; i++) {
        p->dims[i] = from->rank == 0 ? 1 : to->dims[i];
        p->source_strides[i] = strides[i] * (int64_t)p->element;
        p->rows *= i + 1 < p->rank ? p->dims[i] : 1;
        if (!map_axis(compilation, p, &padding, i)) {
            return hd_cpu_out_of_memory(compilation);
        }
    }
    uint32_t last = p->rank - 1;
    int64_t dim = from->rank == 0 ? 1 : from->dims[last];
    p->middle_begin = clamp(padding.before[last], p->dims[last]);
    p->middle_end = clamp(padding.before[last] + dim, p->dims[last]);
    if (p->middle_end < p->middle_begin) {
        p->middle_end = p->middle_begin;
    }
    p->tile_count = hd_cpu_tile_count(p->rows, p->dims[last] * p->block / 8 + 8);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.run = run_pad;
    return HD_OK;
}
