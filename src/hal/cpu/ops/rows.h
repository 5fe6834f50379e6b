/* Rows: passes over contiguous float32, from which reductions, norms, pooling and recurrent cells are
 * made; one set of functions per instruction set, all compiled from rows_template.h.
 *
 * Every result depends on the values and their number only, not on address or alignment (BITS).
 * Thread-safety: any thread. */
#ifndef HD_HAL_CPU_OPS_ROWS_H
#define HD_HAL_CPU_OPS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum hd_cpu_fold {
    HD_FOLD_SUM,
    HD_FOLD_SQUARES,  /* sum of squares */
    HD_FOLD_ABSOLUTE, /* sum of absolute values */
    HD_FOLD_PRODUCT,
    HD_FOLD_MAX,
    HD_FOLD_MIN,
    HD_FOLD_COUNT
} hd_cpu_fold;

/* What a fold of nothing gives. */
float hd_cpu_fold_neutral(hd_cpu_fold fold);

/* Windows of channels-last pixels, side by side. */
typedef struct hd_cpu_fold_windows {
    int64_t pixels;
    int64_t pixel_step; /* elements */
    int64_t rows;       /* of a window */
    int64_t row_step;
    int64_t taps; /* of a row */
    int64_t tap_step;
    int64_t channels;
} hd_cpu_fold_windows;

typedef struct hd_cpu_norm_row {
    const float *x;
    const float *residual; /* or NULL */
    const float *scale;
    const float *bias; /* or NULL */
    float *y;
    float *sum; /* x + residual; or NULL */
    float epsilon;
    bool centered; /* subtract the mean (layer norm), or not (root mean square) */
} hd_cpu_norm_row;

typedef struct hd_cpu_rows {
    /* Folds count values into one. */
    float (*fold[HD_FOLD_COUNT])(const float *x, int64_t count);
    /* into[i] = fold(into[i], x[i]) */
    void (*fold_into[HD_FOLD_COUNT])(float *restrict into, const float *restrict x, int64_t count);
    /* y[p · channels + c]: the fold of x[p · pixel_step + row · row_step + tap · tap_step + c], row after row, tap
     * after tap, for each pixel p and channel c. */
    void (*fold_windows[HD_FOLD_COUNT])(float *restrict y, const float *restrict x,
                                        const hd_cpu_fold_windows *windows);
    /* Sum of e^(x - shift). */
    float (*sum_exp)(const float *x, int64_t count, float shift);
    /* into[i] += e^(x[i] - shift[i]) */
    void (*sum_exp_into)(float *restrict into, const float *restrict x, const float *restrict shift,
                         int64_t count);
    /* Sum of (x - mean)². */
    float (*sum_deviations)(const float *x, int64_t count, float mean);
    /* y may be x. keep: NULL, or count floats in the cache; then y is written past it. */
    void (*softmax)(const float *x, float *y, int64_t count, float *keep);
    void (*log_softmax)(const float *x, float *y, int64_t count);
    /* y[i] = e^(x[i] - shift[i]) */
    void (*exp_shifted)(float *y, const float *x, const float *shift, int64_t count);
    void (*multiply)(float *y, const float *a, const float *b, int64_t count);
    void (*subtract)(float *y, const float *a, const float *b, int64_t count);
    /* y = (x - mean) · scale + shift: with a large mean and a large scale, x · scale + (shift - mean · scale) has no digit
     * that is right */
    void (*affine)(float *y, const float *x, float mean, float scale, float shift, int64_t count);
    void (*affine_each)(float *restrict y, const float *restrict x, const float *restrict mean,
                        const float *restrict scale, const float *restrict shift, int64_t count);
    /* into += x · factor */
    void (*add_scaled)(float *restrict into, const float *restrict x, float factor, int64_t count);
    /* mean and 1/deviation of the row go to *mean and *inverse. */
    void (*norm)(const hd_cpu_norm_row *row, int64_t count, float *mean, float *inverse);
    /* c[r][j] += a[r] · b[j]: m rows of a and n rows of b, both k long; b's lie one after the other,
     * those of a and c a_step and c_step apart. For weights that are stored as ONNX has them. */
    void (*product)(float *c, int64_t c_step, const float *a, int64_t a_step, const float *b,
                    int64_t m, int64_t k, int64_t n);
} hd_cpu_rows;

/* The set for this processor. */
const hd_cpu_rows *hd_cpu_rows_get(void);

/* At least this much output of softmax is written past the cache. Measured (4x128x32000, one core with
 * AVX-512): 11.9 ms instead of 15.0, where copying the tensor takes 9.1. Layer norm gains nothing. */
#define HD_ROWS_STREAM_BYTES ((int64_t)8 << 20)

#endif
