/* External: the files beside a model in which large models keep their weights (onnx.ai,
 * "External data"). A model must not reach any other file, so a location is relative, has no
 * "..", and leads through symbolic links only where the file that it ends at lies below the
 * model's folder, or below the folder of the file that the model's own path ends at: Hugging Face's
 * cache has links to model and weights, which are beside each other elsewhere.
 *
 * Thread-safety: one thread at a time. */
#ifndef HD_ONNX_EXTERNAL_H
#define HD_ONNX_EXTERNAL_H

#include "onnx/source.h"

/* Opens `location` below the folder that the descriptor `folder` stands for; `model` is the open
 * model, or -1 where it is no file. The source's file is closed by hd_onnx_external_close. HD_BAD_MODEL: a location that is not allowed.
 * HD_NOT_FOUND, HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_external_open(int folder, int model, const char *location,
                                              hd_onnx_source *out_source, hd_error *error);
void hd_onnx_external_close(hd_onnx_source *source);

/* Opens a regular file by the caller's own path. HD_NOT_FOUND, HD_IO. */
HD_MUST_CHECK hd_status hd_onnx_file_open(const char *path, hd_onnx_source *out_source,
                                          hd_error *error);

#endif
