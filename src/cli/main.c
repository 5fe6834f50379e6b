/* The program: finds the command, takes its command line apart, runs it. */
#include <stdio.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "heddle/api.h"

/* A new command is one line here and one file of its own. */
static const hd_command *const commands[] = {
    &hd_command_info,           &hd_command_inspect,     &hd_command_run,
    &hd_command_bench_model,    &hd_command_bench_cases, &hd_command_bench_queues,
    &hd_command_bench_pipeline, &hd_command_bench_batch, &hd_command_bench_alloc,
    &hd_command_bench_memory,   &hd_command_verify,
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* Whether the words at argv are the command's name; *out_words: how many words that is. */
static bool matches(const hd_command *command, int argc, char **argv, int *out_words)
{
    const char *space = strchr(command->name, ' ');
    if (space == NULL) {
        *out_words = 1;
        return strcmp(argv[0], command->name) == 0;
    }
    size_t length = (size_t)(space - command->name);
    *out_words = 2;
    return argc > 1 && strlen(argv[0]) == length && memcmp(argv[0], command->name, length) == 0 &&
           strcmp(argv[1], space + 1) == 0;
}

/* first: only commands whose name begins with this word, or NULL. */
static void print_overview(const char *first)
{
    printf(
        "usage: heddle COMMAND [options]\n\n"
        "Runs neural networks from any number of threads at once, with equal bits.\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t length = first != NULL ? strlen(first) : 0;
        if (strncmp(commands[i]->name, first != NULL ? first : "", length) == 0) {
            printf("  %-15s %s\n", commands[i]->name, commands[i]->summary);
        }
    }
    printf("\n'heddle COMMAND --help' has the options and examples; 'heddle --version' the "
           "version.\n");
}

static bool is_first_word(const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strncmp(commands[i]->name, word, length) == 0 && commands[i]->name[length] == ' ') {
            return true;
        }
    }
    return false;
}

static hd_exit_code refuse(int argc, char **argv)
{
    if (argv[0][0] == '-') {
        return hd_failure_print(EXIT_CODE_USAGE,
                                "there is no option '%s' before a command; see heddle --help",
                                argv[0]);
    }
    if (!is_first_word(argv[0])) {
        return hd_failure_print(
            EXIT_CODE_USAGE, "this build has no command '%s'; heddle --help lists them", argv[0]);
    }
    if (argc < 2) {
        return hd_failure_print(EXIT_CODE_USAGE,
                                "heddle %s wants to know of what; see heddle %s --help", argv[0],
                                argv[0]);
    }
    return hd_failure_print(EXIT_CODE_USAGE,
                            "this build has no command '%s %s'; heddle --help lists them", argv[0],
                            argv[1]);
}

static hd_exit_code run_command(const hd_command *command, int argc, char **argv)
{
    hd_arguments *given = NULL;
    hd_exit_code code = hd_arguments_parse(command, argc, argv, &given);
    if (code != EXIT_CODE_OK) {
        return code;
    }
    if (hd_arguments_has(given, "--help")) {
        hd_command_print_help(command);
    } else if (hd_arguments_has(given, "--version")) {
        printf("heddle %s\n", hd_version());
    } else {
        code = command->run(given);
    }
    hd_arguments_free(&given);
    return code;
}

static hd_exit_code dispatch(int argc, char **argv)
{
    if (argc == 0) {
        return hd_failure_print(EXIT_CODE_USAGE, "a command is wanted; heddle --help lists them");
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "help") == 0) {
        print_overview(NULL);
        return EXIT_CODE_OK;
    }
    if (strcmp(argv[0], "--version") == 0) {
        printf("heddle %s\n", hd_version());
        return EXIT_CODE_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        int words = 0;
        if (matches(commands[i], argc, argv, &words)) {
            return run_command(commands[i], argc - words, argv + words);
        }
    }
    if (argc > 1 && is_first_word(argv[0]) && strcmp(argv[1], "--help") == 0) {
        print_overview(argv[0]);
        return EXIT_CODE_OK;
    }
    return refuse(argc, argv);
}

int main(int argc, char **argv)
{
    hd_exit_code code = dispatch(argc - 1, argv + 1);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    if (!written && code == EXIT_CODE_OK) {
        code = hd_failure_print(EXIT_CODE_INPUT, "standard output cannot be written");
    }
    return (int)code;
}
