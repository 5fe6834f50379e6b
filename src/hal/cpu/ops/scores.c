/* "heddle.Scores": from a classifier's sums to labels and probabilities (operation/scores.h). */
#include "operation/scores.h"

#include <math.h>
#include <sleef.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/trees.h"

typedef struct scores_parameters {
    int64_t rows;
    int64_t tile_count;
} scores_parameters;

static float logistic(float x)
{
    const float half = 1 / (1 + Sleef_expf_u10(-fabsf(x)));
    return x < 0 ? 1 - half : half;
}

/* sqrt(2) · erfinv(2x - 1) by Winitzki's approximation ("A handy approximation for the error function and its inverse",
 * 2008), with the constants that other runtimes have. */
static float probit(float x)
{
    const float y = 2 * x - 1, sign = y < 0 ? -1.0f : 1.0f;
    const float logarithm = Sleef_logf_u10((1 - y) * (1 + y));
    const float middle = 2 / (3.14159f * 0.147f) + 0.5f * logarithm;
    return 1.41421356f * sign * sqrtf(-middle + sqrtf(middle * middle - 1 / 0.147f * logarithm));
}

static bool is_nothing(float x)
{
    return x <= 1e-7f && x >= -1e-7f;
}

static void softmax(float *scores, int64_t count, bool skips_zeros)
{
    float largest = scores[0], sum = 0;
    for (int64_t i = 1; i < count; i++) {
        largest = scores[i] > largest ? scores[i] : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        if (skips_zeros && is_nothing(scores[i])) {
            scores[i] *= Sleef_expf_u10(-largest);
        } else {
            scores[i] = Sleef_expf_u10(scores[i] - largest);
            sum += scores[i];
        }
    }
    for (int64_t i = 0; i < count; i++) {
        scores[i] /= sum;
    }
}

void hd_cpu_scores_transform(hd_scores_transform transform, float *scores, int64_t count)
{
    switch (transform) {
    case HD_SCORES_SOFTMAX:
    case HD_SCORES_SOFTMAX_ZERO:
        softmax(scores, count, transform == HD_SCORES_SOFTMAX_ZERO);
        break;
    case HD_SCORES_LOGISTIC:
        for (int64_t i = 0; i < count; i++) {
            scores[i] = logistic(scores[i]);
        }
        break;
    case HD_SCORES_PROBIT:
        for (int64_t i = 0; i < count; i++) {
            scores[i] = probit(scores[i]);
        }
        break;
    case HD_SCORES_NONE:
        break;
    }
}

static int64_t choose(const hd_scores *rule, const float *sums)
{
    if (rule->choice == HD_SCORES_THRESHOLD) {
        return rule->labels[(double)sums[rule->column] > rule->threshold];
    }
    const int64_t *counts = rule->labels + rule->label_count;
    int64_t best = -1;
    for (int64_t i = 0; i < rule->column_count; i++) {
        if (counts[i] != 0 && (best < 0 || sums[i] > sums[best])) {
            best = i;
        }
    }
    return rule->labels[best < 0 ? 0 : best];
}

static void write_pair(const hd_scores *rule, float s, float *to)
{
    const bool is_logistic = rule->transform == HD_SCORES_LOGISTIC;
    to[0] = rule->form == HD_SCORES_COMPLEMENT && !is_logistic ? 1 - s : -s;
    to[1] = s;
    if (is_logistic) {
        hd_cpu_scores_transform(HD_SCORES_LOGISTIC, to, 2);
    }
}

static void run_scores(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    (void)scratch;
    const scores_parameters *p = parameters;
    const hd_scores *rule = buffers[1];
    const float *sums = buffers[0];
    int64_t *labels = buffers[2];
    float *probabilities = buffers[3];
    const int64_t columns = rule->column_count;
    const int64_t last = hd_cpu_tile_begin(p->rows, p->tile_count, end);
    for (int64_t r = hd_cpu_tile_begin(p->rows, p->tile_count, begin); r < last && !hd_stop_ends(r);
         r++) {
        const float *row = sums + r * columns;
        if (labels != NULL) {
            labels[r] = choose(rule, row);
        }
        if (probabilities == NULL) {
            continue;
        }
        if (rule->form != HD_SCORES_AS_THEY_ARE) {
            write_pair(rule, row[rule->column], probabilities + 2 * r);
        } else {
            memcpy(probabilities + r * columns, row, (size_t)columns * sizeof *row);
            hd_cpu_scores_transform((hd_scores_transform)rule->transform,
                                    probabilities + r * columns, columns);
        }
    }
}

hd_status hd_cpu_compile_scores(hd_cpu_compilation *compilation)
{
    const hd_shape *shape = &compilation->operation->inputs[0].shape;
    scores_parameters *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->rows = shape->dims[0];
    p->tile_count = hd_cpu_tile_count(p->rows, hd_multiply_bounded(shape->dims[1], 10));
    compilation->kernel.run = run_scores;
    compilation->kernel.tile_count = p->tile_count;
    return HD_OK;
}
