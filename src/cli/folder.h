/* Folder: makes one, with those above it.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_FOLDER_H
#define HEDDLE_CLI_FOLDER_H

#include "cli/failure.h"

/* EXIT_CODE_INPUT with a sentence, EXIT_CODE_DEVICE without memory. One that is there is as good. */
hd_exit_code hd_folder_make(const char *folder);

#endif
