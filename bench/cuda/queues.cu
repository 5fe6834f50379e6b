/* usage: queues SECONDS
 * The kernel of `heddle bench queues`, v = sin(v) cos(v) + v ten times over on 65,536 floats, out of a bare CUDA program: threads launch it into
 * one stream that all share, or into one each, and wait for each launch, or keep some in flight. A line a point: queues, in flight (0: each is
 * waited for), threads, operations a second. */
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

static void check(cudaError_t result)
{
    if (result != cudaSuccess) {
        fprintf(stderr, "%s\n", cudaGetErrorString(result));
        exit(1);
    }
}

constexpr int ELEMENTS = 65536, ITERATIONS = 10, THREADS = 256;

__global__ void work(const float *x, float *y)
{
    int i = blockIdx.x * THREADS + threadIdx.x;
    float v = x[i];
    for (int k = 0; k < ITERATIONS; k++) {
        v = sinf(v) * cosf(v) + v;
    }
    y[i] = v;
}

struct Thread {
    cudaStream_t stream;
    std::vector<cudaEvent_t> events; /* of launches in flight, a ring */
    float *x, *y;
    long done = 0;
};

static void run(Thread &self, int in_flight, double seconds)
{
    size_t places = in_flight == 0 ? 1 : in_flight;
    auto begin = std::chrono::steady_clock::now();
    auto until = begin + std::chrono::duration<double>(seconds);
    for (long n = 0; n < 50 || std::chrono::steady_clock::now() < until; n++) {
        cudaEvent_t event = self.events[n % places];
        if (n >= (long)places) {
            check(cudaEventSynchronize(event));
        }
        work<<<ELEMENTS / THREADS, THREADS, 0, self.stream>>>(self.x, self.y);
        check(cudaEventRecord(event, self.stream));
        if (in_flight == 0) {
            check(cudaEventSynchronize(event));
        }
        self.done++;
    }
    for (cudaEvent_t event : self.events) {
        check(cudaEventSynchronize(event));
    }
}

static void point(bool shared, int in_flight, int threads, double seconds)
{
    std::vector<Thread> all(threads);
    for (int i = 0; i < threads; i++) {
        Thread &own = all[i];
        if (shared && i > 0) {
            own.stream = all[0].stream;
        } else {
            check(cudaStreamCreateWithFlags(&own.stream, cudaStreamNonBlocking));
        }
        own.events.resize(in_flight == 0 ? 1 : in_flight);
        for (cudaEvent_t &event : own.events) {
            check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
        }
        check(cudaMalloc(&own.x, ELEMENTS * sizeof(float)));
        check(cudaMalloc(&own.y, ELEMENTS * sizeof(float)));
        check(cudaMemset(own.x, 0x3f, ELEMENTS * sizeof(float)));
    }
    std::atomic<int> ready{0};
    std::vector<std::thread> running;
    auto begin = std::chrono::steady_clock::now();
    for (Thread &own : all) {
        running.emplace_back([&] {
            ready++;
            while (ready < threads) {
            }
            if (&own == &all[0]) {
                begin = std::chrono::steady_clock::now();
            }
            run(own, in_flight, seconds);
        });
    }
    long done = 0;
    for (std::thread &thread : running) {
        thread.join();
    }
    double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    for (int i = 0; i < threads; i++) {
        done += all[i].done;
        for (cudaEvent_t event : all[i].events) {
            check(cudaEventDestroy(event));
        }
        check(cudaFree(all[i].x));
        check(cudaFree(all[i].y));
        if (!shared || i == 0) {
            check(cudaStreamDestroy(all[i].stream));
        }
    }
    printf("%s %d %d %.0f\n", shared ? "shared" : "per-thread", in_flight, threads, done / took);
    fflush(stdout);
}

int main(int count, char **values)
{
    double seconds = count > 1 ? atof(values[1]) : 0.3;
    for (int shared = 1; shared >= 0; shared--) {
        for (int in_flight : {0, 8}) {
            for (int threads : {1, 2, 4, 8, 16}) {
                point(shared, in_flight, threads, seconds);
            }
        }
    }
    for (int depth : {1, 2, 4, 16, 32}) {
        point(false, depth, 1, seconds);
    }
    for (int depth : {1, 2, 4}) {
        point(false, depth, 8, seconds);
    }
    return 0;
}
