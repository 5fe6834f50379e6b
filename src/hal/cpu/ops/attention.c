/* Attention: softmax(scale · q·kᵀ + mask) · v, head by head, without a tensor of scores.
 *
 * A tile is one block of query rows of one head: its scores stay in the cache, and q, k and v
 * are read where they lie. Both products follow gemm.h and the rows in between the Softmax
 * kernel, so the bits are those of MatMul, Mul, Add, Softmax and MatMul one after the other,
 * however the rows are cut. */
#include "hal/cpu/ops/attention.h"
#include "base/stop.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/ops/rows.h"

/* Rows of a tile: with fewer, turning the keys into panels weighs more. */
#define BLOCK_ROWS     128
#define BLOCK_ROWS_MIN 16
/* Scores of a tile: half of a small second-level cache. */
#define BLOCK_SCORES (128 * 1024)
/* More tiles than this help nobody. */
#define TILES_WANTED 16

typedef struct attention {
    int64_t heads;
    int64_t queries;     /* T */
    int64_t keys;        /* S */
    int64_t query_width; /* of one head: D */
    int64_t value_width; /* of one head: E */
    float scale;
    int64_t row_blocks;
    int64_t tile_count;
    int64_t score_row; /* elements from one row of scores to the next */
    size_t output;     /* which buffer */
    bool has_mask;
    int64_t mask_strides[HD_MAX_RANK]; /* over batch, head, query, key; 0 where the mask repeats */
} attention;

/* The scores of `rows` queries: [rows, keys], row by row score_row apart. */
static void compute_scores(const attention *p, const float *q, const float *k, const float *mask,
                           int64_t rows, float *scores, float *scratch)
{
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan_whole(&gemm, rows, p->keys, p->query_width);
    hd_cpu_gemm_operands operands = {
        .a = q,
        .a_row = p->heads * p->query_width,
        .a_depth = 1,
        .b = k,
        .b_depth = 1,
        .b_column = p->heads * p->query_width,
        .c = scores,
        .c_row = p->score_row,
        .scale = p->scale,
    };
    bool whole_rows = p->mask_strides[3] == 1 || p->keys == 1;
    if (p->has_mask && whole_rows && p->mask_strides[2] == 0) {
        operands.bias = mask;
    } else if (p->has_mask && whole_rows) {
        operands.residual = mask;
        operands.residual_row = p->mask_strides[2];
    }
    hd_cpu_gemm_run(&gemm, &operands, 0, scratch);
    for (int64_t row = 0; p->has_mask && !whole_rows && row < rows; row++) {
        for (int64_t i = 0, next; (next = hd_stop_reach(i, p->keys)) > i;) {
            for (; i < next; i++) {
                scores[row * p->score_row + i] += mask[row * p->mask_strides[2]];
            }
        }
    }
}

static void run_tile(const attention *p, void *const *buffers, int64_t tile, float *scores,
                     float *scratch)
{
    int64_t block = tile % p->row_blocks, head = tile / p->row_blocks % p->heads;
    int64_t batch = tile / p->row_blocks / p->heads;
    int64_t row = hd_cpu_tile_begin(p->queries, p->row_blocks, block);
    int64_t rows = hd_cpu_tile_begin(p->queries, p->row_blocks, block + 1) - row;
    int64_t query_row = p->heads * p->query_width, value_row = p->heads * p->value_width;
    const float *q = (const float *)buffers[0] + (batch * p->queries + row) * query_row;
    const float *k = (const float *)buffers[1] + batch * p->keys * query_row;
    const float *v = (const float *)buffers[2] + batch * p->keys * value_row;
    const float *mask = NULL;
    if (p->has_mask) {
        mask = (const float *)buffers[3] + batch * p->mask_strides[0] + head * p->mask_strides[1] +
               row * p->mask_strides[2];
    }
    compute_scores(p, q + head * p->query_width, k + head * p->query_width, mask, rows, scores,
                   scratch);
    const hd_cpu_rows *functions = hd_cpu_rows_get();
    for (int64_t i = 0; p->keys > 0 && i < rows; i++) {
        functions->softmax(scores + i * p->score_row, scores + i * p->score_row, p->keys, NULL);
    }
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan_whole(&gemm, rows, p->value_width, p->keys);
    hd_cpu_gemm_operands operands = {
        .a = scores,
        .a_row = p->score_row,
        .a_depth = 1,
        .b = v + head * p->value_width,
        .b_depth = value_row,
        .b_column = 1,
        .c = (float *)buffers[p->output] + (batch * p->queries + row) * value_row +
             head * p->value_width,
        .c_row = value_row,
    };
    hd_cpu_gemm_run(&gemm, &operands, 0, scratch);
}

static void run_attention(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                          void *scratch)
{
    const attention *p = parameters;
    if (p->tile_count == 0) {
        return;
    }
    float *panel = scratch;
    float *scores = panel + HD_GEMM_SCRATCH_SIZE / sizeof *panel;
    for (int64_t tile = begin; tile < end; tile++) {
        run_tile(p, buffers, tile, scores, panel);
    }
}

/* Blocks of rows: few enough rows that their scores stay in the cache, and enough blocks that the
 * threads of a large machine have work. */
static int64_t row_blocks(const attention *p, int64_t batch)
{
    int64_t fitting = BLOCK_SCORES / (p->score_row > 0 ? p->score_row : 1);
    fitting = fitting < BLOCK_ROWS_MIN ? BLOCK_ROWS_MIN
              : fitting > BLOCK_ROWS   ? BLOCK_ROWS
                                       : fitting;
    int64_t blocks = (p->queries + fitting - 1) / fitting;
    blocks = blocks < 1 ? 1 : blocks;
    while (p->heads < TILES_WANTED && batch < TILES_WANTED &&
           blocks * p->heads * batch < TILES_WANTED && p->queries / blocks >= 64) {
        blocks *= 2;
    }
    return blocks;
}

static hd_status compile_attention(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    if (operation->inputs[0].dtype != HD_FLOAT32) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(operation->inputs[0].dtype));
    }
    const hd_fused_attention *fused = hd_fused_attention_of(operation);
    attention *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    const hd_shape *q = &operation->inputs[0].shape, *v = &operation->inputs[2].shape;
    p->heads = fused->heads;
    p->scale = fused->scale;
    p->queries = q->dims[1];
    p->keys = v->dims[1];
    p->query_width = q->dims[2] / p->heads;
    p->value_width = v->dims[2] / p->heads;
    p->output = operation->input_count;
    /* Rows that lie 4 KB apart would share few lines of the cache. */
    p->score_row = (p->keys + 15) / 16 * 16;
    p->score_row += p->score_row % 1024 == 0 ? 16 : 0;
    p->has_mask = hd_operation_has(operation, 3);
    if (p->has_mask) {
        const hd_shape *mask = &operation->inputs[3].shape;
        hd_shape_strides(mask, p->mask_strides);
        for (uint32_t i = 0; i < 4; i++) {
            p->mask_strides[i] = mask->dims[i] == 1 ? 0 : p->mask_strides[i];
        }
    }
    p->row_blocks = row_blocks(p, q->dims[0]);
    p->tile_count = p->queries > 0 ? q->dims[0] * p->heads * p->row_blocks : 0;
    int64_t rows = (p->queries + p->row_blocks - 1) / p->row_blocks;
    compilation->kernel.tile_count = p->tile_count > 0 ? p->tile_count : 1;
    compilation->kernel.scratch_size =
        HD_GEMM_SCRATCH_SIZE + (size_t)(rows * p->score_row) * sizeof(float);
    compilation->kernel.run = run_attention;
    return HD_OK;
}

const hd_cpu_operator hd_cpu_operators_attention[] = {
    {HD_OP_HEDDLE_ATTENTION, compile_attention},
    {HD_OP_ATTENTION, hd_cpu_compile_scaled_attention},
    {HD_OP_LINEAR_ATTENTION, hd_cpu_compile_linear_attention},
    {0},
};
