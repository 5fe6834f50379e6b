#include <math.h>
#include <sleef.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/kernel.h"

#define PI 3.14159265358979323846

/* Everything is computed in double and rounded once, so float32 and float64 share the code. */
static double load(hd_dtype dtype, const void *values, int64_t at)
{
    return dtype == HD_FLOAT64 ? ((const double *)values)[at] : (double)((const float *)values)[at];
}

static void store(hd_dtype dtype, void *values, int64_t at, double value)
{
    if (dtype == HD_FLOAT64) {
        ((double *)values)[at] = value;
    } else {
        ((float *)values)[at] = (float)value;
    }
}

typedef struct complex_number {
    double re, im;
} complex_number;

/* A transform of `length` points for each lane: a row along DFT's axis or a frame of STFT. */
typedef struct transform {
    hd_dtype dtype;
    const complex_number *roots; /* exp(∓2πi·k/length) */
    int64_t length, bins, components;
    int64_t lanes, tile_count;
    int64_t given;         /* points of a lane that the input has; the others are 0 */
    int64_t inner;         /* DFT: lanes side by side; a point's stride in numbers */
    int64_t outer_stride;  /* numbers from one group of `inner` lanes to the next, of the input */
    int64_t frames, step;  /* STFT: lanes a signal and points between them; DFT: frames 0 */
    size_t window, output; /* buffers; window 0: none */
    /* the input is half a spectrum, whose other half mirrors it: the output is real */
    bool mirrors;
    double scale;
} transform;

/* Halves while it can (Cooley and Tukey 1965, decimation in time), then by definition. `in` has stride
 * `stride`; the order of additions follows from the length alone (BITS). */
static void transform_lane(const transform *p, const complex_number *in, int64_t stride,
                           int64_t length, complex_number *out)
{
    int64_t turn = p->length / length;
    if (length >= 1024 && hd_stop_asked() != HD_OK) {
        return;
    }
    if (length % 2 != 0) {
        for (int64_t k = 0; k < length && (length < 1024 || hd_stop_asked() == HD_OK); k++) {
            complex_number sum = {0, 0};
            for (int64_t t = 0, angle = 0, next; (next = hd_stop_reach(t, length)) > t;) {
                for (; t < next; t++) {
                    complex_number w = p->roots[angle * turn], x = in[t * stride];
                    sum.re += x.re * w.re - x.im * w.im;
                    sum.im += x.re * w.im + x.im * w.re;
                    angle += k;
                    angle -= angle >= length ? length : 0;
                }
            }
            out[k] = sum;
        }
        return;
    }
    int64_t half = length / 2;
    transform_lane(p, in, 2 * stride, half, out);
    transform_lane(p, in + stride, 2 * stride, half, out + half);
    for (int64_t k = 0, next; (next = hd_stop_reach(k, half)) > k;) {
        for (; k < next; k++) {
            complex_number w = p->roots[k * turn], even = out[k], odd = out[k + half];
            double re = odd.re * w.re - odd.im * w.im, im = odd.re * w.im + odd.im * w.re;
            out[k] = (complex_number){even.re + re, even.im + im};
            out[k + half] = (complex_number){even.re - re, even.im - im};
        }
    }
}

/* Completes a spectrum of which the first length / 2 + 1 points are given (the first and, of an even number, the
 * middle one are real). */
static void mirror(complex_number *points, int64_t length)
{
    points[0].im = 0;
    for (int64_t k = 1; 2 * k <= length && !hd_stop_ends(k); k++) {
        if (2 * k == length) {
            points[k].im = 0;
        }
        points[length - k] = (complex_number){points[k].re, -points[k].im};
    }
}

static void run_transform(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const transform *p = parameters;
    complex_number *in = scratch, *out = in + p->length;
    int64_t lane = hd_cpu_tile_begin(p->lanes, p->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(p->lanes, p->tile_count, end);
    for (; lane < last; lane++) {
        int64_t outer = p->frames != 0 ? lane / p->frames : lane / p->inner;
        int64_t inner = p->frames != 0 ? lane % p->frames * p->step : lane % p->inner;
        int64_t from = outer * p->outer_stride + inner * p->components;
        for (int64_t t = 0; t < p->length && !hd_stop_ends(t); t++) {
            in[t] = (complex_number){0, 0};
            if (t < p->given) {
                int64_t at = from + t * p->inner * p->components;
                double factor = p->window != 0 ? load(p->dtype, buffers[p->window], t) : 1;
                in[t].re = factor * load(p->dtype, buffers[0], at);
                in[t].im = p->components == 2 ? factor * load(p->dtype, buffers[0], at + 1) : 0;
            }
        }
        if (p->mirrors) {
            mirror(in, p->length);
        }
        transform_lane(p, in, 1, p->length, out);
        int64_t stride = p->frames != 0 ? 1 : p->inner;
        int64_t to = p->frames != 0 ? lane * p->bins : outer * p->bins * p->inner + inner;
        for (int64_t k = 0; k < p->bins && p->mirrors && !hd_stop_ends(k); k++) {
            store(p->dtype, buffers[p->output], to + k * stride, out[k].re * p->scale);
        }
        for (int64_t k = 0; k < p->bins && !p->mirrors && !hd_stop_ends(k); k++) {
            store(p->dtype, buffers[p->output], 2 * (to + k * stride), out[k].re * p->scale);
            store(p->dtype, buffers[p->output], 2 * (to + k * stride) + 1, out[k].im * p->scale);
        }
    }
}

/* Fills in what DFT and STFT share once the sizes stand. */
static hd_status finish_transform(hd_cpu_compilation *compilation, transform *p, bool inverse)
{
    const hd_operation *operation = compilation->operation;
    p->dtype = operation->inputs[0].dtype;
    if (p->dtype != HD_FLOAT32 && p->dtype != HD_FLOAT64) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "dtype %s",
                                 hd_dtype_name(p->dtype));
    }
    complex_number *roots = hd_region_array(compilation->region, (size_t)p->length, sizeof *roots);
    if (roots == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    for (int64_t k = 0; k < p->length && !hd_stop_ends(k); k++) {
        double angle = 2 * PI * (double)k / (double)p->length;
        roots[k] = (complex_number){Sleef_cos_u10(angle), Sleef_sin_u10(inverse ? angle : -angle)};
    }
    p->roots = roots;
    p->scale = inverse ? 1 / (double)p->length : 1;
    p->output = operation->input_count;
    p->tile_count = hd_cpu_tile_count(p->lanes, 16 * p->length);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.scratch_size = 2 * (size_t)p->length * sizeof(complex_number);
    compilation->kernel.run = run_transform;
    return HD_OK;
}

static hd_status compile_dft(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape;
    int64_t axis = operation->opset < 20            ? hd_operation_int(operation, "axis", 1)
                   : hd_operation_has(operation, 2) ? hd_operand_int(&operation->inputs[2], 0)
                                                    : -2;
    hd_axis_normalize(&axis, shape->rank);
    transform *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    bool inverse = hd_operation_int(operation, "inverse", 0) != 0;
    p->mirrors = inverse && hd_operation_int(operation, "onesided", 0) != 0;
    p->bins = operation->outputs[0].shape.dims[axis];
    p->length = p->mirrors                       ? p->bins
                : hd_operation_has(operation, 1) ? hd_operand_int(&operation->inputs[1], 0)
                                                 : shape->dims[axis];
    p->components = shape->dims[shape->rank - 1];
    int64_t most = p->mirrors ? p->length / 2 + 1 : p->length;
    p->given = shape->dims[axis] < most ? shape->dims[axis] : most;
    p->inner = hd_shape_count_range(shape, (uint32_t)axis + 1, shape->rank - 1);
    p->outer_stride = hd_shape_count_range(shape, (uint32_t)axis, shape->rank);
    p->lanes = hd_shape_count_range(shape, 0, (uint32_t)axis) * p->inner;
    return finish_transform(compilation, p, inverse);
}

static hd_status compile_stft(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_shape *shape = &operation->inputs[0].shape, *to = &operation->outputs[0].shape;
    transform *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->length = hd_operation_has(operation, 3)   ? hd_operand_int(&operation->inputs[3], 0)
                : hd_operation_has(operation, 2) ? operation->inputs[2].shape.dims[0]
                                                 : shape->dims[1];
    p->window = hd_operation_has(operation, 2) ? 2 : 0;
    p->bins = to->dims[2];
    p->components = shape->rank == 2 ? 1 : shape->dims[2];
    p->given = p->length;
    p->inner = 1;
    p->outer_stride = shape->dims[1] * p->components;
    p->frames = to->dims[1];
    p->step = hd_operand_int(&operation->inputs[1], 0);
    p->lanes = to->dims[0] * p->frames;
    return finish_transform(compilation, p, false);
}

/* --- windows and the mel matrix: values that are known when the plan is made */

typedef struct table {
    size_t output, size; /* bytes */
    void *values;
} table;

static void run_table(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                      void *scratch)
{
    (void)scratch;
    const table *p = parameters;
    if (begin < end && p->size > 0) {
        hd_stop_copy(buffers[p->output], p->values, p->size);
    }
}

static table *table_create(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    size_t element = hd_dtype_size(operation->outputs[0].dtype);
    size_t count = (size_t)hd_shape_count(&operation->outputs[0].shape);
    table *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->output = operation->input_count;
    p->size = count * element;
    p->values = hd_region_array(compilation->region, count, element);
    compilation->kernel.run = run_table;
    return p->values == NULL ? NULL : p;
}

/* onnx.ai, "HannWindow", "HammingWindow", "BlackmanWindow": a0 - a1·cos(2πi/N) + a2·cos(4πi/N). */
static hd_status compile_window(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    table *p = table_create(compilation);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    static const double hann[3] = {0.5, 0.5, 0}, blackman[3] = {0.42, 0.5, 0.08};
    static const double hamming[3] = {25.0 / 46, 21.0 / 46, 0};
    const double *a = operation->id == HD_OP_HANN_WINDOW      ? hann
                      : operation->id == HD_OP_HAMMING_WINDOW ? hamming
                                                              : blackman;
    int64_t size = operation->outputs[0].shape.dims[0];
    int64_t period = size - (hd_operation_int(operation, "periodic", 1) != 0 ? 0 : 1);
    for (int64_t i = 0; i < size && !hd_stop_ends(i); i++) {
        double angle = period == 0 ? PI : 2 * PI * (double)i / (double)period;
        double value = a[0] - a[1] * Sleef_cos_u10(angle) + a[2] * Sleef_cos_u10(2 * angle);
        store(operation->outputs[0].dtype, p->values, i, value);
    }
    return HD_OK;
}

static int64_t clamp_bin(double bin, int64_t most)
{
    return bin > 0 ? bin < (double)most ? (int64_t)bin : most : 0;
}

/* onnx.ai, "MelWeightMatrix": triangles between frequencies that are equally far apart in mel. */
static hd_status compile_mel(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *inputs = operation->inputs;
    hd_dtype dtype = operation->outputs[0].dtype;
    table *p = table_create(compilation);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    int64_t rows = operation->outputs[0].shape.dims[0],
            columns = operation->outputs[0].shape.dims[1];
    double length = (double)hd_operand_int(&inputs[1], 0),
           rate = (double)hd_operand_int(&inputs[2], 0);
    double low = 2595 * Sleef_log10_u10(1 + load(inputs[3].dtype, inputs[3].data, 0) / 700);
    double high = 2595 * Sleef_log10_u10(1 + load(inputs[4].dtype, inputs[4].data, 0) / 700);
    double step = (high - low) / (double)(columns + 2);
    for (int64_t i = 0; i < columns && !hd_stop_ends(i); i++) {
        int64_t edges[3];
        for (int64_t j = 0; j < 3; j++) {
            double hertz = 700 * (Sleef_exp10_u10(((double)(i + j) * step + low) / 2595) - 1);
            edges[j] = clamp_bin(floor((length + 1) * hertz / rate), rows);
        }
        for (int64_t j = edges[0]; j <= edges[1] && j < rows && !hd_stop_ends(j); j++) {
            bool flat = edges[1] == edges[0];
            store(dtype, p->values, j * columns + i,
                  flat ? 1 : (double)(j - edges[0]) / (double)(edges[1] - edges[0]));
        }
        for (int64_t j = edges[1]; j < edges[2] && j < rows && !hd_stop_ends(j); j++) {
            store(dtype, p->values, j * columns + i,
                  (double)(edges[2] - j) / (double)(edges[2] - edges[1]));
        }
    }
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_signal[] = {
    {HD_OP_DFT, compile_dft},
    {HD_OP_STFT, compile_stft},
    {HD_OP_HANN_WINDOW, compile_window},
    {HD_OP_HAMMING_WINDOW, compile_window},
    {HD_OP_BLACKMAN_WINDOW, compile_window},
    {HD_OP_MEL_WEIGHT_MATRIX, compile_mel},
    {0},
};
