#include "cli/command.h"

#include <stdio.h>

const hd_option hd_command_options[] = {
    {"--device", "DEVICE", false, "cpu, cuda, cuda:N or auto (default: auto)"},
    {"--json", "FILE", false, "write the results as JSON; - is standard output"},
    {"--help", NULL, false, "print this text"},
    {"--version", NULL, false, "print the version"},
    {NULL, NULL, false, NULL},
};

static void print_option(const hd_option *option)
{
    char left[48];
    snprintf(left, sizeof left, "%s%s%s", option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    printf("  %-24s %s%s\n", left, option->text, option->repeated ? " (repeatable)" : "");
}

void hd_command_print_help(const hd_command *command)
{
    printf("usage: heddle %s%s%s [options]\n\n%s\n", command->name,
           command->positional != NULL ? " " : "",
           command->positional != NULL ? command->positional : "", command->summary);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    printf("\noptions:\n");
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].name != NULL; i++) {
        print_option(&command->options[i]);
    }
    for (size_t i = 0; hd_command_options[i].name != NULL; i++) {
        print_option(&hd_command_options[i]);
    }
    printf("\nexamples:\n");
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && command->examples[i] != NULL; i++) {
        printf("  %s\n", command->examples[i]);
    }
    printf("\nexit codes: 0 ok, 1 a check failed, 2 usage, 3 bad or unsupported input, 4 device\n"
           "unavailable, lost or out of memory, 5 internal. All but 0 print one sentence on\n"
           "standard error.\n");
}
