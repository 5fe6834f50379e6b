/* Shared by the three programs of the GPU spike: checked calls, a clock, and medians with their
 * spread. */
#ifndef HEDDLE_SPIKE_H
#define HEDDLE_SPIKE_H
#include <cuda.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(call) spike_check((call), #call, __FILE__, __LINE__)

static inline const char *error_name(CUresult result)
{
    const char *name = "?";
    cuGetErrorName(result, &name);
    return name + (strncmp(name, "CUDA_", 5) == 0 ? 5 : 0);
}

static inline void spike_check(CUresult result, const char *call, const char *file, int line)
{
    if (result == CUDA_SUCCESS)
        return;
    printf("FAILED %s:%d %s -> %s\n", file, line, call, error_name(result));
    exit(1);
}

static inline double clock_us(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}
static inline double now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

static inline int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints "median [10 % .. 90 %]"; sorts its argument. */
static inline void print_spread(const char *label, double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_double);
    printf("  %s %.2f [%.2f..%.2f]", label, values[count / 2], values[count / 10],
           values[count - 1 - count / 10]);
}

static inline CUfunction load_function(CUmodule module, const char *name)
{
    CUfunction function;
    CHECK(cuModuleGetFunction(&function, module, name));
    return function;
}

static inline CUmodule load_module(void)
{
    CUmodule module;
    CHECK(cuModuleLoad(&module, "kernels.cubin"));
    return module;
}

static inline CUresult launch(CUfunction f, CUstream stream, unsigned blocks, unsigned threads,
                              void **arguments)
{
    return cuLaunchKernel(f, blocks, 1, 1, threads, 1, 1, 0, stream, arguments, NULL);
}
#endif
