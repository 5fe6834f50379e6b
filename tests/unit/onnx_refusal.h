/* Refusal: a file that must be refused, and what must be said about it. */
#ifndef HD_TEST_ONNX_REFUSAL_H
#define HD_TEST_ONNX_REFUSAL_H

#include <string.h>

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx_bytes.h"

/* Loads a model that must be refused with this status and with each of the words, separated by
 * '|', in the message. Frees the model. */
static inline void refuses(bytes model, hd_status expected, const char *words)
{
    hd_graph *graph = NULL;
    hd_error error = {0};
    hd_status status = hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error);
    free(model.data);
    assert_null(graph);
    if (status != expected) {
        print_error("%s: %s\n", hd_status_name(status), error.message);
    }
    assert_int_equal(status, expected);
    assert_int_equal(error.status, expected);
    while (*words != '\0') {
        char word[64] = {0};
        size_t length = strcspn(words, "|");
        memcpy(word, words, length);
        words += length + (words[length] == '|');
        if (strstr(error.message, word) == NULL) {
            print_error("'%s' is not in: %s\n", word, error.message);
        }
        assert_non_null(strstr(error.message, word));
    }
}

#endif
