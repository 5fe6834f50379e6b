/* Report files: report.md, report.json and report.html, all of them whole or none.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_FILES_H
#define HEDDLE_CLI_VERIFY_FILES_H

#include "cli/failure.h"
#include "cli/verify/json_value.h"

/* Whether files can be made in the folder; EXIT_CODE_INPUT with a sentence where not. */
hd_exit_code hd_report_files_try(const char *folder);

/* Writes the three beside those of an earlier report, and puts them in their place when all are whole.
 * EXIT_CODE_INPUT with a sentence: then the earlier ones are as they were. */
hd_exit_code hd_report_files_write(const char *folder, const hd_json_value *report);

#endif
