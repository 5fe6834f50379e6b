/* Output files: a run's outputs as .npy files in a folder.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_OUTPUT_FILES_H
#define HEDDLE_CLI_OUTPUT_FILES_H

#include "cli/failure.h"
#include "heddle/model.h"

/* Names of the files, without folder, in the order of the model's outputs: the output's name with
 * each character other than letters, digits, '.', '_', '-' as '_', and "-2", "-3", … where that is
 * taken. */
typedef struct hd_output_files {
    char **names;
    size_t count;
} hd_output_files;

hd_exit_code hd_output_files_name(const hd_model *model, hd_output_files *out_files);
void hd_output_files_free(hd_output_files *files);

/* Makes the folder, with those above it, and writes the tensors. */
hd_exit_code hd_output_files_write(const hd_output_files *files, const char *folder,
                                   const hd_tensor *outputs);

#endif
