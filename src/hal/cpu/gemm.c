#include "hal/cpu/gemm.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/stop.h"
#include "hal/cpu/activation.h"
#include "hal/cpu/isa.h"

/* Columns of the widest panel. */
#define WIDTH_MAX 64
/* Depth of a block: its piece of a 64-column panel, 32 KB, stays in the first-level cache. */
#define BLOCK_DEPTH 128
/* Rows of a block of A: with fewer the panels are fetched too often, with more A leaves the
 * cache. */
#define BLOCK_ROWS 128
/* A tile of fewer multiply-adds is not worth handing to another thread. */
#define TILE_WORK 300000
/* Fetching an element of B from beyond the second-level cache takes as long as so many of them. */
#define FETCH_WORK 8
/* From so many rows of A on, copying a panel of an unpacked B is worth it. */
#define COPY_ROWS 32
/* More tiles than this help nobody. */
#define TILES_WANTED 16
/* Elements of A that stay in the second-level cache beside the panels. */
#define CACHED_COUNT (256 * 1024)

/* Multiply-adds from one look at what may stop the run to the next: some tens of microseconds. */
#define LOOK_WORK (1 << 20)

/* fmaf rounds once, in hardware or not, so this gives the bits of the vector kernels. */
void hd_cpu_gemm_block_baseline(const hd_cpu_gemm_block *block)
{
    for (int64_t row = 0; row < block->rows; row++) {
        float sums[WIDTH_MAX];
        float *c = block->c + row * block->c_row;
        for (int64_t column = 0; column < block->columns; column++) {
            sums[column] = block->accumulate ? c[column] : 0.0f;
        }
        for (int64_t k = 0; k < block->depth; k++) {
            float factor = block->a[row * block->a_row + k * block->a_depth];
            const float *b = block->b + k * block->b_depth;
            for (int64_t column = 0; column < block->columns; column++) {
                sums[column] = fmaf(factor, b[column], sums[column]);
            }
        }
        for (int64_t column = 0; column < block->columns; column++) {
            float sum = block->scale != 0.0f ? sums[column] * block->scale : sums[column];
            sum = block->bias != NULL ? sum + block->bias[column] : sum;
            sum = block->residual != NULL
                      ? sum + block->residual[row * block->residual_row + column]
                      : sum;
            c[column] = sum;
        }
    }
}

void hd_cpu_gemm_block_run(const hd_cpu_gemm_block *block)
{
    switch (hd_cpu_isa()) {
#if defined(__x86_64__)
    case HD_ISA_AVX512:
        hd_cpu_gemm_block_avx512(block);
        break;
    case HD_ISA_AVX2:
        hd_cpu_gemm_block_avx2(block);
        break;
#endif
    default:
        hd_cpu_gemm_block_baseline(block);
        break;
    }
}

int64_t hd_cpu_gemm_panel_width(void)
{
    return hd_cpu_isa() == HD_ISA_AVX512 ? 64 : 32;
}

bool hd_cpu_gemm_packed_count(int64_t depth, int64_t columns, size_t *out_count)
{
    int64_t width = hd_cpu_gemm_panel_width(), padded, count, bytes;
    if (__builtin_add_overflow(columns, width - 1, &padded) ||
        __builtin_mul_overflow(padded / width * width, depth, &count) ||
        __builtin_mul_overflow(count, (int64_t)sizeof(float), &bytes)) {
        return false;
    }
    *out_count = (size_t)count;
    return true;
}

/* Copies a depth x columns piece of a matrix whose columns are contiguous in memory to rows of
 * `width` elements. */
static void transpose(float *to, int64_t width, const float *from, int64_t from_column,
                      int64_t depth, int64_t columns)
{
    int64_t column = 0;
#if defined(__SSE2__)
    for (; column + 4 <= columns; column += 4) {
        const float *here = from + column * from_column;
        int64_t k = 0;
        for (; k + 4 <= depth; k += 4) {
            __m128 r0 = _mm_loadu_ps(here + k), r1 = _mm_loadu_ps(here + k + from_column);
            __m128 r2 = _mm_loadu_ps(here + k + 2 * from_column);
            __m128 r3 = _mm_loadu_ps(here + k + 3 * from_column);
            _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
            float *out = to + k * width + column;
            _mm_storeu_ps(out, r0);
            _mm_storeu_ps(out + width, r1);
            _mm_storeu_ps(out + 2 * width, r2);
            _mm_storeu_ps(out + 3 * width, r3);
        }
        for (; k < depth; k++) {
            for (int64_t i = 0; i < 4; i++) {
                to[k * width + column + i] = here[k + i * from_column];
            }
        }
    }
#endif
    for (; column < columns; column++) {
        for (int64_t k = 0; k < depth; k++) {
            to[k * width + column] = from[column * from_column + k];
        }
    }
}

/* One panel, or a piece of its depth. */
static void panel_pack(float *to, int64_t width, const float *b, int64_t b_depth, int64_t b_column,
                       int64_t depth, int64_t columns)
{
    if (b_column == 1) {
        for (int64_t k = 0; k < depth; k++) {
            memcpy(to + k * width, b + k * b_depth, (size_t)columns * sizeof *to);
        }
    } else if (b_depth == 1) {
        transpose(to, width, b, b_column, depth, columns);
    } else {
        for (int64_t k = 0; k < depth; k++) {
            for (int64_t column = 0; column < columns; column++) {
                to[k * width + column] = b[k * b_depth + column * b_column];
            }
        }
    }
}

void hd_cpu_gemm_pack(float *packed, const float *b, int64_t b_depth, int64_t b_column,
                      int64_t depth, int64_t columns)
{
    int64_t width = hd_cpu_gemm_panel_width();
    for (int64_t first = 0; first < columns; first += width) {
        int64_t here = columns - first < width ? columns - first : width;
        panel_pack(packed, width, b + first * b_column, b_depth, b_column, depth, here);
        for (int64_t k = 0; here < width && k < depth; k++) {
            memset(packed + k * width + here, 0, (size_t)(width - here) * sizeof *packed);
        }
        packed += depth * width;
    }
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

void hd_cpu_gemm_plan_whole(hd_cpu_gemm *gemm, int64_t rows, int64_t columns, int64_t depth)
{
    *gemm = (hd_cpu_gemm){.rows = rows,
                          .columns = columns,
                          .depth = depth,
                          .panel_width = hd_cpu_gemm_panel_width(),
                          .row_blocks = 1,
                          .panel_groups = 1,
                          .tile_count = 1};
}

/* Tiles are as large as possible while there are enough of them for the threads of a large machine:
 * first the panels are dealt out, then rows are halved down to 32. */
void hd_cpu_gemm_plan(hd_cpu_gemm *gemm, int64_t rows, int64_t columns, int64_t depth,
                      int64_t copies)
{
    hd_cpu_gemm_plan_whole(gemm, rows, columns, depth);
    if (rows == 0 || columns == 0) {
        return;
    }
    int64_t panels = divide_up(columns, gemm->panel_width);
    gemm->panels_outside = rows <= CACHED_COUNT / (depth > 0 ? depth : 1);
    gemm->row_blocks = divide_up(rows, BLOCK_ROWS);
    while (panels < TILES_WANTED && copies < TILES_WANTED &&
           gemm->row_blocks * panels * copies < TILES_WANTED && rows / gemm->row_blocks >= 64) {
        gemm->row_blocks *= 2;
    }
    /* Doubles: the product of three sizes may leave 63 bits, and only a rough number is wanted. */
    double block_rows = (double)divide_up(rows, gemm->row_blocks);
    double groups = (block_rows + FETCH_WORK) * (double)columns * (double)depth / TILE_WORK;
    gemm->panel_groups = groups >= (double)panels ? panels : groups < 1 ? 1 : (int64_t)groups;
    gemm->tile_count = gemm->row_blocks * gemm->panel_groups;
}

static int64_t part_begin(int64_t items, int64_t parts, int64_t part)
{
    return part * (items / parts) + (part < items % parts ? part : items % parts);
}

hd_cpu_gemm_extent hd_cpu_gemm_tile_extent(const hd_cpu_gemm *gemm, int64_t tile)
{
    int64_t panels = divide_up(gemm->columns, gemm->panel_width);
    int64_t inside = gemm->panels_outside ? gemm->row_blocks : gemm->panel_groups;
    int64_t row_block = gemm->panels_outside ? tile % inside : tile / inside;
    int64_t group = gemm->panels_outside ? tile / inside : tile % inside;
    int64_t end = part_begin(panels, gemm->panel_groups, group + 1) * gemm->panel_width;
    return (hd_cpu_gemm_extent){
        .row = part_begin(gemm->rows, gemm->row_blocks, row_block),
        .row_end = part_begin(gemm->rows, gemm->row_blocks, row_block + 1),
        .column = part_begin(panels, gemm->panel_groups, group) * gemm->panel_width,
        .column_end = end < gemm->columns ? end : gemm->columns,
    };
}

/* Where `depth` rows of a panel lie, from row k on: in the packed matrix, in the matrix itself, or
 * copied to scratch, which many rows of A are worth. */
static void block_set_b(hd_cpu_gemm_block *block, const hd_cpu_gemm *gemm,
                        const hd_cpu_gemm_operands *operands, int64_t column, int64_t k,
                        float *scratch)
{
    int64_t width = gemm->panel_width;
    block->b_depth = width;
    if (operands->packed) {
        block->b = operands->b + column * gemm->depth + k * width;
        block->prefetch = block->b + block->depth * width; /* of this panel or of the next one */
        block->prefetch_lines = block->depth * width / 16;
        return;
    }
    const float *b = operands->b + column * operands->b_column + k * operands->b_depth;
    if (operands->b_column == 1 && block->rows < COPY_ROWS) {
        block->b = b;
        block->b_depth = operands->b_depth;
    } else {
        panel_pack(scratch, width, b, operands->b_depth, operands->b_column, block->depth,
                   block->columns);
        block->b = scratch;
    }
}

/* One panel of one row block: blocks of the depth, one after the other, then the activation. *work: multiply-adds until
 * the next look; false: it is to end. */
static bool panel_run(const hd_cpu_gemm *gemm, const hd_cpu_gemm_operands *operands, int64_t row,
                      int64_t rows, int64_t column, float *scratch, int64_t *work)
{
    int64_t rest = gemm->columns - column;
    hd_cpu_gemm_block block = {
        .a_row = operands->a_row,
        .a_depth = operands->a_depth,
        .c = operands->c + row * operands->c_row + column,
        .c_row = operands->c_row,
        .rows = rows,
        .columns = rest < gemm->panel_width ? rest : gemm->panel_width,
    };
    const float *a = operands->a + row * operands->a_row;
    int64_t k = 0;
    do {
        *work -= rows * WIDTH_MAX * BLOCK_DEPTH;
        if (*work < 0) {
            if (hd_stop_asked() != HD_OK) {
                return false;
            }
            *work = LOOK_WORK;
        }
        block.a = a + k * operands->a_depth;
        block.depth = gemm->depth - k < BLOCK_DEPTH ? gemm->depth - k : BLOCK_DEPTH;
        block.accumulate = k > 0;
        block_set_b(&block, gemm, operands, column, k, scratch);
        k += block.depth;
        if (k == gemm->depth) {
            block.scale = operands->scale;
            block.bias = operands->bias != NULL ? operands->bias + column : NULL;
            block.residual = operands->residual != NULL
                                 ? operands->residual + row * operands->residual_row + column
                                 : NULL;
            block.residual_row = operands->residual_row;
        }
        hd_cpu_gemm_block_run(&block);
    } while (k < gemm->depth);

    if (gemm->activation.kind != HD_ACTIVATION_NONE) {
        for (int64_t r = 0; r < rows; r++) {
            hd_cpu_activation_apply(&gemm->activation, block.c + r * block.c_row,
                                    (size_t)block.columns);
        }
    }
    return true;
}

void hd_cpu_gemm_run(const hd_cpu_gemm *gemm, const hd_cpu_gemm_operands *operands, int64_t tile,
                     float *scratch)
{
    if (gemm->rows == 0 || gemm->columns == 0) {
        return;
    }
    hd_cpu_gemm_extent extent = hd_cpu_gemm_tile_extent(gemm, tile);
    int64_t work = LOOK_WORK, rows = extent.row_end - extent.row;
    for (int64_t column = extent.column; column < extent.column_end; column += gemm->panel_width) {
        if (!panel_run(gemm, operands, extent.row, rows, column, scratch, &work)) {
            return;
        }
    }
}
