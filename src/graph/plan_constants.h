/* Constants in the device's own memory: those of a model that are kept as they are, copied when it is loaded, and what
 * a plan folded, in one block when it is made. Where the device is the host there are none: steps read them where they
 * are.
 *
 * Thread-safety: what is made is immutable; one thread at a time makes and drops it. */
#ifndef HD_GRAPH_PLAN_CONSTANTS_H
#define HD_GRAPH_PLAN_CONSTANTS_H

#include "graph/plan.h"

struct hd_model;
struct hd_planner;

/* A constant of the model and its copy. */
typedef struct hd_device_constant {
    const unsigned char *host;
    size_t size; /* bytes */
    unsigned char *copy;
} hd_device_constant;

/* Copies the model's constants to its device and adds their bytes to *size. HD_OUT_OF_MEMORY, HD_LOST; what was copied
 * is dropped with the model. */
HD_MUST_CHECK hd_status hd_model_copy_constants(struct hd_model *model, size_t *size, hd_error *error);
void hd_model_drop_constants(struct hd_model *model);

/* Has the device's steps of a plan, whose references are listed, read constants from the device's memory.
 * HD_OUT_OF_MEMORY, HD_LOST. */
HD_MUST_CHECK hd_status hd_plan_copy_constants(const struct hd_planner *planner, hd_plan *plan);

#endif
