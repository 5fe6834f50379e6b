#include "hal/cpu/ops/moments.h"

#include <math.h>

#include "base/stop.h"
#include "hal/cpu/ops/reduction.h"

typedef struct moments_parameters {
    hd_cpu_moments moments;
    hd_dtype x, scale, bias, statistics; /* bias, statistics: HD_DTYPE_NONE where there is none */
    size_t input_count, output_count;
    int64_t tiles;
} moments_parameters;

double hd_cpu_float_read(const void *data, hd_dtype dtype, int64_t index)
{
    return dtype == HD_FLOAT64 ? ((const double *)data)[index]
                               : (double)((const float *)data)[index];
}

void hd_cpu_float_write(void *data, hd_dtype dtype, int64_t index, double value)
{
    if (dtype == HD_FLOAT64) {
        ((double *)data)[index] = value;
    } else {
        ((float *)data)[index] = (float)value;
    }
}

bool hd_cpu_broadcast_strides(const hd_shape *operand, const hd_shape *shape,
                              int64_t strides[HD_MAX_RANK])
{
    int64_t stride = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        strides[i] = 0;
    }
    if (operand->rank > shape->rank) {
        return false;
    }
    uint32_t missing = shape->rank - operand->rank;
    for (uint32_t i = operand->rank; i-- > 0;) {
        if (operand->dims[i] != 1 && operand->dims[i] != shape->dims[missing + i]) {
            return false;
        }
        strides[missing + i] = operand->dims[i] == 1 ? 0 : stride;
        stride *= operand->dims[i];
    }
    return true;
}

static void normalize_row(const moments_parameters *p, void *const *buffers, int64_t row)
{
    const hd_cpu_moments *m = &p->moments;
    const void *x = buffers[0];
    void *const *outputs = buffers + p->input_count;
    int64_t first = row * m->size;
    double sum = 0, squares = 0;
    for (int64_t i = first; i < first + m->size && m->centered && !hd_stop_ends(i); i++) {
        sum += hd_cpu_float_read(x, p->x, i);
    }
    double mean = m->centered ? sum / (double)m->size : 0;
    for (int64_t i = first; i < first + m->size && !hd_stop_ends(i); i++) {
        double difference = hd_cpu_float_read(x, p->x, i) - mean;
        squares += difference * difference;
    }
    double inverse = 1 / sqrt(squares / (double)m->size + m->epsilon);
    for (int64_t i = first; i < first + m->size && !hd_stop_ends(i); i++) {
        int64_t at = hd_cpu_reduce_offset(m->rank, m->dims, m->scale, i);
        double y = (hd_cpu_float_read(x, p->x, i) - mean) * inverse *
                   hd_cpu_float_read(buffers[1], p->scale, at);
        if (p->bias != HD_DTYPE_NONE) {
            y += hd_cpu_float_read(buffers[2], p->bias,
                                   hd_cpu_reduce_offset(m->rank, m->dims, m->bias, i));
        }
        hd_cpu_float_write(outputs[0], p->x, i, y);
    }
    for (size_t k = 1; k < p->output_count && k < 3; k++) {
        if (outputs[k] != NULL) {
            hd_cpu_float_write(outputs[k], p->statistics, row, k == 1 ? mean : inverse);
        }
    }
}

static void run_moments(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)scratch;
    const moments_parameters *p = parameters;
    int64_t stop = hd_cpu_tile_begin(p->moments.rows, p->tiles, end);
    for (int64_t row = hd_cpu_tile_begin(p->moments.rows, p->tiles, begin); row < stop; row++) {
        normalize_row(p, buffers, row);
    }
}

hd_status hd_cpu_moments_compile(hd_cpu_compilation *compilation, const hd_cpu_moments *moments)
{
    const hd_operation *operation = compilation->operation;
    for (size_t i = 0; i < operation->input_count; i++) {
        hd_dtype dtype = operation->inputs[i].dtype;
        if (dtype != HD_DTYPE_NONE && dtype != HD_FLOAT32 && dtype != HD_FLOAT64) {
            return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                     "there is no kernel for %s", hd_dtype_name(dtype));
        }
    }
    moments_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->moments = *moments;
    p->x = operation->inputs[0].dtype;
    p->scale = operation->inputs[1].dtype;
    p->bias = hd_operation_has(operation, 2) ? operation->inputs[2].dtype : HD_DTYPE_NONE;
    p->statistics = HD_FLOAT32;
    for (size_t i = 1; i < operation->output_count; i++) {
        p->statistics = operation->outputs[i].dtype == HD_DTYPE_NONE ? p->statistics
                                                                     : operation->outputs[i].dtype;
    }
    p->input_count = operation->input_count;
    p->output_count = operation->output_count;
    p->tiles = hd_cpu_tile_count(moments->rows, moments->size * 8 * (1 + (int64_t)moments->rank));
    compilation->kernel.run = run_moments;
    compilation->kernel.tile_count = p->tiles;
    compilation->kernel.inplace_inputs = 1;
    return HD_OK;
}
