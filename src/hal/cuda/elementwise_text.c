#include "hal/cuda/elementwise_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* nvcc's PTX of kernels/elementwise_functions.cu. */
extern const char hd_cuda_elementwise_functions[];

typedef struct text {
    char *bytes; /* NULL: there was no memory */
    size_t size, capacity;
} text;

static void reserve(text *t, size_t more)
{
    if (t->bytes == NULL || t->capacity - t->size > more) {
        return;
    }
    size_t capacity = 2 * t->capacity + more;
    char *bytes = hd_realloc(t->bytes, capacity);
    if (bytes == NULL) {
        hd_free(t->bytes);
    }
    t->bytes = bytes;
    t->capacity = capacity;
}

static void add_span(text *t, const char *from, size_t size)
{
    reserve(t, size + 1);
    if (t->bytes != NULL) {
        memcpy(t->bytes + t->size, from, size);
        t->size += size;
        t->bytes[t->size] = '\0';
    }
}

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    add_span(t, line, (size_t)size);
}

/* --- functions */

/* `{ ... }` behind the function's head; *end: behind its last line. */
static const char *find_body(int code, const char **end)
{
#define NAME(name) "hd_step_" #name "(",
    static const char *const names[] = {HD_CUDA_CODE_LIST(NAME)};
#undef NAME
    const char *head = strstr(hd_cuda_elementwise_functions, names[code]);
    const char *body = strstr(head, "\n{\n") + 3;
    *end = strstr(body, "\n}\n") + 1;
    return body;
}

/* Global variables, which the functions share. */
static void add_globals(text *t)
{
    const char *line = hd_cuda_elementwise_functions;
    while ((line = strstr(line, "\n.global ")) != NULL) {
        line++;
        add_span(t, line, strcspn(line, "\n") + 1);
    }
}

/* Puts a function in, in a scope of its own: r = code(x, y, z). All are names of registers of 4 bytes. */
static void add_function(text *t, int code, const char *r, const char *const operands[3])
{
    const char *end, *line = find_body(code, &end);
    add(t, "{\n");
    while (line < end) {
        size_t size = strcspn(line, "\n") + 1;
        char target[32];
        unsigned operand = 0;
        const char *first = line + strspn(line, " \t");
        if (sscanf(first, "ld.param.u32 %31[^,], [hd_step_%*[A-Z0-9_]%*[a-z]_%u];", target,
                   &operand) == 2) {
            add(t, "mov.b32 %s, %s;\n", target, operands[operand % 3]);
        } else if (sscanf(first, "st.param.b32 [func_retval0+0], %31[^;];", target) == 1) {
            add(t, "mov.b32 %s, %s;\n", r, target);
        } else if (strncmp(first, "ret;", 4) == 0) {
            add(t, "bra.uni $L_done;\n");
        } else if (strncmp(first, "//", 2) != 0 && *first != '\n') {
            add_span(t, line, size);
        }
        line += size;
    }
    add(t, "$L_done:\n}\n");
}

size_t hd_cuda_pattern_weight(const hd_cuda_pattern *pattern)
{
    size_t weight = 0;
    for (size_t i = 0; i < pattern->instruction_count; i++) {
        const char *end, *body = find_body(pattern->instructions[i].code, &end);
        weight += (size_t)(end - body);
    }
    return weight;
}

/* --- parameters */

size_t hd_cuda_pattern_count_at(const hd_cuda_pattern *pattern)
{
    return 8 * (1 + (size_t)pattern->input_count);
}

size_t hd_cuda_pattern_dimension_at(const hd_cuda_pattern *pattern, size_t dimension)
{
    return hd_cuda_pattern_count_at(pattern) + 4 + 12 * dimension;
}

size_t hd_cuda_pattern_stride_at(const hd_cuda_pattern *pattern, size_t input, size_t dimension)
{
    return hd_cuda_pattern_dimension_at(pattern, pattern->rank) +
           4 * (input * pattern->rank + dimension);
}

size_t hd_cuda_pattern_size(const hd_cuda_pattern *pattern)
{
    return hd_cuda_pattern_stride_at(pattern, pattern->input_count, 0);
}

/* --- memory */

/* How PTX names a value in memory; registers are wider where it has fewer than 4 bytes. */
static const struct {
    const char *type;
    int size;
} forms[] = {[HD_CUDA_BITS_U8] = {"u8", 1},   [HD_CUDA_BITS_U16] = {"u16", 2},
             [HD_CUDA_BITS_U32] = {"b32", 4}, [HD_CUDA_BITS_64] = {"b64", 8},
             [HD_CUDA_BITS_S8] = {"s8", 1},   [HD_CUDA_BITS_S16] = {"s16", 2},
             [HD_CUDA_BITS_S32] = {"b32", 4}};

/* Inputs that are found by dimensions. */
static bool is_located(const hd_cuda_pattern *pattern, size_t input)
{
    int access = pattern->access[input];
    return access == HD_CUDA_ONE_BY_ONE || access == HD_CUDA_NEIGHBOURS ||
           access == HD_CUDA_REPEATED;
}

/* Where the located inputs have element `index`, for which `wanted` says yes, as %place<input>: the scope stays open. */
static void add_places(text *t, const hd_cuda_pattern *pattern, const char *index)
{
    add(t, "{\n.reg .b32 %%part<%d>, %%rest, %%above, %%p<3>, %%at;\n.reg .b64 %%place<%d>;\n",
        pattern->rank + 1, HD_CUDA_ELEMENTWISE_INPUTS);
    add(t, "mov.b32 %%rest, %s;\n", index);
    for (size_t d = pattern->rank; d-- > 1;) {
        size_t at = hd_cuda_pattern_dimension_at(pattern, d);
        add(t, "ld.param.u32 %%p0, [p+%zu];\nld.param.u32 %%p1, [p+%zu];\n", at, at + 4);
        add(t, "ld.param.u32 %%p2, [p+%zu];\n", at + 8);
        add(t, "mul.hi.u32 %%above, %%rest, %%p1;\nshr.u32 %%above, %%above, %%p2;\n");
        add(t, "mul.lo.u32 %%p0, %%above, %%p0;\nsub.u32 %%part%zu, %%rest, %%p0;\n", d);
        add(t, "mov.b32 %%rest, %%above;\n");
    }
    add(t, "mov.b32 %%part0, %%rest;\n");
    for (size_t i = 0; i < pattern->input_count; i++) {
        if (!is_located(pattern, i)) {
            continue;
        }
        add(t, "mov.b32 %%at, 0;\n");
        for (size_t d = 0; d < pattern->rank; d++) {
            add(t, "ld.param.u32 %%p0, [p+%zu];\nmad.lo.u32 %%at, %%part%zu, %%p0, %%at;\n",
                hd_cuda_pattern_stride_at(pattern, i, d), d);
        }
        add(t, "mad.wide.u32 %%place%zu, %%at, %d, %%input%zu;\n", i, forms[pattern->bits[i]].size,
            i);
    }
}

/* The name of input i's element j: %x<n>. */
static size_t name_of(const hd_cuda_pattern *pattern, size_t input, size_t element)
{
    return input * pattern->elements + element;
}

/* One element of each input that is not loaded yet; `index`: a register, its element of y; `only`: of located inputs those of
 * this access, HD_CUDA_ABSENT: all, and the flat ones, too. */
static void add_loads(text *t, const hd_cuda_pattern *pattern, size_t element, const char *index,
                      int only)
{
    bool has_located = false;
    for (size_t i = 0; i < pattern->input_count; i++) {
        has_located = has_located || (is_located(pattern, i) &&
                                      (only == HD_CUDA_ABSENT || pattern->access[i] == only));
        if (only == HD_CUDA_ABSENT && pattern->access[i] == HD_CUDA_FLAT) {
            add(t, "mad.wide.u32 %%address, %s, %d, %%input%zu;\n", index,
                forms[pattern->bits[i]].size, i);
            add(t, "ld.global.%s %%x%zu, [%%address];\n", forms[pattern->bits[i]].type,
                name_of(pattern, i, element));
        }
    }
    if (!has_located) {
        return;
    }
    add_places(t, pattern, index);
    for (size_t i = 0; i < pattern->input_count; i++) {
        if (is_located(pattern, i) && (only == HD_CUDA_ABSENT || pattern->access[i] == only)) {
            add(t, "ld.global.%s %%x%zu, [%%place%zu];\n", forms[pattern->bits[i]].type,
                name_of(pattern, i, element), i);
        }
    }
    add(t, "}\n");
}

/* Four neighbours at once, where pointers allow it. */
static void add_loads_of_four(text *t, const hd_cuda_pattern *pattern)
{
    bool has_places = false;
    for (size_t i = 0; i < pattern->input_count; i++) {
        size_t x = name_of(pattern, i, 0);
        const char *type = forms[pattern->bits[i]].type;
        has_places =
            has_places || (is_located(pattern, i) && pattern->access[i] != HD_CUDA_ONE_BY_ONE);
        if (pattern->access[i] == HD_CUDA_FLAT) {
            add(t, "mad.wide.u32 %%address, %%first, %d, %%input%zu;\n",
                forms[pattern->bits[i]].size, i);
            add(t, "ld.global.v4.%s {%%x%zu, %%x%zu, %%x%zu, %%x%zu}, [%%address];\n", type, x,
                x + 1, x + 2, x + 3);
        }
    }
    if (has_places) {
        add_places(t, pattern, "%first");
        for (size_t i = 0; i < pattern->input_count; i++) {
            size_t x = name_of(pattern, i, 0);
            const char *type = forms[pattern->bits[i]].type;
            if (pattern->access[i] == HD_CUDA_NEIGHBOURS) {
                add(t, "ld.global.v4.%s {%%x%zu, %%x%zu, %%x%zu, %%x%zu}, [%%place%zu];\n", type, x,
                    x + 1, x + 2, x + 3, i);
            } else if (pattern->access[i] == HD_CUDA_REPEATED) {
                add(t, "ld.global.%s %%x%zu, [%%place%zu];\n", type, x, i);
                for (size_t j = 1; j < HD_CUDA_FOURS; j++) {
                    add(t, "mov.b32 %%x%zu, %%x%zu;\n", x + j, x);
                }
            }
        }
        add(t, "}\n");
    }
    for (size_t j = 0; j < HD_CUDA_FOURS; j++) {
        add(t, "add.u32 %%index, %%first, %zu;\n", j);
        add_loads(t, pattern, j, "%index", HD_CUDA_ONE_BY_ONE);
    }
}

/* --- the kernel */

static void add_begin(text *t, const hd_cuda_pattern *pattern, int capability)
{
    bool is_early = capability >= 90;
    add(t, ".version 7.8\n.target sm_%d\n.address_size 64\n", is_early ? 90 : 80);
    add_globals(t);
    add(t, ".visible .entry " HD_CUDA_TEXT_KERNEL "(.param .align 8 .b8 p[%zu])\n",
        hd_cuda_pattern_size(pattern));
    add(t, ".maxntid %d, 1, 1\n{\n", HD_CUDA_ELEMENTWISE_BLOCK);
    add(t, ".reg .b64 %%y, %%address, %%mask, %%input<%d>;\n", HD_CUDA_ELEMENTWISE_INPUTS);
    add(t, ".reg .b32 %%first, %%step, %%count, %%last, %%index;\n.reg .pred %%q, %%full;\n");
    add(t, ".reg .b32 %%nothing, %%constant<%d>, %%x<%d>, %%value<%d>;\n",
        HD_CUDA_ELEMENTWISE_CONSTANTS, HD_CUDA_ELEMENTWISE_INPUTS * HD_CUDA_FOURS,
        HD_CUDA_ELEMENTWISE_INSTRUCTIONS * HD_CUDA_FOURS);
    if (is_early) { /* kernels/order.h */
        add(t, "griddepcontrol.launch_dependents;\ngriddepcontrol.wait;\n");
    }
    add(t, "ld.param.u32 %%count, [p+%zu];\n", hd_cuda_pattern_count_at(pattern));
    add(t, "mov.u32 %%first, %%tid.x;\nmov.u32 %%step, %%ctaid.x;\n");
    add(t, "mad.lo.u32 %%first, %%step, %d, %%first;\n", HD_CUDA_ELEMENTWISE_BLOCK);
    add(t, "mul.lo.u32 %%first, %%first, %d;\nmov.u32 %%step, %%nctaid.x;\n", pattern->elements);
    add(t, "mul.lo.u32 %%step, %%step, %d;\n", pattern->elements * HD_CUDA_ELEMENTWISE_BLOCK);
    add(t, "setp.ge.u32 %%q, %%first, %%count;\n@%%q ret;\n");
    add(t, "ld.param.u64 %%y, [p];\ncvta.to.global.u64 %%y, %%y;\n");
    add(t, "mov.b32 %%nothing, 0;\n");
    for (size_t i = 0; i < pattern->constant_count; i++) {
        add(t, "mov.b32 %%constant%zu, 0x%08x;\n", i, pattern->constants[i]);
    }
    for (size_t i = 0; i < pattern->input_count; i++) {
        if (pattern->access[i] != HD_CUDA_ABSENT) {
            add(t,
                "ld.param.u64 %%input%zu, [p+%zu];\ncvta.to.global.u64 %%input%zu, %%input%zu;\n",
                i, 8 * (i + 1), i, i);
        }
        if (pattern->access[i] == HD_CUDA_SCALAR) {
            size_t x = name_of(pattern, i, 0);
            add(t, "ld.global.%s %%x%zu, [%%input%zu];\n", forms[pattern->bits[i]].type, x, i);
            for (size_t j = 1; j < pattern->elements; j++) {
                add(t, "mov.b32 %%x%zu, %%x%zu;\n", x + j, x);
            }
        }
    }
}

/* %full: the thread has four elements, and all that is moved by fours is where four can be. */
static void add_test(text *t, const hd_cuda_pattern *pattern)
{
    add(t, "and.b64 %%mask, %%y, %d;\n", HD_CUDA_FOURS * forms[pattern->y_bits].size - 1);
    for (size_t i = 0; i < pattern->input_count; i++) {
        if (pattern->access[i] == HD_CUDA_FLAT || pattern->access[i] == HD_CUDA_NEIGHBOURS) {
            add(t, "and.b64 %%address, %%input%zu, %d;\nor.b64 %%mask, %%mask, %%address;\n", i,
                HD_CUDA_FOURS * forms[pattern->bits[i]].size - 1);
        }
    }
    add(t, "setp.eq.u64 %%full, %%mask, 0;\nsub.u32 %%last, %%count, %%first;\n");
    add(t, "setp.ge.and.u32 %%full, %%last, %d, %%full;\n", HD_CUDA_FOURS);
    add(t, "sub.u32 %%last, %%count, 1;\n");
}

static void name_operand(const hd_cuda_pattern *pattern, const size_t *slots, size_t instruction,
                         unsigned place, size_t element, char name[32])
{
    size_t maker = instruction - 1; /* HD_CUDA_FROM_LAST */
    if (place == HD_CUDA_FROM_NOWHERE) {
        snprintf(name, 32, "%%nothing");
        return;
    }
    if (place < HD_CUDA_FROM_CONSTANT) {
        snprintf(name, 32, "%%x%zu", name_of(pattern, place, element));
        return;
    }
    if (place < HD_CUDA_FROM_SLOT) {
        snprintf(name, 32, "%%constant%u", place - HD_CUDA_FROM_CONSTANT);
        return;
    }
    if (place < HD_CUDA_FROM_LAST) {
        maker = slots[place - HD_CUDA_FROM_SLOT];
    }
    snprintf(name, 32, "%%value%zu", maker * pattern->elements + element);
}

/* Cuts a result to what it is in memory. */
static void add_cut(text *t, unsigned bits, const char *r)
{
    switch (bits) {
    case HD_CUDA_BITS_U8:
        return add(t, "and.b32 %s, %s, 0xff;\n", r, r);
    case HD_CUDA_BITS_U16:
        return add(t, "and.b32 %s, %s, 0xffff;\n", r, r);
    case HD_CUDA_BITS_S8:
        return add(t, "bfe.s32 %s, %s, 0, 8;\n", r, r);
    case HD_CUDA_BITS_S16:
        return add(t, "bfe.s32 %s, %s, 0, 16;\n", r, r);
    default:
        return;
    }
}

static void add_program(text *t, const hd_cuda_pattern *pattern)
{
    size_t slots[HD_CUDA_ELEMENTWISE_SLOTS] = {0}; /* the instruction that a slot's value is of */
    for (size_t k = 0; k < pattern->instruction_count; k++) {
        const hd_cuda_instruction *in = &pattern->instructions[k];
        for (size_t j = 0; j < pattern->elements; j++) {
            char names[3][32], r[32];
            name_operand(pattern, slots, k, in->x, j, names[0]);
            name_operand(pattern, slots, k, in->y, j, names[1]);
            name_operand(pattern, slots, k, in->z, j, names[2]);
            snprintf(r, sizeof r, "%%value%zu", k * pattern->elements + j);
            add_function(t, in->code, r, (const char *const[]){names[0], names[1], names[2]});
            add_cut(t, in->bits, r);
        }
        if (in->keep != HD_CUDA_FROM_NOWHERE) {
            slots[in->keep] = k;
        }
    }
}

static void add_stores(text *t, const hd_cuda_pattern *pattern)
{
    size_t last = (size_t)(pattern->instruction_count - 1) * pattern->elements;
    const char *type = forms[pattern->y_bits].type;
    add(t, "mad.wide.u32 %%address, %%first, %d, %%y;\n", forms[pattern->y_bits].size);
    if (pattern->elements == 1) {
        add(t, "st.global.%s [%%address], %%value%zu;\n", type, last);
        return;
    }
    add(t, "@!%%full bra $L_ones_out;\n");
    add(t, "st.global.v4.%s [%%address], {%%value%zu, %%value%zu, %%value%zu, %%value%zu};\n", type,
        last, last + 1, last + 2, last + 3);
    add(t, "bra.uni $L_stored;\n$L_ones_out:\n");
    for (size_t j = 0; j < HD_CUDA_FOURS; j++) {
        add(t, "add.u32 %%index, %%first, %zu;\nsetp.lt.u32 %%q, %%index, %%count;\n", j);
        add(t, "@%%q st.global.%s [%%address+%zu], %%value%zu;\n", type,
            j * (size_t)forms[pattern->y_bits].size, last + j);
    }
    add(t, "$L_stored:\n");
}

char *hd_cuda_elementwise_text(const hd_cuda_pattern *pattern, int capability)
{
    text t = {hd_alloc(1 << 14), 0, 1 << 14};
    add_begin(&t, pattern, capability);
    add(&t, "$L_again:\n");
    if (pattern->elements == 1) {
        add_loads(&t, pattern, 0, "%first", HD_CUDA_ABSENT);
    } else {
        add_test(&t, pattern);
        add(&t, "@!%%full bra $L_ones;\n");
        add_loads_of_four(&t, pattern);
        add(&t, "bra.uni $L_loaded;\n$L_ones:\n");
        for (size_t j = 0; j < HD_CUDA_FOURS; j++) {
            add(&t, "add.u32 %%index, %%first, %zu;\nmin.u32 %%index, %%index, %%last;\n", j);
            add_loads(&t, pattern, j, "%index", HD_CUDA_ABSENT);
        }
        add(&t, "$L_loaded:\n");
    }
    add_program(&t, pattern);
    add_stores(&t, pattern);
    /* the grid may have fewer threads than there is to do; %first is below 2^31, and so is %step */
    add(&t, "add.u32 %%first, %%first, %%step;\nsetp.lt.u32 %%q, %%first, %%count;\n");
    add(&t, "@%%q bra $L_again;\nret;\n}\n");
    return t.bytes;
}
