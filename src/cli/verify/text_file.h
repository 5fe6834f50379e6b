/* Text file: whole files in memory.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_VERIFY_TEXT_FILE_H
#define HEDDLE_CLI_VERIFY_TEXT_FILE_H

#include "cli/verify/arena.h"

#define TEXT_FILE_MAX ((size_t)64 << 20)

/* Its bytes with a 0 behind them; of a longer file the last TEXT_FILE_MAX. NULL: it cannot be read. */
char *hd_text_file_read(hd_arena *arena, const char *path, size_t *out_length);

#endif
