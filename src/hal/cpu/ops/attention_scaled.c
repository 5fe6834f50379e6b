/* ONNX's Attention: softmax(cap(scale · q·kᵀ) + mask) · v, with groups of heads, a cache, windows, and the scores as an
 * output where they are wanted.
 *
 * A tile is a block of query rows of one head, whose scores stay in the cache. Where keys and values are to be joined
 * to those of the past, it is all rows of the heads that share them, which are joined first. Products follow gemm.h and
 * the softmax is the Softmax kernel's, row by row, so a row's bits don't depend on how rows are cut (BITS). */
#include <math.h>
#include <string.h>

#include "base/stop.h"
#include "hal/cpu/gemm.h"
#include "hal/cpu/ops/attention.h"
#include "hal/cpu/ops/rows.h"
#include "hal/cpu/vector_math.h"
#include "operation/scaled_attention.h"

#define BLOCK_ROWS     128
#define BLOCK_ROWS_MIN 16
#define BLOCK_SCORES   (128 * 1024) /* half of a small second-level cache */

/* How an operand of [batch, heads, sequence, width] lies, whatever its shape. */
typedef struct layout {
    int64_t batch, head, row;
} layout;

typedef struct scaled_attention {
    hd_scaled_attention sizes;
    layout q, k, v, y;
    bool joins; /* past and new keys and values are copied to where they lie one behind the other */
    bool has_mask, mask_is_bool, has_lengths;
    int64_t mask_strides[3]; /* over batch, head, query; 0 where the mask repeats */
    int64_t mask_keys;       /* those behind are hidden */
    int64_t row_blocks;
    int64_t score_row; /* elements from one row of scores to the next */
    size_t outputs;    /* the first one's buffer */
    size_t output_count;
} scaled_attention;

/* Where a head's keys and values lie for a tile. */
typedef struct head_source {
    const float *k, *v;
    int64_t k_row, v_row;
} head_source;

static layout layout_of(bool is_flat, int64_t heads, int64_t sequence, int64_t width)
{
    return is_flat ? (layout){sequence * heads * width, width, heads * width}
                   : (layout){heads * sequence * width, sequence * width, width};
}

static float *output_of(const scaled_attention *p, void *const *buffers, size_t index)
{
    return index < p->output_count ? buffers[p->outputs + index] : NULL;
}

static float *scores_of(const scaled_attention *p, void *const *buffers, hd_attention_scores wanted,
                        int64_t b, int64_t h, int64_t i)
{
    const hd_scaled_attention *s = &p->sizes;
    float *scores = s->scores == wanted ? output_of(p, buffers, 3) : NULL;
    return scores == NULL ? NULL : scores + ((b * s->heads + h) * s->queries + i) * s->keys;
}

static void keep(float *to, const float *scores, int64_t count)
{
    if (to != NULL && count > 0) {
        memcpy(to, scores, (size_t)count * sizeof *to);
    }
}

/* Hides [begin, end). */
static void hide(float *scores, int64_t begin, int64_t end)
{
    for (int64_t j = begin; j < end; j++) {
        scores[j] = -INFINITY;
    }
}

/* Adds the mask to scores [begin, end); whether a key is left. What is hidden is so whatever its score is. */
static bool add_mask(const scaled_attention *p, const void *mask, int64_t at, float *scores,
                     int64_t begin, int64_t end)
{
    bool any = false;
    if (p->mask_is_bool) {
        const uint8_t *seen = (const uint8_t *)mask + at;
        for (int64_t j = begin; j < end; j++) {
            any = any || seen[j] != 0;
            scores[j] = seen[j] != 0 ? scores[j] : -INFINITY;
        }
        return any;
    }
    const float *added = (const float *)mask + at;
    for (int64_t j = begin; j < end; j++) {
        any = any || added[j] != -INFINITY;
        scores[j] = added[j] == -INFINITY ? -INFINITY : scores[j] + added[j];
    }
    return any;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* a + b, bounded: windows and lengths come from files and runs. */
static int64_t add_bounded(int64_t a, int64_t b)
{
    int64_t sum;
    return !__builtin_add_overflow(a, b, &sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}

/* The products of query i become probabilities. */
static void finish_row(const scaled_attention *p, void *const *buffers, int64_t b, int64_t h,
                       int64_t i, float *scores)
{
    const hd_scaled_attention *s = &p->sizes;
    keep(scores_of(p, buffers, HD_ATTENTION_PRODUCTS, b, h, i), scores, s->keys);
    if (s->softcap != 0.0f) {
        for (int64_t j = 0; j < s->keys; j++) {
            scores[j] /= s->softcap;
        }
        hd_cpu_vector_functions_get()->tanh(scores, scores, (size_t)s->keys);
        for (int64_t j = 0; j < s->keys; j++) {
            scores[j] *= s->softcap;
        }
    }
    keep(scores_of(p, buffers, HD_ATTENTION_CAPPED, b, h, i), scores, s->keys);
    int64_t begin = 0, end = s->keys, offset = s->past;
    if (p->has_lengths) {
        const int64_t length = ((const int64_t *)buffers[6])[b];
        end = least(end, length);
        offset = add_bounded(length, -s->queries);
    }
    const int64_t own = add_bounded(offset, i); /* the key at the query's own place */
    if (s->is_causal) {
        end = least(end, add_bounded(own, 1));
    }
    if (s->right >= 0) {
        end = least(end, add_bounded(add_bounded(own, s->right), 1));
    }
    if (s->left >= 0) {
        begin = add_bounded(own, -s->left);
    }
    end = p->has_mask ? least(end, p->mask_keys) : end;
    begin = begin < 0 ? 0 : least(begin, s->keys);
    end = end < begin ? begin : end;
    bool any = end > begin;
    if (p->has_mask) {
        any = add_mask(p, buffers[3],
                       b * p->mask_strides[0] + h * p->mask_strides[1] + i * p->mask_strides[2],
                       scores, begin, end);
    }
    hide(scores, 0, begin);
    hide(scores, end, s->keys);
    keep(scores_of(p, buffers, HD_ATTENTION_MASKED, b, h, i), scores, s->keys);
    if (any) {
        hd_cpu_rows_get()->softmax(scores, scores, s->keys, NULL);
    } else if (s->keys > 0) {
        memset(scores, 0,
               (size_t)s->keys * sizeof *scores); /* none to attend to: no output, not NaN */
    }
    keep(scores_of(p, buffers, HD_ATTENTION_PROBABILITIES, b, h, i), scores, s->keys);
}

static void attend(const scaled_attention *p, void *const *buffers, int64_t b, int64_t h,
                   int64_t block, const head_source *source, float *panel, float *scores)
{
    const hd_scaled_attention *s = &p->sizes;
    const int64_t row = hd_cpu_tile_begin(s->queries, p->row_blocks, block);
    const int64_t rows = hd_cpu_tile_begin(s->queries, p->row_blocks, block + 1) - row;
    hd_cpu_gemm gemm;
    hd_cpu_gemm_plan_whole(&gemm, rows, s->keys, s->query_width);
    hd_cpu_gemm_operands products = {
        .a = (const float *)buffers[0] + b * p->q.batch + h * p->q.head + row * p->q.row,
        .a_row = p->q.row,
        .a_depth = 1,
        .b = source->k,
        .b_depth = 1,
        .b_column = source->k_row,
        .c = scores,
        .c_row = p->score_row,
        .scale = s->scale,
    };
    hd_cpu_gemm_run(&gemm, &products, 0, panel);
    for (int64_t i = 0; i < rows && !hd_stop_ends_every(i, 16); i++) {
        float *own = scores + i * p->score_row;
        for (int64_t j = 0; s->scale == 0.0f && j < s->keys; j++) {
            own[j] *= 0.0f; /* the product takes a scale of 0 for none */
        }
        finish_row(p, buffers, b, h, row + i, own);
    }
    float *y = output_of(p, buffers, 0);
    if (y == NULL) {
        return;
    }
    hd_cpu_gemm_plan_whole(&gemm, rows, s->value_width, s->keys);
    hd_cpu_gemm_operands sums = {
        .a = scores,
        .a_row = p->score_row,
        .a_depth = 1,
        .b = source->v,
        .b_depth = source->v_row,
        .b_column = 1,
        .c = y + b * p->y.batch + h * p->y.head + row * p->y.row,
        .c_row = p->y.row,
    };
    hd_cpu_gemm_run(&gemm, &sums, 0, panel);
}

/* A head's rows of the past, and behind them the new ones, to `to`. */
static void join(const scaled_attention *p, const float *past, const float *fresh, layout from,
                 int64_t b, int64_t g, int64_t width, float *to)
{
    const hd_scaled_attention *s = &p->sizes;
    const int64_t old = s->past * width, row = width;
    if (old > 0) {
        hd_stop_copy(to, past + (b * s->key_heads + g) * old, (size_t)old * sizeof *to);
    }
    for (int64_t i = s->past; i < s->keys && !hd_stop_ends(i); i++) {
        memcpy(to + i * row, fresh + b * from.batch + g * from.head + (i - s->past) * from.row,
               (size_t)row * sizeof *to);
    }
}

static head_source source_of(const scaled_attention *p, void *const *buffers, int64_t b, int64_t g,
                             float *scratch)
{
    const hd_scaled_attention *s = &p->sizes;
    if (!p->joins) {
        return (head_source){(const float *)buffers[1] + b * p->k.batch + g * p->k.head,
                             (const float *)buffers[2] + b * p->v.batch + g * p->v.head, p->k.row,
                             p->v.row};
    }
    const int64_t head = b * s->key_heads + g;
    float *k = output_of(p, buffers, 1), *v = output_of(p, buffers, 2);
    k = k != NULL ? k + head * s->keys * s->query_width : scratch;
    v = v != NULL ? v + head * s->keys * s->value_width : scratch + s->keys * s->query_width;
    join(p, buffers[4], buffers[1], p->k, b, g, s->query_width, k);
    join(p, buffers[5], buffers[2], p->v, b, g, s->value_width, v);
    return (head_source){k, v, s->query_width, s->value_width};
}

static void run_scaled(const void *parameters, void *const *buffers, int64_t begin, int64_t end,
                       void *scratch)
{
    const scaled_attention *p = parameters;
    const hd_scaled_attention *s = &p->sizes;
    const int64_t group = s->heads / s->key_heads;
    float *panel = scratch;
    float *scores = panel + HD_GEMM_SCRATCH_SIZE / sizeof *panel;
    float *joined = scores + (s->queries + p->row_blocks - 1) / p->row_blocks * p->score_row;
    for (int64_t tile = begin; tile < end && s->batch > 0; tile++) {
        if (!p->joins) {
            const int64_t h = tile / p->row_blocks % s->heads;
            const int64_t b = tile / p->row_blocks / s->heads;
            const head_source source = source_of(p, buffers, b, h / group, joined);
            attend(p, buffers, b, h, tile % p->row_blocks, &source, panel, scores);
            continue;
        }
        const int64_t b = tile / s->key_heads, g = tile % s->key_heads;
        const head_source source = source_of(p, buffers, b, g, joined);
        for (int64_t i = 0; i < group * p->row_blocks && !hd_stop_ends_every(i, 1); i++) {
            attend(p, buffers, b, g * group + i / p->row_blocks, i % p->row_blocks, &source, panel,
                   scores);
        }
    }
}

static void set_mask(const hd_operation *operation, scaled_attention *p)
{
    p->has_mask = hd_operation_has(operation, 3);
    p->has_lengths = hd_operation_has(operation, 6);
    if (!p->has_mask) {
        return;
    }
    const hd_operand *mask = &operation->inputs[3];
    p->mask_is_bool = mask->dtype == HD_BOOL;
    p->mask_keys = mask->shape.dims[mask->shape.rank - 1];
    int64_t stride = p->mask_keys;
    for (uint32_t i = mask->shape.rank - 1; i-- > 0;) { /* from the last but one to the first */
        const int64_t dim = mask->shape.dims[i];
        p->mask_strides[4 - mask->shape.rank + i] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

hd_status hd_cpu_compile_scaled_attention(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    scaled_attention *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    hd_status status = hd_scaled_attention_resolve(operation, &p->sizes, compilation->error);
    if (status != HD_OK) {
        return status;
    }
    if (operation->inputs[0].dtype != HD_FLOAT32 || operation->inputs[2].dtype != HD_FLOAT32) {
        return hd_operation_fail(
            operation, compilation->error, HD_UNSUPPORTED, "%s and %s have no kernel",
            hd_dtype_name(operation->inputs[0].dtype), hd_dtype_name(operation->inputs[2].dtype));
    }
    const hd_scaled_attention *s = &p->sizes;
    const int64_t fresh = s->keys - s->past;
    p->q = layout_of(s->is_flat, s->heads, s->queries, s->query_width);
    p->k = layout_of(s->is_flat, s->key_heads, fresh, s->query_width);
    p->v = layout_of(s->is_flat, s->key_heads, fresh, s->value_width);
    p->y = layout_of(s->is_flat, s->heads, s->queries, s->value_width);
    p->outputs = operation->input_count;
    p->output_count = operation->output_count;
    for (size_t i = 1; i < 3 && i < operation->output_count; i++) {
        p->joins = p->joins || operation->outputs[i].dtype != HD_DTYPE_NONE;
    }
    p->joins = p->joins || hd_operation_has(operation, 4);
    set_mask(operation, p);
    /* Rows that lie 4 KB apart would share few lines of the cache. */
    p->score_row = (s->keys + 15) / 16 * 16;
    p->score_row += p->score_row % 1024 == 0 ? 16 : 0;
    int64_t fitting = BLOCK_SCORES / (p->score_row > 0 ? p->score_row : 1);
    fitting = fitting < BLOCK_ROWS_MIN ? BLOCK_ROWS_MIN : least(fitting, BLOCK_ROWS);
    p->row_blocks = s->queries <= fitting ? 1 : (s->queries + fitting - 1) / fitting;
    const int64_t rows = (s->queries + p->row_blocks - 1) / p->row_blocks;
    const int64_t tiles = p->joins ? s->batch * s->key_heads : s->batch * s->heads * p->row_blocks;
    const int64_t joined = p->joins ? s->keys * (s->query_width + s->value_width) : 0;
    compilation->kernel.tile_count = tiles > 0 ? tiles : 1;
    compilation->kernel.scratch_size =
        HD_GEMM_SCRATCH_SIZE + (size_t)(rows * p->score_row + joined) * sizeof(float);
    compilation->kernel.run = run_scaled;
    return HD_OK;
}
