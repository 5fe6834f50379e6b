#include "operation/cell.h"

#include <string.h>

typedef struct function_row {
    const char *name;
    hd_cell_function function;
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

static const function_row *row_of_function(hd_cell_function function)
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

hd_status hd_cell_read_activations(const hd_operation *operation, int64_t directions,
                                   hd_cell_activation out[2 * HD_CELL_ACTIVATIONS], hd_error *error)
{
    static const hd_cell_function defaults[] = {HD_CELL_SIGMOID, HD_CELL_TANH, HD_CELL_TANH};
    const size_t count = operation->id == HD_OP_LSTM ? 3 : operation->id == HD_OP_GRU ? 2 : 1;
    const hd_cell_function *otherwise = operation->id == HD_OP_RNN ? defaults + 1 : defaults;
    const hd_attribute *names = hd_operation_attribute(operation, "activations");
    const hd_attribute *alphas = hd_operation_attribute(operation, "activation_alpha");
    const hd_attribute *betas = hd_operation_attribute(operation, "activation_beta");
    const char *text = names != NULL && names->kind == HD_ATTRIBUTE_STRING ? names->s : NULL;
    size_t alphas_used = 0, betas_used = 0;
    for (size_t i = 0; i < count * (size_t)directions; i++) {
        const function_row *row =
            text == NULL ? row_of_function(otherwise[i % count]) : next_row(&text);
        if (row == NULL) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "an activation is missing or unknown");
        }
        out[i / count * HD_CELL_ACTIVATIONS + i % count] = (hd_cell_activation){
            .function = row->function,
            .alpha = next_value(alphas, &alphas_used, row->takes_alpha, row->alpha),
            .beta = next_value(betas, &betas_used, row->takes_beta, row->beta)};
    }
    return HD_OK;
}
