#include "graph/expansions/blocks.h"

#include <string.h>

#include "base/memory.h"
#include "graph/expansions/expansions.h"

/* A matrix of more elements than this is refused: sizes of bytes stay far from overflowing. */
#define ELEMENT_LIMIT ((int64_t)1 << 40)

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

/* A constant of `count` elements, of one of the types; NULL fails. */
static const hd_graph_value *constant_of(hd_expansion *e, hd_value value, const char *what,
                                         int64_t count)
{
    const hd_graph_value *known = &e->graph->values[value];
    if (value == HD_VALUE_NONE || known->data == NULL) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its %s are supported as a constant only", what);
        return NULL;
    }
    if (hd_shape_count(&known->shape) != count) {
        hd_expand_fail(e, HD_BAD_MODEL, "its %s are %lld, but its sizes need %lld", what,
                       (long long)hd_shape_count(&known->shape), (long long)count);
        return NULL;
    }
    return known;
}

static float number_at(const hd_graph_value *value, int64_t index)
{
    if (value->dtype == HD_FLOAT32) {
        return ((const float *)value->data)[index];
    }
    if (value->dtype == HD_FLOAT16) {
        return (float)((const _Float16 *)value->data)[index];
    }
    uint32_t bits = (uint32_t)((const uint16_t *)value->data)[index] << 16; /* bfloat16 */
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static bool is_number(const hd_graph_value *value)
{
    return value->dtype == HD_FLOAT32 || value->dtype == HD_FLOAT16 || value->dtype == HD_BFLOAT16;
}

/* Element `index` of packed bits. */
static uint32_t bits_at(const void *bytes, int64_t index, int64_t bits)
{
    const int64_t each = 8 / bits;
    uint32_t byte = ((const uint8_t *)bytes)[index / each];
    return byte >> (uint32_t)(index % each * bits) & ((1u << bits) - 1);
}

typedef struct block_parts {
    const hd_graph_value *elements, *scales, *zeros; /* zeros: NULL for none */
    int64_t per_row;                                 /* blocks */
    int64_t block_bytes, zero_bytes; /* of a block's elements; of a row's zero points */
} block_parts;

static bool find_parts(hd_expansion *e, const hd_expand_blocks *b, block_parts *parts)
{
    const bool fits = (b->bits == 2 || b->bits == 4 || b->bits == 8) && b->block >= 16 &&
                      b->block <= INT32_MAX && (b->block & (b->block - 1)) == 0 && b->rows >= 1 &&
                      b->size >= 1 && b->rows <= ELEMENT_LIMIT / b->size;
    if (!fits) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "%lld bits, blocks of %lld, %lld rows of %lld elements are not allowed",
                       (long long)b->bits, (long long)b->block, (long long)b->rows,
                       (long long)b->size);
        return false;
    }
    parts->per_row = divide_up(b->size, b->block);
    parts->block_bytes = b->block * b->bits / 8;
    parts->zero_bytes = divide_up(parts->per_row * b->bits, 8);
    const int64_t count = b->rows * parts->per_row;
    parts->elements = constant_of(e, b->elements, "elements", count * parts->block_bytes);
    parts->scales = constant_of(e, b->scales, "scales", count);
    if (parts->elements == NULL || parts->scales == NULL) {
        return false;
    }
    if (b->zero_points != HD_VALUE_NONE) {
        bool packed = e->graph->values[b->zero_points].dtype == HD_UINT8;
        parts->zeros = constant_of(e, b->zero_points, "zero points",
                                   packed ? b->rows * parts->zero_bytes : count);
        if (parts->zeros == NULL) {
            return false;
        }
    }
    if (parts->elements->dtype != HD_UINT8 || !is_number(parts->scales) ||
        (parts->zeros != NULL && parts->zeros->dtype != HD_UINT8 && !is_number(parts->zeros))) {
        hd_expand_fail(e, HD_BAD_MODEL,
                       "the types of its weights, scales or zero points are wrong");
        return false;
    }
    return true;
}

static float zero_of(const hd_expand_blocks *b, const block_parts *parts, int64_t row,
                     int64_t block)
{
    if (parts->zeros == NULL) {
        return (float)(1 << (b->bits - 1));
    }
    if (parts->zeros->dtype != HD_UINT8) {
        return number_at(parts->zeros, row * parts->per_row + block);
    }
    const uint8_t *bytes = parts->zeros->data;
    return (float)bits_at(bytes + row * parts->zero_bytes, block, b->bits);
}

static void fill(const hd_expand_blocks *b, const block_parts *parts, float *to)
{
    const uint8_t *bytes = parts->elements->data;
    for (int64_t row = 0; row < b->rows; row++) {
        for (int64_t block = 0; block < parts->per_row; block++) {
            const int64_t number = row * parts->per_row + block, begin = block * b->block;
            const float scale = number_at(parts->scales, number);
            const float zero = zero_of(b, parts, row, block);
            const uint8_t *from = bytes + number * parts->block_bytes;
            for (int64_t i = 0; i < b->block && begin + i < b->size; i++) {
                to[(begin + i) * b->rows + row] = ((float)bits_at(from, i, b->bits) - zero) * scale;
            }
        }
    }
}

hd_value hd_expand_blocks_transposed(hd_expansion *e, const hd_expand_blocks *blocks)
{
    block_parts parts = {0};
    if (e->status != HD_OK || !find_parts(e, blocks, &parts)) {
        return HD_VALUE_NONE;
    }
    hd_shape shape = {.rank = 2, .dims = {blocks->size, blocks->rows}};
    float *to = hd_alloc_aligned((size_t)hd_shape_count(&shape) * sizeof *to);
    hd_value made = HD_VALUE_NONE;
    if (to != NULL) {
        fill(blocks, &parts, to);
        made = hd_graph_new_constant(e->graph, "", HD_FLOAT32, &shape, to);
    }
    if (made == HD_VALUE_NONE) {
        hd_free(to);
        hd_expand_fail(e, HD_OUT_OF_MEMORY, "no memory for its weights");
    }
    return made;
}

/* y = a · bᵀ + bias: b has N rows of K elements. */
void hd_expand_matmul_nbits(hd_expansion *e)
{
    enum { A, B, SCALES, ZERO_POINTS, GROUPS, BIAS };
    hd_expand_blocks blocks = {.rows = hd_operation_int(&e->operation, "N", 0),
                               .size = hd_operation_int(&e->operation, "K", 0),
                               .block = hd_operation_int(&e->operation, "block_size", 0),
                               .bits = hd_operation_int(&e->operation, "bits", 4),
                               .elements = e->inputs[B],
                               .scales = e->inputs[SCALES],
                               .zero_points = e->inputs[ZERO_POINTS]};
    if (hd_expand_has(e, GROUPS) || hd_operation_int(&e->operation, "weight_prepacked", 0) != 0) {
        hd_expand_fail(e, HD_UNSUPPORTED, "its input g_idx and packed weights are not supported");
    }
    hd_value y =
        hd_expand_2(e, HD_OP_MATMUL, e->inputs[A], hd_expand_blocks_transposed(e, &blocks));
    if (hd_expand_has(e, BIAS)) {
        y = hd_expand_2(e, HD_OP_ADD, y, e->inputs[BIAS]);
    }
    hd_expand_give(e, 0, y);
}
