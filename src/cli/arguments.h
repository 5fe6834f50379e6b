/* Arguments: a command line, taken apart by the command's own options.
 *
 * Thread-safety: immutable once parsed. */
#ifndef HEDDLE_CLI_ARGUMENTS_H
#define HEDDLE_CLI_ARGUMENTS_H

#include <stdint.h>

#include "cli/command.h"

#define ARGUMENTS_THREADS_MAX 1024 /* the largest number of threads that may be asked for */
#define ARGUMENTS_LIST_MAX    32   /* numbers in one list such as 1,2,4,8 */

/* What stands on either side of the last '=' of "NAME=VALUE". */
typedef struct hd_named_value {
    const char *name;
    const char *value;
} hd_named_value;

/* Takes argv apart, which must outlive *out_given. Wants the command's positional argument unless
 * --help or --version is there. EXIT_CODE_USAGE with a sentence; then nothing is to be freed. */
hd_exit_code hd_arguments_parse(const hd_command *command, int argc, char **argv,
                                hd_arguments **out_given);
void hd_arguments_free(hd_arguments **given);

bool hd_arguments_has(const hd_arguments *given, const char *name);
/* The value of an option that was given, or NULL. */
const char *hd_arguments_value(const hd_arguments *given, const char *name);
/* The positional argument. */
const char *hd_arguments_positional(const hd_arguments *given);
/* "cpu", "cuda", "cuda:1" or "auto". */
const char *hd_arguments_device(const hd_arguments *given);

/* How often a repeatable option was given, and its index-th "NAME=VALUE", whose form was checked.
 * The pointers live as long as the arguments. */
size_t hd_arguments_count(const hd_arguments *given, const char *name);
hd_named_value hd_arguments_named(const hd_arguments *given, const char *name, size_t index);
/* The index-th value of a repeatable option. */
const char *hd_arguments_nth(const hd_arguments *given, const char *name, size_t index);

/* Reads a whole number from `lowest` to `limit`; `otherwise` where the option was not given. */
hd_exit_code hd_arguments_number(const hd_arguments *given, const char *name, uint64_t lowest,
                                 uint64_t limit, uint64_t otherwise, uint64_t *out_number);
/* Reads a number of seconds above 0 and up to 86,400. */
hd_exit_code hd_arguments_seconds(const hd_arguments *given, const char *name, double otherwise,
                                  double *out_seconds);

/* Numbers of threads, in the order given. */
typedef struct hd_thread_list {
    uint32_t counts[ARGUMENTS_LIST_MAX];
    size_t count;
} hd_thread_list;

/* Reads an option such as "1,2,4,8"; `otherwise` has the same form. */
hd_exit_code hd_arguments_list(const hd_arguments *given, const char *name, const char *otherwise,
                               hd_thread_list *out_list);
/* The same for --threads. */
hd_exit_code hd_arguments_threads(const hd_arguments *given, const char *otherwise,
                                  hd_thread_list *out_list);

#endif
