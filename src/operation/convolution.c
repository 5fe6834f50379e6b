#include "operation/convolution.h"

#include <string.h>

#include "operation/fused.h"

/* Attributes and dimensions beyond these bounds cannot belong to a real model; they keep all sums below in 63
 * bits. */
#define MAX_ATTRIBUTE ((int64_t)1 << 30)
#define MAX_INPUT     ((int64_t)1 << 31)

typedef struct extents {
    int64_t pad_end[HD_CONVOLUTION_MAX_SPATIAL];
    int64_t output_padding[HD_CONVOLUTION_MAX_SPATIAL];
} extents;

static hd_status bad(const hd_operation *operation, hd_error *error, const char *name)
{
    return hd_operation_fail(operation, error, HD_BAD_MODEL,
                             "attribute '%s' does not fit the operands", name);
}

/* Copies an attribute of `count` values between `least` and MAX_ATTRIBUTE, if it is there. */
static hd_status read_ints(const hd_operation *operation, const char *name, size_t count,
                           int64_t least, int64_t *values, hd_error *error)
{
    size_t given = 0;
    const int64_t *ints = hd_operation_ints(operation, name, &given);
    if (given == 0) {
        return HD_OK;
    }
    if (given != count) {
        return bad(operation, error, name);
    }
    for (size_t i = 0; i < count; i++) {
        if (ints[i] < least || ints[i] > MAX_ATTRIBUTE) {
            return bad(operation, error, name);
        }
        values[i] = ints[i];
    }
    return HD_OK;
}

/* The input's and weight's dimensions. */
static hd_status read_shapes(const hd_operation *operation, hd_convolution *c, hd_error *error)
{
    const hd_shape *x = &operation->inputs[0].shape, *w = &operation->inputs[1].shape;
    if (x->rank < 3 || x->rank > 2 + (c->channels_last ? 2 : HD_CONVOLUTION_MAX_SPATIAL) ||
        w->rank != x->rank) {
        char first[96], second[96];
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "input of shape %s and weight of shape %s do not fit",
                                 hd_shape_text(x, first, sizeof first),
                                 hd_shape_text(w, second, sizeof second));
    }
    if (operation->inputs[0].dtype != operation->inputs[1].dtype) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "input and weight have different types");
    }
    c->spatial = x->rank - 2;
    c->batch = x->dims[0];
    bool last = c->channels_last && !c->planar_input;
    c->channels = last ? x->dims[x->rank - 1] : x->dims[1];
    for (uint32_t i = 0; i < c->spatial; i++) {
        c->input[i] = x->dims[i + (last ? 1 : 2)];
        c->kernel[i] = w->dims[i + 2];
        c->stride[i] = 1;
        c->dilation[i] = 1;
        if (c->input[i] > MAX_INPUT || c->kernel[i] > MAX_ATTRIBUTE) {
            return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                     "an input of %lld or a kernel of %lld is too large",
                                     (long long)c->input[i], (long long)c->kernel[i]);
        }
    }
    return HD_OK;
}

static void read_fused(const hd_operation *operation, hd_convolution *c, extents *extent)
{
    const hd_fused_convolution *fused = hd_fused_convolution_of(operation);
    if (c->transposed) {
        memcpy(extent->output_padding, fused->output_padding, sizeof fused->output_padding);
    }
    c->group = fused->group;
    for (uint32_t i = 0; i < c->spatial; i++) {
        c->kernel[i] = fused->kernel[i];
        c->stride[i] = fused->stride[i];
        c->dilation[i] = fused->dilation[i];
        c->pad_begin[i] = fused->pad_begin[i];
        extent->pad_end[i] = fused->pad_end[i];
    }
}

static hd_status read_attributes(const hd_operation *operation, hd_convolution *c, extents *extent,
                                 hd_error *error)
{
    int64_t kernel[HD_CONVOLUTION_MAX_SPATIAL];
    memcpy(kernel, c->kernel, sizeof kernel);
    c->group = hd_operation_int(operation, "group", 1);
    hd_status status = read_ints(operation, "kernel_shape", c->spatial, 1, kernel, error);
    if (status == HD_OK && memcmp(kernel, c->kernel, sizeof kernel) != 0) {
        status = bad(operation, error, "kernel_shape");
    }
    if (status == HD_OK) {
        status = read_ints(operation, "strides", c->spatial, 1, c->stride, error);
    }
    if (status == HD_OK) {
        status = read_ints(operation, "dilations", c->spatial, 1, c->dilation, error);
    }
    if (status == HD_OK && c->transposed) {
        status =
            read_ints(operation, "output_padding", c->spatial, 0, extent->output_padding, error);
    }
    return status;
}

/* Cuts `total` padding in two; the odd one goes to the end, or to the beginning for SAME_LOWER. */
static void split_padding(int64_t total, bool lower, int64_t *begin, int64_t *end)
{
    int64_t kept = total < 0 ? 0 : total;
    int64_t small = kept / 2;
    *begin = lower ? kept - small : small;
    *end = kept - *begin;
}

/* Source: onnx.ai, Conv: `pads` and `auto_pad`. */
static hd_status read_pads(const hd_operation *operation, hd_convolution *c, extents *extent,
                           hd_error *error)
{
    const char *automatic = hd_operation_string(operation, "auto_pad", "NOTSET");
    bool upper = strcmp(automatic, "SAME_UPPER") == 0, lower = strcmp(automatic, "SAME_LOWER") == 0;
    if (strcmp(automatic, "NOTSET") == 0 || automatic[0] == '\0') {
        int64_t pads[2 * HD_CONVOLUTION_MAX_SPATIAL] = {0};
        hd_status status =
            read_ints(operation, "pads", 2 * (size_t)c->spatial, -MAX_ATTRIBUTE, pads, error);
        for (uint32_t i = 0; i < c->spatial && status == HD_OK; i++) {
            c->pad_begin[i] = pads[i];
            extent->pad_end[i] = pads[c->spatial + i];
        }
        return status;
    }
    if (!upper && !lower) {
        return strcmp(automatic, "VALID") == 0 ? HD_OK : bad(operation, error, "auto_pad");
    }
    if (c->transposed) {
        return HD_OK; /* below, from the output's size */
    }
    for (uint32_t i = 0; i < c->spatial; i++) {
        int64_t reach = (c->kernel[i] - 1) * c->dilation[i] + 1;
        int64_t output = (c->input[i] + c->stride[i] - 1) / c->stride[i];
        split_padding((output - 1) * c->stride[i] + reach - c->input[i], lower, &c->pad_begin[i],
                      &extent->pad_end[i]);
    }
    return HD_OK;
}

/* Source: onnx.ai, ConvTranspose: `output_shape`, `auto_pad` and the formula of the output's size. */
static hd_status size_transposed(const hd_operation *operation, hd_convolution *c,
                                 const extents *extent, hd_error *error)
{
    const char *automatic =
        c->channels_last ? "NOTSET" : hd_operation_string(operation, "auto_pad", "NOTSET");
    bool upper = strcmp(automatic, "SAME_UPPER") == 0;
    bool same = upper || strcmp(automatic, "SAME_LOWER") == 0;
    size_t given = 0;
    const int64_t *wanted =
        c->channels_last ? NULL : hd_operation_ints(operation, "output_shape", &given);
    /* Some exporters give the whole shape, batch and channels included. */
    if (given == (size_t)c->spatial + 2) {
        wanted += 2;
    } else if (given != 0 && given != c->spatial) {
        return bad(operation, error, "output_shape");
    }
    for (uint32_t i = 0; i < c->spatial; i++) {
        int64_t full = (c->input[i] - 1) * c->stride[i] + extent->output_padding[i] +
                       (c->kernel[i] - 1) * c->dilation[i] + 1;
        if (given != 0 && (wanted[i] < 0 || wanted[i] > MAX_INPUT)) {
            return bad(operation, error, "output_shape");
        }
        if (given != 0 || same) {
            c->output[i] = given != 0 ? wanted[i] : c->input[i] * c->stride[i];
            int64_t end;
            split_padding(full - c->output[i], !upper, &c->pad_begin[i], &end);
        } else {
            c->output[i] = full - c->pad_begin[i] - extent->pad_end[i];
        }
    }
    return HD_OK;
}

static hd_status check_channels(const hd_operation *operation, hd_convolution *c, hd_error *error)
{
    const hd_shape *w = &operation->inputs[1].shape;
    bool fits = c->group > 0 && c->channels % c->group == 0;
    if (fits && c->transposed) {
        fits = w->dims[0] == c->channels &&
               !__builtin_mul_overflow(w->dims[1], c->group, &c->output_channels);
    } else if (fits) {
        c->output_channels = w->dims[0];
        fits = w->dims[1] == c->channels / c->group && w->dims[0] % c->group == 0;
    }
    if (!fits) {
        char text[96];
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "weight of shape %s does not fit %lld channels in %lld groups",
                                 hd_shape_text(w, text, sizeof text), (long long)c->channels,
                                 (long long)c->group);
    }
    if (hd_operation_has(operation, 2) &&
        hd_shape_count(&operation->inputs[2].shape) != c->output_channels) {
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "the bias has not one value a channel");
    }
    return HD_OK;
}

hd_status hd_convolution_resolve(const hd_operation *operation, hd_convolution *convolution,
                                 hd_error *error)
{
    hd_convolution *c = convolution;
    *c = (hd_convolution){0};
    c->channels_last = hd_operator_is_internal(operation->id);
    c->transposed =
        operation->id == HD_OP_CONV_TRANSPOSE || operation->id == HD_OP_HEDDLE_CONV_TRANSPOSE;
    if (c->channels_last) {
        c->planar_input = hd_fused_convolution_of(operation)->planar_input;
        c->planar_output = hd_fused_convolution_of(operation)->planar_output;
    }
    extents extent = {0};
    hd_status status = read_shapes(operation, c, error);
    if (status != HD_OK) {
        return status;
    }
    if (c->channels_last) {
        read_fused(operation, c, &extent);
    } else {
        status = read_attributes(operation, c, &extent, error);
        if (status == HD_OK) {
            status = read_pads(operation, c, &extent, error);
        }
    }
    if (status == HD_OK) {
        status = check_channels(operation, c, error);
    }
    if (status == HD_OK && c->transposed) {
        status = size_transposed(operation, c, &extent, error);
    }
    if (status != HD_OK) {
        return status;
    }
    for (uint32_t i = 0; i < c->spatial; i++) {
        if (c->kernel[i] < 1 || c->kernel[i] > MAX_ATTRIBUTE) {
            return bad(operation, error, "kernel_shape");
        }
        int64_t reach = (c->kernel[i] - 1) * c->dilation[i] + 1;
        if (!c->transposed) {
            int64_t room = c->input[i] + c->pad_begin[i] + extent.pad_end[i] - reach;
            c->output[i] = room < 0 ? -1 : room / c->stride[i] + 1;
        }
        if (c->output[i] < 0) {
            return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                     "the kernel is larger than the padded input along spatial "
                                     "dimension %u",
                                     i);
        }
    }
    return HD_OK;
}

hd_shape hd_convolution_shape(const hd_convolution *convolution)
{
    hd_shape shape = {.rank = convolution->spatial + 2};
    bool last = convolution->channels_last && !convolution->planar_output;
    shape.dims[0] = convolution->batch;
    shape.dims[last ? shape.rank - 1 : 1] = convolution->output_channels;
    for (uint32_t i = 0; i < convolution->spatial; i++) {
        shape.dims[i + (last ? 1 : 2)] = convolution->output[i];
    }
    return shape;
}

void hd_convolution_make_spatial(hd_convolution *sizes)
{
    int64_t *const members[] = {sizes->input,  sizes->output,   sizes->kernel,
                                sizes->stride, sizes->dilation, sizes->pad_begin};
    const int missing = HD_CONVOLUTION_MAX_SPATIAL - (int)sizes->spatial;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        for (int d = HD_CONVOLUTION_MAX_SPATIAL - 1; d >= 0; d--) {
            members[i][d] = d >= missing                     ? members[i][d - missing]
                            : members[i] == sizes->pad_begin ? 0
                                                             : 1;
        }
    }
    sizes->spatial = HD_CONVOLUTION_MAX_SPATIAL;
}
