#include "graph/folding.h"

#include <stdlib.h>

#include "base/memory.h"
#include "graph/operator.h"
#include "graph/work.h"

/* What a graph without weights may fold; one with weights as many bytes more as they have. */
#define FOLD_BYTES ((int64_t)32 << 20)
/* Steps that a graph without weights may spend, and those a weight's byte adds: enough to convert and to lay
 * out each weight a few times. */
#define FOLD_WORK     536870912.0
#define WORK_PER_BYTE 8.0
#define NODE_WORK     1000.0 /* of looking at an operation and compiling it */

void hd_folding_start(hd_folding *folding, size_t constant_bytes, hd_memory_account *account)
{
    int64_t constants = (int64_t)constant_bytes;
    *folding = (hd_folding){.bytes = FOLD_BYTES + constants,
                            .work = FOLD_WORK + WORK_PER_BYTE * (double)constant_bytes};
    if (account->limit != 0) {
        /* relaxed: an estimate, the limit itself is kept where memory is taken. */
        uint64_t used = hd_load_relaxed(&account->total);
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
static bool count_inputs(const hd_operation *operation, int64_t *bytes)
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
        }
    }
    if (order != few) {
        hd_free(order);
    }
    return true;
}

bool hd_folding_take(hd_folding *folding, const hd_operation *operation, int64_t slack)
{
    const hd_operator *entry = hd_operator_of(operation->id);
    int64_t input_bytes = 0, output_bytes = 0;
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
    }
    if ((entry->flags & HD_OPERATOR_SHAPE_ONLY) == 0 && !count_inputs(operation, &input_bytes)) {
        return false;
    }
    double work = NODE_WORK + hd_work_of(operation);
    if (output_bytes - input_bytes > slack || work > folding->work) {
        return false;
    }
    folding->bytes -= output_bytes;
    folding->work -= work;
    folding->spent += work;
    return true;
}

void hd_folding_give(hd_folding *folding, size_t size)
{
    folding->bytes += (int64_t)size;
}
