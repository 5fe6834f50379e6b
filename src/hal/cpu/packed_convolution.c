#include "hal/cpu/packed_convolution.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "hal/cpu/ops/convolution_work.h"

/* The layouts of convolutions' weights, which the kernels of ops/convolution*.c read:
 *   products: [group][panel][kernel row][kernel column][channel][columns of the panel], where a panel
 *     holds 2·lanes output channels and a group's last panel lanes, if they suffice;
 *   folded: as for products, with the columns (kernel row, kernel column, output channel);
 *   Winograd: [panel][16 positions][channel][columns of the panel], see ops/convolution_winograd.c;
 *   depthwise: [kernel row][kernel column][channels, up to a multiple of lanes].
 * Columns that do not exist are zero. `lanes` is the process's, so the layout never leaves it. */

/* Channels and outputs from which on, and up to which product of them, tiles pay (docs/performance.md). */
#define WINOGRAD_LEAST  16
#define WINOGRAD_FEWEST (16 * 32)
#define WINOGRAD_MOST   (512 * 512)

typedef struct weight_sizes {
    int64_t taps;           /* kernel positions */
    int64_t group_channels; /* input channels a group */
    int64_t group_outputs;  /* output channels a group */
} weight_sizes;

static weight_sizes sizes_of(hd_cpu_packing_kind packing, const hd_shape *shape, int64_t group)
{
    weight_sizes sizes = {.taps = hd_shape_count_range(shape, 2, shape->rank)};
    bool transposed =
        packing == HD_PACKING_CONVOLUTION_TRANSPOSED || packing == HD_PACKING_CONVOLUTION_FOLDED;
    sizes.group_channels = transposed ? shape->dims[0] / group : shape->dims[1];
    sizes.group_outputs = transposed ? shape->dims[1] : shape->dims[0] / group;
    if (packing == HD_PACKING_CONVOLUTION_FOLDED) {
        sizes.group_outputs *= sizes.taps;
        sizes.taps = 1;
    }
    return sizes;
}

int64_t hd_cpu_convolution_packed_count(hd_cpu_packing_kind packing, const hd_shape *shape,
                                        int64_t group)
{
    int64_t lanes = hd_cpu_convolution_kernels_get()->lanes;
    weight_sizes sizes = sizes_of(packing, shape, group);
    if (packing == HD_PACKING_DEPTHWISE) {
        return sizes.taps * hd_cpu_convolution_padded(group, lanes);
    }
    if (packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
        sizes.taps = HD_WINOGRAD_POSITIONS;
    }
    return group * sizes.taps * sizes.group_channels *
           hd_cpu_convolution_padded(sizes.group_outputs, lanes);
}

static void pack_depthwise(const float *weights, int64_t taps, int64_t channels, int64_t lanes,
                           float *packed)
{
    int64_t stride = hd_cpu_convolution_padded(channels, lanes);
    hd_stop_clear(packed, (size_t)(taps * stride) * sizeof *packed);
    for (int64_t channel = 0; channel < channels && !hd_stop_ends_every(channel, 16); channel++) {
        for (int64_t tap = 0; tap < taps && !hd_stop_ends(tap); tap++) {
            packed[tap * stride + channel] = weights[channel * taps + tap];
        }
    }
}

static void pack_folded(const float *weights, int64_t taps, int64_t channels, int64_t outputs,
                        int64_t lanes, float *packed)
{
    const int64_t all = taps * outputs;
    float *to = packed;
    for (int64_t first = 0; first < all; first += 2 * lanes) {
        int64_t columns = all - first < 2 * lanes ? all - first : 2 * lanes;
        int64_t width = hd_cpu_convolution_padded(columns, lanes);
        for (int64_t channel = 0; channel < channels; channel++) {
            for (int64_t column = first; column < first + width; column++) {
                int64_t tap = column / outputs, output = column % outputs;
                *to++ = column < all ? weights[(channel * outputs + output) * taps + tap] : 0.0F;
            }
        }
    }
}

/* G w G^T of one kernel, in double precision, rounded once. */
static void transform_kernel(const float *w, float *to)
{
    double rows[4][3];
    for (int i = 0; i < 3; i++) {
        const double a = (double)w[i], b = (double)w[3 + i], c = (double)w[6 + i];
        rows[0][i] = a;
        rows[1][i] = (a + b + c) / 2.0;
        rows[2][i] = (a - b + c) / 2.0;
        rows[3][i] = c;
    }
    for (int i = 0; i < 4; i++) {
        const double a = rows[i][0], b = rows[i][1], c = rows[i][2];
        to[4 * i] = (float)a;
        to[4 * i + 1] = (float)((a + b + c) / 2.0);
        to[4 * i + 2] = (float)((a - b + c) / 2.0);
        to[4 * i + 3] = (float)c;
    }
}

static void pack_winograd(const float *weights, int64_t channels, int64_t outputs, int64_t lanes,
                          float *packed)
{
    for (int64_t first = 0; first < outputs; first += 2 * lanes) {
        const int64_t columns = outputs - first < 2 * lanes ? outputs - first : 2 * lanes;
        const int64_t width = hd_cpu_convolution_padded(columns, lanes);
        for (int64_t channel = 0; channel < channels; channel++) {
            for (int64_t column = 0; column < width; column++) {
                float transformed[HD_WINOGRAD_POSITIONS] = {0};
                if (column < columns) {
                    transform_kernel(weights + ((first + column) * channels + channel) * 9,
                                     transformed);
                }
                for (int64_t i = 0; i < HD_WINOGRAD_POSITIONS; i++) {
                    packed[(i * channels + channel) * width + column] = transformed[i];
                }
            }
        }
        packed += HD_WINOGRAD_POSITIONS * channels * width;
    }
}

void hd_cpu_convolution_pack(hd_cpu_packing_kind packing, const hd_shape *shape, int64_t group,
                             const float *weights, float *packed)
{
    int64_t lanes = hd_cpu_convolution_kernels_get()->lanes;
    weight_sizes sizes = sizes_of(packing, shape, group);
    if (packing == HD_PACKING_DEPTHWISE) {
        pack_depthwise(weights, sizes.taps, group, lanes, packed);
        return;
    }
    if (packing == HD_PACKING_CONVOLUTION_WINOGRAD) {
        pack_winograd(weights, sizes.group_channels, sizes.group_outputs, lanes, packed);
        return;
    }
    if (packing == HD_PACKING_CONVOLUTION_FOLDED) {
        pack_folded(weights, hd_shape_count_range(shape, 2, shape->rank), shape->dims[0],
                    shape->dims[1], lanes, packed);
        return;
    }
    const int64_t channels = sizes.group_channels, outputs = sizes.group_outputs, taps = sizes.taps;
    bool transposed = packing == HD_PACKING_CONVOLUTION_TRANSPOSED;
    /* Steps of the model's weight from one output channel, and from one input channel, to the next. */
    const int64_t output_step = transposed ? taps : channels * taps;
    const int64_t channel_step = transposed ? outputs * taps : taps;
    float *to = packed;
    int64_t turn = 0;
    for (int64_t g = 0; g < group; g++) {
        const float *from = weights + g * outputs * channels * taps;
        for (int64_t first = 0; first < outputs; first += 2 * lanes) {
            int64_t columns = outputs - first < 2 * lanes ? outputs - first : 2 * lanes;
            int64_t width = hd_cpu_convolution_padded(columns, lanes);
            for (int64_t tap = 0; tap < taps; tap++) {
                for (int64_t channel = 0; channel < channels; channel++) {
                    const float *element =
                        from + first * output_step + channel * channel_step + tap;
                    for (int64_t column = 0; column < width; column++) {
                        *to++ = column < columns ? element[column * output_step] : 0.0F;
                    }
                    if (hd_stop_ends_every(turn++, 256)) {
                        return; /* from packing a weight that is no constant */
                    }
                }
            }
        }
    }
}

hd_cpu_packing_kind hd_cpu_convolution_packing(const hd_shape *shape, int64_t group,
                                               bool transposed)
{
    if (transposed) {
        return HD_PACKING_CONVOLUTION_TRANSPOSED;
    }
    if (group > 1 && shape->dims[1] == 1 && shape->dims[0] == group) {
        return HD_PACKING_DEPTHWISE;
    }
    return group == 1 ? HD_PACKING_CONVOLUTION : HD_PACKING_CONVOLUTION_GROUPS;
}

/* Enough channels and outputs that the products saved outweigh the transforms of images; that of the weight
 * itself, only a constant is worth. It has 16/9 of the weight's size, and where weights are large, images are
 * small: then reading them is what takes the time. */
static bool is_winograd(const hd_shape *shape)
{
    return shape->rank == 4 && shape->dims[2] == 3 && shape->dims[3] == 3 &&
           shape->dims[0] >= WINOGRAD_LEAST && shape->dims[1] >= WINOGRAD_LEAST &&
           shape->dims[0] * shape->dims[1] >= WINOGRAD_FEWEST &&
           shape->dims[0] * shape->dims[1] <= WINOGRAD_MOST;
}

/* All of an attribute's values are `value`, or it is not there. */
static bool ints_are(const hd_operation *operation, const char *name, int64_t value)
{
    size_t count = 0;
    const int64_t *ints = hd_operation_ints(operation, name, &count);
    for (size_t i = 0; i < count; i++) {
        if (ints[i] != value) {
            return false;
        }
    }
    return true;
}

/* Each input pixel of the transposed convolution makes a kernel's size of output of its own. */
static bool folds(const hd_operation *operation, bool fused)
{
    const hd_shape *shape = &operation->inputs[1].shape;
    if (shape->rank != 4) {
        return false;
    }
    if (fused) {
        const hd_fused_convolution *c = hd_fused_convolution_of(operation);
        for (int i = 0; i < 2; i++) {
            if (c->stride[i] != shape->dims[2 + i] || c->pad_begin[i] != 0 || c->pad_end[i] != 0 ||
                c->output_padding[i] != 0) {
                return false;
            }
        }
        return c->group == 1;
    }
    size_t count = 0, sizes = 0;
    const int64_t *strides = hd_operation_ints(operation, "strides", &count);
    (void)hd_operation_ints(operation, "output_shape", &sizes);
    return count == 2 && strides[0] == shape->dims[2] && strides[1] == shape->dims[3] &&
           sizes == 0 && ints_are(operation, "pads", 0) &&
           ints_are(operation, "output_padding", 0) &&
           hd_operation_attribute(operation, "auto_pad") == NULL &&
           hd_operation_int(operation, "group", 1) == 1;
}

hd_cpu_packing_kind hd_cpu_packing_convolution(const hd_operation *operation, size_t index)
{
    const hd_operator_id id = operation->id;
    bool transposed = id == HD_OP_CONV_TRANSPOSE || id == HD_OP_HEDDLE_CONV_TRANSPOSE;
    bool fused = hd_operator_is_internal(id);
    if (index != 1 || (!transposed && id != HD_OP_CONV && id != HD_OP_HEDDLE_CONV)) {
        return HD_PACKING_NONE;
    }
    const hd_operand *weight = &operation->inputs[1];
    const hd_shape *shape = &weight->shape;
    bool dilated = !ints_are(operation, "dilations", 1);
    bool steps = !ints_are(operation, "strides", 1);
    int64_t group = hd_operation_int(operation, "group", 1);
    if (fused) {
        const hd_fused_convolution *convolution = hd_fused_convolution_of(operation);
        group = convolution->group;
        dilated = convolution->dilation[0] != 1 || convolution->dilation[1] != 1;
        steps = convolution->stride[0] != 1 || convolution->stride[1] != 1;
    }
    if (weight->dtype != HD_FLOAT32 || shape->rank < 3 || shape->rank > 4 || group < 1 ||
        shape->dims[0] % group != 0 || hd_shape_count(shape) == 0 || (transposed && dilated)) {
        return HD_PACKING_NONE; /* the plain kernel reads it, or inference rejects it */
    }
    if (transposed && folds(operation, fused)) {
        return HD_PACKING_CONVOLUTION_FOLDED;
    }
    hd_cpu_packing_kind packing = hd_cpu_convolution_packing(shape, group, transposed);
    bool plain = packing != HD_PACKING_CONVOLUTION || steps || dilated;
    return !plain && is_winograd(shape) ? HD_PACKING_CONVOLUTION_WINOGRAD : packing;
}

hd_status hd_cpu_pack_convolution(const hd_operand *constant, int64_t group, hd_packed *packed,
                                  hd_error *error)
{
    int64_t count =
        hd_cpu_convolution_packed_count(hd_cpu_packed_packing(packed), &constant->shape, group);
    size_t size = (size_t)count * sizeof(float);
    packed->memory = hd_pages_alloc_charged(size, &packed->owner);
    if (packed->memory == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a convolution's packed weight");
    }
    packed->size = size;
    hd_cpu_convolution_pack(hd_cpu_packed_packing(packed), &constant->shape, group, constant->data,
                            packed->memory);
    return HD_OK;
}
