/* Quantized product: what matrices and convolutions of quantized numbers share: zero points, what becomes of the int32
 * sums, and the tile of rows by panels that both compute.
 *
 * Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_QUANTIZED_PRODUCT_H
#define HD_HAL_CPU_OPS_QUANTIZED_PRODUCT_H

#include "hal/cpu/integer_gemm.h"
#include "hal/cpu/kernel.h"
#include "operation/quantized.h"

enum { HD_QUANTIZED_ROWS = 64 }; /* that are stored at once, at most */

/* Where a scale or zero point lies: which buffer, and whether each row or column has its own. */
typedef struct hd_cpu_quantized_factor {
    int buffer; /* -1: there is none */
    bool is_each;
} hd_cpu_quantized_factor;

typedef struct hd_cpu_quantized_product {
    const hd_cpu_integer_kernel *kernel;
    hd_dtype a, b, y;
    hd_cpu_quantized_factor a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, bias;
    int64_t b_zero_count;
    int64_t columns;       /* of one product */
    int64_t terms;         /* of one sum */
    int64_t depth;         /* the same, the runs filled up to whole quads (hd_cpu_integer_steps) */
    int64_t block;         /* rows of a tile */
    size_t row_bytes;      /* of a packed row of the left factor */
    size_t left_bytes;     /* of the scratch for the left factor's rows */
    const uint8_t *packed; /* the right factor's panels, where it is a constant; else NULL */
    int64_t packed_step;   /* bytes from one product's panels to the next one's (groups) */
} hd_cpu_quantized_product;

/* A thread's scratch, laid out by hd_cpu_quantized_scratch. */
typedef struct hd_cpu_quantized_scratch {
    int32_t *sums;        /* [block][32] */
    int32_t *row_sums;    /* [block]; what they are matters where hd_cpu_quantized_needs_row_sums */
    int32_t *a_zeros;     /* [block], shifted; 0 where all rows have one */
    int32_t *column_sums; /* [32], of a panel that is packed in the tile */
    uint8_t *rows;        /* the left factor's, packed */
    int8_t *panel;        /* of a right factor that is no constant */
    int32_t *order;       /* the panel's; NULL: the kernel wants none */
} hd_cpu_quantized_scratch;

/* The columns of a panel: what becomes of their sums. */
typedef struct hd_cpu_quantized_columns {
    int64_t first, count; /* among all scales */
    bool corrects;        /* zero points of rows, or those of the right factor, change the sums */
    int32_t b_zeros[HD_INTEGER_COLUMNS]; /* shifted */
    /* to each sum: the bias, and what one zero point of the left factor changes */
    int32_t added[HD_INTEGER_COLUMNS];
    float scales[HD_INTEGER_COLUMNS]; /* where sums are scaled and the left factor has one scale */
} hd_cpu_quantized_columns;

/* Fills all but `block`, `columns`, `terms`, `depth`, `packed` and `packed_step`. */
void hd_cpu_quantized_product_begin(hd_cpu_quantized_product *product,
                                    const hd_operation *operation);
/* `columns`, `terms`, `depth` and `packed` are set: chooses `block` for products of `rows` packed rows; false where the
 * scratch does not fit memory. */
bool hd_cpu_quantized_product_finish(hd_cpu_quantized_product *product, int64_t rows,
                                     size_t *out_scratch_size);
/* The same where `block` and `left_bytes` are set. */
size_t hd_cpu_quantized_scratch_size(const hd_cpu_quantized_product *product);
/* Into how many tiles `panels` panels of one of `blocks` blocks of rows are cut, at least 1. */
int64_t hd_cpu_quantized_panel_groups(const hd_cpu_quantized_product *product, int64_t panels,
                                      int64_t blocks);
hd_cpu_quantized_scratch hd_cpu_quantized_scratch_of(const hd_cpu_quantized_product *product,
                                                     void *scratch);

static inline uint8_t *hd_cpu_quantized_row(const hd_cpu_quantized_product *product,
                                            const hd_cpu_quantized_scratch *scratch, int64_t row)
{
    return scratch->rows + (size_t)row * product->row_bytes;
}

/* The packed rows of the scratch. */
static inline hd_cpu_integer_left
hd_cpu_quantized_packed_rows(const hd_cpu_quantized_product *product,
                             const hd_cpu_quantized_scratch *scratch)
{
    return (hd_cpu_integer_left){scratch->rows, (int64_t)product->row_bytes, NULL};
}

/* The zero point of the right factor changes the sums by those of rows: some b' of it is not 0. */
bool hd_cpu_quantized_needs_row_sums(const hd_cpu_quantized_product *product, void *const *buffers);

/* The left factor's one zero point, shifted. */
int32_t hd_cpu_quantized_a_zero(const hd_cpu_quantized_product *product, void *const *buffers);
/* The zero points of `rows` rows from row `first` of the left factor on; 0 where there is but one, which is in what is added to
 * columns. */
void hd_cpu_quantized_take_a_zeros(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch);

/* column: the panel's first among `columns`; first_column: where these begin among all scales (groups). */
void hd_cpu_quantized_take_columns(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t column, int64_t first_column,
                                   const hd_cpu_integer_panel *panel,
                                   hd_cpu_quantized_columns *columns);

/* The same of sums that zero points have been taken from already. first: among all scales. */
void hd_cpu_quantized_take_plain_columns(const hd_cpu_quantized_product *product,
                                         void *const *buffers, int64_t first, int64_t count,
                                         hd_cpu_quantized_columns *columns);

/* The sums of rows with the columns of one panel, in scratch->sums, corrected but for what is added to columns. first: number of
 * the first one's sum and zero point in the scratch. */
void hd_cpu_quantized_tile(const hd_cpu_quantized_product *product, const hd_cpu_integer_left *left,
                           int64_t first, int64_t rows, const hd_cpu_integer_panel *panel,
                           const hd_cpu_quantized_columns *columns,
                           hd_cpu_quantized_scratch *scratch);

/* The panel whose first column is `column` of a product's: the constant's, `group` products behind its first, or packed from b
 * into the scratch. */
hd_cpu_integer_panel hd_cpu_quantized_panel(const hd_cpu_quantized_product *product, int64_t group,
                                            int64_t column, const uint8_t *b,
                                            const hd_cpu_integer_steps *steps,
                                            const hd_cpu_quantized_scratch *scratch);

/* Writes rows x columns of the sums as the output has them: int32, or scaled, rounded half to even and held within
 * its type. Element (r, c) goes to index at + r * row_step + c * column_step of the output; where bytes are written, one of the steps
 * is 1. row: the first one's number among the scales of rows. */
void hd_cpu_quantized_store(const hd_cpu_quantized_product *product, void *const *buffers,
                            int64_t row, int64_t rows, const hd_cpu_quantized_columns *columns,
                            const int32_t *sums, void *output, int64_t at, int64_t row_step,
                            int64_t column_step);

#endif
