/* peak [THREADS [SECONDS]]: how many float32 operations a second the cores do at most, as fused multiply-adds
 * on registers alone (an addition and a multiplication count as two). Products cannot be faster, so it says
 * what is left to gain where a run is little else. */
#include <immintrin.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* independent, so that none waits for the one before: latency × units is at most 10 */
#define CHAINS  16
#define STEPS   100000
#define THREADS 256

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    double seconds;
    double rate;
} worker;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The compiler may not take the chains apart, join them or move them out of registers. */
#define KEEP(value) __asm__ volatile("" : "+v"(value))

__attribute__((target("avx512f"))) static int chains_avx512(void)
{
    __m512 sum[CHAINS], factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(1.0f);
#pragma GCC unroll 16
    for (int c = 0; c < CHAINS; c++) {
        sum[c] = _mm512_set1_ps((float)c);
    }
    for (int i = 0; i < STEPS; i++) {
#pragma GCC unroll 16
        for (int c = 0; c < CHAINS; c++) {
            sum[c] = _mm512_fmadd_ps(sum[c], factor, term);
            KEEP(sum[c]);
        }
    }
    return 16;
}

__attribute__((target("avx2,fma"))) static int chains_avx2(void)
{
    __m256 sum[12], factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(1.0f);
#pragma GCC unroll 12
    for (int c = 0; c < 12; c++) {
        sum[c] = _mm256_set1_ps((float)c);
    }
    for (int i = 0; i < STEPS; i++) {
#pragma GCC unroll 12
        for (int c = 0; c < 12; c++) {
            sum[c] = _mm256_fmadd_ps(sum[c], factor, term);
            KEEP(sum[c]);
        }
    }
    return 6; /* 12 chains of 8 floats: as many as 16 of 6 */
}

static void *measure(void *context)
{
    worker *self = context;
    int (*chains)(void) = __builtin_cpu_supports("avx512f") ? chains_avx512 : chains_avx2;
    double operations = 0, begin, end;
    (void)chains(); /* the clock and the wide units wake up */
    pthread_barrier_wait(self->barrier);
    begin = now();
    do {
        operations += 2.0 * CHAINS * STEPS * chains();
        end = now();
    } while (end - begin < self->seconds);
    self->rate = operations / (end - begin);
    return NULL;
}

int main(int argc, char **argv)
{
    static worker workers[THREADS];
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1, rate = 0;
    pthread_barrier_t barrier;
    if (count < 1 || count > THREADS || !(seconds > 0) || !__builtin_cpu_supports("avx2") ||
        !__builtin_cpu_supports("fma") ||
        pthread_barrier_init(&barrier, NULL, (unsigned)count) != 0) {
        fprintf(stderr, "usage: peak [THREADS [SECONDS]], on a processor with AVX2 and FMA\n");
        return 2;
    }
    for (long i = 0; i < count; i++) {
        workers[i] = (worker){.barrier = &barrier, .seconds = seconds};
        if (pthread_create(&workers[i].thread, NULL, measure, &workers[i]) != 0) {
            fprintf(stderr, "peak: no thread\n");
            return 1;
        }
    }
    for (long i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        rate += workers[i].rate;
    }
    printf("%.1f GFLOP/s on %ld threads\n", rate * 1e-9, count);
    return 0;
}
