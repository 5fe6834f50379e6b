#include "hal/cpu/activation.h"

#include "hal/cpu/vector_math.h"

void hd_cpu_activation_apply(const hd_activation *activation, float *x, size_t n)
{
    const hd_cpu_vector_functions *functions = hd_cpu_vector_functions_get();
    float alpha = activation->alpha, beta = activation->beta;
    switch (activation->kind) {
    case HD_ACTIVATION_NONE:
        break;
    case HD_ACTIVATION_RELU:
        functions->relu(x, x, n);
        break;
    case HD_ACTIVATION_GELU:
        functions->gelu(x, x, n);
        break;
    case HD_ACTIVATION_GELU_TANH:
        functions->gelu_tanh(x, x, n);
        break;
    case HD_ACTIVATION_TANH:
        functions->tanh(x, x, n);
        break;
    case HD_ACTIVATION_SIGMOID:
        functions->sigmoid(x, x, n);
        break;
    case HD_ACTIVATION_SILU:
        functions->silu(x, x, n);
        break;
    case HD_ACTIVATION_CLIP:
        functions->clip(x, x, n, alpha, beta);
        break;
    case HD_ACTIVATION_LEAKY_RELU:
        functions->leaky_relu(x, x, n, alpha, beta);
        break;
    case HD_ACTIVATION_HARD_SIGMOID:
        functions->hard_sigmoid(x, x, n, alpha, beta);
        break;
    case HD_ACTIVATION_HARD_SWISH:
        functions->hard_swish(x, x, n, alpha, beta);
        break;
    }
    if (activation->scales) {
        for (size_t i = 0; i < n; i++) {
            x[i] = x[i] * activation->scale + activation->shift;
        }
    }
}
