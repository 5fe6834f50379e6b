/* Cell: the activation functions of one LSTM, GRU or RNN. Thread-safety: works on its arguments only. */
#ifndef HD_OPERATION_CELL_H
#define HD_OPERATION_CELL_H

#include "operation/operation.h"

/* Functions of one direction, at most. */
#define HD_CELL_ACTIVATIONS 3

typedef enum hd_cell_function {
    HD_CELL_SIGMOID,
    HD_CELL_TANH,
    HD_CELL_RELU,
    HD_CELL_AFFINE,
    HD_CELL_LEAKY_RELU,
    HD_CELL_THRESHOLDED_RELU,
    HD_CELL_SCALED_TANH,
    HD_CELL_HARD_SIGMOID,
    HD_CELL_ELU,
    HD_CELL_SOFTSIGN,
    HD_CELL_SOFTPLUS
} hd_cell_function;

typedef struct hd_cell_activation {
    hd_cell_function function;
    float alpha;
    float beta;
} hd_cell_activation;

/* Reads the attributes activations, activation_alpha and activation_beta: those of direction d are from out[3 * d] on, in the
 * operator's order. The names are one text, separated by anything but letters. HD_BAD_MODEL. */
HD_MUST_CHECK hd_status hd_cell_read_activations(const hd_operation *operation, int64_t directions,
                                                 hd_cell_activation out[2 * HD_CELL_ACTIVATIONS],
                                                 hd_error *error);

#endif
