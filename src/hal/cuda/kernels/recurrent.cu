/* LSTM, GRU and RNN over whole sequences. A block computes one entry of the batch in one direction: its state stays in shared memory from
 * step to step, and each step reads R once. The products of x and W were computed before, for all steps at once.
 *
 * BITS: a block knows nothing of other entries. A row of R meets the state in 32 chains of fused multiply-adds, of each 32nd element
 * in ascending order, which are joined by a butterfly.
 * Thread-safety: any number of launches at once. */
#include "recurrent.h"

namespace {

constexpr int WARPS = HD_CUDA_CELL_BLOCK / 32, ROWS = 4; /* ROWS: of a warp at a time */

__device__ float activate(const hd_cuda_cell_activation &a, float x)
{
    switch (a.function) {
    case HD_CUDA_CELL_SIGMOID:
        return __fdiv_rn(1.0f, __fadd_rn(1.0f, expf(-x)));
    case HD_CUDA_CELL_TANH:
        return tanhf(x);
    case HD_CUDA_CELL_RELU:
        return x > 0.0f || x != x ? x : 0.0f;
    case HD_CUDA_CELL_AFFINE:
        return __fadd_rn(__fmul_rn(a.alpha, x), a.beta);
    case HD_CUDA_CELL_LEAKY_RELU:
        return x < 0.0f ? __fmul_rn(a.alpha, x) : x;
    case HD_CUDA_CELL_THRESHOLDED_RELU:
        return x > a.alpha ? x : 0.0f;
    case HD_CUDA_CELL_SCALED_TANH:
        return __fmul_rn(a.alpha, tanhf(__fmul_rn(a.beta, x)));
    case HD_CUDA_CELL_HARD_SIGMOID:
        x = __fadd_rn(__fmul_rn(a.alpha, x), a.beta);
        return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
    case HD_CUDA_CELL_ELU:
        return x < 0.0f ? __fmul_rn(a.alpha, expm1f(x)) : x;
    case HD_CUDA_CELL_SOFTSIGN:
        return __fdiv_rn(x, __fadd_rn(1.0f, fabsf(x)));
    default:
        return __fadd_rn(x < 0.0f ? 0.0f : x, log1pf(expf(-fabsf(x))));
    }
}

/* The activation of an element within the clip. */
__device__ __forceinline__ float gate(const hd_cuda_recurrent &p, const hd_cuda_cell_activation &a, float x)
{
    if (p.clip > 0.0f) {
        x = x > p.clip ? p.clip : x < -p.clip ? -p.clip : x;
    }
    return activate(a, x);
}

/* to[row] += weights[row] . v, by all warps; rows of `hidden` elements. */
__device__ void add_products(const float *weights, const float *v, float *to, int rows, int hidden)
{
    const int lane = threadIdx.x % 32;
    for (int first = threadIdx.x / 32 * ROWS; first < rows; first += WARPS * ROWS) {
        float sums[ROWS] = {0.0f};
        for (int k = lane; k < hidden; k += 32) {
            const float factor = v[k];
#pragma unroll
            for (int j = 0; j < ROWS; j++) {
                if (first + j < rows) {
                    sums[j] = __fmaf_rn(weights[static_cast<long long>(first + j) * hidden + k], factor, sums[j]);
                }
            }
        }
#pragma unroll
        for (int j = 0; j < ROWS; j++) {
            for (int distance = 16; distance > 0; distance /= 2) {
                sums[j] = __fadd_rn(sums[j], __shfl_xor_sync(0xffffffffu, sums[j], distance));
            }
            if (lane == 0 && first + j < rows) {
                to[first + j] = __fadd_rn(to[first + j], sums[j]);
            }
        }
    }
}

/* One entry's state and weights. */
struct Cell {
    float *h, *c, *extra, *gates; /* shared; extra: the cell's own use */
    const float *r, *bias, *peepholes;
    const hd_cuda_cell_activation *activations;
};

/* Gates: input, output, forget, cell. */
__device__ __forceinline__ void step_lstm(const hd_cuda_recurrent &p, const Cell &s)
{
    const int n = p.hidden;
    add_products(s.r, s.h, s.gates, 4 * n, n);
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
        float input = s.gates[i], output = s.gates[n + i], forget = s.gates[2 * n + i], c = s.c[i];
        if (s.peepholes != nullptr) { /* of input, output and forget gate */
            input = __fadd_rn(input, __fmul_rn(s.peepholes[i], c));
            forget = __fadd_rn(forget, __fmul_rn(s.peepholes[2 * n + i], c));
        }
        input = gate(p, s.activations[0], input);
        forget = p.is_input_forget ? __fsub_rn(1.0f, input) : gate(p, s.activations[0], forget);
        c = __fadd_rn(__fmul_rn(forget, c), __fmul_rn(input, gate(p, s.activations[1], s.gates[3 * n + i])));
        if (s.peepholes != nullptr) {
            output = __fadd_rn(output, __fmul_rn(s.peepholes[n + i], c));
        }
        s.c[i] = c;
        s.h[i] = __fmul_rn(activate(s.activations[2], c), gate(p, s.activations[0], output));
    }
}

/* Gates: update, reset, hidden. The hidden gate's product waits for the reset gate, or is kept apart until then in `extra`. */
__device__ __forceinline__ void step_gru(const hd_cuda_recurrent &p, const Cell &s)
{
    const int n = p.hidden;
    const float *r = s.r + 2ll * n * n;
    add_products(s.r, s.h, s.gates, 2 * n, n);
    if (p.is_linear_before_reset) {
        for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
            s.extra[i] = s.bias == nullptr ? 0.0f : s.bias[5 * n + i];
        }
        __syncthreads();
        add_products(r, s.h, s.extra, n, n);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
        s.gates[i] = gate(p, s.activations[0], s.gates[i]);
        const float reset = gate(p, s.activations[0], s.gates[n + i]);
        if (p.is_linear_before_reset) {
            s.gates[2 * n + i] = __fadd_rn(s.gates[2 * n + i], __fmul_rn(reset, s.extra[i]));
        } else {
            s.extra[i] = __fmul_rn(reset, s.h[i]);
        }
    }
    __syncthreads();
    if (!p.is_linear_before_reset) {
        add_products(r, s.extra, s.gates + 2 * n, n, n);
        __syncthreads();
    }
    for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
        const float update = s.gates[i], hidden = gate(p, s.activations[1], s.gates[2 * n + i]);
        s.h[i] = __fadd_rn(__fmul_rn(__fsub_rn(1.0f, update), hidden), __fmul_rn(update, s.h[i]));
    }
}

__device__ __forceinline__ void step_rnn(const hd_cuda_recurrent &p, const Cell &s)
{
    add_products(s.r, s.h, s.gates, p.hidden, p.hidden);
    __syncthreads();
    for (int i = threadIdx.x; i < p.hidden; i += HD_CUDA_CELL_BLOCK) {
        s.h[i] = gate(p, s.activations[0], s.gates[i]);
    }
}

/* The sum of both biases of a gate; of GRU's hidden gate the second one stays apart where it must. */
__device__ __forceinline__ float bias_of(const hd_cuda_recurrent &p, const float *bias, int i)
{
    const int size = p.gates * p.hidden, both = p.is_linear_before_reset ? 2 * p.hidden : size;
    return bias == nullptr ? 0.0f : i < both ? __fadd_rn(bias[i], bias[size + i]) : bias[i];
}

} // namespace

extern "C" __global__ void __launch_bounds__(HD_CUDA_CELL_BLOCK) hd_recurrent(const __grid_constant__ hd_cuda_recurrent p)
{
    extern __shared__ float memory[];
    const int n = p.hidden, size = p.gates * n, direction = blockIdx.x / p.batch, entry = blockIdx.x % p.batch;
    const Cell s = {memory,
                    memory + n,
                    memory + 2 * n,
                    memory + 3 * n,
                    p.r + static_cast<long long>(direction) * size * n,
                    p.bias == nullptr ? nullptr : p.bias + 2ll * direction * size,
                    p.peepholes == nullptr ? nullptr : p.peepholes + 3ll * direction * n,
                    p.activations + 3 * direction};
    const bool is_backwards = direction == 1 || p.is_reverse;
    const long long state = static_cast<long long>(p.is_batch_first ? entry * p.directions + direction : direction * p.batch + entry) * n;
    int length = p.lengths == nullptr ? p.steps : p.lengths[entry];
    length = length < 0 ? 0 : length > p.steps ? p.steps : length;
    for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
        s.h[i] = p.h == nullptr ? 0.0f : p.h[state + i];
        s.c[i] = p.c == nullptr ? 0.0f : p.c[state + i];
    }
    for (int step = 0; step < p.steps; step++) {
        const bool is_alive = step < length;
        const int time = is_backwards && is_alive ? length - 1 - step : step;
        const long long row = p.is_batch_first ? static_cast<long long>(entry) * p.steps + time : static_cast<long long>(time) * p.batch + entry;
        if (is_alive) {
            const float *products = p.products + (row * p.directions + direction) * size;
            for (int i = threadIdx.x; i < size; i += HD_CUDA_CELL_BLOCK) {
                s.gates[i] = __fadd_rn(bias_of(p, s.bias, i), products[i]);
            }
            __syncthreads(); /* the state is there, too */
            if (p.kind == HD_CUDA_CELL_LSTM) {
                step_lstm(p, s);
            } else if (p.kind == HD_CUDA_CELL_GRU) {
                step_gru(p, s);
            } else {
                step_rnn(p, s);
            }
        }
        /* each thread reads the elements of h that it wrote */
        const long long place = p.is_batch_first ? row * p.directions + direction
                                                 : (static_cast<long long>(time) * p.directions + direction) * p.batch + entry;
        for (int i = threadIdx.x; i < n && p.y != nullptr; i += HD_CUDA_CELL_BLOCK) {
            p.y[place * n + i] = is_alive ? s.h[i] : 0.0f; /* behind the end of the sequence */
        }
        __syncthreads(); /* gates were read */
    }
    for (int i = threadIdx.x; i < n; i += HD_CUDA_CELL_BLOCK) {
        if (p.y_h != nullptr) {
            p.y_h[state + i] = s.h[i];
        }
        if (p.y_c != nullptr) {
            p.y_c[state + i] = s.c[i];
        }
    }
}
