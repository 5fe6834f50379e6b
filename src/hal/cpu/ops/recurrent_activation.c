/* Recurrent: the activation functions that a cell may name. */
#include <math.h>
#include <string.h>

#include "hal/cpu/ops/recurrent.h"
#include "hal/cpu/vector_math.h"

typedef struct function_row {
    const char *name;
    hd_cpu_cell_function function;
    bool takes_alpha, takes_beta;
    float alpha, beta; /* by default */
} function_row;

static const function_row function_rows[] = {
    {"sigmoid", HD_CELL_SIGMOID, false, false, 0.0f, 0.0f},
    {"tanh", HD_CELL_TANH, false, false, 0.0f, 0.0f},
    {"relu", HD_CELL_RELU, false, false, 0.0f, 0.0f},
    {"affine", HD_CELL_AFFINE, true, true, 1.0f, 0.0f},
    {"leakyrelu", HD_CELL_LEAKY_RELU, true, false, 0.01f, 0.0f},
    {"thresholdedrelu", HD_CELL_THRESHOLDED_RELU, true, false, 1.0f, 0.0f},
    {"scaledtanh", HD_CELL_SCALED_TANH, true, true, 1.0f, 1.0f},
    {"hardsigmoid", HD_CELL_HARD_SIGMOID, true, true, 0.2f, 0.5f},
    {"elu", HD_CELL_ELU, true, false, 1.0f, 0.0f},
    {"softsign", HD_CELL_SOFTSIGN, false, false, 0.0f, 0.0f},
    {"softplus", HD_CELL_SOFTPLUS, false, false, 0.0f, 0.0f},
};

static const function_row *row_of_function(hd_cpu_cell_function function)
{
    for (size_t i = 0; i < sizeof function_rows / sizeof function_rows[0]; i++) {
        if (function_rows[i].function == function) {
            return &function_rows[i];
        }
    }
    return NULL;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The row of the next name, whatever its case; *text moves behind it. NULL: unknown, or none left. */
static const function_row *next_row(const char **text)
{
    char name[24];
    size_t length = 0;
    while (**text != '\0' && !is_letter(**text)) {
        (*text)++;
    }
    for (; is_letter(**text); (*text)++) {
        if (length + 1 < sizeof name) {
            name[length++] = (char)(**text | 0x20);
        }
    }
    name[length] = '\0';
    for (size_t i = 0; i < sizeof function_rows / sizeof function_rows[0]; i++) {
        if (strcmp(function_rows[i].name, name) == 0) {
            return &function_rows[i];
        }
    }
    return NULL;
}

/* The next value of a list that is used up in order, or the default. */
static float next_value(const hd_attribute *list, size_t *used, bool takes, float otherwise)
{
    if (!takes || list == NULL || list->kind != HD_ATTRIBUTE_FLOATS || *used >= list->count) {
        return otherwise;
    }
    return list->floats[(*used)++];
}

hd_status hd_cpu_cell_read_activations(const hd_operation *operation, int64_t directions,
                                       const hd_cpu_cell_function *defaults, size_t count,
                                       hd_cpu_cell_activation *out, hd_error *error)
{
    const hd_attribute *names = hd_operation_attribute(operation, "activations");
    const hd_attribute *alphas = hd_operation_attribute(operation, "activation_alpha");
    const hd_attribute *betas = hd_operation_attribute(operation, "activation_beta");
    const char *text = names != NULL && names->kind == HD_ATTRIBUTE_STRING ? names->s : NULL;
    size_t alphas_used = 0, betas_used = 0;
    for (size_t i = 0; i < count * (size_t)directions; i++) {
        const function_row *row =
            text == NULL ? row_of_function(defaults[i % count]) : next_row(&text);
        if (row == NULL) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "an activation is missing or unknown");
        }
        out[i].function = row->function;
        out[i].alpha = next_value(alphas, &alphas_used, row->takes_alpha, row->alpha);
        out[i].beta = next_value(betas, &betas_used, row->takes_beta, row->beta);
    }
    return HD_OK;
}

void hd_cpu_cell_activate(const hd_cpu_cell_activation *activation, float *x, int64_t count)
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
