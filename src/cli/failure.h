/* Failure: the program's exit codes, and the one sentence that each of them but 0 comes with.
 *
 * Thread-safety: any thread, but a run of the program prints one sentence, so one thread calls. */
#ifndef HEDDLE_CLI_FAILURE_H
#define HEDDLE_CLI_FAILURE_H

#include "heddle/status.h"

typedef enum hd_exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_CHECK = 1,  /* a check failed; wins over all others */
    EXIT_CODE_USAGE = 2,  /* the command line is wrong */
    EXIT_CODE_INPUT = 3,  /* bad or unsupported file, model, operator or shape */
    EXIT_CODE_DEVICE = 4, /* device unavailable, lost or out of memory */
    EXIT_CODE_DEFECT = 5  /* a defect in the program or the library */
} hd_exit_code;

/* Prints "heddle: SENTENCE" to standard error, the first time that it is called, and returns the
 * code. */
hd_exit_code hd_failure_print(hd_exit_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with the sentence of an error that the library reported; its status gives the code. */
hd_exit_code hd_failure_print_error(const hd_error *error);

/* The sentence that memory ran out. */
hd_exit_code hd_failure_print_memory(void);

/* The code that a status of the library becomes. */
hd_exit_code hd_failure_code(hd_status status);

#endif
