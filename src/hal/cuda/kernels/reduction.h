/* The parameters of the kernels that fold elements of a tensor together; see reduction.cu. Counts and strides are in elements; all fit
 * 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_REDUCTION_H
#define HD_HAL_CUDA_KERNELS_REDUCTION_H

#include "divisor.h"

#define HD_CUDA_REDUCE_RANK    8
#define HD_CUDA_REDUCE_COLUMNS 32 /* that a block folds side by side */
#define HD_CUDA_NORM_BLOCK     512

enum {
    HD_CUDA_REDUCE_SUM,
    HD_CUDA_REDUCE_MEAN,
    HD_CUDA_REDUCE_MAX,
    HD_CUDA_REDUCE_MIN,
    HD_CUDA_REDUCE_PROD,
    HD_CUDA_REDUCE_L1,
    HD_CUDA_REDUCE_L2,
    HD_CUDA_REDUCE_LOG_SUM,
    HD_CUDA_REDUCE_LOG_SUM_EXP,
    HD_CUDA_REDUCE_SUM_SQUARE,
    HD_CUDA_REDUCE_LP /* of floats: (sum of |x|^power)^(1/power) */
};

/* Which elements are folded together, and by whom. */
typedef struct hd_cuda_fold {
    unsigned results, folded; /* folded: elements a result, at least 1 */
    int lanes; /* threads a result: a power of two that follows from `folded` and by_columns alone */
    int by_columns; /* results that neighbour each other have neighbours */
    int kept_rank, fold_rank;
    hd_cuda_divisor kept_dims[HD_CUDA_REDUCE_RANK], fold_dims[HD_CUDA_REDUCE_RANK];
    int kept_strides[HD_CUDA_REDUCE_RANK], fold_strides[HD_CUDA_REDUCE_RANK];
} hd_cuda_fold;

typedef struct hd_cuda_reduce {
    const void *x;
    void *y;
    int kind;
    float power;
    hd_cuda_fold fold;
} hd_cuda_reduce;

typedef struct hd_cuda_arg {
    const void *x;
    long long *y;
    int is_smallest, is_last; /* among equals the last one */
    hd_cuda_fold fold;
} hd_cuda_arg;

/* y = softmax or log softmax of x along what is folded. */
typedef struct hd_cuda_softmax {
    const float *x;
    float *y;
    int is_log;
    hd_cuda_fold fold; /* y lies as x does */
} hd_cuda_softmax;

/* What is folded, as a whole: the largest becomes 1 and the rest 0; divided by its norm; without its mean, divided by its deviation. */
enum { HD_CUDA_HARDMAX, HD_CUDA_NORM_L1, HD_CUDA_NORM_L2, HD_CUDA_MEAN_VARIANCE };

typedef struct hd_cuda_normalize {
    const float *x;
    float *y;
    int kind;
    hd_cuda_fold fold; /* y lies as x does */
} hd_cuda_normalize;

/* Each group of channels is normalized over its own elements, which lie together. */
typedef struct hd_cuda_group_norm {
    const float *x, *scale, *bias;
    float *y;
    int groups, channels, positions; /* channels of a group */
    int is_per_group;                /* scale and bias hold one value a group */
    float epsilon;
} hd_cuda_group_norm;

typedef struct hd_cuda_batch_norm {
    const float *x, *scale, *bias, *mean, *variance;
    float *y;
    unsigned count;
    hd_cuda_divisor positions, channels;
    float epsilon;
} hd_cuda_batch_norm;

/* y = x / (bias + factor · sum of squares of the channels around)^beta */
typedef struct hd_cuda_lrn {
    const float *x;
    float *y;
    unsigned count;
    hd_cuda_divisor positions, channels;
    int before, after; /* channels around */
    float factor, beta, bias;
} hd_cuda_lrn;

/* Running sums, or products. */
typedef struct hd_cuda_cum_sum {
    const void *x;
    void *y;
    int is_product;
    unsigned lanes; /* outer · inner */
    hd_cuda_divisor inner;
    int dim;
    int is_exclusive, is_reverse;
} hd_cuda_cum_sum;

#endif
