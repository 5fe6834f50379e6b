/* Products of quantized numbers: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv.
 *
 * A block computes a tile of rows by columns of one plane, in steps of HD_CUDA_INTEGER_TILE of the depth; four numbers along the depth
 * are a word. Bytes are taken as signed ones, unsigned ones and their zero points less 128, so that one instruction multiplies all of
 * them: sum (a - za)(b - zb) = sum ab - za sum b - zb sum a + depth za zb.
 *
 * BITS: integer sums are exact, modulo 2^32, in any order. Thread-safety: any number of launches at once. */
#include "integer_product.h"

namespace {

constexpr int TILE = HD_CUDA_INTEGER_TILE, WORDS = TILE / 4, EACH = TILE * TILE / HD_CUDA_INTEGER_BLOCK;

/* A number as a signed byte. */
__device__ __forceinline__ int shifted(int is_signed, unsigned char byte)
{
    return is_signed ? static_cast<signed char>(byte) : static_cast<int>(byte) - 128;
}

__device__ __forceinline__ int zero_of(const hd_cuda_integer_factor &f, int item)
{
    return shifted(f.is_signed, f.zero == nullptr ? 0 : f.zero[f.zero_is_each ? item : 0]);
}

/* Byte i of a word. */
__device__ __forceinline__ int put(int word, int i, int byte)
{
    return word | (byte & 0xff) << 8 * i;
}

/* What becomes of the sum of row and column `item`. */
__device__ __forceinline__ void finish(const hd_cuda_integer_product &p, int row_item, int column_item, long long at, int sum)
{
    if (p.y_scale == nullptr) {
        static_cast<int *>(p.y)[at] = sum;
        return;
    }
    const int zero = p.y_is_signed ? static_cast<signed char>(*p.y_zero) : static_cast<int>(*p.y_zero);
    const float low = static_cast<float>((p.y_is_signed ? -128 : 0) - zero), high = static_cast<float>((p.y_is_signed ? 127 : 255) - zero);
    const float a = p.a.scale[p.a.scale_is_each ? row_item : 0], b = p.b.scale[p.b.scale_is_each ? column_item : 0];
    if (p.bias != nullptr) {
        sum = static_cast<int>(static_cast<unsigned>(sum) + static_cast<unsigned>(p.bias[row_item]));
    }
    float v = __fmul_rn(__int2float_rn(sum), __fdiv_rn(__fmul_rn(a, b), *p.y_scale));
    v = v > low ? v : low;
    v = v < high ? v : high;
    static_cast<unsigned char *>(p.y)[at] = static_cast<unsigned char>(__float2int_rn(v) + zero);
}

/* One tile. load_a and load_b: the signed byte of an item (a row, a column) of the tile at a place of the depth; both are within
 * the plane. row_first: what the rows' zero points, scales and biases begin at. */
template <class A, class B>
__device__ __forceinline__ void tile(const hd_cuda_integer_product &p, int row_first, int row, int column, long long y_first, A load_a, B load_b)
{
    __shared__ int as[WORDS][TILE], bs[WORDS][TILE];
    const int item = threadIdx.x % TILE, word = threadIdx.x / TILE;
    int sums[EACH] = {0}, a_sums[EACH] = {0}, b_sum = 0;
    for (int first = 0; first < p.depth; first += TILE) {
        int a = 0, b = 0;
        for (int i = 0; i < 4; i++) {
            const int k = first + 4 * word + i;
            a = k < p.depth && row + item < p.rows ? put(a, i, load_a(item, k)) : a;
            b = k < p.depth && column + item < p.columns ? put(b, i, load_b(item, k)) : b;
        }
        __syncthreads(); /* the step before was read */
        as[word][item] = a;
        bs[word][item] = b;
        __syncthreads();
        for (int w = 0; w < WORDS; w++) {
            const int right = bs[w][item];
            b_sum = __dp4a(right, 0x01010101, b_sum);
#pragma unroll
            for (int j = 0; j < EACH; j++) {
                const int left = as[w][word + j * WORDS];
                sums[j] = __dp4a(left, right, sums[j]);
                a_sums[j] = __dp4a(left, 0x01010101, a_sums[j]);
            }
        }
    }
    if (column + item >= p.columns) {
        return;
    }
    const unsigned b_zero = static_cast<unsigned>(zero_of(p.b, column + item));
    for (int j = 0; j < EACH; j++) {
        const int r = row + word + j * WORDS;
        if (r < p.rows) {
            const unsigned a_zero = static_cast<unsigned>(zero_of(p.a, row_first + r));
            const unsigned sum = static_cast<unsigned>(sums[j]) - a_zero * static_cast<unsigned>(b_sum) - b_zero * static_cast<unsigned>(a_sums[j]) +
                                 static_cast<unsigned>(p.depth) * a_zero * b_zero;
            finish(p, row_first + r, column + item, y_first + static_cast<long long>(r) * p.columns + column + item, static_cast<int>(sum));
        }
    }
}

/* The block's plane and the tile's first row and column. */
struct Place {
    unsigned plane;
    int row, column;

    __device__ __forceinline__ Place(const hd_cuda_integer_product &p)
    {
        const unsigned line = hd_divide(blockIdx.x, p.column_tiles);
        plane = hd_divide(line, p.row_tiles);
        column = static_cast<int>(blockIdx.x - line * p.column_tiles.by) * TILE;
        row = static_cast<int>(line - plane * p.row_tiles.by) * TILE;
    }
};

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_INTEGER_BLOCK) hd_integer_matmul(const __grid_constant__ hd_cuda_integer_product p)
{
    const Place at(p);
    long long a_first = static_cast<long long>(at.row) * p.depth, b_first = at.column;
    unsigned rest = at.plane;
    for (int d = p.batch_rank - 1; d >= 0; d--) {
        const unsigned above = hd_divide(rest, p.batch_dims[d]), index = rest - above * p.batch_dims[d].by;
        a_first += static_cast<long long>(index) * p.a_strides[d];
        b_first += static_cast<long long>(index) * p.b_strides[d];
        rest = above;
    }
    const unsigned char *a = p.a.data + a_first, *b = p.b.data + b_first;
    tile(
        p, 0, at.row, at.column, static_cast<long long>(at.plane) * p.rows * p.columns,
        [&](int row, int k) { return shifted(p.a.is_signed, a[static_cast<long long>(row) * p.depth + k]); },
        [&](int column, int k) { return shifted(p.b.is_signed, b[static_cast<long long>(k) * p.columns + column]); });
}

extern "C" __global__ void __launch_bounds__(HD_CUDA_INTEGER_BLOCK) hd_integer_convolution(const __grid_constant__ hd_cuda_integer_product p)
{
    const Place at(p);
    const unsigned image = hd_divide(at.plane, p.groups), group = at.plane - image * p.groups.by;
    const int row_first = static_cast<int>(group) * p.rows, channels = p.depth / static_cast<int>(p.taps.by);
    const unsigned char *a = p.a.data + static_cast<long long>(row_first + at.row) * p.depth;
    const unsigned char *b = p.b.data + static_cast<long long>(at.plane) * channels * p.image;
    /* the thread's column is an output position */
    const unsigned pixel = at.column + threadIdx.x % TILE, line = hd_divide(pixel, p.output[2]), slice = hd_divide(line, p.output[1]);
    const int position[3] = {static_cast<int>(slice), static_cast<int>(line - slice * p.output[1].by),
                             static_cast<int>(pixel - line * p.output[2].by)};
    const int b_zero = zero_of(p.b, 0);
    tile(
        p, row_first, at.row, at.column, static_cast<long long>(image * p.groups.by * p.rows + row_first) * p.columns,
        [&](int row, int k) { return shifted(p.a.is_signed, a[static_cast<long long>(row) * p.depth + k]); },
        [&](int, int k) {
            const unsigned channel = hd_divide(k, p.taps), tap = k - channel * p.taps.by;
            const unsigned kernel_line = hd_divide(tap, p.kernel[2]), kernel_slice = hd_divide(kernel_line, p.kernel[1]);
            const int at_kernel[3] = {static_cast<int>(kernel_slice), static_cast<int>(kernel_line - kernel_slice * p.kernel[1].by),
                                      static_cast<int>(tap - kernel_line * p.kernel[2].by)};
            int from = 0;
            for (int d = 0; d < 3; d++) {
                const int x = position[d] * p.stride[d] - p.pad[d] + at_kernel[d] * p.dilation[d];
                if (x < 0 || x >= p.input[d]) {
                    return b_zero; /* stands for 0 */
                }
                from = from * p.input[d] + x;
            }
            return shifted(p.b.is_signed, b[static_cast<long long>(channel) * p.image + from]);
        });
}
