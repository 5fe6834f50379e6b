/* Convolution, plain: one to three spatial dimensions, float32 and float64, any attributes. It serves
 * what the blocked ways leave out. Sums run over (kernel positions, channel), ascending, as theirs. */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/activation.h"
#include "hal/cpu/ops/convolution_work.h"

#define MAX_SPATIAL HD_CONVOLUTION_MAX_SPATIAL

/* Always three spatial dimensions; leading ones of size 1 are added. Strides in elements. */
typedef struct plain {
    hd_convolution sizes;
    int64_t input_batch, input_channel, input_step[MAX_SPATIAL];
    int64_t output_batch, output_channel, output_step[MAX_SPATIAL];
    int64_t weight_output, weight_channel; /* the steps of a group's output and input channel */
    int64_t weight_group;
    int64_t rows; /* output positions but for the innermost dimension, batches included */
    /* outputs from one look to the next; 1: their sums are long, and look themselves */
    int64_t turns;
    int64_t tiles;
    size_t residual;
    size_t output;
    bool has_bias;
    hd_activation activation;
} plain;

/* The input position that an output position meets at a kernel position; -1: none. */
static int64_t plain_input(const hd_convolution *sizes, int dimension, int64_t output,
                           int64_t kernel)
{
    const int64_t stride = sizes->stride[dimension];
    int64_t position;
    if (sizes->transposed) {
        int64_t scaled = output + sizes->pad_begin[dimension] - kernel * sizes->dilation[dimension];
        if (scaled < 0 || scaled % stride != 0) {
            return -1;
        }
        position = scaled / stride;
    } else {
        position =
            output * stride - sizes->pad_begin[dimension] + kernel * sizes->dilation[dimension];
    }
    return position >= 0 && position < sizes->input[dimension] ? position : -1;
}

static inline float fused_float(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static inline double fused_double(double a, double b, double c)
{
    return fma(a, b, c);
}

#define TYPE float
#include "hal/cpu/ops/convolution_plain_template.h"
#undef TYPE
#define TYPE double
#include "hal/cpu/ops/convolution_plain_template.h"
#undef TYPE

static void set_steps(const hd_convolution *sizes, const int64_t *extent, int64_t channels,
                      int64_t *batch, int64_t *channel, int64_t *steps)
{
    int64_t step = sizes->channels_last ? channels : 1;
    for (int d = MAX_SPATIAL - 1; d >= 0; d--) {
        steps[d] = step;
        step *= extent[d];
    }
    *channel = sizes->channels_last ? 1 : step;
    *batch = sizes->channels_last ? step : step * channels;
}

hd_status hd_cpu_convolution_compile_plain(hd_cpu_compilation *compilation,
                                           const hd_convolution *convolution)
{
    const hd_operation *operation = compilation->operation;
    hd_dtype dtype = operation->inputs[0].dtype;
    bool activates = false;
    if (dtype != HD_FLOAT32 && dtype != HD_FLOAT64) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "no kernel for %s",
                                 hd_dtype_name(dtype));
    }
    plain *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->sizes = *convolution;
    hd_convolution_make_spatial(&p->sizes);
    const hd_convolution *sizes = &p->sizes;
    if (sizes->channels_last) {
        p->activation = hd_fused_convolution_of(operation)->activation;
        p->residual = hd_operation_has(operation, 3) ? 3 : 0;
        activates = p->activation.kind != HD_ACTIVATION_NONE;
    }
    if (operation->inputs[1].packed != NULL || (activates && dtype != HD_FLOAT32)) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "no fused kernel for this weight or type");
    }
    set_steps(sizes, sizes->input, sizes->channels, &p->input_batch, &p->input_channel,
              p->input_step);
    set_steps(sizes, sizes->output, sizes->output_channels, &p->output_batch, &p->output_channel,
              p->output_step);
    const int64_t taps = sizes->kernel[0] * sizes->kernel[1] * sizes->kernel[2];
    const int64_t channels = sizes->channels / sizes->group;
    const int64_t outputs = sizes->output_channels / sizes->group;
    p->weight_output = sizes->transposed ? taps : channels * taps;
    p->weight_channel = sizes->transposed ? outputs * taps : taps;
    p->weight_group = channels * outputs * taps;
    p->has_bias = hd_operation_has(operation, 2);
    p->output = operation->input_count;
    p->rows = sizes->batch * sizes->output[0] * sizes->output[1];
    compilation->kernel.run = dtype == HD_FLOAT32 ? run_float : run_double;
    p->turns = hd_stop_turns(hd_multiply_bounded(taps, channels));
    p->tiles = hd_cpu_tile_count(
        p->rows, hd_multiply_bounded(sizes->output[2] * sizes->output_channels, taps * channels));
    compilation->kernel.tile_count = p->tiles;
    return HD_OK;
}
