#include "hal/cpu/ops/elementwise_program.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"

#define UNIT         64   /* elements: tiles begin at cache lines of the output */
#define BLOCK        1024 /* elements: some blocks of float32 fit into the first cache */
#define TABLE_SIZE   256  /* of all bytes; at most BLOCK */
#define TABLE_COUNT  4096 /* elements from which on a table of them pays */
#define SHORT_ROW    32   /* elements: below, blocks cross rows and inputs are gathered */
#define PERIODIC_ROW 256  /* elements: up to here, too, where that is done once for all blocks */

hd_cpu_elementwise_value hd_cpu_elementwise_emit(hd_cpu_elementwise_program *program,
                                                 hd_cpu_elementwise_function *function,
                                                 unsigned accepted,
                                                 const hd_cpu_elementwise_parameters *parameters,
                                                 hd_dtype result_dtype, size_t operand_count,
                                                 const hd_cpu_elementwise_value *operands)
{
    if (function == NULL || program->instruction_count == program->instruction_capacity ||
        program->variable_count == program->variable_capacity) {
        return HD_ELEMENTWISE_NO_VALUE;
    }
    hd_cpu_elementwise_instruction *instruction =
        &program->instructions[program->instruction_count];
    *instruction = (hd_cpu_elementwise_instruction){.function = function,
                                                    .operand_count = (uint8_t)operand_count,
                                                    .accepted = (uint8_t)accepted,
                                                    .cost = parameters != NULL ? 8 : 1};
    if (parameters != NULL) {
        instruction->parameters = *parameters;
    }
    for (size_t i = 0; i < operand_count; i++) {
        if (operands[i] == HD_ELEMENTWISE_NO_VALUE) {
            return HD_ELEMENTWISE_NO_VALUE;
        }
        instruction->operands[i] = operands[i];
    }
    program->instruction_count++;
    instruction->result = (hd_cpu_elementwise_value)program->variable_count++;
    program->variables[instruction->result] =
        (hd_cpu_elementwise_variable){.dtype = result_dtype,
                                      .access = HD_ELEMENTWISE_COMPUTED,
                                      .element_size = hd_dtype_size(result_dtype)};
    return instruction->result;
}

hd_cpu_elementwise_value hd_cpu_elementwise_constant(hd_cpu_elementwise_program *program,
                                                     hd_dtype dtype, double value)
{
    if (program->variable_count == program->variable_capacity) {
        return HD_ELEMENTWISE_NO_VALUE;
    }
    hd_cpu_elementwise_variable *variable = &program->variables[program->variable_count];
    *variable = (hd_cpu_elementwise_variable){.dtype = dtype,
                                              .access = HD_ELEMENTWISE_SCALAR,
                                              .is_constant = true,
                                              .is_scalar = true,
                                              .element_size = hd_dtype_size(dtype)};
    if (dtype == HD_FLOAT32) {
        float as_float = (float)value;
        memcpy(&variable->constant, &as_float, sizeof as_float);
    } else if (dtype == HD_FLOAT64) {
        memcpy(&variable->constant, &value, sizeof value);
    } else { /* the low bytes come first: big-endian machines are refused at compile time */
        int64_t as_integer = hd_cpu_integer_of_double(value);
        memcpy(&variable->constant, &as_integer, sizeof as_integer);
    }
    return (hd_cpu_elementwise_value)program->variable_count++;
}

hd_dtype hd_cpu_elementwise_dtype(const hd_cpu_elementwise_program *program,
                                  hd_cpu_elementwise_value value)
{
    return value == HD_ELEMENTWISE_NO_VALUE ? HD_DTYPE_NONE : program->variables[value].dtype;
}

/* --- making the kernel */

/* How far one step along an axis of the output goes in an input of this shape. */
static int64_t stride_along(const hd_shape *shape, const hd_shape *output, uint32_t axis)
{
    uint32_t missing = output->rank - shape->rank;
    bool is_repeated = axis < missing || shape->dims[axis - missing] == 1;
    return is_repeated ? 0 : hd_shape_count_range(shape, axis - missing + 1, shape->rank);
}

/* Sets dims and the inputs' strides, without dimensions of 1 and with neighbours merged. */
static void set_dimensions(hd_cpu_elementwise_program *program, const hd_shape *shapes,
                           const hd_shape *output)
{
    program->rank = 0;
    program->count = hd_shape_count(output);
    for (uint32_t axis = 0; axis < output->rank; axis++) {
        int64_t dim = output->dims[axis];
        if (dim == 1) {
            continue;
        }
        bool merges = program->rank > 0;
        for (size_t k = 0; k < program->input_count && merges; k++) {
            int64_t stride = stride_along(&shapes[k], output, axis);
            merges = program->variables[k].strides[program->rank - 1] == stride * dim;
        }
        if (!merges) {
            program->dims[program->rank++] = 1;
        }
        program->dims[program->rank - 1] *= dim;
        for (size_t k = 0; k < program->input_count; k++) {
            program->variables[k].strides[program->rank - 1] =
                stride_along(&shapes[k], output, axis);
        }
    }
}

/* The input as the outputs' last dimension, repeated along all the others. */
static bool is_periodic(const hd_cpu_elementwise_program *program,
                        const hd_cpu_elementwise_variable *input)
{
    for (uint32_t axis = 0; axis + 1 < program->rank; axis++) {
        if (input->strides[axis] != 0) {
            return false;
        }
    }
    return program->rank > 1 && input->strides[program->rank - 1] == 1;
}

/* Blocks of whole rows all meet the same elements of periodic inputs. */
static void set_block(hd_cpu_elementwise_program *program)
{
    int64_t row = program->rank > 0 ? program->dims[program->rank - 1] : 1;
    bool has_periodic = false, has_others = false;
    for (size_t k = 0; k < program->input_count; k++) {
        has_periodic |= program->variables[k].access == HD_ELEMENTWISE_PERIODIC;
        has_others |= program->variables[k].access == HD_ELEMENTWISE_STRIDED;
    }
    program->by_rows = row >= SHORT_ROW && (has_others || row > PERIODIC_ROW);
    program->block = BLOCK;
    if (has_periodic && !program->by_rows) {
        program->block = BLOCK / row * row;
        return;
    }
    for (size_t k = 0; k < program->input_count; k++) {
        if (program->variables[k].access == HD_ELEMENTWISE_PERIODIC) {
            program->variables[k].access = HD_ELEMENTWISE_STRIDED;
        }
    }
}

static void set_accesses(hd_cpu_elementwise_program *program)
{
    for (size_t k = 0; k < program->input_count; k++) {
        hd_cpu_elementwise_variable *input = &program->variables[k];
        if (input->access == HD_ELEMENTWISE_ABSENT) {
            continue;
        }
        bool is_flat = true, is_single = true;
        int64_t stride = 1;
        for (uint32_t axis = program->rank; axis-- > 0;) {
            is_flat &= input->strides[axis] == stride;
            is_single &= input->strides[axis] == 0;
            stride *= program->dims[axis];
        }
        input->access = is_flat                       ? HD_ELEMENTWISE_FLAT
                        : is_single                   ? HD_ELEMENTWISE_SCALAR
                        : is_periodic(program, input) ? HD_ELEMENTWISE_PERIODIC
                                                      : HD_ELEMENTWISE_STRIDED;
    }
    set_block(program);
    for (size_t k = 0; k < program->input_count; k++) {
        hd_cpu_elementwise_variable *input = &program->variables[k];
        input->is_scalar = input->access == HD_ELEMENTWISE_SCALAR ||
                           (input->access == HD_ELEMENTWISE_STRIDED && program->by_rows &&
                            input->strides[program->rank - 1] == 0);
    }
}

/* Which operands are given as scalars, and which scalars must be spread over a block. */
static void set_scalars(hd_cpu_elementwise_program *program)
{
    for (size_t i = 0; i < program->instruction_count; i++) {
        hd_cpu_elementwise_instruction *instruction = &program->instructions[i];
        unsigned scalars = 0;
        for (unsigned k = 0; k < instruction->operand_count; k++) {
            if (program->variables[instruction->operands[k]].is_scalar) {
                scalars |= 1u << k;
            }
        }
        unsigned given = scalars & instruction->accepted;
        if (given == (1u << instruction->operand_count) - 1u) {
            given &= ~1u; /* functions want one array at least */
        }
        for (unsigned k = 0; k < instruction->operand_count; k++) {
            if (scalars & ~given & 1u << k) {
                program->variables[instruction->operands[k]].is_expanded = true;
            }
        }
        instruction->scalars = (uint8_t)given;
    }
}

/* Gives blocks of scratch to inputs that need one and to results; a result takes the block of one
 * that is not used any more. Returns the bytes of scratch. */
static size_t set_scratch(hd_cpu_elementwise_program *program)
{
    size_t used = hd_align_up(program->variable_count * sizeof(void *), HD_CACHE_LINE);
    size_t element_size = 1;
    for (size_t v = 0; v < program->variable_count; v++) {
        size_t size = program->variables[v].element_size;
        element_size = size > element_size ? size : element_size;
    }
    /* A little apart: equal distances from a page's start make loads wait for unrelated stores. */
    size_t block = BLOCK * element_size + 5 * HD_CACHE_LINE;
    for (size_t v = 0; v < program->variable_count; v++) {
        hd_cpu_elementwise_variable *variable = &program->variables[v];
        bool is_gathered = variable->access == HD_ELEMENTWISE_PERIODIC ||
                           (variable->access == HD_ELEMENTWISE_STRIDED && !program->by_rows);
        if (variable->is_expanded || is_gathered) {
            variable->scratch_offset = used;
            used += block;
        }
    }
    for (size_t i = 0; i < program->instruction_count; i++) {
        for (unsigned k = 0; k < program->instructions[i].operand_count; k++) {
            program->variables[program->instructions[i].operands[k]].last_reader = i;
        }
    }
    for (size_t i = 0; i + 1 < program->instruction_count; i++) {
        hd_cpu_elementwise_variable *result = &program->variables[program->instructions[i].result];
        hd_cpu_elementwise_variable *old = NULL;
        for (size_t before = i; before-- > 0 && old == NULL;) {
            /* of a long chain, the last but one */
            hd_cpu_elementwise_variable *candidate =
                &program->variables[program->instructions[before].result];
            old = candidate->holds_block && candidate->last_reader < i ? candidate : NULL;
        }
        result->scratch_offset = old != NULL ? old->scratch_offset : used;
        used += old != NULL ? 0 : block;
        result->holds_block = true;
        if (old != NULL) {
            old->holds_block = false;
        }
    }
    return used;
}

/* --- running it */

static void fill(void *out, const void *element, size_t element_size, size_t n)
{
#define FILL(T)                                                                                    \
    do {                                                                                           \
        T value;                                                                                   \
        memcpy(&value, element, sizeof value);                                                     \
        for (size_t i = 0; i < n; i++) {                                                           \
            ((T *)out)[i] = value;                                                                 \
        }                                                                                          \
    } while (0)
    switch (element_size) {
    case 1:
        memset(out, *(const uint8_t *)element, n);
        break;
    case 2:
        FILL(uint16_t);
        break;
    case 4:
        FILL(uint32_t);
        break;
    default:
        FILL(uint64_t);
        break;
    }
#undef FILL
}

/* Splits an output position into its indices. */
static void split(const hd_cpu_elementwise_program *program, int64_t position,
                  int64_t index[HD_MAX_RANK])
{
    for (uint32_t axis = program->rank; axis-- > 0;) {
        index[axis] = position % program->dims[axis];
        position /= program->dims[axis];
    }
}

/* Moves the indices on by n elements, at most to the next row's beginning. */
static void advance(const hd_cpu_elementwise_program *program, int64_t n,
                    int64_t index[HD_MAX_RANK])
{
    uint32_t axis = program->rank - 1;
    index[axis] += n;
    for (; axis > 0 && index[axis] == program->dims[axis]; axis--) {
        index[axis] = 0;
        index[axis - 1]++;
    }
}

static const char *element_at(const hd_cpu_elementwise_program *program,
                              const hd_cpu_elementwise_variable *input, const char *base,
                              const int64_t index[HD_MAX_RANK])
{
    int64_t offset = 0;
    for (uint32_t axis = 0; axis < program->rank; axis++) {
        offset += index[axis] * input->strides[axis];
    }
    return base + (size_t)offset * input->element_size;
}

/* Copies the input's elements for n output positions from `position` on to out. */
static void gather(const hd_cpu_elementwise_program *program,
                   const hd_cpu_elementwise_variable *input, const char *base, char *out,
                   int64_t position, int64_t n)
{
    uint32_t last = program->rank - 1;
    int64_t index[HD_MAX_RANK];
    size_t size = input->element_size;
    split(program, position, index);
    while (n > 0) {
        int64_t run = program->dims[last] - index[last];
        run = run < n ? run : n;
        const char *from = element_at(program, input, base, index);
        if (input->strides[last] == 0) {
            fill(out, from, size, (size_t)run);
        } else {
            memcpy(out, from, (size_t)run * size);
        }
        out += (size_t)run * size;
        n -= run;
        advance(program, run, index);
    }
}

/* Points at[k] at the inputs of the block of n elements at `position`, whose indices are `index`. */
static void place_inputs(const hd_cpu_elementwise_program *program, void *const *buffers,
                         char *scratch, const char **at, int64_t position, const int64_t *index,
                         int64_t n)
{
    for (size_t k = 0; k < program->input_count; k++) {
        const hd_cpu_elementwise_variable *input = &program->variables[k];
        const char *base = buffers[k];
        size_t size = input->element_size;
        if (input->access == HD_ELEMENTWISE_FLAT) {
            at[k] = base + (size_t)position * size;
        } else if (input->access == HD_ELEMENTWISE_STRIDED && !program->by_rows) {
            gather(program, input, base, scratch + input->scratch_offset, position, n);
            at[k] = scratch + input->scratch_offset;
        } else if (input->access == HD_ELEMENTWISE_STRIDED) {
            at[k] = element_at(program, input, base, index);
            if (input->is_expanded) {
                fill(scratch + input->scratch_offset, at[k], size, (size_t)n);
            }
        }
    }
}

static void run_block(const hd_cpu_elementwise_program *program, char *scratch, const char **at,
                      char *out, int64_t n)
{
    for (size_t i = 0; i < program->instruction_count; i++) {
        const hd_cpu_elementwise_instruction *instruction = &program->instructions[i];
        const void *operands[HD_ELEMENTWISE_OPERANDS];
        for (unsigned k = 0; k < instruction->operand_count; k++) {
            const hd_cpu_elementwise_variable *variable =
                &program->variables[instruction->operands[k]];
            bool is_spread = variable->is_scalar && !(instruction->scalars & 1u << k);
            operands[k] =
                is_spread ? scratch + variable->scratch_offset : at[instruction->operands[k]];
        }
        char *result = i + 1 == program->instruction_count
                           ? out
                           : scratch + program->variables[instruction->result].scratch_offset;
        instruction->function(&instruction->parameters, result, operands, instruction->scalars,
                              (size_t)n);
        at[instruction->result] = result;
    }
}

/* 1 + the one input that is no scalar, where it and the output are bytes; else 0. */
static size_t find_table_input(const hd_cpu_elementwise_program *program)
{
    const size_t last = program->instructions[program->instruction_count - 1].result;
    size_t found = 0;
    if (program->variables[last].element_size != 1 || program->instruction_count < 2 ||
        program->count < TABLE_COUNT) {
        return 0;
    }
    for (size_t k = 0; k < program->input_count; k++) {
        const hd_cpu_elementwise_variable *input = &program->variables[k];
        if (input->access == HD_ELEMENTWISE_SCALAR || input->access == HD_ELEMENTWISE_ABSENT) {
            continue;
        }
        if (found != 0 || input->access != HD_ELEMENTWISE_FLAT || input->element_size != 1) {
            return 0;
        }
        found = k + 1;
    }
    return found;
}

/* Elements [position, stop) by the results of all 256 bytes. */
static void run_table(const hd_cpu_elementwise_program *program, void *const *buffers,
                      char *scratch, const char **at, int64_t position, int64_t stop)
{
    uint8_t every[TABLE_SIZE], table[TABLE_SIZE];
    for (int i = 0; i < TABLE_SIZE; i++) {
        every[i] = (uint8_t)i;
    }
    at[program->table_input - 1] = (const char *)every;
    run_block(program, scratch, at, (char *)table, TABLE_SIZE);
    const uint8_t *from = buffers[program->table_input - 1];
    uint8_t *to = buffers[program->input_count];
    for (int64_t next; (next = hd_stop_reach(position, stop)) > position;) {
        for (; position < next; position++) {
            to[position] = table[from[position]];
        }
    }
}

static void run_program(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                        void *scratch_memory)
{
    const hd_cpu_elementwise_program *program = parameters;
    char *scratch = scratch_memory;
    const char **at = scratch_memory;
    int64_t position = hd_cpu_tile_begin(program->units, program->tile_count, begin) * UNIT;
    int64_t stop = hd_cpu_tile_begin(program->units, program->tile_count, end) * UNIT;
    stop = stop < program->count ? stop : program->count;
    if (position >= stop) {
        return;
    }
    int64_t longest = stop - position < program->block ? stop - position : program->block;
    longest = program->table_input != 0 ? TABLE_SIZE : longest;
    for (size_t v = 0; v < program->variable_count; v++) {
        const hd_cpu_elementwise_variable *variable = &program->variables[v];
        if (variable->access == HD_ELEMENTWISE_SCALAR) {
            at[v] = variable->is_constant ? (const char *)&variable->constant : buffers[v];
            if (variable->is_expanded) {
                fill(scratch + variable->scratch_offset, at[v], variable->element_size,
                     (size_t)longest);
            }
        } else if (variable->access == HD_ELEMENTWISE_PERIODIC) {
            gather(program, variable, buffers[v], scratch + variable->scratch_offset, position,
                   longest);
            at[v] = scratch + variable->scratch_offset;
        }
    }
    if (program->table_input != 0) {
        run_table(program, buffers, scratch, at, position, stop);
        return;
    }
    size_t last = program->instructions[program->instruction_count - 1].result;
    size_t out_size = program->variables[last].element_size;
    char *out = buffers[program->input_count];
    int64_t index[HD_MAX_RANK] = {0};
    split(program, position, index);
    while (position < stop) {
        int64_t n = stop - position < program->block ? stop - position : program->block;
        if (program->by_rows) {
            int64_t rest = program->dims[program->rank - 1] - index[program->rank - 1];
            n = n < rest ? n : rest;
        }
        place_inputs(program, buffers, scratch, at, position, index, n);
        run_block(program, scratch, at, out + (size_t)position * out_size, n);
        position += n;
        if (program->by_rows) {
            advance(program, n, index);
        }
    }
}

void hd_cpu_elementwise_finish(hd_cpu_elementwise_program *program, const hd_shape *shapes,
                               const hd_shape *output, hd_kernel *kernel)
{
    set_dimensions(program, shapes, output);
    set_accesses(program);
    hd_cpu_elementwise_join_pair(program);
    set_scalars(program);
    program->table_input = find_table_input(program);
    int64_t cost = 0;
    for (size_t i = 0; i < program->instruction_count; i++) {
        cost += program->instructions[i].cost;
    }
    program->units = (program->count + UNIT - 1) / UNIT;
    program->tile_count = hd_cpu_tile_count(program->units, cost * UNIT);
    const hd_cpu_elementwise_variable *result =
        &program->variables[program->instructions[program->instruction_count - 1].result];
    for (size_t k = 0; k < program->input_count && k < 64; k++) {
        /* A block's inputs at the same positions are read before its output is written. */
        const hd_cpu_elementwise_variable *input = &program->variables[k];
        if (input->access == HD_ELEMENTWISE_FLAT && input->dtype == result->dtype) {
            kernel->inplace_inputs |= UINT64_C(1) << k;
        }
    }
    kernel->run = run_program;
    kernel->parameters = program;
    kernel->tile_count = program->tile_count;
    kernel->scratch_size = set_scratch(program);
}
