/* From operations to the kernels of a CUDA device. */
#include "hal/cuda/unit.h"

static const struct {
    hd_operator_id id;
    int operation;
} elementwise[] = {{HD_OP_ADD, HD_CUDA_ADD},
                   {HD_OP_SUB, HD_CUDA_SUBTRACT},
                   {HD_OP_MUL, HD_CUDA_MULTIPLY},
                   {HD_OP_DIV, HD_CUDA_DIVIDE},
                   {HD_OP_RELU, HD_CUDA_POSITIVE},
                   {HD_OP_NEG, HD_CUDA_NEGATE},
                   {HD_OP_ABS, HD_CUDA_ABSOLUTE},
                   {HD_OP_SQRT, HD_CUDA_ROOT},
                   {HD_OP_RECIPROCAL, HD_CUDA_RECIPROCAL},
                   {HD_OP_FLOOR, HD_CUDA_FLOOR},
                   {HD_OP_CEIL, HD_CUDA_CEILING}};

static bool is_copy(const hd_operation *operation)
{
    return operation->id == HD_OP_HEDDLE_TO_DEVICE || operation->id == HD_OP_HEDDLE_TO_HOST;
}

/* The kernel's number for an operation; -1: none. */
static int find(const hd_operation *operation)
{
    int found = -1;
    for (size_t i = 0; i < sizeof elementwise / sizeof elementwise[0]; i++) {
        found = elementwise[i].id == operation->id ? elementwise[i].operation : found;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        const hd_operand *input = &operation->inputs[i];
        found = input->dtype == HD_FLOAT32 && input->shape.rank <= HD_CUDA_RANK ? found : -1;
    }
    /* Before opset 7 the second operand lies where `axis` says. */
    bool broadcasts = hd_operation_attribute(operation, "axis") == NULL;
    return broadcasts && operation->outputs[0].shape.rank <= HD_CUDA_RANK ? found : -1;
}

static bool supports(const hd_unit *unit, const hd_operation *operation)
{
    (void)unit;
    return is_copy(operation) || find(operation) >= 0;
}

static bool supports_in_chain(const hd_unit *unit, const hd_operation *operation)
{
    (void)unit, (void)operation;
    return false;
}

static hd_constant_form constant_form(const hd_unit *unit, const hd_operation *operation,
                                      size_t index)
{
    (void)unit, (void)operation, (void)index;
    return (hd_constant_form){0};
}

static hd_status create_constant(hd_unit *unit, hd_constant_form form, const hd_operand *constant,
                                 hd_packed **out_packed, hd_error *error)
{
    (void)unit, (void)form, (void)constant;
    *out_packed = NULL;
    return hd_fail(error, HD_UNSUPPORTED, "CUDA devices keep constants as they are");
}

static void destroy_constant(hd_unit *unit, hd_packed **packed)
{
    (void)unit;
    *packed = NULL;
}

/* How an operand repeats along the output's dimensions. */
static void set_strides(const hd_shape *shape, const hd_shape *output,
                        long long strides[HD_CUDA_RANK])
{
    int64_t own[HD_MAX_RANK];
    hd_shape_strides(shape, own);
    for (uint32_t d = 0; d < output->rank; d++) {
        uint32_t missing = output->rank - shape->rank;
        strides[d] = d < missing || shape->dims[d - missing] == 1 ? 0 : own[d - missing];
    }
}

static hd_status make_kernel(hd_unit *unit, const hd_operation *operation, hd_region *region,
                             hd_kernel *kernel, hd_error *error)
{
    (void)unit;
    const hd_operand *output = &operation->outputs[0];
    hd_cuda_step *step = hd_region_alloc(region, sizeof *step);
    if (step == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory for a kernel");
    }
    *kernel = (hd_kernel){.parameters = step, .tile_count = 1};
    *step = (hd_cuda_step){.copy_size = SIZE_MAX};
    if (is_copy(operation)) {
        step->copy_size = (size_t)hd_shape_count(&output->shape) * hd_dtype_size(output->dtype);
        return HD_OK;
    }
    hd_cuda_elementwise *p = &step->elementwise;
    *p = (hd_cuda_elementwise){.count = hd_shape_count(&output->shape),
                               .operation = find(operation)};
    step->is_binary = operation->input_count == 2;
    if (step->is_binary && (!hd_shape_equal(&operation->inputs[0].shape, &output->shape) ||
                            !hd_shape_equal(&operation->inputs[1].shape, &output->shape))) {
        p->rank = (int)output->shape.rank;
        for (uint32_t d = 0; d < output->shape.rank; d++) {
            p->dims[d] = output->shape.dims[d];
        }
        set_strides(&operation->inputs[0].shape, &output->shape, p->a_strides);
        set_strides(&operation->inputs[1].shape, &output->shape, p->b_strides);
    }
    return HD_OK;
}

const hd_compile_table hd_cuda_compile = {supports,        supports_in_chain, constant_form,
                                          create_constant, destroy_constant,  make_kernel};
