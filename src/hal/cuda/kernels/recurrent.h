/* The parameters of the recurrent cells; see recurrent.cu. Counts are in elements; all fit 31 bits. */
#ifndef HD_HAL_CUDA_KERNELS_RECURRENT_H
#define HD_HAL_CUDA_KERNELS_RECURRENT_H

#define HD_CUDA_CELL_BLOCK 512

enum { HD_CUDA_CELL_LSTM, HD_CUDA_CELL_GRU, HD_CUDA_CELL_RNN };

/* As hd_cell_function (operation/cell.h) numbers them. */
enum {
    HD_CUDA_CELL_SIGMOID,
    HD_CUDA_CELL_TANH,
    HD_CUDA_CELL_RELU,
    HD_CUDA_CELL_AFFINE,
    HD_CUDA_CELL_LEAKY_RELU,
    HD_CUDA_CELL_THRESHOLDED_RELU,
    HD_CUDA_CELL_SCALED_TANH,
    HD_CUDA_CELL_HARD_SIGMOID,
    HD_CUDA_CELL_ELU,
    HD_CUDA_CELL_SOFTSIGN,
    HD_CUDA_CELL_SOFTPLUS
};

typedef struct hd_cuda_cell_activation {
    int function;
    float alpha, beta;
} hd_cuda_cell_activation;

/* Weights, states and outputs as ONNX's operators have them; NULL where one is left out. The block's dynamic shared memory holds
 * (3 + gates) * hidden floats. */
typedef struct hd_cuda_recurrent {
    const float
        *products; /* of x and all directions' W: [rows of x, directions * gates * hidden] */
    const float *r, *bias, *peepholes, *h, *c;
    const int *lengths;
    float *y, *y_h, *y_c;
    int kind, steps, batch, hidden, directions, gates;
    int is_batch_first, is_reverse; /* is_reverse: the first direction goes backwards */
    int is_linear_before_reset, is_input_forget;
    float clip;                             /* 0: none */
    hd_cuda_cell_activation activations[6]; /* three a direction */
} hd_cuda_recurrent;

#endif
