/* Guess: what a file that cannot be read as ONNX probably is, by how it begins.
 *
 * Thread-safety: any thread. */
#ifndef HD_ONNX_GUESS_H
#define HD_ONNX_GUESS_H

#include "onnx/source.h"

/* "is empty" or "looks like an HTML page", for instance; NULL: nothing that is known here, or it could not be read. */
const char *hd_onnx_guess(const hd_onnx_source *source);

#endif
