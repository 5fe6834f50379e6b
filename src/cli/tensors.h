/* Tensors: the inputs of a run, from files or made up, and what a run's results are compared by.
 *
 * Thread-safety: one thread at a time; once made, inputs are read by any number of threads. */
#ifndef HEDDLE_CLI_TENSORS_H
#define HEDDLE_CLI_TENSORS_H

#include "cli/arguments.h"
#include "heddle/model.h"

typedef struct hd_tensor_list {
    hd_tensor *tensors;
    bool *of_library; /* `data` goes back through hd_tensor_release, else through free */
    size_t count;
} hd_tensor_list;

/* A tensor for each input of the model, by position: from the files of --input, and, if `fill`,
 * made up for the others, of the shapes in --shape. The list is to be freed also after a
 * failure. */
hd_exit_code hd_tensor_list_load(const hd_arguments *given, const hd_model *model, bool fill,
                                 hd_tensor_list *out_list);
void hd_tensor_list_free(hd_tensor_list *list);

/* `count` empty outputs, which the library fills and hd_tensors_release gives back. NULL: no
 * memory. */
hd_tensor *hd_tensors_allocate(size_t count);
void hd_tensors_release(hd_tensor **tensors, size_t count);

/* Reads the value of a --shape, "1x128", into the tensor's rank and dims. A sentence on failure. */
hd_exit_code hd_tensor_parse_shape(hd_named_value shape, hd_tensor *tensor);

/* The number of elements. */
size_t hd_tensor_element_count(const hd_tensor *tensor);

/* Equal type, shape and bits. Otherwise *out_element is the first element that differs, or SIZE_MAX
 * when types or shapes do. */
bool hd_tensor_equals(const hd_tensor *a, const hd_tensor *b, size_t *out_element);

/* Writes "float32 1x128" to text. */
void hd_tensor_describe(const hd_tensor *tensor, char *text, size_t size);

/* Allocates `data` for the tensor's type and shape and fills it: floats from a normal distribution
 * of this seed, all others with 1. False: no memory. */
bool hd_tensor_fill(hd_tensor *tensor, uint64_t seed);

#endif
