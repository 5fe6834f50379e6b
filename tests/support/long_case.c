#include "long_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "block_graph.h"

const operator_row long_rows[] = {
    /* elementwise */
    {"Exp Gelu Round", "f20000000", NULL, 0, 0},
    {"Erf Tanh", "d2000000", NULL, 0, 0},
    {"Add Pow Greater", "f4000000x3 f4000000x1", NULL, 0, 0},
    {"Mod Div", "U20000000 U20000000", NULL, 0, 0},
    {"Cast", "f20000000", "to=7", 0, 0},
    /* movement; what is no step is copied to where it is wanted */
    {"Identity", "f30000000", NULL, 0, 0},
    {"Reshape", "f30000000 L[-1,2]", NULL, 0, 0},
    {"Dropout", "f20000000 f=0 B=0", NULL, 2, 0},
    {"Transpose", "f4000x4000", NULL, 0, 0},
    {"Concat", "f10000000 f10000000", "axis=0", 0, 0},
    {"Slice", "f30000000 L[-1] L[-30000000] L[0] L[-1]", NULL, 0, 0},
    {"Pad", "f30000000 L[5,5]", NULL, 0, 0},
    {"Pad", "f2 L[30000000,5]", NULL, 0, 0},
    {"Pad", "f4000000 L[3000000,5]", "mode='reflect'", 0, 0},
    {"Pad", "f2x4000000 L[3,0,3,0]", "mode='edge'", 0, 0},
    {"Tile", "f2x3 L[1000000,3]", NULL, 0, 0},
    {"Expand", "f2x1 L[2,20000000]", NULL, 0, 0},
    {"Trilu", "f1x30000000", NULL, 0, 0},
    {"EyeLike", "f1x30000000", NULL, 0, 0},
    {"ReverseSequence", "f2x1x15000000 L[2]", "batch_axis=1 time_axis=0", 0, 0},
    {"ConstantOfShape", "L[30000000]", NULL, 0, 0},
    {"Range", "L=0 L=10000000 L=1", NULL, 0, 0},
    /* indexing */
    {"Gather", "f2x15000000 L2", "axis=0", 0, 0},
    {"GatherElements", "f1x8000000 L1x8000000", "axis=1", 0, 0},
    {"GatherND", "f2x15000000 L2x1", NULL, 0, 0},
    {"ScatterElements", "f20000000 L8000000 f8000000", "axis=0 reduction='add'", 0, 0},
    {"ScatterND", "f2x8000000 L2x1 f2x8000000", "reduction='max'", 0, 0},
    {"ScatterND", "f8000000x1 L4000000x1 f4000000x1", NULL, 0, 0},
    {"OneHot", "L2 L=10000000 f[0,1]", NULL, 0, 0},
    {"TopK", "f3000000 L[1000000]", NULL, 2, 0},
    {"NonZero", "f8000000", NULL, 0, 0},
    {"Compress", "f10000000 B10000000", NULL, 0, 0},
    {"Compress", "f2x15000000 B2", "axis=0", 0, 0},
    {"Unique", "f600000", "sorted=1", 4, 0},
    {"Unique", "f600000", "sorted=0", 4, 0},
    {"Unique", "L64x200000", "axis=0", 4, 0},
    {"Unique", "L20000x100", "axis=0", 1, 0},
    {"CumSum", "f20000000 L=0", "exclusive=1 reverse=1", 0, 0},
    {"CumSum", "f20000x1000 L=0", NULL, 0, 0},
    /* signal */
    {"DFT", "f1x2097152x1", "axis=1", 0, 17},
    {"DFT", "f1x1000003x1", "axis=1", 0, 17},
    {"STFT", "f1x1000000x1 L=256 f1000 L=1000", NULL, 0, 0},
    {"HannWindow", "L=6000000", NULL, 0, 0},
    {"MelWeightMatrix", "L=2000 L=16000 L=16000 f=0 f=8000", NULL, 0, 0},
    /* reduction */
    {"ReduceSum ReduceMean ReduceMax ReduceProd ReduceL1 ReduceL2 ReduceLogSumExp", "f30000000",
     NULL, 0, 0},
    {"ReduceMin ReduceLogSumExp", "f8000000x2 L[0]", NULL, 0, 0},
    {"ReduceSum ReduceLogSumExp", "f2000000x2x4 L[0,2]", NULL, 0, 0},
    {"ReduceSum ReduceMax", "L20000000", NULL, 0, 0},
    {"ReduceL2 ReduceLogSumExp", "d10000000", NULL, 0, 0},
    {"ArgMax ArgMin", "f20000000", "axis=0", 0, 0},
    {"ArgMax", "f8000000x2", "axis=0", 0, 0},
    {"Softmax LogSoftmax Hardmax", "f1x20000000", "axis=1", 0, 0},
    {"Softmax LogSoftmax Hardmax", "f2000000x8", "axis=0", 0, 0},
    {"Softmax LogSoftmax", "d1x3000000", "axis=1", 0, 0},
    {"NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", "f1000000x4 L1000000 f4", NULL, 0, 0},
    {"SoftmaxCrossEntropyLoss", "f2x2000000 L2", NULL, 2, 0},
    /* normalization */
    {"BatchNormalization", "f1x2x8000000 f2 f2 f2 f2", NULL, 0, 0},
    {"BatchNormalization", "f1x4000000 f4000000 f4000000 f4000000 f4000000", NULL, 0, 0},
    {"BatchNormalization", "f2x2x4000000 f2 f2 f2 f2", "training_mode=1", 3, 0},
    {"BatchNormalization", "d2x2x1000000 d2 d2 d2 d2", NULL, 0, 0},
    {"InstanceNormalization", "f1x2x8000000 f2 f2", NULL, 0, 0},
    {"GroupNormalization", "f1x2000000x4 f2000000 f2000000", "num_groups=1", 0, 0},
    {"LayerNormalization RMSNormalization", "f1x20000000 f20000000", NULL, 0, 0},
    {"LayerNormalization", "f1x5000000 f1 f1", NULL, 3, 0},
    {"LayerNormalization", "d1x3000000 d3000000 d3000000", NULL, 0, 0},
    {"Attention", "f1x4x3000x64 f1x4x3000x64 f1x4x3000x64", "is_causal=1", 0, 0},
    {"Attention", "f1x2x1x64 f1x2x1x64 f1x2x1x64 - f1x2x200000x64 f1x2x200000x64", NULL, 3, 0},
    {"LinearAttention", "f1x20000x64 f1x20000x64 f1x20000x64",
     "q_num_heads=1 kv_num_heads=1 update_rule='linear'", 2, 0},
    {"TensorScatter", "f1x20000000x2 f1x10000000x2", NULL, 0, 0},
    {"DeformConv", "f1x16x200x200 f32x16x3x3 f1x18x198x198", NULL, 0, 0},
    {"RandomNormalLike Bernoulli", "f10000000", NULL, 0, 0},
    {"Multinomial", "f1x3000000", "sample_size=3000000", 0, 0},
    {"CumProd", "f1x30000000 L=1", NULL, 0, 0},
    {"Cast", "f20000000", "to=17", 0, 0},
    {"LRN", "f1x4x3000000", "size=3", 0, 0},
    {"LRN", "f1x1500x2000", "size=1499", 0, 0},
    {"LpNormalization", "f1x10000000", "axis=1 p=2", 0, 0},
    {"MeanVarianceNormalization", "f1x1x3000x3000", "axes=[0,2,3]", 0, 0},
    /* spatial */
    {"MaxPool AveragePool LpPool", "f1x1x2000x2000", "kernel_shape=[31,31]", 0, 0},
    {"MaxPool AveragePool", "f1x1x8000000", "kernel_shape=[9] strides=[2]", 0, 0},
    {"LpPool", "f1x1x8000000", "kernel_shape=[9] strides=[2] p=3", 0, 0},
    {"MaxPool AveragePool LpPool", "f1x1x3000x3000", "kernel_shape=[3000,3000]", 0, 0},
    {"LpPool", "f1x1x1000x1000", "kernel_shape=[1000,1000] p=3", 0, 0},
    {"MaxPool", "f1x1x1000x1000", "kernel_shape=[9,9]", 2, 0},
    {"MaxPool", "f1x1x3000x3000", "kernel_shape=[3000,2990]", 2, 0},
    {"GlobalAveragePool GlobalMaxPool", "f1x2x3000x3000", NULL, 0, 0},
    {"GlobalLpPool", "f1x2x1000x1000", "p=3", 0, 0},
    {"MaxUnpool", "f1x1x3000x3000 L1x1x3000x3000", "kernel_shape=[2,2] strides=[2,2]", 0, 0},
    {"Col2Im", "f1x9x1000000 L[1002,1002] L[3,3]", NULL, 0, 0},
    {"MaxRoiPool", "f1x1x3000x3000 f8x5", "pooled_shape=[2,2] spatial_scale=3000.0", 0, 0},
    {"RoiAlign", "f2x1x3000x3000 f4x4 L4", "sampling_ratio=1000 spatial_scale=3000.0", 0, 0},
    {"RoiAlign", "f2x1x3000x3000 f4x4 L4",
     "mode='max' output_height=5 output_width=5 sampling_ratio=0 "
     "spatial_scale=3000.0",
     0, 0},
    {"Resize", "f1x1x1500x1500 - f[1,1,2,2]", "mode='linear'", 0, 0},
    {"Resize", "f3000000 - f[2]", "mode='linear'", 0, 0},
    {"Resize", "f3000000 - f[2]", "mode='cubic'", 0, 0},
    {"Resize", "f8000000 - f[2]", "mode='nearest'", 0, 0},
    {"Resize", "f2x4000000 - f[2,1]", "mode='linear'", 0, 0},
    {"Resize", "f2x4000000 - f[3,1]", "mode='nearest'", 0, 0},
    {"Resize", "f4000000 - f[0.00001]", "mode='linear' antialias=1", 0, 0},
    {"GridSample", "f1x100000x8x8 f1x2x2x2", "mode='cubic'", 0, 0},
    {"GridSample", "f1x3x64x64 f1x1000x1000x2", NULL, 0, 0},
    {"AffineGrid", "f1x2x3 L[1,1,2000,2000]", NULL, 0, 0},
    {"NonMaxSuppression", "f1x20000x4 f1x1x20000 L=20000 f=0.5", NULL, 0, 0},
    {"NonMaxSuppression", "f1x3000x4 f1x300x3000 L=100 f=0.5", NULL, 0, 0},
    /* convolution */
    {"Conv", "f1x64x256x256 f64x64x3x3 f64", "pads=[1,1,1,1]", 0, 0},
    {"Conv", "f1x3x1500x1500 f32x3x7x7", "strides=[2,2]", 0, 0},
    {"Conv", "f1x512x64x512 f512x512x3x3", NULL, 0, 0},
    {"Conv", "f1x64x600x600 f64x1x3x3", "group=64", 0, 0},
    {"Conv", "f1x32x300x300 f32x1x31x31", "group=32", 0, 0},
    {"Conv", "f1x32x1x400000 f32x1x1x31", "group=32", 0, 0},
    {"Conv", "f1x4x1000x1000 f2x4x1000x1000", NULL, 0, 0},
    {"Conv", "f1x1x4000010 f2x1x4000000", NULL, 0, 0},
    {"Conv", "f1x2x4000000 f4x2x9", NULL, 0, 0},
    {"Conv", "f1x4x64x64x64 f8x4x3x3x3", NULL, 0, 0},
    {"Conv", "f1x1x200x200x200 f1x1x190x190x190", NULL, 0, 0},
    {"Conv", "d1x16x128x128 d16x16x3x3", NULL, 0, 0},
    {"ConvTranspose", "f1x32x256x256 f32x32x2x2", "strides=[2,2]", 0, 0},
    {"ConvTranspose", "f1x16x256x256 f16x16x4x4", "strides=[2,2]", 0, 0},
    {"ConvTranspose", "f1x2x1000000 f2x2x16", "strides=[3]", 0, 0},
    /* matrix */
    {"MatMulInteger", "u1x6000000 c6000000x2 u=3 c2", NULL, 0, 0},
    {"MatMulInteger", "u600x800 c800x600 u=3 c600", NULL, 0, 0},
    {"QLinearConv", "u1x64x400x400 f=0.5 u=3 c64x1x3x3 f64 c64 f=0.25 u=7", "group=64", 0, 0},
    {"QLinearConv", "u1x64x200x200 f=0.5 u=3 c64x64x3x3 f64 c64 f=0.25 u=7", NULL, 0, 0},
    {"QLinearConv", "u1x4x700x700 f=0.5 u=3 c4x4x700x700 f4 c4 f=0.25 u=7", NULL, 0, 0},
    {"MatMul", "f2000x2000 f2000x2000", NULL, 0, 0},
    {"MatMul", "f1x20000000 f20000000x1", NULL, 0, 0},
    {"MatMul", "f64x400000 f400000x64", NULL, 0, 0},
    {"MatMul", "f1x2 f2x10000000", NULL, 0, 0},
    {"MatMul", "f8000000x2 f2x1", NULL, 0, 0},
    {"MatMul", "f2000x40x40 f2000x40x40", NULL, 0, 0},
    {"MatMul", "d600x600 d600x600", NULL, 0, 0},
    {"MatMul", "L1x2 L2x6000000", NULL, 0, 0},
    {"Gemm", "f1500x1500 f1500x1500 f1500", "alpha=0.5 beta=0.5 transA=1 transB=1", 0, 0},
    {"Gemm", "d500x500 d500x500 d500x1", "beta=0.5 transB=1", 0, 0},
    {"Einsum", "f3000x1x3000", "equation='bij->'", 0, 0},
    {"Einsum", "f10000 f10000", "equation='i,j->'", 0, 0},
    {"Einsum", "f120x120 f120x120 f120x120", "equation='ij,jk,kl->li'", 0, 0},
    {"Einsum", "f1200x1200 f1200x1200", "equation='ij,jk->ki'", 0, 0},
    {"Det", "f900x900", NULL, 0, 0},
    {"Det", "d2000x40x40", NULL, 0, 0},
    /* recurrent */
    {"LSTM", "f2x1x512 f1x16384x512 f1x16384x4096", "hidden_size=4096", 3, 0},
    {"LSTM", "f2x1x2000000 f1x8x2000000 f1x8x2", "hidden_size=2", 3, 0},
    {"GRU", "f8x8x256 f1x4608x256 f1x4608x1536", "hidden_size=1536 linear_before_reset=1", 2, 0},
    {"RNN", "f40x1x64 f1x3000x64 f1x3000x3000", "hidden_size=3000", 2, 0},
    {"LSTM", "f3000x9x16 f2x256x16 f2x256x64", "hidden_size=64 direction='bidirectional'", 3, 0},
};
const size_t long_row_count = sizeof long_rows / sizeof long_rows[0];

/* Elements that no case changes: one array a type, as long as any case wanted it, for all of them. */
static struct {
    void *data;
    int64_t count;
} pools[32];

static void *take_data(const row_operand *operand, int64_t count)
{
    assert_true((size_t)operand->dtype < sizeof pools / sizeof pools[0]);
    if (pools[operand->dtype].count >= count) {
        return pools[operand->dtype].data;
    }
    hd_free(pools[operand->dtype].data);
    void *data = hd_alloc((size_t)count * hd_dtype_size(operand->dtype));
    pools[operand->dtype].data = data;
    pools[operand->dtype].count = data == NULL ? 0 : count;
    uint32_t random = 1;
    for (int64_t i = 0; data != NULL && i < count; i++) {
        random = random * 1664525 + 1013904223;
        switch (operand->dtype) {
        case HD_FLOAT32:
            ((float *)data)[i] = (float)(random >> 8) / 16777216;
            break;
        case HD_FLOAT64:
            ((double *)data)[i] = (double)random / 4294967296.0;
            break;
        case HD_INT64:
            ((int64_t *)data)[i] = i % 2;
            break;
        case HD_BOOL:
            ((uint8_t *)data)[i] = i % 3 != 0;
            break;
        case HD_INT8:
        case HD_UINT8:
            ((uint8_t *)data)[i] = (uint8_t)(random >> 24);
            break;
        default:
            ((uint32_t *)data)[i] = (uint32_t)(i % 2 + 1);
            break;
        }
    }
    return data;
}

/* Its data stays with the pool, unless the row names the elements. */
static hd_tensor make_tensor(const row_operand *operand)
{
    int64_t count = hd_shape_count(&operand->shape);
    hd_tensor tensor = {.dtype = operand->dtype,
                        .rank = operand->shape.rank,
                        .size = (size_t)count * hd_dtype_size(operand->dtype),
                        .data = operand->has_elements ? row_operand_data(operand)
                                                      : take_data(operand, count)};
    memcpy(tensor.dims, operand->shape.dims, sizeof tensor.dims);
    assert_non_null(tensor.data);
    return tensor;
}

/* An operand may make its pool longer, and move it: all of a case are asked for before one is used. */
static void fill_pools(const row_case *row)
{
    for (size_t i = 0; i < row->input_count; i++) {
        if (row->inputs[i].dtype != HD_DTYPE_NONE && !row->inputs[i].has_elements) {
            take_data(&row->inputs[i], hd_shape_count(&row->inputs[i].shape));
        }
    }
}

void long_case_open(long_case *c, hd_device *device, const row_case *row, bool constants, bool rows)
{
    hd_graph *graph;
    hd_error error = {0};
    hd_value operands[ROW_OPERAND_LIMIT], results[8];
    hd_model_options options = {
        .struct_size = sizeof options, .work_limit = UINT64_MAX, .run_memory_limit = UINT64_MAX};
    memset(c, 0, sizeof *c);
    row_case_text(row, c->text, sizeof c->text);
    fill_pools(row);
    assert_int_equal(hd_graph_create(row->opset, &graph, &error), HD_OK);
    for (size_t i = 0; i < row->input_count; i++) {
        const row_operand *operand = &row->inputs[i];
        operands[i] = HD_VALUE_NONE;
        if (operand->dtype == HD_DTYPE_NONE) {
            continue;
        }
        hd_tensor tensor = make_tensor(operand);
        hd_status status;
        if (operand->has_elements || (constants && i > 0)) {
            status = hd_graph_add_constant(graph, &tensor, &operands[i], &error);
            if (operand->has_elements) {
                hd_free(tensor.data);
            }
        } else {
            char name[8];
            snprintf(name, sizeof name, "x%zu", i);
            int64_t dims[HD_MAX_RANK];
            memcpy(dims, tensor.dims, sizeof dims);
            dims[0] = rows ? -1 : dims[0];
            status = hd_graph_add_input(graph, name, tensor.dtype, tensor.rank, dims, &operands[i],
                                        &error);
            c->inputs[c->input_count++] = tensor;
        }
        assert_int_equal(status, HD_OK);
    }
    c->output_count = row->output_count;
    hd_status status =
        hd_graph_add_node(graph, row->type, operands, row->input_count, row->attributes,
                          row->attribute_count, results, c->output_count, &error);
    for (size_t i = 0; i < c->output_count && status == HD_OK; i++) {
        char name[8];
        snprintf(name, sizeof name, "y%zu", i);
        status = hd_graph_add_output(graph, name, results[i], &error);
    }
    status = status == HD_OK ? hd_model_create(device, graph, &options, &c->model, &error) : status;
    if (status != HD_OK) {
        fail_msg("%s: %s", c->text, error.message);
    }
    hd_graph_destroy(&graph);
}

void long_case_open_loop(long_case *c, hd_device *device)
{
    hd_graph *graph;
    memset(c, 0, sizeof *c);
    snprintf(c->text, sizeof c->text, "Loop");
    assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
    hd_value x = block_input(graph, graph->root, "x", HD_FLOAT32), result;
    hd_block *body = hd_graph_new_block(graph);
    block_input(graph, body, "", HD_INT64);
    hd_value condition = block_input(graph, body, "", HD_BOOL);
    hd_value carried = block_input(graph, body, "", HD_FLOAT32);
    block_output(graph, body, "", NODE(graph, body, "Identity", condition));
    block_output(graph, body, "", NODE(graph, body, "Sin", NODE(graph, body, "Add", carried, x)));
    hd_value inputs[] = {block_ints(graph, 0, (int64_t[]){INT64_MAX}), block_bool(graph, true), x};
    block_control(graph, graph->root, "Loop", inputs, 3, body, NULL, &result, 1);
    block_output(graph, graph->root, "y", result);
    hd_model_options options = {
        .struct_size = sizeof options, .work_limit = UINT64_MAX, .run_memory_limit = UINT64_MAX};
    assert_int_equal(hd_model_create(device, graph, &options, &c->model, NULL), HD_OK);
    hd_graph_destroy(&graph);
    row_operand operand = {.dtype = HD_FLOAT32, .shape = {.rank = 1, .dims = {1000}}};
    c->inputs[0] = make_tensor(&operand);
    c->input_count = c->output_count = 1;
}

void long_case_close(long_case *c)
{
    hd_model_destroy(&c->model);
}
