/* Integer GEMM: products of 8-bit matrices, summed exactly in int32 (modulo 2^32), so that every instruction set and
 * every cut into tiles has the same bits.
 *
 * The left factor is kept as unsigned numbers a' and the right one as signed ones b': the other kind of each is shifted
 * by 128, and so is its zero point (HD_INTEGER_SHIFT). What the blocks compute is the sum of a' b'; what is asked for
 *   sum (a' - za)(b' - zb) = sum a' b' - za sum b' - zb sum a' + depth za zb
 * follows by hd_cpu_integer_correct.
 *
 * AVX2's only instruction for products of bytes, vpmaddubsw, adds two of them in 16 bits and saturates. It cannot where the
 * positive b' of the two are at most 128 together, and the negative ones at least -128: then whatever a' is, the sum is within
 * 128 * 255. So a panel has an order of its quads of steps, for each half of its columns: first couples of quads all of whose sums of four
 * products, two of each, are so (where they are many), next those whose pairs are so, or those of two other steps of the quad, in whose order b'
 * lies then and the kernel brings a'. Others without -128 are multiplied by a' - 128, as |a' - 128| times b' with the other's sign, of which
 * two are within 2 * 128 * 127, and 128 b' are what the sums begin with; where there is a -128, the kernel takes b' as two halves. Few kinds, since
 * each has a loop, whose end no processor foresees.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_HAL_CPU_INTEGER_GEMM_H
#define HD_HAL_CPU_INTEGER_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Columns of a panel; and how many steps of depth lie side by side, all panels and rows being padded to a multiple. */
#define HD_INTEGER_COLUMNS 32
#define HD_INTEGER_STEPS   4
#define HD_INTEGER_SHIFT   128

/* Rows of a left factor: quads of a', of uint8, or of int16 where the kernel is `wide`. */
typedef struct hd_cpu_integer_left {
    const void *first; /* of the rows */
    int64_t row_bytes; /* from one row to the next */
    /* from a row's beginning to each of its quads, in bytes; NULL: they lie side by side */
    const int32_t *offsets;
} hd_cpu_integer_left;

/* sums[r][c] = the sum over the depth of a'[r][k] b'[k][c], for `rows` rows, at most the kernel's, from a's first on.
 * panel: [quads][32][4]; order: for a kernel that is `ordered`, of each half of the columns what hd_cpu_integer_order says. */
typedef void hd_cpu_integer_block(const hd_cpu_integer_left *a, int64_t rows, const int8_t *panel,
                                  const int32_t *order, int64_t quads, int32_t *sums);

/* One row of the left factor, as the kernel's block reads it; returns the sum of its a'. is_signed: a's elements are int8. */
typedef int32_t hd_cpu_integer_pack_row(void *row, const uint8_t *a, bool is_signed, int64_t depth);

/* What the zero points change in rows x 32 sums. a_zeros: one a row, b_zeros: one of each of the 32 columns, shifted as
 * a' and b'. */
typedef void hd_cpu_integer_correct(int32_t *sums, int64_t rows, int64_t depth,
                                    const int32_t *a_zeros, const int32_t *row_sums,
                                    const int32_t *b_zeros, const int32_t *column_sums);

typedef struct hd_cpu_integer_kernel {
    const char *name;
    hd_cpu_integer_block *block;
    hd_cpu_integer_pack_row *pack_row;
    hd_cpu_integer_correct *correct;
    int64_t rows; /* at most */
    bool wide, ordered;
} hd_cpu_integer_kernel;

extern const hd_cpu_integer_kernel hd_cpu_integer_kernel_baseline, hd_cpu_integer_kernel_avx2,
    hd_cpu_integer_kernel_avx512, hd_cpu_integer_kernel_avx512vnni;

/* This process's. */
const hd_cpu_integer_kernel *hd_cpu_integer_kernel_get(void);

static inline int64_t hd_cpu_integer_quads(int64_t depth)
{
    return depth / HD_INTEGER_STEPS + (depth % HD_INTEGER_STEPS != 0);
}

static inline int64_t hd_cpu_integer_panels(int64_t columns)
{
    return columns / HD_INTEGER_COLUMNS + (columns % HD_INTEGER_COLUMNS != 0);
}

static inline int64_t hd_cpu_integer_panel_bytes(int64_t depth)
{
    return hd_cpu_integer_quads(depth) * HD_INTEGER_COLUMNS * HD_INTEGER_STEPS;
}

/* A panel's order, int32 [2][19 + quads], has of each half of the columns where in the order end the quads that are coupled,
 * whose pairs cannot saturate, and that are multiplied by signs; what the sums of 16 columns begin with; and all quads in that
 * order: four times the quad's number, and which two make its pairs. */
enum { HD_INTEGER_COUPLED, HD_INTEGER_PAIRED, HD_INTEGER_SIGNED };
#define HD_INTEGER_ORDER_BEGINS (HD_INTEGER_SIGNED + 1)
#define HD_INTEGER_ORDER_HEAD   (HD_INTEGER_ORDER_BEGINS + HD_INTEGER_COLUMNS / 2)
static inline int64_t hd_cpu_integer_order_count(int64_t depth)
{
    return 2 * (HD_INTEGER_ORDER_HEAD + hd_cpu_integer_quads(depth));
}

/* A right factor as this process's kernel reads it: int32 sums[panels][32] of its columns, int8
 * panels[panels][quads][32][4], and where the kernel is ordered the panels' orders. Its size in bytes; false where that leaves
 * int64. */
bool hd_cpu_integer_packed_size(int64_t depth, int64_t columns, int64_t *out_size);

/* One panel of it, or one that was packed by itself. */
typedef struct hd_cpu_integer_panel {
    const int8_t *quads;
    const int32_t *sums, *order;
} hd_cpu_integer_panel;
hd_cpu_integer_panel hd_cpu_integer_panel_of(const void *packed, int64_t depth, int64_t columns,
                                             int64_t panel);

/* Where the right factor's bytes lie: term k at k / inner * outer_step + k % inner * inner_step. The depth is the terms, those of
 * each run filled up to whole quads, in which b' is 0. */
typedef struct hd_cpu_integer_steps {
    int64_t run, inner, inner_step, outer_step, column_step;
} hd_cpu_integer_steps;

static inline int64_t hd_cpu_integer_filled(int64_t run)
{
    return hd_cpu_integer_quads(run) * HD_INTEGER_STEPS;
}

/* Of a convolution's weight [outputs, channels, taps], whose terms go by (tap, channel), in runs of `width` taps. */
static inline hd_cpu_integer_steps hd_cpu_integer_steps_of_image(int64_t channels, int64_t width,
                                                                 int64_t taps)
{
    return (hd_cpu_integer_steps){.run = channels * width,
                                  .inner = channels,
                                  .inner_step = taps,
                                  .outer_step = 1,
                                  .column_step = channels * taps};
}

/* Of a matrix [depth, columns]. */
static inline hd_cpu_integer_steps hd_cpu_integer_steps_of_matrix(int64_t depth, int64_t columns)
{
    return (hd_cpu_integer_steps){
        .run = depth, .inner = depth, .inner_step = columns, .column_step = 1};
}

/* One panel of at most 32 `columns`, those that are not there 0, the sum of each column, and its order; NULL: none is wanted, and
 * steps lie as they are, as kernels want it that are not `ordered`.
 * is_signed: b's elements are int8. */
void hd_cpu_integer_pack_panel(int8_t *panel, int32_t *sums, int32_t *order, const uint8_t *b,
                               bool is_signed, const hd_cpu_integer_steps *steps, int64_t depth,
                               int64_t columns);
/* All panels. */
void hd_cpu_integer_pack(void *packed, const uint8_t *b, bool is_signed,
                         const hd_cpu_integer_steps *steps, int64_t depth, int64_t columns);

/* For kernels: in plain C; for uint8, and for int16 where the kernel is wide. */
hd_cpu_integer_pack_row hd_cpu_integer_pack_row_narrow, hd_cpu_integer_pack_row_wide;
hd_cpu_integer_correct hd_cpu_integer_correct_plain;
/* In AVX2. */
hd_cpu_integer_pack_row hd_cpu_integer_pack_row_narrow_avx2, hd_cpu_integer_pack_row_wide_avx2;
hd_cpu_integer_correct hd_cpu_integer_correct_avx2;

#endif
