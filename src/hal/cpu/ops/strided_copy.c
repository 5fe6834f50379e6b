#include "hal/cpu/ops/strided_copy.h"

#include <stdbool.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "hal/cpu/isa.h"
#include "hal/cpu/kernel.h"

#define ROW_BYTES       ((int64_t)32768)
#define SQUARE_BYTES    ((int64_t)256)
#define SHORT_ROW_BYTES ((int64_t)512)

typedef struct wide_element {
    uint64_t low, high;
} wide_element;

#define TYPE         uint8_t
#define NAME(suffix) plane_##suffix##_1
#include "hal/cpu/ops/strided_copy_type.inc"

#define TYPE         uint16_t
#define NAME(suffix) plane_##suffix##_2
#include "hal/cpu/ops/strided_copy_type.inc"

#define TYPE         uint32_t
#define NAME(suffix) plane_##suffix##_4
#include "hal/cpu/ops/strided_copy_type.inc"

#define TYPE         uint64_t
#define NAME(suffix) plane_##suffix##_8
#include "hal/cpu/ops/strided_copy_type.inc"

#define TYPE         wide_element
#define NAME(suffix) plane_##suffix##_16
#include "hal/cpu/ops/strided_copy_type.inc"

/* By element size 1, 2, 4, 8, 16. */
static hd_cpu_plane_copy *const gather_planes[] = {plane_gather_1, plane_gather_2, plane_gather_4,
                                                   plane_gather_8, plane_gather_16};
static hd_cpu_plane_copy *const fill_planes[] = {plane_fill_1, plane_fill_2, plane_fill_4,
                                                 plane_fill_8, plane_fill_16};
static hd_cpu_plane_copy *const transpose_planes[] = {
    plane_transpose_1, plane_transpose_2, plane_transpose_4, plane_transpose_8, plane_transpose_16};

/* The source's columns (2 to 4, of 4-byte elements) are contiguous along the rows, and the target has no gaps:
 * planes of a picture to pixels. */
static void plane_interleave(const unsigned char *source, unsigned char *target, int64_t rows,
                             int64_t columns, const int64_t source_strides[2],
                             const int64_t target_strides[2])
{
    int64_t row = 0;
#if defined(__SSE2__)
    /* Four rows at a time are stored with four columns each: the next row overwrites what is too much, so the
     * last rows, behind which another tile's begin, are gathered. */
    for (; (row + 3) * columns + 4 <= rows * columns; row += 4) {
        const unsigned char *from = source + row * 4;
        __m128 lines[4];
        for (int64_t i = 0; i < 4; i++) {
            lines[i] = i < columns ? _mm_loadu_ps((const void *)(from + i * source_strides[1]))
                                   : _mm_setzero_ps();
        }
        _MM_TRANSPOSE4_PS(lines[0], lines[1], lines[2], lines[3]);
        for (int64_t i = 0; i < 4; i++) {
            _mm_storeu_ps((void *)(target + (row + i) * target_strides[0]), lines[i]);
        }
    }
#endif
    plane_gather_4(source + row * 4, target + row * target_strides[0], rows - row, columns,
                   source_strides, target_strides);
}

/* The same of single bytes. */
static void plane_interleave_bytes(const unsigned char *source, unsigned char *target, int64_t rows,
                                   int64_t columns, const int64_t source_strides[2],
                                   const int64_t target_strides[2])
{
    int64_t row = 0;
#if defined(__SSE2__)
    for (; (row + 15) * columns + 4 <= rows * columns; row += 16) { /* see above */
        __m128i lines[4], pixels[4];
        for (int64_t i = 0; i < 4; i++) {
            lines[i] = i < columns
                           ? _mm_loadu_si128((const void *)(source + row + i * source_strides[1]))
                           : _mm_setzero_si128();
        }
        const __m128i low = _mm_unpacklo_epi8(lines[0], lines[1]),
                      high = _mm_unpackhi_epi8(lines[0], lines[1]);
        const __m128i low_rest = _mm_unpacklo_epi8(lines[2], lines[3]),
                      high_rest = _mm_unpackhi_epi8(lines[2], lines[3]);
        pixels[0] = _mm_unpacklo_epi16(low, low_rest);
        pixels[1] = _mm_unpackhi_epi16(low, low_rest);
        pixels[2] = _mm_unpacklo_epi16(high, high_rest);
        pixels[3] = _mm_unpackhi_epi16(high, high_rest);
        unsigned char *to = target + row * target_strides[0];
        for (int i = 0; i < 16; i++, to += target_strides[0]) {
            const int pixel = _mm_cvtsi128_si32(pixels[i / 4]);
            memcpy(to, &pixel, sizeof pixel);
            pixels[i / 4] = _mm_srli_si128(pixels[i / 4], 4);
        }
    }
#endif
    plane_gather_1(source + row, target + row * target_strides[0], rows - row, columns,
                   source_strides, target_strides);
}

/* Rows of bytes: here `columns` counts bytes. */
static void plane_bytes(const unsigned char *source, unsigned char *target, int64_t rows,
                        int64_t columns, const int64_t source_strides[2],
                        const int64_t target_strides[2])
{
    if (columns % 16 == 0 && columns <= SHORT_ROW_BYTES) { /* a call of memcpy would take longer */
        for (int64_t row = 0; row < rows; row++) {
            for (int64_t i = 0; i < columns; i += 16) {
                memcpy(target + row * target_strides[0] + i, source + row * source_strides[0] + i,
                       16);
            }
        }
        return;
    }
    for (int64_t row = 0; row < rows; row++) {
        memcpy(target + row * target_strides[0], source + row * source_strides[0], (size_t)columns);
    }
}

/* The dimensions while they are merged; strides in bytes. */
typedef struct box {
    uint32_t rank;
    int64_t dims[HD_STRIDED_COPY_RANK];
    int64_t source[HD_STRIDED_COPY_RANK];
    int64_t target[HD_STRIDED_COPY_RANK];
    int64_t element;
} box;

static void box_remove(box *b, uint32_t axis)
{
    for (uint32_t i = axis; i + 1 < b->rank; i++) {
        b->dims[i] = b->dims[i + 1];
        b->source[i] = b->source[i + 1];
        b->target[i] = b->target[i + 1];
    }
    b->rank--;
}

/* Drops dimensions of 1 and merges neighbours that are one dimension on both sides. */
static void box_merge(box *b)
{
    for (uint32_t i = b->rank; i-- > 0;) {
        if (b->dims[i] == 1) {
            box_remove(b, i);
        }
    }
    for (uint32_t i = b->rank; i-- > 1;) {
        if (b->source[i - 1] == b->source[i] * b->dims[i] &&
            b->target[i - 1] == b->target[i] * b->dims[i]) {
            b->dims[i - 1] *= b->dims[i];
            b->source[i - 1] = b->source[i];
            b->target[i - 1] = b->target[i];
            box_remove(b, i);
        }
    }
}

static bool box_is_contiguous(const box *b)
{
    uint32_t last = b->rank - 1;
    return b->rank > 0 && b->source[last] == b->element && b->target[last] == b->element;
}

/* A contiguous innermost run of up to 16 bytes becomes the element, if there are other dimensions. */
static void box_widen(box *b)
{
    if (b->rank < 2 || !box_is_contiguous(b)) {
        return;
    }
    int64_t bytes = b->element * b->dims[b->rank - 1];
    if (bytes == 2 || bytes == 4 || bytes == 8 || bytes == 16) {
        b->element = bytes;
        b->rank--;
        box_merge(b);
    }
}

static uint32_t element_index(int64_t element)
{
    return (uint32_t)__builtin_ctzll((unsigned long long)element);
}

/* Moves dimension `axis` of the box into the plane as its rows (0) or columns (1). */
static void take_dimension(hd_cpu_strided_copy *copy, box *b, uint32_t axis, uint32_t place)
{
    *(place == 0 ? &copy->rows : &copy->columns) = b->dims[axis];
    copy->source_strides[place] = b->source[axis];
    copy->target_strides[place] = b->target[axis];
    box_remove(b, axis);
}

/* The dimension along which the source is contiguous, where the target is not; -1: none worth it. */
static int64_t find_transposed(const box *b)
{
    if (b->rank < 2 || b->target[b->rank - 1] != b->element || b->source[b->rank - 1] == 0) {
        return -1;
    }
    for (uint32_t i = 0; i + 1 < b->rank; i++) {
        if (b->source[i] == b->element && b->dims[i] >= 4 && b->dims[b->rank - 1] >= 4) {
            return i;
        }
    }
    return -1;
}

/* The last two dimensions are what plane_interleave or plane_interleave_bytes copies. */
static bool is_interleaved(const box *b)
{
    if (b->rank < 2 || (b->element != 4 && b->element != 1)) {
        return false;
    }
    const uint32_t row = b->rank - 2, column = b->rank - 1;
    return b->dims[column] >= 2 && b->dims[column] <= 4 && b->target[column] == b->element &&
           b->target[row] == b->element * b->dims[column] && b->source[row] == b->element;
}

static void choose_plane(hd_cpu_strided_copy *copy, box *b)
{
    uint32_t index = element_index(b->element);
    copy->rows = copy->columns = 1;
    if (is_interleaved(b)) {
        copy->plane = b->element == 4 ? plane_interleave : plane_interleave_bytes;
        take_dimension(copy, b, b->rank - 1, 1);
        take_dimension(copy, b, b->rank - 1, 0);
        copy->column_block = copy->columns;
        copy->row_block = ROW_BYTES / 4 / (copy->columns * 4);
        return;
    }
    int64_t transposed = find_transposed(b);
    if (transposed >= 0) {
        copy->plane = transpose_planes[index];
        take_dimension(copy, b, b->rank - 1, 1);
        take_dimension(copy, b, (uint32_t)transposed, 0);
        copy->row_block = copy->column_block = SQUARE_BYTES / b->element;
#if defined(__x86_64__)
        if (b->element == 4 && hd_cpu_isa() >= HD_ISA_AVX2) {
            copy->plane = hd_cpu_plane_transpose_4_avx2;
        }
#endif
        return;
    }
    bool contiguous = box_is_contiguous(b);
    bool repeated =
        b->rank > 0 && b->source[b->rank - 1] == 0 && b->target[b->rank - 1] == b->element;
    copy->plane = repeated ? fill_planes[index] : gather_planes[index];
    int64_t column_bytes = b->element;
    if (b->rank > 0) {
        take_dimension(copy, b, b->rank - 1, 1);
    }
    if (b->rank > 0) {
        take_dimension(copy, b, b->rank - 1, 0);
    }
    if (contiguous) {
        copy->plane = plane_bytes;
        copy->columns *= b->element;
        copy->source_strides[1] = copy->target_strides[1] = column_bytes = 1;
    }
    copy->column_block = ROW_BYTES / column_bytes;
    int64_t columns = copy->columns < copy->column_block ? copy->columns : copy->column_block;
    copy->row_block = columns == 0 ? 1 : (ROW_BYTES / column_bytes + columns - 1) / columns;
}

void hd_cpu_strided_copy_prepare(hd_cpu_strided_copy *copy, uint32_t rank, const int64_t *dims,
                                 const int64_t *source_strides, const int64_t *target_strides,
                                 size_t element)
{
    *copy = (hd_cpu_strided_copy){.tile_count = 1};
    const bool is_pair = element == 16; /* a text: two of 8 */
    box b = {.rank = rank, .element = is_pair ? 8 : (int64_t)element};
    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] == 0) {
            return; /* no items */
        }
        b.dims[i] = dims[i];
        b.source[i] = source_strides[i] * (int64_t)element;
        b.target[i] = target_strides[i] * (int64_t)element;
    }
    if (is_pair) {
        b.dims[rank] = 2;
        b.source[rank] = b.target[rank] = b.element;
        b.rank++;
    }
    box_merge(&b);
    box_widen(&b);
    choose_plane(copy, &b);
    copy->outer_rank = b.rank;
    int64_t outer = 1;
    for (uint32_t i = 0; i < b.rank; i++) {
        copy->outer_dims[i] = b.dims[i];
        copy->outer_source[i] = b.source[i];
        copy->outer_target[i] = b.target[i];
        outer *= b.dims[i];
    }
    copy->row_blocks = (copy->rows + copy->row_block - 1) / copy->row_block;
    copy->column_blocks = (copy->columns + copy->column_block - 1) / copy->column_block;
    copy->items = outer * copy->row_blocks * copy->column_blocks;
    int64_t rows = copy->rows < copy->row_block ? copy->rows : copy->row_block;
    int64_t columns = copy->columns < copy->column_block ? copy->columns : copy->column_block;
    /* Moving a byte of a row costs about an eighth of an elementary step. */
    int64_t work = copy->plane == plane_bytes ? rows * columns / 8 : rows * columns;
    copy->tile_count = hd_cpu_tile_count(copy->items, work);
}

/* Where one item lies: the position in the outer dimensions, and the block within the plane. */
typedef struct cursor {
    int64_t index[HD_STRIDED_COPY_RANK];
    int64_t row_block, column_block;
    const unsigned char *source;
    unsigned char *target;
} cursor;

static void cursor_seek(cursor *at, const hd_cpu_strided_copy *copy, int64_t item)
{
    at->column_block = item % copy->column_blocks;
    item /= copy->column_blocks;
    at->row_block = item % copy->row_blocks;
    item /= copy->row_blocks;
    for (uint32_t i = copy->outer_rank; i-- > 0;) {
        at->index[i] = item % copy->outer_dims[i];
        item /= copy->outer_dims[i];
        at->source += at->index[i] * copy->outer_source[i];
        at->target += at->index[i] * copy->outer_target[i];
    }
}

static void cursor_advance(cursor *at, const hd_cpu_strided_copy *copy)
{
    if (++at->column_block < copy->column_blocks) {
        return;
    }
    at->column_block = 0;
    if (++at->row_block < copy->row_blocks) {
        return;
    }
    at->row_block = 0;
    for (uint32_t i = copy->outer_rank; i-- > 0;) {
        at->source += copy->outer_source[i];
        at->target += copy->outer_target[i];
        if (++at->index[i] < copy->outer_dims[i]) {
            return;
        }
        at->index[i] = 0;
        at->source -= copy->outer_dims[i] * copy->outer_source[i];
        at->target -= copy->outer_dims[i] * copy->outer_target[i];
    }
}

void hd_cpu_strided_copy_run(const hd_cpu_strided_copy *copy, const void *source, void *target,
                             int64_t begin, int64_t end)
{
    int64_t item = hd_cpu_tile_begin(copy->items, copy->tile_count, begin);
    int64_t last = hd_cpu_tile_begin(copy->items, copy->tile_count, end);
    if (item >= last) {
        return;
    }
    cursor at = {.source = source, .target = target};
    cursor_seek(&at, copy, item);
    for (; item < last; item++) {
        int64_t row = at.row_block * copy->row_block;
        int64_t column = at.column_block * copy->column_block;
        int64_t rows = copy->rows - row, columns = copy->columns - column;
        copy->plane(at.source + row * copy->source_strides[0] + column * copy->source_strides[1],
                    at.target + row * copy->target_strides[0] + column * copy->target_strides[1],
                    rows < copy->row_block ? rows : copy->row_block,
                    columns < copy->column_block ? columns : copy->column_block,
                    copy->source_strides, copy->target_strides);
        cursor_advance(&at, copy);
    }
}
