/* Loss: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. One tile computes all: the sum over all
 * positions has one fixed order. A target outside the classes counts as ignored. */
#include <math.h>
#include <sleef.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/ops/reduction.h"

typedef struct loss_parameters {
    int64_t batch, classes, positions; /* scores are batch × classes × positions */
    hd_dtype target_dtype;
    bool ignores;
    int64_t ignored;
    bool softmax;
    bool has_all;    /* the second output, all log probabilities, is among the buffers */
    bool none, mean; /* reductions; else the sum */
    size_t input_count;
} loss_parameters;

static double log_probability(const loss_parameters *p, const float *scores, int64_t class,
                              float *all)
{
    int64_t step = p->positions;
    if (!p->softmax) {
        return class < 0 ? 0 : (double)scores[class * step];
    }
    double shift = -INFINITY, sum = 0;
    for (int64_t c = 0; c < p->classes && !hd_stop_ends(c); c++) {
        double value = (double)scores[c * step];
        shift = value > shift ? value : shift;
    }
    for (int64_t c = 0; c < p->classes && !hd_stop_ends(c); c++) {
        sum += Sleef_exp_u10((double)scores[c * step] - shift);
    }
    double logarithm = Sleef_log_u10(sum);
    for (int64_t c = 0; all != NULL && c < p->classes && !hd_stop_ends(c); c++) {
        all[c * step] = (float)((double)scores[c * step] - shift - logarithm);
    }
    return class < 0 ? 0 : (double)scores[class * step] - shift - logarithm;
}

static void run_loss(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                     void *scratch)
{
    (void)scratch;
    const loss_parameters *p = parameters;
    const float *scores = buffers[0];
    const float *weights = p->input_count > 2 ? buffers[2] : NULL;
    float *loss = buffers[p->input_count];
    float *all = p->has_all ? buffers[p->input_count + 1] : NULL;
    double sum = 0, weight_sum = 0;
    for (int64_t i = 0; begin < end && i < p->batch * p->positions && !hd_stop_ends_every(i, 16);
         i++) {
        int64_t class = p->target_dtype == HD_INT64 ? ((const int64_t *)buffers[1])[i]
                                                    : ((const int32_t *)buffers[1])[i];
        if ((p->ignores && class == p->ignored) || class < 0 || class >= p->classes) {
            class = -1;
        }
        int64_t offset = i / p->positions * p->classes * p->positions + i % p->positions;
        double value =
            log_probability(p, scores + offset, class, all == NULL ? NULL : all + offset);
        double weight = class < 0 ? 0 : weights == NULL ? 1 : (double)weights[class];
        sum -= value * weight;
        weight_sum += weight;
        if (p->none) {
            loss[i] = (float)(class < 0 ? 0 : -value * weight);
        }
    }
    if (!p->none && begin < end) {
        loss[0] = (float)(p->mean ? sum / weight_sum : sum);
    }
}

hd_status hd_cpu_loss_compile(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *scores = &operation->inputs[0];
    if (scores->dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED,
                                 "there is no kernel for %s", hd_dtype_name(scores->dtype));
    }
    loss_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const char *reduction = hd_operation_string(operation, "reduction", "mean");
    p->batch = scores->shape.dims[0];
    p->classes = scores->shape.dims[1];
    p->positions = hd_shape_count_range(&scores->shape, 2, scores->shape.rank);
    p->target_dtype = operation->inputs[1].dtype;
    p->ignores = hd_operation_attribute(operation, "ignore_index") != NULL;
    p->ignored = hd_operation_int(operation, "ignore_index", 0);
    /* The second output exists for SoftmaxCrossEntropyLoss only, but may be left out. */
    p->softmax = operation->id == HD_OP_SOFTMAX_CROSS_ENTROPY_LOSS;
    p->has_all = operation->output_count > 1;
    p->none = strcmp(reduction, "none") == 0;
    p->mean = strcmp(reduction, "mean") == 0;
    p->input_count = operation->input_count;
    compilation->kernel.run = run_loss;
    return HD_OK;
}
