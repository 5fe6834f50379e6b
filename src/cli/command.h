/* Command: what the program can do, one entry of the table in main.c a command.
 *
 * Thread-safety: immutable. */
#ifndef HEDDLE_CLI_COMMAND_H
#define HEDDLE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/failure.h"

/* One option of a command line. */
typedef struct hd_option {
    const char *name;  /* with its dashes */
    const char *value; /* what its value is called in the help; NULL: it takes none */
    bool repeated;     /* may be given more than once */
    const char *text;  /* one line of help */
} hd_option;

typedef struct hd_arguments hd_arguments;

#define COMMAND_OPTIONS_MAX  13
#define COMMAND_EXAMPLES_MAX 4

typedef struct hd_command {
    const char *name; /* one word or two: "info", "bench model" */
    /* what the argument that is no option is called; NULL: there is none; in brackets, as
     * "[MODEL]": it may be left out */
    const char *positional;
    const char *summary;                        /* one sentence */
    const char *details;                        /* more lines of help, or NULL */
    hd_option options[COMMAND_OPTIONS_MAX];     /* ends with a NULL name */
    const char *examples[COMMAND_EXAMPLES_MAX]; /* ends with NULL */
    hd_exit_code (*run)(const hd_arguments *given);
} hd_command;

extern const hd_command hd_command_info;
extern const hd_command hd_command_inspect;
extern const hd_command hd_command_run;
extern const hd_command hd_command_bench_model;
extern const hd_command hd_command_bench_cases;
extern const hd_command hd_command_bench_queues;
extern const hd_command hd_command_bench_pipeline;
extern const hd_command hd_command_bench_batch;
extern const hd_command hd_command_bench_alloc;
extern const hd_command hd_command_bench_memory;
extern const hd_command hd_command_verify;

/* Options that every command takes; ends with a NULL name. */
extern const hd_option hd_command_options[];

/* Prints a command's help to standard output. */
void hd_command_print_help(const hd_command *command);

#endif
