#include "cli/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct hd_given_option {
    const hd_option *option;
    const char *value;
    hd_named_value named; /* both sides, where the option's value is NAME=… */
} hd_given_option;

struct hd_arguments {
    const hd_command *command;
    const char *positional;
    char *text; /* copies of the named values, cut at their '=' */
    size_t count;
    hd_given_option options[];
};

static const hd_option *find_option(const hd_command *command, const char *name, size_t length)
{
    for (size_t i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].name != NULL; i++) {
        if (strlen(command->options[i].name) == length &&
            memcmp(command->options[i].name, name, length) == 0) {
            return &command->options[i];
        }
    }
    for (const hd_option *option = hd_command_options; option->name != NULL; option++) {
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) {
            return option;
        }
    }
    return NULL;
}

static bool is_device_name(const char *name)
{
#if HD_TEST_BUILD
    static const char *const numbered[] = {"cuda", "sim"};
#else
    static const char *const numbered[] = {"cuda"};
#endif
    for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++) {
        size_t length = strlen(numbered[i]);
        if (strncmp(name, numbered[i], length) == 0 && name[length] == ':') {
            size_t digits = strlen(name + length + 1);
            return digits > 0 && digits < 4 && strspn(name + length + 1, "0123456789") == digits;
        }
        if (strcmp(name, numbered[i]) == 0) {
            return true;
        }
    }
    return strcmp(name, "cpu") == 0 || strcmp(name, "auto") == 0;
}

/* Splits at the last '=', since names of tensors may hold one and shapes and most files do not. */
static hd_exit_code split_named(hd_given_option *entry, char **text)
{
    const char *equals = strrchr(entry->value, '=');
    if (equals == NULL || equals == entry->value || equals[1] == '\0') {
        return hd_failure_print(EXIT_CODE_USAGE, "%s wants %s, not '%s'", entry->option->name,
                                entry->option->value, entry->value);
    }
    size_t length = (size_t)(equals - entry->value);
    memcpy(*text, entry->value, length);
    (*text)[length] = '\0';
    entry->named = (hd_named_value){*text, equals + 1};
    *text += length + 1;
    return EXIT_CODE_OK;
}

/* One option at argv[*index]; leaves *index at the last word that it took. */
static hd_exit_code parse_option(hd_arguments *given, int argc, char **argv, int *index,
                                 char **text)
{
    const char *word = argv[*index], *equals = strchr(word, '=');
    size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const hd_command *command = given->command;
    const hd_option *option = find_option(command, word, length);
    if (option == NULL) {
        return hd_failure_print(EXIT_CODE_USAGE,
                                "heddle %s has no option '%.*s'; see heddle %s --help",
                                command->name, (int)length, word, command->name);
    }
    if (!option->repeated && hd_arguments_has(given, option->name)) {
        return hd_failure_print(EXIT_CODE_USAGE, "%s is given twice", option->name);
    }
    hd_given_option *entry = &given->options[given->count];
    *entry = (hd_given_option){.option = option};
    if (option->value == NULL && equals != NULL) {
        return hd_failure_print(EXIT_CODE_USAGE, "%s takes no value", option->name);
    }
    if (option->value != NULL) {
        if (equals == NULL && *index + 1 >= argc) {
            return hd_failure_print(EXIT_CODE_USAGE, "%s wants %s", option->name, option->value);
        }
        entry->value = equals != NULL ? equals + 1 : argv[++*index];
        if (entry->value[0] == '\0') {
            return hd_failure_print(EXIT_CODE_USAGE, "%s wants %s, not nothing", option->name,
                                    option->value);
        }
        if (strncmp(option->value, "NAME=", 5) == 0) {
            hd_exit_code code = split_named(entry, text);
            if (code != EXIT_CODE_OK) {
                return code;
            }
        }
    }
    given->count++;
    return EXIT_CODE_OK;
}

static hd_exit_code check(const hd_arguments *given)
{
    const char *device = hd_arguments_value(given, "--device");
    if (device != NULL && !is_device_name(device)) {
        return hd_failure_print(EXIT_CODE_USAGE, "--device is cpu, cuda, cuda:N or auto, not '%s'",
                                device);
    }
    bool asks = hd_arguments_has(given, "--help") || hd_arguments_has(given, "--version");
    if (given->command->positional != NULL && given->command->positional[0] != '[' &&
        given->positional == NULL && !asks) {
        return hd_failure_print(EXIT_CODE_USAGE, "heddle %s wants %s; see heddle %s --help",
                                given->command->name, given->command->positional,
                                given->command->name);
    }
    return EXIT_CODE_OK;
}

hd_exit_code hd_arguments_parse(const hd_command *command, int argc, char **argv,
                                hd_arguments **out_given)
{
    size_t text_size = 1;
    for (int i = 0; i < argc; i++) {
        text_size += strlen(argv[i]) + 1;
    }
    *out_given = NULL;
    hd_arguments *given = calloc(1, sizeof *given + (size_t)argc * sizeof given->options[0]);
    if (given == NULL || (given->text = malloc(text_size)) == NULL) {
        free(given);
        return hd_failure_print_memory();
    }
    given->command = command;
    char *text = given->text;
    hd_exit_code code = EXIT_CODE_OK;
    bool only_positional = false;
    for (int i = 0; i < argc && code == EXIT_CODE_OK; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1] != '\0') {
            code = parse_option(given, argc, argv, &i, &text);
        } else if (command->positional == NULL || given->positional != NULL) {
            code = hd_failure_print(EXIT_CODE_USAGE,
                                    "heddle %s has no use for '%s'; see heddle %s --help",
                                    command->name, argv[i], command->name);
        } else {
            given->positional = argv[i];
        }
    }
    if (code == EXIT_CODE_OK) {
        code = check(given);
    }
    if (code != EXIT_CODE_OK) {
        hd_arguments_free(&given);
    }
    *out_given = given;
    return code;
}

void hd_arguments_free(hd_arguments **given)
{
    if (*given != NULL) {
        free((*given)->text);
        free(*given);
        *given = NULL;
    }
}

static const hd_given_option *find_given(const hd_arguments *given, const char *name, size_t index)
{
    for (size_t i = 0; i < given->count; i++) {
        if (strcmp(given->options[i].option->name, name) == 0 && index-- == 0) {
            return &given->options[i];
        }
    }
    return NULL;
}

bool hd_arguments_has(const hd_arguments *given, const char *name)
{
    return find_given(given, name, 0) != NULL;
}

const char *hd_arguments_nth(const hd_arguments *given, const char *name, size_t index)
{
    const hd_given_option *entry = find_given(given, name, index);
    return entry != NULL ? entry->value : NULL;
}

const char *hd_arguments_value(const hd_arguments *given, const char *name)
{
    return hd_arguments_nth(given, name, 0);
}

const char *hd_arguments_positional(const hd_arguments *given)
{
    return given->positional;
}

const char *hd_arguments_device(const hd_arguments *given)
{
    const char *device = hd_arguments_value(given, "--device");
    return device != NULL ? device : "auto";
}

size_t hd_arguments_count(const hd_arguments *given, const char *name)
{
    size_t count = 0;
    while (find_given(given, name, count) != NULL) {
        count++;
    }
    return count;
}

hd_named_value hd_arguments_named(const hd_arguments *given, const char *name, size_t index)
{
    return find_given(given, name, index)->named;
}

/* Reads a number from lowest to limit at *text and moves *text behind it. */
static bool read_number(const char **text, uint64_t lowest, uint64_t limit, uint64_t *out_number)
{
    if (!isdigit((unsigned char)**text)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(*text, &end, 10);
    if (errno != 0 || number < lowest || number > limit) {
        return false;
    }
    *text = end;
    *out_number = number;
    return true;
}

hd_exit_code hd_arguments_number(const hd_arguments *given, const char *name, uint64_t lowest,
                                 uint64_t limit, uint64_t otherwise, uint64_t *out_number)
{
    const char *value = hd_arguments_value(given, name), *end = value;
    *out_number = otherwise;
    if (value != NULL && (!read_number(&end, lowest, limit, out_number) || *end != '\0')) {
        return hd_failure_print(EXIT_CODE_USAGE, "%s wants a number from %llu to %llu, not '%s'",
                                name, (unsigned long long)lowest, (unsigned long long)limit, value);
    }
    return EXIT_CODE_OK;
}

hd_exit_code hd_arguments_seconds(const hd_arguments *given, const char *name, double otherwise,
                                  double *out_seconds)
{
    const char *value = hd_arguments_value(given, name);
    *out_seconds = otherwise;
    if (value != NULL) {
        char *end = NULL;
        *out_seconds = strtod(value, &end);
        if (end == value || *end != '\0' || !(*out_seconds > 0) || *out_seconds > 86400) {
            return hd_failure_print(
                EXIT_CODE_USAGE, "%s wants seconds above 0 and up to 86400, not '%s'", name, value);
        }
    }
    return EXIT_CODE_OK;
}

hd_exit_code hd_arguments_list(const hd_arguments *given, const char *name, const char *otherwise,
                               hd_thread_list *out_list)
{
    const char *value = hd_arguments_value(given, name);
    const char *text = value != NULL ? value : otherwise;
    out_list->count = 0;
    for (;;) {
        uint64_t number = 0;
        if (out_list->count == ARGUMENTS_LIST_MAX ||
            !read_number(&text, 1, ARGUMENTS_THREADS_MAX, &number) ||
            (*text != ',' && *text != '\0')) {
            return hd_failure_print(EXIT_CODE_USAGE,
                                    "%s wants numbers from 1 to %d such as 1,2,4, not '%s'", name,
                                    ARGUMENTS_THREADS_MAX, value);
        }
        out_list->counts[out_list->count++] = (uint32_t)number;
        if (*text++ == '\0') {
            return EXIT_CODE_OK;
        }
    }
}

hd_exit_code hd_arguments_threads(const hd_arguments *given, const char *otherwise,
                                  hd_thread_list *out_list)
{
    return hd_arguments_list(given, "--threads", otherwise, out_list);
}
