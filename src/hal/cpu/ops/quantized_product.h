/* Quantized product: what matrices and convolutions of quantized numbers share: zero points, what becomes of the int32
 * sums, and the tile of rows by panels that both compute.
 *
 * Thread-safety: see hal/cpu/kernel.h. */
#ifndef HD_HAL_CPU_OPS_QUANTIZED_PRODUCT_H
#define HD_HAL_CPU_OPS_QUANTIZED_PRODUCT_H

#include "hal/cpu/integer_gemm.h"
#include "hal/cpu/kernel.h"
#include "operation/quantized.h"

enum { HD_QUANTIZED_ROWS = 64 }; /* of a tile, at most */

/* Where a scale or zero point lies: which buffer, and whether each row or column has its own. */
typedef struct hd_cpu_quantized_factor {
    int buffer; /* -1: there is none */
    bool is_each;
} hd_cpu_quantized_factor;

typedef struct hd_cpu_quantized_product {
    const hd_cpu_integer_kernel *kernel;
    hd_dtype a, b, y;
    hd_cpu_quantized_factor a_scale, a_zero, b_scale, b_zero, y_scale, y_zero, bias;
    int64_t columns, depth; /* of one product */
    int64_t block;          /* rows of a tile, at most HD_QUANTIZED_ROWS */
    size_t row_bytes;       /* of a packed row of the left factor */
    const uint8_t *packed;  /* the right factor's panels, where it is a constant; else NULL */
    int64_t packed_step;    /* bytes from one product's panels to the next one's (groups) */
} hd_cpu_quantized_product;

/* A thread's scratch, laid out by hd_cpu_quantized_scratch. */
typedef struct hd_cpu_quantized_scratch {
    int32_t *sums;        /* [block][32] */
    int32_t *row_sums;    /* [block] */
    int32_t *a_zeros;     /* [block], shifted */
    int32_t *b_zeros;     /* [32], shifted */
    int32_t *column_sums; /* [32], of a panel that is packed in the tile */
    uint8_t *rows;        /* the left factor's, packed */
    int8_t *panel;        /* of a right factor that is no constant */
    int32_t *order;       /* the panel's; NULL: the kernel wants none */
} hd_cpu_quantized_scratch;

/* Fills all but `block`, `columns`, `depth`, `packed` and `packed_step`. */
void hd_cpu_quantized_product_begin(hd_cpu_quantized_product *product,
                                    const hd_operation *operation);
/* `columns`, `depth` and `packed` are set: chooses `block` for products of `rows` rows; false where the scratch does
 * not fit memory. */
bool hd_cpu_quantized_product_finish(hd_cpu_quantized_product *product, int64_t rows,
                                     size_t *out_scratch_size);
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

/* The zero points of `rows` rows from row `first` of the left factor on. */
void hd_cpu_quantized_take_a_zeros(const hd_cpu_quantized_product *product, void *const *buffers,
                                   int64_t first, int64_t rows, hd_cpu_quantized_scratch *scratch);

/* The corrected sums of the tile's packed rows with the columns of one panel, in scratch->sums.
 * column: the panel's first among `columns`; first_column: where these begin among all scales (groups). */
void hd_cpu_quantized_tile(const hd_cpu_quantized_product *product, void *const *buffers,
                           int64_t rows, int64_t column, int64_t first_column,
                           const hd_cpu_integer_panel *panel, hd_cpu_quantized_scratch *scratch);

/* The panel whose first column is `column` of a product's: the constant's, `group` products behind its first, or packed from b
 * into the scratch. */
hd_cpu_integer_panel hd_cpu_quantized_panel(const hd_cpu_quantized_product *product, int64_t group,
                                            int64_t column, const uint8_t *b,
                                            const hd_cpu_integer_steps *steps,
                                            const hd_cpu_quantized_scratch *scratch);

/* Writes rows x columns of the sums as the output has them: int32, or scaled, rounded half to even and held within
 * its type. Element (r, c) goes to index at + r * row_step + c * column_step of the output; where bytes are written, one of the steps
 * is 1. */
void hd_cpu_quantized_store(const hd_cpu_quantized_product *product, void *const *buffers,
                            int64_t row, int64_t rows, int64_t column, int64_t columns,
                            const int32_t *sums, void *output, int64_t at, int64_t row_step,
                            int64_t column_step);

#endif
