/* Work of the stress program that goes on without its caller, and what that shares with the rest, stress.c.
 *
 * Thread-safety: any thread, everything. */
#ifndef HD_TEST_STRESS_LATER_H
#define HD_TEST_STRESS_LATER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heddle/heddle.h"

#define DEVICES     3
#define MODELS      6
#define KINDS       3
#define CHAIN_KINDS 2 /* the first two give what they can take */
#define ROW_LIMIT   8
#define WIDTH       16 /* times SCALE */

/* A device and the number of threads and models here that hold it. */
typedef struct shared_device {
    hd_device *device;
    atomic_int holders;
    atomic_bool shut_down;
} shared_device;

typedef struct shared_model {
    hd_model *model;
    hd_batch *batch; /* of the model; NULL: none */
    shared_device *on;
    size_t kind;
    atomic_int holders;
} shared_model;

extern size_t width;
extern float *inputs;                                        /* ROW_LIMIT rows */
extern hd_tensor expected[KINDS][ROW_LIMIT + 1];             /* by kind and rows */
extern hd_tensor expected_twice[CHAIN_KINDS][ROW_LIMIT + 1]; /* of the output, run again */
extern atomic_ullong runs, closed_runs, made, shutdowns, later_runs, cancelled, late, chains;

void complain(const char *what, const hd_error *error);
uint64_t draw(uint64_t *state);
hd_tensor rows_of(void *memory, size_t rows);
bool has_bits(const hd_tensor *output, const hd_tensor *wanted);

/* Whether a call that may find its device shut down, or a queue full, went well. */
bool went_well(const char *what, hd_status status, const shared_model *held, const hd_error *error);

/* A model of the table, NULL: there is none in that place now. */
shared_model *hold_model(size_t index);
void release_model(shared_model *held);

/* One run through a stream or a batch, waited for, cancelled or left alone. */
void run_some_model_later(uint64_t *state);
/* Two runs on two streams, in the order that an event makes. */
void chain_some_model(uint64_t *state);

#endif
