/* Det: determinants of square matrices, by elimination with partial pivoting in double
 * precision. */
#include <math.h>

#include "base/stop.h"
#include "hal/cpu/ops/matrix.h"

typedef struct determinant {
    bool single; /* float32; else float64 */
    int64_t size;
    int64_t count;
    int64_t tile_count;
} determinant;

static double eliminate(double *a, int64_t size)
{
    double product = 1.0;
    for (int64_t k = 0; k < size && !hd_stop_ends_every(k, 4); k++) {
        int64_t pivot = k;
        for (int64_t row = k + 1; row < size; row++) {
            pivot = fabs(a[row * size + k]) > fabs(a[pivot * size + k]) ? row : pivot;
        }
        if (a[pivot * size + k] == 0.0) {
            return 0.0;
        }
        for (int64_t column = k; pivot != k && column < size; column++) {
            double other = a[pivot * size + column];
            a[pivot * size + column] = a[k * size + column];
            a[k * size + column] = other;
        }
        product = pivot != k ? -product : product;
        product *= a[k * size + k];
        for (int64_t row = k + 1; row < size && !hd_stop_ends_every(row, 64); row++) {
            double factor = a[row * size + k] / a[k * size + k];
            for (int64_t column = k + 1; column < size; column++) {
                a[row * size + column] -= factor * a[k * size + column];
            }
        }
    }
    return product;
}

static void run_determinant(const void *parameters, void *const *buffers, int64_t begin,
                            int64_t end, void *scratch)
{
    const determinant *p = parameters;
    double *a = scratch;
    int64_t elements = p->size * p->size;
    int64_t last = hd_cpu_tile_begin(p->count, p->tile_count, end);
    for (int64_t i = hd_cpu_tile_begin(p->count, p->tile_count, begin); i < last; i++) {
        for (int64_t j = 0; j < elements && !hd_stop_ends(j); j++) {
            a[j] = p->single ? (double)((const float *)buffers[0])[i * elements + j]
                             : ((const double *)buffers[0])[i * elements + j];
        }
        double value = eliminate(a, p->size);
        if (p->single) {
            ((float *)buffers[1])[i] = (float)value;
        } else {
            ((double *)buffers[1])[i] = value;
        }
    }
}

hd_status hd_cpu_compile_det(hd_cpu_compilation *compilation)
{
    const hd_operation *operation = compilation->operation;
    hd_dtype dtype = operation->inputs[0].dtype;
    const hd_shape *shape = &operation->inputs[0].shape;
    if (dtype != HD_FLOAT32 && dtype != HD_FLOAT64) {
        return hd_operation_fail(operation, compilation->error, HD_UNSUPPORTED, "%s has no kernel",
                                 hd_dtype_name(dtype));
    }
    determinant *p = hd_cpu_parameters(compilation, sizeof *p);
    if (p == NULL) {
        return hd_cpu_out_of_memory(compilation);
    }
    p->single = dtype == HD_FLOAT32;
    p->size = shape->dims[shape->rank - 1];
    p->count = hd_shape_count_range(shape, 0, shape->rank - 2);
    double work = (double)p->size * (double)p->size * (double)p->size;
    p->tile_count = hd_cpu_tile_count(p->count, work < 1e9 ? (int64_t)work : 1000000000);
    compilation->kernel.tile_count = p->tile_count;
    compilation->kernel.scratch_size = (size_t)(p->size * p->size) * sizeof(double);
    compilation->kernel.run = run_determinant;
    return HD_OK;
}
