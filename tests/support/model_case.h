/* Model case: runs a model through the public interface and compares what it gives with what is
 * expected.
 *
 * Thread-safety: any thread, on texts of its own. */
#ifndef HD_TEST_MODEL_CASE_H
#define HD_TEST_MODEL_CASE_H

#include <stdbool.h>

#include "heddle/heddle.h"

#define MODEL_CASE_TEXT_SIZE     512
#define MODEL_CASE_OPERAND_LIMIT 64

/* A float is right within absolute + relative · |expected| + of_peak · the largest finite |expected|;
 * NaN equals NaN. Other elements are right when they are equal. */
typedef struct model_tolerance {
    double relative;
    double absolute;
    double of_peak;
} model_tolerance;

/* Prints into a text that says why a case failed. */
void model_case_say(char reason[MODEL_CASE_TEXT_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True when `got` has the type, shape and elements of `expected`; else the reason is filled.
 * output: its number, for the reason. */
bool model_case_compare(const hd_tensor *got, const hd_tensor *expected,
                        const model_tolerance *tolerance, size_t output,
                        char reason[MODEL_CASE_TEXT_SIZE]);

/* Runs the model on its inputs, and compares with its outputs; false with the reason filled. */
bool model_case_check(hd_model *model, const hd_tensor *inputs, const hd_tensor *expected,
                      const model_tolerance *tolerance, char reason[MODEL_CASE_TEXT_SIZE]);

/* The same on inputs and outputs in a folder: input_0.pb and so on, output_0.pb and so on. */
bool model_case_run(hd_model *model, const char *folder, const model_tolerance *tolerance,
                    char reason[MODEL_CASE_TEXT_SIZE]);

#endif
