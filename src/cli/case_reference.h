/* Case reference: the ten cases in double precision, by plain loops that can be read at a glance.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_CASE_REFERENCE_H
#define HEDDLE_CLI_CASE_REFERENCE_H

/* Values in double precision: inputs and weights as given, and memory for the output. */
typedef void hd_case_reference(const float *const *inputs, const float *const *weights,
                               double *output);

/* Weights of the transformer block, in the order of its definition. */
enum {
    BLOCK_QUERY_WEIGHT,
    BLOCK_QUERY_BIAS,
    BLOCK_KEY_WEIGHT,
    BLOCK_KEY_BIAS,
    BLOCK_VALUE_WEIGHT,
    BLOCK_VALUE_BIAS,
    BLOCK_OUT_WEIGHT,
    BLOCK_OUT_BIAS,
    BLOCK_NORM1_SCALE,
    BLOCK_NORM1_BIAS,
    BLOCK_UP_WEIGHT,
    BLOCK_UP_BIAS,
    BLOCK_DOWN_WEIGHT,
    BLOCK_DOWN_BIAS,
    BLOCK_NORM2_SCALE,
    BLOCK_NORM2_BIAS
};
#define BLOCK_BATCH        4
#define BLOCK_TOKENS       128
#define BLOCK_WIDTH        256
#define BLOCK_HEADS        4
#define BLOCK_HEAD_WIDTH   (BLOCK_WIDTH / BLOCK_HEADS)
#define BLOCK_FEED_FORWARD 1024
#define NORM_EPSILON       1e-5

hd_case_reference hd_case_reference_linear_16x512x256;
hd_case_reference hd_case_reference_linear_64x2048x2048;
hd_case_reference hd_case_reference_matmul_256x512x256;
hd_case_reference hd_case_reference_matmul_1024;
hd_case_reference hd_case_reference_bmm;
hd_case_reference hd_case_reference_layernorm;
hd_case_reference hd_case_reference_softmax;
hd_case_reference hd_case_reference_conv2d;
hd_case_reference hd_case_reference_gelu;
hd_case_reference hd_case_reference_transformer;

#endif
