/* ONNX: files of that format become graphs (onnx.ai, "Open Neural Network Exchange IR").
 *
 * Opsets 6 to 28 (IR versions to 14) of the default domain; functions of the model are expanded where they are
 * called. Unused nodes and weights are dropped. Peak memory is the weights once, and what the
 * names, nodes and attributes take. Nothing of the file, no mapping and no descriptor, outlives
 * a call.
 *
 * Thread-safety: any thread, all functions at once. */
#ifndef HD_ONNX_ONNX_H
#define HD_ONNX_ONNX_H

#include "heddle/graph.h"

/* Names of initializers that become inputs, as hd_model_options says. */
typedef struct hd_onnx_overrides {
    const char *const *names;
    size_t count;
} hd_onnx_overrides;

/* Loads a file; external data is read from its folder. overrides: NULL for none. On success *out_graph
 * is the caller's; on failure NULL. May block on the file.
 * HD_NOT_FOUND, HD_IO, HD_BAD_MODEL, HD_UNSUPPORTED (names node and operator), HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_onnx_load_file_with(const char *path, const hd_onnx_overrides *overrides,
                                               hd_graph **out_graph, hd_error *error);

/* The same from `size` bytes of memory. base_directory: the folder of external data; NULL: a model
 * that has any is refused. */
HD_MUST_CHECK hd_status hd_onnx_load_memory_with(const void *data, size_t size,
                                                 const char *base_directory,
                                                 const hd_onnx_overrides *overrides,
                                                 hd_graph **out_graph, hd_error *error);

HD_MUST_CHECK static inline hd_status hd_onnx_load_file(const char *path, hd_graph **out_graph,
                                                        hd_error *error)
{
    return hd_onnx_load_file_with(path, NULL, out_graph, error);
}

HD_MUST_CHECK static inline hd_status hd_onnx_load_memory(const void *data, size_t size,
                                                          const char *base_directory,
                                                          hd_graph **out_graph, hd_error *error)
{
    return hd_onnx_load_memory_with(data, size, base_directory, NULL, out_graph, error);
}

#endif
