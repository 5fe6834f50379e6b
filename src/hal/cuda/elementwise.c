/* Elementwise operators and chains of them. */
#include <string.h>

#include "hal/cuda/elementwise.h"
#include "hal/cuda/elementwise_kernels.h"
#include "hal/cuda/elementwise_select.h"
#include "hal/cuda/step.h"
#include "operation/elementwise.h"
#include "operation/fused.h"

/* The shapes in which the inputs broadcast. */
typedef struct inputs {
    hd_shape shapes[HD_CUDA_ELEMENTWISE_INPUTS];
    bool is_given[HD_CUDA_ELEMENTWISE_INPUTS];
} inputs;

static bool add_inputs(const hd_operation *operation, hd_cuda_program *program, inputs *read,
                       uint8_t *values)
{
    bool is_like = operation->id == HD_OP_CAST_LIKE; /* its second input gives the type only */
    if (operation->input_count == 0 || operation->input_count > HD_CUDA_ELEMENTWISE_INPUTS) {
        return false;
    }
    for (size_t i = 0; i < operation->input_count; i++) {
        read->is_given[i] = hd_operation_has(operation, i) && !(is_like && i == 1);
        values[i] = read->is_given[i] ? (uint8_t)i : HD_CUDA_NO_VALUE;
        if (!read->is_given[i]) {
            continue;
        }
        if (!hd_elementwise_shape(operation, i, &read->shapes[i]) ||
            hd_dtype_size(operation->inputs[i].dtype) == 0) {
            return false;
        }
        hd_cuda_program_input(program, i, operation->inputs[i].dtype);
    }
    return true;
}

static bool is_half(hd_dtype dtype)
{
    return dtype == HD_FLOAT16 || dtype == HD_BFLOAT16;
}

/* Halves that stand for float32 (hd_compile_table.half_use) become that; a conversion takes them as they are. */
static void widen(hd_cuda_program *program, const hd_operation *operation, size_t index,
                  hd_dtype expected, uint8_t *values)
{
    if (values[index] != HD_CUDA_NO_VALUE && is_half(operation->inputs[index].dtype) &&
        !is_half(expected)) {
        values[index] = hd_cuda_program_convert(program, values[index], HD_FLOAT32);
    }
}

static bool end_program(hd_cuda_program *program, const hd_operation *operation, uint8_t last)
{
    hd_dtype wanted = operation->outputs[0].dtype;
    if (last != HD_CUDA_NO_VALUE && is_half(wanted)) {
        last = hd_cuda_program_convert(program, last, wanted);
    }
    return hd_cuda_program_end(program, last);
}

/* The operation as a program; false: the kernels do not compute it. */
static bool make_program(const hd_operation *operation, hd_cuda_program *program, inputs *read)
{
    uint8_t values[HD_CUDA_ELEMENTWISE_INPUTS + HD_ELEMENTWISE_MAX_STEPS];
    size_t count = operation->input_count;
    *program = (hd_cuda_program){0};
    if (hd_shape_count(&operation->outputs[0].shape) > INT32_MAX ||
        !add_inputs(operation, program, read, values)) {
        return false;
    }
    if (operation->id != HD_OP_HEDDLE_ELEMENTWISE) {
        bool converts = operation->id == HD_OP_CAST || operation->id == HD_OP_CAST_LIKE;
        for (size_t i = 0; i < count; i++) {
            widen(program, operation, i, converts ? operation->inputs[i].dtype : HD_FLOAT32,
                  values);
        }
        return end_program(program, operation,
                           hd_cuda_program_add(program, operation, count, values));
    }
    const hd_fused_elementwise *chain = hd_fused_elementwise_of(operation);
    if (chain->step_count == 0 || chain->step_count > HD_ELEMENTWISE_MAX_STEPS) {
        return false;
    }
    for (size_t i = 0; i < chain->step_count; i++) {
        for (size_t k = 0; k < chain->steps[i].operand_count && k < 3; k++) {
            if (chain->steps[i].operands[k] < count) {
                widen(program, operation, chain->steps[i].operands[k],
                      chain->steps[i].operation->inputs[k].dtype, values);
            }
        }
    }
    for (size_t i = 0; i < chain->step_count; i++) {
        const hd_elementwise_step *step = &chain->steps[i];
        uint8_t operands[3];
        for (size_t k = 0; k < step->operand_count && k < 3; k++) {
            if (step->operands[k] >= count + i) {
                return false;
            }
            operands[k] = values[step->operands[k]];
        }
        values[count + i] =
            hd_cuda_program_add(program, step->operation, step->operand_count, operands);
        if (values[count + i] == HD_CUDA_NO_VALUE) {
            return false;
        }
    }
    return end_program(program, operation, values[count + chain->step_count - 1]);
}

static bool supports(const hd_cuda_unit *unit, const hd_operation *operation)
{
    (void)unit;
    hd_cuda_program program;
    inputs read;
    return make_program(operation, &program, &read);
}

bool hd_cuda_elementwise_fuses(const hd_operation *operation)
{
    size_t count = operation->input_count;
    if (count == 0 || count > 3 || operation->output_count != 1 ||
        (operation->opset < 7 && count > 1)) { /* whose broadcasting may be the old one */
        return false;
    }
    hd_cuda_program program = {0};
    uint8_t values[3];
    for (size_t i = 0; i < count; i++) {
        if (hd_dtype_size(operation->inputs[i].dtype) == 0) {
            return false; /* a step's operands have no gaps */
        }
        hd_cuda_program_input(&program, i, operation->inputs[i].dtype);
        values[i] = (uint8_t)i;
    }
    return hd_cuda_program_add(&program, operation, count, values) != HD_CUDA_NO_VALUE;
}

/* How far one step along an axis of the output goes in an input of this shape. */
static int64_t stride_along(const hd_shape *shape, const hd_shape *output, uint32_t axis)
{
    uint32_t missing = output->rank - shape->rank;
    bool is_repeated = axis < missing || shape->dims[axis - missing] == 1;
    return is_repeated ? 0 : hd_shape_count_range(shape, axis - missing + 1, shape->rank);
}

/* Sets dimensions and strides, without dimensions of 1 and with neighbours joined. */
static void set_dimensions(hd_cuda_elementwise *p, const inputs *read, size_t count,
                           const hd_shape *output)
{
    int rank = 0;
    for (uint32_t axis = 0; axis < output->rank; axis++) {
        int64_t dim = output->dims[axis];
        if (dim == 1) {
            continue;
        }
        bool joins = rank > 0;
        for (size_t k = 0; k < count && joins; k++) {
            joins = !read->is_given[k] ||
                    p->strides[k][rank - 1] == stride_along(&read->shapes[k], output, axis) * dim;
        }
        if (!joins) {
            p->dims[rank++].by = 1;
        }
        p->dims[rank - 1].by *= (unsigned)dim;
        for (size_t k = 0; k < count; k++) {
            p->strides[k][rank - 1] =
                read->is_given[k] ? (int)stride_along(&read->shapes[k], output, axis) : 0;
        }
    }
    p->rank = rank;
    for (int d = 0; d < rank; d++) {
        p->dims[d] = hd_cuda_divisor_of(p->dims[d].by);
    }
}

static hd_cuda_access access_of(const hd_cuda_elementwise *p, size_t input, const hd_shape *shape)
{
    const int *strides = p->strides[input];
    bool is_scalar = true, by_fours = p->rank > 0 && p->dims[p->rank - 1].by % 4 == 0;
    bool starts_by_fours = by_fours;
    for (int d = 0; d < p->rank; d++) {
        is_scalar = is_scalar && strides[d] == 0;
        starts_by_fours = starts_by_fours && (d == p->rank - 1 || strides[d] % 4 == 0);
    }
    if (is_scalar || (by_fours && strides[p->rank - 1] == 0)) {
        return HD_CUDA_REPEATED;
    }
    if (hd_shape_count(shape) == (int64_t)p->count) {
        return HD_CUDA_FLAT;
    }
    return starts_by_fours && strides[p->rank - 1] == 1 ? HD_CUDA_NEIGHBOURS : HD_CUDA_ONE_BY_ONE;
}

/* The program's part of the parameters. */
static void set_program(hd_cuda_elementwise *p, const hd_cuda_program *program)
{
    p->instruction_count = program->instruction_count;
    memcpy(p->instructions, program->instructions,
           program->instruction_count * sizeof p->instructions[0]);
    for (size_t i = 0; i < program->constant_count; i++) {
        p->constants[i] = program->constants[i];
    }
}

enum { THREADS = 2048 }; /* that a multiprocessor runs at once */

/* How the elements are given to threads. */
typedef struct way {
    hd_cuda_function function;
    int64_t per_block;
} way;

/* All elements at once, one a thread: what one waits for, the others use. */
static bool fits_at_once(const hd_cuda_unit *unit, int64_t count)
{
    return count <= (int64_t)THREADS * unit->cores;
}

static const way *choose(const hd_cuda_unit *unit, bool is_wide, int64_t count)
{
    static const way single = {HD_CUDA_elementwise_single, HD_CUDA_ELEMENTWISE_BLOCK};
    static const way narrow = {HD_CUDA_elementwise_narrow, HD_CUDA_ELEMENTWISE_NARROW};
    static const way wide = {HD_CUDA_elementwise_wide, HD_CUDA_ELEMENTWISE_WIDE};
    return is_wide ? &wide : fits_at_once(unit, count) ? &single : &narrow;
}

/* That run at once. */
static int64_t most_blocks(const hd_cuda_unit *unit)
{
    return (int64_t)THREADS / HD_CUDA_ELEMENTWISE_BLOCK * unit->cores;
}

static hd_status add_launch(hd_cuda_compilation *compilation, const way *chosen,
                            CUfunction compiled, const void *parameters, size_t size,
                            const hd_cuda_pointer *pointers, size_t count)
{
    int64_t elements = hd_shape_count(&compilation->operation->outputs[0].shape);
    int64_t blocks = hd_cuda_blocks(elements, chosen->per_block);
    if (compiled != NULL && blocks > most_blocks(compilation->unit)) {
        blocks = most_blocks(compilation->unit); /* which do it in several turns */
    }
    const uint32_t grid[3] = {(uint32_t)blocks, 1, 1};
    hd_cuda_launch *made =
        hd_cuda_add_launch(compilation, chosen->function, grid, HD_CUDA_ELEMENTWISE_BLOCK,
                           parameters, size, pointers, count);
    if (made == NULL) {
        return hd_cuda_out_of_memory(compilation);
    }
    made->compiled = compiled;
    return HD_OK;
}

static hd_status interpret(hd_cuda_compilation *compilation, const hd_cuda_elementwise *p,
                           const inputs *read, bool is_wide)
{
    hd_cuda_pointer pointers[HD_CUDA_ELEMENTWISE_INPUTS + 1];
    size_t used = 0, count = compilation->operation->input_count;
    for (size_t i = 0; i < count; i++) {
        if (read->is_given[i]) {
            pointers[used++] = (hd_cuda_pointer){
                (uint16_t)i, (uint16_t)(offsetof(hd_cuda_elementwise, inputs) + i * sizeof(void *)),
                0};
        }
    }
    pointers[used++] = (hd_cuda_pointer){(uint16_t)count, offsetof(hd_cuda_elementwise, y), 0};
    return add_launch(compilation, choose(compilation->unit, is_wide, p->count), NULL, p, sizeof *p,
                      pointers, used);
}

/* --- kernels of their own */

static bool is_scalar(const hd_cuda_elementwise *p, size_t input)
{
    bool is = true;
    for (int d = 0; d < p->rank; d++) {
        is = is && p->strides[input][d] == 0;
    }
    return is;
}

enum { FOURS_WEIGHT = 12000 }; /* a program of more text is one for threads of one element */

static void set_pattern(const hd_cuda_compilation *compilation, const hd_cuda_elementwise *p,
                        const inputs *read, hd_cuda_pattern *pattern, size_t constant_count)
{
    *pattern = (hd_cuda_pattern){.y_bits = p->y_bits,
                                 .input_count = (unsigned char)compilation->operation->input_count,
                                 .instruction_count = p->instruction_count,
                                 .constant_count = (unsigned char)constant_count};
    for (size_t i = 0; i < pattern->input_count; i++) {
        pattern->bits[i] = read->is_given[i] ? p->bits[i] : HD_CUDA_BITS_U32;
        pattern->access[i] = !read->is_given[i]             ? HD_CUDA_ABSENT
                             : p->access[i] == HD_CUDA_FLAT ? HD_CUDA_FLAT
                             : is_scalar(p, i)              ? HD_CUDA_SCALAR
                                                            : p->access[i];
        if (read->is_given[i] && pattern->access[i] != HD_CUDA_FLAT &&
            pattern->access[i] != HD_CUDA_SCALAR) {
            pattern->rank = (unsigned char)p->rank;
        }
    }
    memcpy(pattern->instructions, p->instructions,
           p->instruction_count * sizeof p->instructions[0]);
    for (size_t i = 0; i < constant_count; i++) {
        pattern->constants[i] = (unsigned)p->constants[i];
    }
    pattern->elements =
        fits_at_once(compilation->unit, p->count) || hd_cuda_pattern_weight(pattern) > FOURS_WEIGHT
            ? 1
            : HD_CUDA_FOURS;
}

static void put_word(unsigned char *parameters, size_t at, unsigned word)
{
    memcpy(parameters + at, &word, sizeof word);
}

static hd_status launch_compiled(hd_cuda_compilation *compilation, const hd_cuda_elementwise *p,
                                 const hd_cuda_pattern *pattern, CUfunction function)
{
    unsigned char parameters[HD_CUDA_PARAMETERS_MAX] = {0};
    hd_cuda_pointer pointers[HD_CUDA_ELEMENTWISE_INPUTS + 1];
    size_t used = 0;
    pointers[used++] = (hd_cuda_pointer){pattern->input_count, 0, 0};
    put_word(parameters, hd_cuda_pattern_count_at(pattern), p->count);
    for (size_t d = 0; d < pattern->rank; d++) {
        size_t at = hd_cuda_pattern_dimension_at(pattern, d);
        put_word(parameters, at, p->dims[d].by);
        put_word(parameters, at + 4, p->dims[d].factor);
        put_word(parameters, at + 8, p->dims[d].shift);
    }
    for (size_t i = 0; i < pattern->input_count; i++) {
        if (pattern->access[i] != HD_CUDA_ABSENT) {
            pointers[used++] = (hd_cuda_pointer){(uint16_t)i, (uint16_t)(8 * (i + 1)), 0};
        }
        for (size_t d = 0; d < pattern->rank; d++) {
            put_word(parameters, hd_cuda_pattern_stride_at(pattern, i, d),
                     (unsigned)p->strides[i][d]);
        }
    }
    const way chosen = {HD_CUDA_elementwise_single,
                        (int64_t)pattern->elements * HD_CUDA_ELEMENTWISE_BLOCK};
    return add_launch(compilation, &chosen, function, parameters, hd_cuda_pattern_size(pattern),
                      pointers, used);
}

static hd_status compile(hd_cuda_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    const hd_operand *output = &operation->outputs[0];
    hd_cuda_program program;
    inputs read;
    if (hd_shape_count(&output->shape) == 0) {
        return HD_OK;
    }
    if (!make_program(operation, &program, &read)) {
        return hd_operation_fail(operation, compilation->error, HD_INTERNAL,
                                 "it has no program, although it is supported");
    }
    hd_cuda_elementwise p = {.count = (unsigned)hd_shape_count(&output->shape),
                             .y_bits = (unsigned char)hd_cuda_bits_of(output->dtype)};
    set_program(&p, &program);
    set_dimensions(&p, &read, operation->input_count, &output->shape);
    for (size_t i = 0; i < operation->input_count; i++) {
        if (!read.is_given[i]) {
            continue;
        }
        const hd_operand *input = &operation->inputs[i];
        hd_cuda_access access = access_of(&p, i, &read.shapes[i]);
        p.access[i] = (unsigned char)access;
        p.bits[i] = (unsigned char)hd_cuda_bits_of(input->dtype);
        if (access == HD_CUDA_FLAT && hd_dtype_size(input->dtype) == hd_dtype_size(output->dtype)) {
            compilation->kernel->inplace_inputs |= UINT64_C(1) << i;
        }
    }
    hd_cuda_pattern pattern;
    CUfunction function = NULL;
    if (!program.is_wide) {
        set_pattern(compilation, &p, &read, &pattern, program.constant_count);
        hd_status status = hd_cuda_elementwise_kernel(compilation->unit, &pattern, &function);
        if (status != HD_OK) {
            return status == HD_OUT_OF_MEMORY
                       ? hd_cuda_out_of_memory(compilation)
                       : hd_operation_fail(operation, compilation->error, status,
                                           "its kernel cannot be compiled");
        }
    }
    return function == NULL ? interpret(compilation, &p, &read, program.is_wide)
                            : launch_compiled(compilation, &p, &pattern, function);
}

/* Any float32 operand may be halves, but not those of a conversion that has halves already. */
hd_half_use hd_cuda_elementwise_half_use(const hd_operation *operation)
{
    hd_half_use use = {0, 0, false};
    size_t count = operation->input_count;
    for (size_t i = 0; i < count + operation->output_count; i++) {
        const hd_operand *operand =
            i < count ? &operation->inputs[i] : &operation->outputs[i - count];
        if (is_half(operand->dtype) || operation->id == HD_OP_CAST_LIKE) {
            return (hd_half_use){0, 0, false};
        }
        use.may |= operand->dtype == HD_FLOAT32 ? UINT64_C(1) << i : 0;
    }
    return use;
}

#define ROW(id) {HD_OP_##id, supports, compile},
const hd_cuda_operator hd_cuda_operators_elementwise[] = {
    ROW(ABS) ROW(ACOS) ROW(ACOSH) ROW(ADD) ROW(AND) ROW(ASIN) ROW(ASINH) ROW(ATAN) ROW(ATANH) ROW(
        BIT_SHIFT) ROW(BITWISE_AND) ROW(BITWISE_NOT) ROW(BITWISE_OR) ROW(BITWISE_XOR) ROW(CAST)
        ROW(CAST_LIKE) ROW(CEIL) ROW(CELU) ROW(CLIP) ROW(COS) ROW(COSH) ROW(DIV) ROW(ELU) ROW(EQUAL)
            ROW(ERF) ROW(EXP) ROW(FLOOR) ROW(GELU) ROW(GREATER) ROW(GREATER_OR_EQUAL)
                ROW(HARD_SIGMOID) ROW(HARD_SWISH) ROW(IS_INF) ROW(IS_NAN) ROW(LEAKY_RELU) ROW(LESS)
                    ROW(LESS_OR_EQUAL) ROW(LOG) ROW(MAX) ROW(MEAN) ROW(MIN) ROW(MISH) ROW(MOD)
                        ROW(MUL) ROW(NEG) ROW(NOT) ROW(OR) ROW(PRELU) ROW(POW) ROW(RECIPROCAL)
                            ROW(RELU) ROW(ROUND) ROW(SELU) ROW(SHRINK) ROW(SIGMOID) ROW(SIGN)
                                ROW(SIN) ROW(SINH) ROW(SOFTPLUS) ROW(SOFTSIGN) ROW(SQRT) ROW(SUB)
                                    ROW(SUM) ROW(SWI_GLU) ROW(SWISH) ROW(TAN) ROW(TANH)
                                        ROW(THRESHOLDED_RELU) ROW(WHERE) ROW(XOR)
                                            ROW(HEDDLE_ELEMENTWISE){HD_OP_NONE, NULL, NULL}};
