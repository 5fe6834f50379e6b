#include "operation/column.h"

#define LIMIT ((int64_t)1 << 30)

static bool is_between(int64_t value, int64_t low)
{
    return value >= low && value <= LIMIT;
}

hd_status hd_column_resolve(const hd_operation *operation, hd_column *c, hd_error *error)
{
    const hd_shape *x = &operation->inputs[0].shape;
    size_t dilation_count, stride_count, pad_count;
    const int64_t *dilations = hd_operation_ints(operation, "dilations", &dilation_count);
    const int64_t *strides = hd_operation_ints(operation, "strides", &stride_count);
    const int64_t *pads = hd_operation_ints(operation, "pads", &pad_count);
    int64_t spatial = hd_shape_count(&operation->inputs[1].shape);
    *c = (hd_column){.block_size = 1, .block_count = 1};
    bool fits = x->rank == 3 && spatial >= 1 && spatial + 2 <= HD_MAX_RANK &&
                hd_shape_count(&operation->inputs[2].shape) == spatial &&
                (dilations == NULL || dilation_count == (size_t)spatial) &&
                (strides == NULL || stride_count == (size_t)spatial) &&
                (pads == NULL || pad_count == 2 * (size_t)spatial);
    for (int64_t i = 0; fits && i < spatial; i++) {
        c->image[i] = hd_operand_int(&operation->inputs[1], i);
        c->block[i] = hd_operand_int(&operation->inputs[2], i);
        c->dilation[i] = dilations == NULL ? 1 : dilations[i];
        c->stride[i] = strides == NULL ? 1 : strides[i];
        c->pad_begin[i] = pads == NULL ? 0 : pads[i];
        int64_t pad_end = pads == NULL ? 0 : pads[spatial + i];
        fits = is_between(c->image[i], 1) && is_between(c->block[i], 1) &&
               is_between(c->dilation[i], 1) && is_between(c->stride[i], 1) &&
               is_between(c->pad_begin[i], 0) && is_between(pad_end, 0);
        int64_t room = !fits ? -1
                             : c->image[i] + c->pad_begin[i] + pad_end -
                                   (c->block[i] - 1) * c->dilation[i] - 1;
        fits = room >= 0;
        c->blocks[i] = fits ? room / c->stride[i] + 1 : 0;
        fits = fits && !__builtin_mul_overflow(c->block_size, c->block[i], &c->block_size) &&
               !__builtin_mul_overflow(c->block_count, c->blocks[i], &c->block_count);
    }
    if (!fits || x->dims[1] % c->block_size != 0 || x->dims[2] != c->block_count) {
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "its columns do not fit image and block");
    }
    c->spatial = (uint32_t)spatial;
    c->batch = x->dims[0];
    c->channels = x->dims[1] / c->block_size;
    return HD_OK;
}
