/* Binding: which input or output of a model each of the caller's tensors means, and whether it fits.
 *
 * Thread-safety: any thread; a model is immutable. */
#ifndef HD_GRAPH_BINDING_H
#define HD_GRAPH_BINDING_H

#include "graph/model.h"

/* Finds and checks the tensor of each model input, the initial one where none is given. found: one a model input, all NULL before.
 * HD_INVALID_ARGUMENT, HD_NOT_FOUND: the sentence names the input. */
HD_MUST_CHECK hd_status hd_bind_inputs(const hd_model *model, const hd_tensor *inputs, size_t count,
                                       const hd_tensor **found, hd_error *error);

/* Finds the tensor of each model output that is wanted. found: one a model output, all NULL before. Type
 * and size are known only when the model has run. HD_INVALID_ARGUMENT, HD_NOT_FOUND. */
HD_MUST_CHECK hd_status hd_bind_outputs(const hd_model *model, hd_tensor *outputs, size_t count,
                                        hd_tensor **found, hd_error *error);

/* Whether `tensor` has room for `size` bytes of output `index`, shape and type as given; HD_OK also when it
 * has no memory yet. HD_INVALID_ARGUMENT. */
HD_MUST_CHECK hd_status hd_bind_check_room(const hd_model *model, size_t index,
                                           const hd_tensor *tensor, hd_dtype dtype,
                                           const hd_shape *shape, size_t size, hd_error *error);

#endif
