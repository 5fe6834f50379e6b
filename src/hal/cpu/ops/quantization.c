/* Quantization: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear; and the family's table. */
#include "hal/cpu/ops/quantization.h"

#include <math.h>

#include "base/stop.h"
#include "hal/cpu/ops/quantization_rows.h"
#include "operation/narrow.h"
#include "operation/quantized.h"

#define ONE_SCALE_RUN 4096

/* Elements of one scale that lie side by side, or single elements where each has another. */
typedef struct scaling {
    hd_quantized_scales scales;
    hd_dtype x, y;
    bool has_zero;
    bool saturates; /* to narrow floats */
    bool is_one;    /* one scale for all */
    int64_t count;  /* elements */
    int64_t
        run; /* elements of one scale side by side; the last run may be shorter where there is one scale */
    int64_t runs; /* in all */
    int64_t tiles;
    size_t output; /* which buffer */
} scaling;

int64_t hd_cpu_quantized_get(hd_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case HD_UINT8:
    case HD_UINT4:
    case HD_UINT2:
        return ((const uint8_t *)data)[index];
    case HD_INT8:
    case HD_INT4:
    case HD_INT2:
        return ((const int8_t *)data)[index];
    case HD_UINT16:
        return ((const uint16_t *)data)[index];
    case HD_INT16:
        return ((const int16_t *)data)[index];
    default:
        return ((const int32_t *)data)[index];
    }
}

hd_cpu_quantized_bounds hd_cpu_quantized_bounds_of(hd_dtype dtype)
{
    switch (dtype) {
    case HD_INT8:
        return (hd_cpu_quantized_bounds){INT8_MIN, INT8_MAX};
    case HD_UINT16:
        return (hd_cpu_quantized_bounds){0, UINT16_MAX};
    case HD_INT16:
        return (hd_cpu_quantized_bounds){INT16_MIN, INT16_MAX};
    case HD_UINT4:
    case HD_INT4:
    case HD_UINT2:
    case HD_INT2: {
        int32_t low, high;
        hd_narrow_bounds(dtype, &low, &high);
        return (hd_cpu_quantized_bounds){low, high};
    }
    default:
        return (hd_cpu_quantized_bounds){0, UINT8_MAX};
    }
}

/* Where run number `run` begins, and which scale it has. Runs are cut at the ends of blocks. */
static int64_t scale_of_run(const scaling *s, int64_t run)
{
    if (s->is_one) {
        return 0;
    }
    const hd_quantized_scales *scales = &s->scales;
    const int64_t per_axis = scales->inner / s->run;
    const int64_t row = run / per_axis, at = run % per_axis * s->run;
    return row / scales->axis * scales->outer_step +
           row % scales->axis / scales->block * scales->axis_step + at * scales->inner_step;
}

static int64_t length_of_run(const scaling *s, int64_t run)
{
    const int64_t left = s->count - run * s->run;
    return left < s->run ? left : s->run;
}

/* 16-bit results, and int32 inputs. */
static void quantize_plain(const scaling *s, const void *x, int64_t count, float scale,
                           int64_t zero, void *y)
{
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(s->y);
    const float low = (float)(bounds.low - zero), high = (float)(bounds.high - zero);
    for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
        const float value =
            (s->x == HD_FLOAT32 ? ((const float *)x)[i] : (float)((const int32_t *)x)[i]) / scale;
        float bounded = value > low ? value : low;
        bounded = bounded < high ? bounded : high;
        const int32_t whole = (int32_t)(rintf(bounded)) + (int32_t)zero;
        if (hd_dtype_size(s->y) == 1) {
            ((uint8_t *)y)[i] = (uint8_t)whole;
        } else {
            ((uint16_t *)y)[i] = (uint16_t)whole;
        }
    }
}

/* To narrow floats, whose zero point is a number of their kind. */
static void quantize_float(const scaling *s, const void *x, int64_t count, float scale, float zero,
                           uint8_t *y)
{
    for (int64_t i = 0; i < count && !hd_stop_ends(i); i++) {
        const float value =
            s->x == HD_FLOAT32 ? ((const float *)x)[i] : (float)((const int32_t *)x)[i];
        y[i] = hd_narrow_encode(s->y, value / scale + zero, s->saturates, HD_NARROW_UP);
    }
}

static void run_quantize(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                         void *scratch)
{
    (void)scratch;
    const scaling *s = parameters;
    const size_t from = 4, to = hd_dtype_size(s->y); /* bytes of an element */
    const bool to_float = hd_narrow_is_float(s->y);
    const hd_cpu_quantized_bounds bounds = hd_cpu_quantized_bounds_of(s->y);
    const hd_cpu_quantization_rows *rows = hd_cpu_quantization_rows_get();
    const int64_t last = hd_cpu_tile_begin(s->runs, s->tiles, end);
    for (int64_t run = hd_cpu_tile_begin(s->runs, s->tiles, begin);
         run < last && !hd_stop_ends(run); run++) {
        const int64_t index = scale_of_run(s, run);
        const float scale = ((const float *)buffers[1])[index];
        const int64_t zero =
            s->has_zero && !to_float ? hd_cpu_quantized_get(s->y, buffers[2], index) : 0;
        const char *x = (const char *)buffers[0] + (size_t)(run * s->run) * from;
        char *y = (char *)buffers[s->output] + (size_t)(run * s->run) * to;
        const int64_t length = length_of_run(s, run);
        if (to_float) {
            quantize_float(
                s, x, length, scale,
                s->has_zero ? hd_narrow_decode(s->y, ((const uint8_t *)buffers[2])[index]) : 0.0f,
                (uint8_t *)y);
        } else if (s->x == HD_FLOAT32 && to == 1) {
            rows->quantize((const float *)(const void *)x, length, scale,
                           (float)(bounds.low - zero), (float)(bounds.high - zero), (int32_t)zero,
                           (uint8_t *)y);
        } else {
            quantize_plain(s, x, length, scale, zero, y);
        }
    }
}

static void run_dequantize(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                           void *scratch)
{
    (void)scratch;
    const scaling *s = parameters;
    const hd_cpu_quantization_rows *rows = hd_cpu_quantization_rows_get();
    const int64_t last = hd_cpu_tile_begin(s->runs, s->tiles, end);
    for (int64_t run = hd_cpu_tile_begin(s->runs, s->tiles, begin);
         run < last && !hd_stop_ends(run); run++) {
        const int64_t index = scale_of_run(s, run), first = run * s->run;
        const int64_t length = length_of_run(s, run);
        const float scale = ((const float *)buffers[1])[index];
        float *y = (float *)buffers[s->output] + first;
        if (hd_narrow_is_float(s->x)) {
            const float shift =
                s->has_zero ? hd_narrow_decode(s->x, ((const uint8_t *)buffers[2])[index]) : 0.0f;
            const uint8_t *codes = (const uint8_t *)buffers[0] + first;
            for (int64_t i = 0; i < length && !hd_stop_ends(i); i++) {
                y[i] = (hd_narrow_decode(s->x, codes[i]) - shift) * scale;
            }
            continue;
        }
        const int64_t zero = s->has_zero ? hd_cpu_quantized_get(s->x, buffers[2], index) : 0;
        if (hd_quantized_is_byte(s->x)) {
            rows->dequantize((const uint8_t *)buffers[0] + first, length, s->x == HD_INT8,
                             (int32_t)zero, scale, y);
            continue;
        }
        for (int64_t i = 0; i < length && !hd_stop_ends(i); i++) {
            y[i] = (float)(hd_cpu_quantized_get(s->x, buffers[0], first + i) - zero) * scale;
        }
    }
}

static hd_status compile_scaling(hd_cpu_compilation *compilation, hd_kernel_run *run)
{
    const hd_operation *operation = compilation->operation;
    scaling *s = hd_cpu_parameters(compilation, sizeof *s);
    if (s == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = hd_quantized_scales_resolve(operation, &s->scales, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    s->x = operation->inputs[0].dtype;
    s->y = operation->outputs[0].dtype;
    s->has_zero = hd_operation_has(operation, 2);
    s->saturates = hd_operation_int(operation, "saturate", 1) != 0;
    s->output = operation->input_count;
    const int64_t count = hd_shape_count(&operation->inputs[0].shape);
    s->count = count;
    s->is_one = s->scales.outer_step == 0 && s->scales.axis_step == 0 && s->scales.inner_step == 0;
    s->run = s->is_one ? ONE_SCALE_RUN : s->scales.inner_step == 0 ? s->scales.inner : 1;
    s->run = s->run < 1 ? 1 : s->run;
    s->runs = count / s->run + (count % s->run != 0);
    s->tiles = hd_cpu_tile_count(s->runs, s->run * 2);
    compilation->kernel.tile_count = s->tiles;
    compilation->kernel.run = run;
    return HD_OK;
}

static hd_status compile_quantize(hd_cpu_compilation *compilation)
{
    return compile_scaling(compilation, run_quantize);
}

static hd_status compile_dequantize(hd_cpu_compilation *compilation)
{
    return compile_scaling(compilation, run_dequantize);
}

typedef struct dynamic {
    int64_t count;
    size_t outputs; /* buffers there are */
} dynamic;

/* One tile: the scale takes all elements. */
static void run_dynamic(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch)
{
    (void)begin, (void)end, (void)scratch;
    const dynamic *d = parameters;
    const hd_cpu_quantization_rows *rows = hd_cpu_quantization_rows_get();
    float low = 0.0f, high = 0.0f;
    rows->range(buffers[0], d->count, &low, &high);
    /* All zeros have any scale; onnxruntime's is 1. */
    const float scale = low == high ? 1.0f : (high - low) / 255.0f;
    float zero = rintf(-low / scale);
    zero = zero > 0.0f ? zero : 0.0f; /* an infinite range gives no number */
    zero = zero < 255.0f ? zero : 255.0f;
    if (buffers[1] != NULL) {
        rows->quantize(buffers[0], d->count, scale, -zero, 255.0f - zero, (int32_t)zero,
                       buffers[1]);
    }
    if (d->outputs > 1 && buffers[2] != NULL) {
        *(float *)buffers[2] = scale;
    }
    if (d->outputs > 2 && buffers[3] != NULL) {
        *(uint8_t *)buffers[3] = (uint8_t)zero;
    }
}

static hd_status compile_dynamic(hd_cpu_compilation *compilation)
{
    dynamic *d = hd_cpu_parameters(compilation, sizeof *d);
    if (d == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    d->count = hd_shape_count(&compilation->operation->inputs[0].shape);
    d->outputs = compilation->operation->output_count;
    compilation->kernel.run = run_dynamic;
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_quantization[] = {
    {HD_OP_QUANTIZE_LINEAR, compile_quantize},
    {HD_OP_DEQUANTIZE_LINEAR, compile_dequantize},
    {HD_OP_DYNAMIC_QUANTIZE_LINEAR, compile_dynamic},
    {HD_OP_MATMUL_INTEGER, hd_cpu_compile_quantized_matmul},
    {HD_OP_QLINEAR_MATMUL, hd_cpu_compile_quantized_matmul},
    {HD_OP_CONV_INTEGER, hd_cpu_compile_quantized_convolution},
    {HD_OP_HEDDLE_QLINEAR_CONV, hd_cpu_compile_quantized_convolution},
    {HD_OP_QLINEAR_CONV, hd_cpu_compile_quantized_convolution},
    {0},
};
