/* Times the float32 product kernels beside cuBLASLt's best algorithm in the same run, and checks them: against double
 * precision, and each kernel's bits against every other's, row by row.
 * usage: product [check] [time]   (built and run by bench/cuda/run.sh) */
#include "../../src/hal/cuda/kernels/product_float32.cu"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <cublasLt.h>
#include <cuda_runtime.h>

#define OK(call)                                                                                       \
    do {                                                                                               \
        auto status_ = (call);                                                                         \
        if (static_cast<int>(status_) != 0) {                                                          \
            std::printf("%s:%d: %s: %d\n", __FILE__, __LINE__, #call, static_cast<int>(status_));      \
            std::exit(1);                                                                              \
        }                                                                                              \
    } while (0)

namespace {

int chunks_of(int k) { return (k + HD_CHUNK - 1) / HD_CHUNK; }

struct Variant {
    std::string name;
    bool (*launch)(const hd_cuda_product &, int batch, int parameter, cudaStream_t);
    int parameter;
};

template <class T, int BLOCKS> __global__ void __launch_bounds__(T::THREADS, BLOCKS) wide_kernel(const __grid_constant__ hd_cuda_product p) { wide<T>(Product(p)); }
template <class T, int BLOCKS> __global__ void __launch_bounds__(T::THREADS, BLOCKS) split_kernel(const __grid_constant__ hd_cuda_product p) { split<T>(Product(p)); }
template <class S> __global__ void narrow_kernel(const __grid_constant__ hd_cuda_product p) { narrow<S>(p); }

template <class T, int BLOCKS> bool launch_wide(const hd_cuda_product &p, int batch, int, cudaStream_t stream)
{
    size_t size = (STAGES * T::STAGE_FLOATS + (p.k > HD_CHUNK ? T::BM * T::BN : 0)) * sizeof(float);
    auto kernel = wide_kernel<T, BLOCKS>;
    if (size > 227 * 1024) return false;
    OK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(size)));
    int tiles = ((p.m + T::BM - 1) / T::BM) * ((p.n + T::BN - 1) / T::BN);
    kernel<<<dim3(tiles, 1, batch), T::THREADS, size, stream>>>(p);
    OK(cudaGetLastError());
    return true;
}

template <class T, int BLOCKS> bool launch_split(const hd_cuda_product &p, int batch, int shares, cudaStream_t stream)
{
    int chunks = chunks_of(p.k);
    if (shares > chunks) return false;
    int per = (chunks + shares - 1) / shares;
    shares = (chunks + per - 1) / per;
    size_t size = (STAGES * T::STAGE_FLOATS + per * T::BM * T::BN) * sizeof(float);
    if (size > 227 * 1024) return false;
    auto kernel = split_kernel<T, BLOCKS>;
    OK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(size)));
    int tiles = ((p.m + T::BM - 1) / T::BM) * ((p.n + T::BN - 1) / T::BN);
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(tiles, shares, batch);
    config.blockDim = dim3(T::THREADS);
    config.dynamicSmemBytes = size;
    config.stream = stream;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = 1;
    attribute.val.clusterDim.y = shares;
    attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    hd_cuda_product shared = p;
    shared.per = per;
    OK(cudaLaunchKernelEx(&config, kernel, shared));
    return true;
}

template <int ROWS, int COLUMNS> bool launch_narrow(const hd_cuda_product &p, int batch, int, cudaStream_t stream)
{
    using S = Strip<ROWS, COLUMNS>;
    if (p.m > 64) return false;
    int chunks = chunks_of(p.k), warps = std::min(16, (chunks + S::PER_WARP - 1) / S::PER_WARP);
    auto size = [&] { return (static_cast<size_t>(warps) * S::WARP_FLOATS + static_cast<size_t>(chunks) * S::SUM_FLOATS) * sizeof(float); };
    while (warps > 1 && size() > 227 * 1024) warps--;
    if (size() > 227 * 1024) return false;
    auto kernel = narrow_kernel<S>;
    OK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(size())));
    kernel<<<dim3((p.n + COLUMNS - 1) / COLUMNS, (p.m + ROWS - 1) / ROWS, batch), 32 * warps, size(), stream>>>(p);
    OK(cudaGetLastError());
    return true;
}

#define NARROW(R) {"narrow" #R "x32", launch_narrow<R, 32>, 0}, {"narrow" #R "x16", launch_narrow<R, 16>, 0}, {"narrow" #R "x8", launch_narrow<R, 8>, 0}
#define SPLIT(NAME, T, B) {NAME "/2", launch_split<T, B>, 2}, {NAME "/3", launch_split<T, B>, 3}, {NAME "/4", launch_split<T, B>, 4}, \
        {NAME "/6", launch_split<T, B>, 6}, {NAME "/8", launch_split<T, B>, 8}
using T64 = Tile<64, 64, 16, 8, 4>;       /* 128 threads */
using T64K = Tile<64, 64, 32, 8, 4>;
using T64x128 = Tile<64, 128, 16, 8, 8>;  /* 128 threads */
using T32x64 = Tile<32, 64, 32, 4, 4>;    /* 128 threads */
using T32x128 = Tile<32, 128, 16, 4, 8>;  /* 128 threads */
using T128 = Tile<128, 128, 16, 8, 8>;    /* 256 threads */
using T128K = Tile<128, 128, 32, 8, 8>;
using T128W = Tile<128, 128, 16, 8, 16>;  /* 128 threads */
using T128V = Tile<128, 128, 16, 16, 8>;  /* 128 threads */
using T256 = Tile<128, 256, 16, 8, 16>;   /* 256 threads */
using T256V = Tile<256, 128, 16, 16, 8>;  /* 256 threads */

const std::vector<Variant> variants = {
    NARROW(1), NARROW(2), NARROW(4), NARROW(8), NARROW(16),
    SPLIT("split32x64", T32x64, 3), SPLIT("split32x128", T32x128, 3), SPLIT("split64", T64, 3), SPLIT("split64k", T64K, 3),
    SPLIT("split64x128", T64x128, 3), SPLIT("split128", T128, 2),
    {"wide32x64", launch_wide<T32x64, 4>, 0},
    {"wide64", launch_wide<T64, 4>, 0},
    {"wide64x128", launch_wide<T64x128, 3>, 0},
    {"wide128", launch_wide<T128, 2>, 0},
    {"wide128k", launch_wide<T128K, 1>, 0},
    {"wide128w", launch_wide<T128W, 2>, 0},
    {"wide128v", launch_wide<T128V, 2>, 0},
    {"wide256", launch_wide<T256, 1>, 0},
    {"wide256v", launch_wide<T256V, 1>, 0},
};

int padded(int n) { return (n + 3) / 4 * 4; }

struct Problem {
    int m, n, k;
    std::vector<float *> xs, ws, ys; /* several, so that small ones do not stay in one place of the caches */
    float *bias, *residual;
    hd_cuda_product product(int i, int activation, bool with_residual) const
    {
        hd_cuda_product p = {};
        p.x = xs[i % xs.size()];
        p.w = ws[i % ws.size()];
        p.y = ys[i % ys.size()];
        p.bias = bias;
        p.residual = with_residual ? residual : nullptr;
        p.m = m, p.n = n, p.k = k;
        p.activation.kind = activation;
        p.x_stride = padded(k), p.w_stride = p.y_stride = p.residual_stride = padded(n);
        return p;
    }
};

float *random_device(size_t count, unsigned seed, float scale)
{
    std::vector<float> host(count);
    unsigned long long state = seed * 0x9E3779B97F4A7C15ull + 1;
    for (float &v : host) {
        float sum = 0;
        for (int i = 0; i < 4; i++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            sum += static_cast<float>(state >> 40) / 16777216.0f - 0.5f;
        }
        v = sum * 1.7320508f * scale;
    }
    float *device;
    OK(cudaMalloc(&device, count * sizeof(float)));
    OK(cudaMemcpy(device, host.data(), count * sizeof(float), cudaMemcpyHostToDevice));
    return device;
}

Problem make(int m, int n, int k, int copies)
{
    Problem p = {m, n, k, {}, {}, {}, nullptr, nullptr};
    for (int i = 0; i < copies; i++) {
        p.xs.push_back(random_device(static_cast<size_t>(m) * padded(k), 1 + 3 * i, 1.0f));
        p.ws.push_back(random_device(static_cast<size_t>(k) * padded(n), 2 + 3 * i, 1.0f / std::sqrt(static_cast<float>(k))));
        p.ys.push_back(random_device(static_cast<size_t>(m) * padded(n), 3 + 3 * i, 1.0f));
    }
    p.bias = random_device(padded(n), 77, 1.0f);
    p.residual = random_device(static_cast<size_t>(m) * padded(n), 78, 1.0f);
    return p;
}

void free_problem(Problem &p)
{
    for (auto *list : {&p.xs, &p.ws, &p.ys}) {
        for (float *v : *list) OK(cudaFree(v));
    }
    OK(cudaFree(p.bias));
    OK(cudaFree(p.residual));
}

std::vector<float> download(const float *device, size_t count)
{
    std::vector<float> host(count);
    OK(cudaMemcpy(host.data(), device, count * sizeof(float), cudaMemcpyDeviceToHost));
    return host;
}

/* The kernels' definition, on the host. */
float define(const float *x, const float *w, int w_stride, int k)
{
    float total = 0;
    for (int c = 0; c < k; c += HD_CHUNK) {
        float sum = 0;
        for (int i = c; i < std::min(k, c + HD_CHUNK); i++) sum = std::fmaf(x[i], w[static_cast<size_t>(i) * w_stride], sum);
        total = c == 0 ? sum : total + sum;
    }
    return total + 0.0f;
}

int check(int m, int n, int k)
{
    Problem problem = make(m, n, k, 1);
    size_t count = static_cast<size_t>(m) * padded(n);
    std::vector<float> x = download(problem.xs[0], static_cast<size_t>(m) * padded(k));
    std::vector<float> w = download(problem.ws[0], static_cast<size_t>(k) * padded(n));
    std::vector<float> bias = download(problem.bias, padded(n)), residual = download(problem.residual, count);
    std::vector<float> want(count);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float v = define(&x[static_cast<size_t>(i) * padded(k)], &w[j], padded(n), k);
            v = v + bias[j];
            v = v + residual[static_cast<size_t>(i) * padded(n) + j];
            want[static_cast<size_t>(i) * padded(n) + j] = v > 0 || v != v ? v : 0;
        }
    }
    int wrong = 0, ran = 0;
    for (const Variant &variant : variants) {
        OK(cudaMemset(problem.ys[0], 0xff, count * sizeof(float)));
        if (!variant.launch(problem.product(0, HD_CUDA_RELU, true), 1, variant.parameter, nullptr)) continue;
        OK(cudaDeviceSynchronize());
        std::vector<float> got = download(problem.ys[0], count);
        size_t bad = 0, first = 0;
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                size_t at = static_cast<size_t>(i) * padded(n) + j;
                if (std::memcmp(&got[at], &want[at], sizeof(float)) != 0 && bad++ == 0) first = at;
            }
        }
        ran++;
        if (bad != 0) {
            std::printf("%d x %d x %d %s: %zu of %d elements are wrong, first [%zu, %zu]: %a in place of %a\n", m, n, k,
                        variant.name.c_str(), bad, m * n, first / padded(n), first % padded(n), got[first], want[first]);
            wrong++;
        }
    }
    std::printf("%d x %d x %d: %d kernels, %d wrong\n", m, n, k, ran, wrong);
    free_problem(problem);
    return wrong;
}

/* Microseconds a launch, by replaying a graph of `launches` of them: the best and the median of `repeats`. */
template <class Launch> std::pair<double, double> measure(cudaStream_t stream, int launches, int repeats, Launch launch)
{
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    launch(0);
    OK(cudaStreamSynchronize(stream));
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < launches; i++) launch(i);
    OK(cudaStreamEndCapture(stream, &graph));
    OK(cudaGraphInstantiate(&exec, graph, 0));
    cudaEvent_t begin, end;
    OK(cudaEventCreate(&begin));
    OK(cudaEventCreate(&end));
    std::vector<double> times;
    for (int i = 0; i < repeats + 1; i++) {
        OK(cudaEventRecord(begin, stream));
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaEventRecord(end, stream));
        OK(cudaEventSynchronize(end));
        float ms;
        OK(cudaEventElapsedTime(&ms, begin, end));
        if (i > 0) times.push_back(ms * 1000.0 / launches);
    }
    OK(cudaEventDestroy(begin));
    OK(cudaEventDestroy(end));
    OK(cudaGraphExecDestroy(exec));
    OK(cudaGraphDestroy(graph));
    std::sort(times.begin(), times.end());
    return {times[0], times[times.size() / 2]};
}

void time_one(cublasLtHandle_t lt, cudaStream_t stream, int m, int n, int k, bool verbose)
{
    size_t bytes = (static_cast<size_t>(m) * k + static_cast<size_t>(n) * k + static_cast<size_t>(m) * n) * 4;
    int copies = static_cast<int>(std::max<size_t>(1, std::min<size_t>(8, (256u << 20) / bytes)));
    Problem problem = make(m, n, k, copies);
    double flops = 2.0 * m * n * k;
    int launches = flops > 2e10 ? 4 : 20, repeats = 9;

    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t a, b, c;
    OK(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    OK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    OK(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &problem.bias, sizeof problem.bias));
    OK(cublasLtMatrixLayoutCreate(&a, CUDA_R_32F, n, k, padded(n)));
    OK(cublasLtMatrixLayoutCreate(&b, CUDA_R_32F, k, m, padded(k)));
    OK(cublasLtMatrixLayoutCreate(&c, CUDA_R_32F, n, m, padded(n)));
    cublasLtMatmulPreference_t preference;
    OK(cublasLtMatmulPreferenceCreate(&preference));
    size_t workspace_size = 64u << 20;
    void *workspace;
    OK(cudaMalloc(&workspace, workspace_size));
    OK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_size, sizeof workspace_size));
    cublasLtMatmulHeuristicResult_t results[40];
    int found = 0;
    OK(cublasLtMatmulAlgoGetHeuristic(lt, operation, a, b, c, c, preference, 40, results, &found));
    float one = 1, zero = 0;
    double peer = 1e30, first = 0;
    for (int r = 0; r < found; r++) {
        auto time = measure(stream, launches, repeats, [&](int i) {
            OK(cublasLtMatmul(lt, operation, &one, problem.ws[i % copies], a, problem.xs[i % copies], b, &zero, problem.ys[i % copies], c,
                              problem.ys[i % copies], c, &results[r].algo, workspace, workspace_size, stream));
        });
        peer = std::min(peer, time.second);
        if (r == 0) first = time.second;
    }
    struct Row { double time; std::string name; };
    std::vector<Row> rows;
    for (const Variant &variant : variants) {
        bool narrow = variant.name[0] == 'n', small = variant.name.compare(0, 5, "split") == 0;
        if ((m > 64 && narrow) || (m > 1024 && small) || (m < 16 && !narrow)) continue;
        if (!variant.launch(problem.product(0, HD_CUDA_IDENTITY, false), 1, variant.parameter, stream)) continue;
        auto time = measure(stream, launches, repeats, [&](int i) {
            variant.launch(problem.product(i, HD_CUDA_IDENTITY, false), 1, variant.parameter, stream);
        });
        rows.push_back({time.second, variant.name});
    }
    std::sort(rows.begin(), rows.end(), [](const Row &l, const Row &r) { return l.time < r.time; });
    std::printf("%6d x %5d x %5d  cuBLASLt best %8.2f (heuristic's first %8.2f)  ours %8.2f  ratio %.2f  %5.1f TFLOP/s ", m, n, k, peer, first,
                rows[0].time, peer / rows[0].time, flops / rows[0].time * 1e-6);
    for (size_t i = 0; i < rows.size() && i < (verbose ? rows.size() : 5); i++) std::printf(" %s %.2f", rows[i].name.c_str(), rows[i].time);
    std::printf("\n");
    std::fflush(stdout);
    cublasLtMatmulPreferenceDestroy(preference);
    cublasLtMatrixLayoutDestroy(a), cublasLtMatrixLayoutDestroy(b), cublasLtMatrixLayoutDestroy(c);
    cublasLtMatmulDescDestroy(operation);
    OK(cudaFree(workspace));
    free_problem(problem);
}

} // namespace

int main(int argc, char **argv)
{
    cudaDeviceProp properties;
    OK(cudaGetDeviceProperties(&properties, 0));
    std::printf("%s, %d multiprocessors, cuBLASLt %zu\n", properties.name, properties.multiProcessorCount, cublasLtGetVersion());
    if (argc == 5) { /* M N K NAME: launches a kernel (or, as "peer", cuBLASLt's best) a few times, for a profiler */
        int m = std::atoi(argv[1]), n = std::atoi(argv[2]), k = std::atoi(argv[3]);
        Problem problem = make(m, n, k, 1);
        for (const Variant &variant : variants) {
            for (int i = 0; variant.name == argv[4] && i < 2; i++) variant.launch(problem.product(0, HD_CUDA_IDENTITY, false), 1, variant.parameter, nullptr);
        }
        OK(cudaDeviceSynchronize());
        return 0;
    }
    bool all = argc < 2;
    int wrong = 0;
    if (all || std::strcmp(argv[1], "check") == 0) {
        const int shapes[][3] = {{1, 5, 3}, {3, 64, 128}, {16, 384, 384}, {17, 100, 129}, {31, 68, 257}, {33, 130, 1000}, {65, 257, 384},
                                 {130, 200, 511}, {200, 132, 3072}};
        for (auto &s : shapes) wrong += check(s[0], s[1], s[2]);
        std::printf("%d wrong\n", wrong);
    }
    if (all || std::strcmp(argv[argc - 1], "time") == 0) {
        cublasLtHandle_t lt;
        cudaStream_t stream;
        OK(cublasLtCreate(&lt));
        OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        const int sizes[][2] = {{1536, 384}, {384, 1536}, {3072, 768}, {768, 3072}};
        for (auto &s : sizes) {
            for (int m : {1, 4, 16, 32, 128, 512, 2048, 8192, 32768}) time_one(lt, stream, m, s[0], s[1], m >= 8192);
        }
        time_one(lt, stream, 8192, 8192, 8192, true);
        const int others[][3] = {{16, 256, 512}, {64, 2048, 2048}, {256, 256, 512}, {1024, 1024, 1024}};
        for (auto &s : others) time_one(lt, stream, s[0], s[1], s[2], false);
    }
    return wrong != 0;
}
