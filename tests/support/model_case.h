/* Model case: runs a model through the public interface on inputs that lie in a folder, input_0.pb and
 * so on, and compares what it gives with output_0.pb and so on.
 *
 * Thread-safety: any thread, on texts of its own. */
#ifndef HD_TEST_MODEL_CASE_H
#define HD_TEST_MODEL_CASE_H

#include <stdbool.h>

#include "heddle/heddle.h"

#define MODEL_CASE_TEXT_SIZE 512

/* A float is right within absolute + relative · |expected| + of_peak · the largest |expected| that is
 * finite; NaN equals NaN. Other elements are right when they are equal. */
typedef struct model_tolerance {
    double relative;
    double absolute;
    double of_peak;
} model_tolerance;

/* Prints into a text that says why a case failed. */
void model_case_say(char reason[MODEL_CASE_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True when `got` has the type, the shape and the elements of `expected`; else the reason is filled.
 * output: its number, for the reason. */
bool model_case_compare(const hd_tensor *got, const hd_tensor *expected,
                        const model_tolerance *tolerance, size_t output,
                        char reason[MODEL_CASE_TEXT_SIZE]);

/* Runs the model on the inputs in `folder`, and compares; false with the reason filled. */
bool model_case_run(hd_model *model, const char *folder, const model_tolerance *tolerance,
                    char reason[MODEL_CASE_TEXT_SIZE]);

/* Loads FOLDER/model.onnx and does the same with it. */
bool model_case_load_and_run(hd_device *device, const char *folder, const model_tolerance *tolerance,
                             char reason[MODEL_CASE_TEXT_SIZE]);

#endif
