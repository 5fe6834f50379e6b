/* Recurrent: the activation functions of a cell. */
#include <math.h>
#include <string.h>

#include "hal/cpu/ops/recurrent.h"
#include "hal/cpu/vector_math.h"

void hd_cpu_cell_activate(const hd_cell_activation *activation, float *x, int64_t count)
{
    float alpha = activation->alpha, beta = activation->beta;
    size_t n = (size_t)count;
    switch (activation->function) {
    case HD_CELL_SIGMOID:
        hd_cpu_vector_sigmoid(x, x, n);
        return;
    case HD_CELL_TANH:
        hd_cpu_vector_tanh(x, x, n);
        return;
    case HD_CELL_RELU:
        hd_cpu_vector_relu(x, x, n);
        return;
    case HD_CELL_LEAKY_RELU:
        hd_cpu_vector_leaky_relu(x, x, n, alpha, beta);
        return;
    case HD_CELL_THRESHOLDED_RELU:
        hd_cpu_vector_thresholded_relu(x, x, n, alpha, beta);
        return;
    case HD_CELL_HARD_SIGMOID:
        hd_cpu_vector_hard_sigmoid(x, x, n, alpha, beta);
        return;
    case HD_CELL_ELU:
        hd_cpu_vector_elu(x, x, n, alpha, beta);
        return;
    case HD_CELL_SOFTPLUS:
        hd_cpu_vector_softplus(x, x, n);
        return;
    case HD_CELL_AFFINE:
        for (size_t i = 0; i < n; i++) {
            x[i] = alpha * x[i] + beta;
        }
        return;
    case HD_CELL_SCALED_TANH:
        for (size_t i = 0; i < n; i++) {
            x[i] = beta * x[i];
        }
        hd_cpu_vector_tanh(x, x, n);
        for (size_t i = 0; i < n; i++) {
            x[i] = alpha * x[i];
        }
        return;
    case HD_CELL_SOFTSIGN:
        for (size_t i = 0; i < n; i++) {
            x[i] = x[i] / (1.0f + fabsf(x[i]));
        }
        return;
    }
}
