/* Recurrent: what one LSTM, GRU or RNN is made of, and the steps of its cells. */
#ifndef HD_HAL_CPU_OPS_RECURRENT_H
#define HD_HAL_CPU_OPS_RECURRENT_H

#include "hal/cpu/kernel.h"
#include "hal/cpu/ops/rows.h"
#include "operation/cell.h"

/* x = activation(x) */
void hd_cpu_cell_activate(const hd_cell_activation *activation, float *x, int64_t count);

/* Entries of the batch that are computed side by side, by one tile. */
#define HD_RECURRENT_GROUP 8

typedef struct hd_cpu_recurrent hd_cpu_recurrent;

/* The weights of one direction, and the state of one group of batch entries; entry i's state begins at
 * i · hidden. */
typedef struct hd_cpu_recurrent_state {
    const hd_cpu_rows *rows;
    const float *r;
    const float *bias;      /* or NULL */
    const float *peepholes; /* or NULL */
    const hd_cell_activation *activations;
    int64_t entries;
    const bool *alive; /* entries that have a step left */
    float *h;
    float *c;
    float *extra; /* hidden elements an entry, for the cell's own use */
} hd_cpu_recurrent_state;

/* rows->product, cut into pieces of some tens of microseconds; between them it asks whether to end. */
void hd_cpu_recurrent_product(const hd_cpu_rows *rows, float *c, int64_t c_step, const float *a,
                              int64_t a_step, const float *b, int64_t m, int64_t k, int64_t n);

/* One step: gates (entry i's begin at i · gates · hidden) hold bias and x's part; h and c are updated
 * for the entries that are alive. */
typedef void hd_cpu_recurrent_step(const hd_cpu_recurrent *p, const hd_cpu_recurrent_state *state,
                                   float *gates);

struct hd_cpu_recurrent {
    int64_t steps, batch, inputs, hidden, directions, gates, groups;
    int64_t chunk;             /* time steps whose products with W are computed together */
    bool batch_first, reverse; /* reverse: the first direction goes backwards */
    bool linear_before_reset, input_forget;
    float clip; /* 0: none */
    hd_cpu_recurrent_step *step;
    hd_cell_activation activations[6];
    size_t input_count, output_count;
    int64_t tiles;
};

hd_cpu_recurrent_step hd_cpu_lstm_step;
hd_cpu_recurrent_step hd_cpu_gru_step;
hd_cpu_recurrent_step hd_cpu_rnn_step;

#endif
