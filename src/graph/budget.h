/* Budget: what one run may take where the options say nothing, so that a file of a few bytes cannot ask for hours
 * or for all memory (BOUND). It grows with what the caller brought, b bytes of constants and inputs: real
 * models use each weight at most once a position of their inputs, and so stay far below b² steps.
 *
 * Thread-safety: plain values. */
#ifndef HD_GRAPH_BUDGET_H
#define HD_GRAPH_BUDGET_H

#include "heddle/model.h"

typedef struct hd_budget {
    double work;     /* steps of about a nanosecond of one core (work.h) */
    uint64_t memory; /* bytes of a run's arena, scratch and outputs */
    uint64_t plans;  /* bytes of its plans, and of what making them takes */
} hd_budget;

/* For runs that bring this many bytes. */
hd_budget hd_budget_of(const hd_model_options *options, uint64_t brought);

#define HD_BUDGET_LOAD_A_BYTE 512

/* What loading a model may take at a time, before anything is read. */
uint64_t hd_budget_of_load(const hd_model_options *options);
/* So many bytes of a file, or of a graph's constants, are loaded: that allows the load of this thread more. */
void hd_budget_bring(uint64_t bytes);

#endif
