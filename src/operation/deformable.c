#include "operation/deformable.h"

/* Input `index` is [batch, groups · kernel · each, height, width]. */
static bool fits(const hd_operation *operation, size_t index, const hd_deformable *d, int64_t each)
{
    const hd_convolution *s = &d->sizes;
    const hd_shape *shape = &operation->inputs[index].shape;
    int64_t channels;
    return shape->rank == 4 && shape->dims[0] == s->batch &&
           !__builtin_mul_overflow(s->kernel[0] * s->kernel[1], d->offset_groups * each,
                                   &channels) &&
           shape->dims[1] == channels && shape->dims[2] == s->output[0] &&
           shape->dims[3] == s->output[1];
}

hd_status hd_deformable_resolve(const hd_operation *operation, hd_deformable *deformable,
                                hd_error *error)
{
    hd_operation plain = *operation;
    plain.id = HD_OP_CONV;
    plain.input_count = 2;
    if (operation->inputs[0].shape.rank != 4) {
        return hd_operation_fail(operation, error, HD_UNSUPPORTED, "its input is no image");
    }
    hd_status status = hd_convolution_resolve(&plain, &deformable->sizes, error);
    if (status != HD_OK) {
        return status;
    }
    const hd_convolution *s = &deformable->sizes;
    const int64_t groups = hd_operation_int(operation, "offset_group", 1);
    deformable->offset_groups = groups;
    if (groups < 1 || s->channels % groups != 0 || groups > s->channels) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL, "its offset_group is %lld",
                                 (long long)groups);
    }
    if (!fits(operation, 2, deformable, 2) ||
        (hd_operation_has(operation, 4) && !fits(operation, 4, deformable, 1)) ||
        (hd_operation_has(operation, 3) &&
         (operation->inputs[3].shape.rank != 1 ||
          operation->inputs[3].shape.dims[0] != s->output_channels))) {
        return hd_operation_fail(operation, error, HD_INVALID_ARGUMENT,
                                 "its offsets, mask or bias do not fit");
    }
    return HD_OK;
}
