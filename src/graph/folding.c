#include "graph/folding.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "graph/operator.h"

/* What a graph without weights may fold; one with weights as many bytes more as they have. */
#define FOLD_BYTES ((int64_t)32 << 20)
/* Steps, about a nanosecond each, that a graph without weights may spend, and those a weight's byte
 * adds: enough to convert and to lay out each weight a few times. */
#define FOLD_WORK     ((int64_t)1 << 30)
#define WORK_PER_BYTE 8

void hd_folding_start(hd_folding *folding, size_t constant_bytes, size_t uncounted,
                      hd_memory_account *account)
{
    int64_t constants = (int64_t)constant_bytes;
    *folding = (hd_folding){.bytes = FOLD_BYTES + constants, .work = FOLD_WORK + WORK_PER_BYTE * constants};
    if (account->limit != 0) {
        /* relaxed: an estimate, the limit itself is kept where memory is taken. */
        uint64_t used = hd_load_relaxed(&account->total) + uncounted;
        int64_t left = used < account->limit ? (int64_t)((account->limit - used) / 2) : 0;
        folding->bytes = left < folding->bytes ? left : folding->bytes;
    }
}

static int64_t operand_count(const hd_operand *operand)
{
    return operand->dtype == HD_DTYPE_NONE ? 0 : hd_shape_count(&operand->shape);
}

static int64_t operand_bytes(const hd_operand *operand)
{
    return operand_count(operand) * (int64_t)hd_dtype_size(operand->dtype);
}

static int compare_data(const void *a, const void *b)
{
    uintptr_t first = (uintptr_t)(*(const hd_operand *const *)a)->data;
    uintptr_t second = (uintptr_t)(*(const hd_operand *const *)b)->data;
    return first < second ? -1 : first > second;
}

/* Adds up the inputs. One that is given twice counts once, so that Concat(x, x) is seen to double. false when
 * out of memory. */
static bool count_inputs(const hd_operation *operation, int64_t *bytes, int64_t *elements)
{
    const hd_operand *few[16], **order = few;
    size_t count = operation->input_count;
    if (count > sizeof few / sizeof few[0]) {
        order = hd_alloc_zero(count, sizeof *order);
    }
    if (order == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = &operation->inputs[i];
    }
    qsort(order, count, sizeof *order, compare_data);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || order[i]->data != order[i - 1]->data) {
            *bytes += operand_bytes(order[i]);
            *elements += operand_count(order[i]);
        }
    }
    if (order != few) {
        hd_free(order);
    }
    return true;
}

static int64_t multiply(int64_t a, int64_t b)
{
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

/* Steps of an operator that does more than a few for each element of its operands. Products are exact;
 * interpolation looks at four neighbours a dimension at most, RoiAlign at as many as it is told. Of the
 * others no element of an output takes more than all operands have elements, and Einsum walks the
 * product of all its inputs at most. */
static int64_t heavy_work(const hd_operation *operation, int64_t elements)
{
    const hd_shape *first = &operation->inputs[0].shape;
    int64_t outputs = operand_count(&operation->outputs[0]);
    if (strcmp(operation->type, "MatMul") == 0 && first->rank > 0) {
        return multiply(outputs, first->dims[first->rank - 1]);
    }
    if (strcmp(operation->type, "Gemm") == 0 && first->rank == 2) {
        return multiply(outputs, first->dims[hd_operation_int(operation, "transA", 0) != 0 ? 0 : 1]);
    }
    bool antialias = hd_operation_int(operation, "antialias", 0) != 0;
    if ((strcmp(operation->type, "Resize") == 0 && !antialias) ||
        strcmp(operation->type, "GridSample") == 0) {
        return multiply(elements, INT64_C(1) << 2 * first->rank);
    }
    int64_t work = multiply(elements, elements);
    if (strcmp(operation->type, "RoiAlign") == 0) {
        int64_t samples = hd_operation_int(operation, "sampling_ratio", 0);
        return samples > 0 ? multiply(work, multiply(samples, samples)) : work;
    }
    for (size_t i = 2; i < operation->input_count && strcmp(operation->type, "Einsum") == 0; i++) {
        work = multiply(work, elements);
    }
    return work;
}

bool hd_folding_take(hd_folding *folding, const hd_operation *operation, int64_t slack)
{
    const hd_operator *entry = hd_operator_find(operation->type);
    int64_t input_bytes = 0, output_bytes = 0, elements = 0;
    for (size_t i = 0; i < operation->output_count; i++) {
        const hd_operand *output = &operation->outputs[i];
        if (output->dtype == HD_DTYPE_NONE) {
            continue;
        }
        if (!hd_shape_is_valid(&output->shape, output->dtype) ||
            operand_bytes(output) > folding->bytes - output_bytes) {
            return false;
        }
        output_bytes += operand_bytes(output);
        elements += operand_count(output);
    }
    if ((entry->flags & HD_OPERATOR_SHAPE_ONLY) == 0 && !count_inputs(operation, &input_bytes, &elements)) {
        return false;
    }
    int64_t work = (entry->flags & HD_OPERATOR_HEAVY) != 0 ? heavy_work(operation, elements) : elements;
    if (output_bytes - input_bytes > slack || work > folding->work) {
        return false;
    }
    folding->bytes -= output_bytes;
    folding->work -= work;
    return true;
}

void hd_folding_give(hd_folding *folding, size_t size)
{
    folding->bytes += (int64_t)size;
}
