#include "cli/failure.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* What fails after the first failure, such as writing its results, would hide it. */
static bool printed;

/* Names from files and arguments may hold anything; a sentence stays one line. */
static void put_line(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char character = (unsigned char)*text;
        if (character < 0x20 || character == 0x7F) {
            fprintf(stderr, "\\x%02x", character);
        } else {
            fputc(character, stderr);
        }
    }
    fputc('\n', stderr);
}

hd_exit_code hd_failure_print(hd_exit_code code, const char *format, ...)
{
    va_list values;
    char text[4096];
    if (printed) {
        return code;
    }
    printed = true;
    fflush(stdout); /* so that the sentence stands below what led to it */
    fputs("heddle: ", stderr);
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    put_line(text);
    return code;
}

hd_exit_code hd_failure_print_error(const hd_error *error)
{
    const char *message =
        error->message[0] != '\0' ? error->message : hd_status_text(error->status);
    return hd_failure_print(hd_failure_code(error->status), "%s", message);
}

hd_exit_code hd_failure_print_memory(void)
{
    return hd_failure_print(EXIT_CODE_DEVICE, "memory ran out");
}

hd_exit_code hd_failure_code(hd_status status)
{
    switch (status) {
    case HD_OK:
        return EXIT_CODE_OK;
    case HD_INVALID_ARGUMENT:
    case HD_NOT_FOUND:
    case HD_BAD_MODEL:
    case HD_UNSUPPORTED:
    case HD_IO:
        return EXIT_CODE_INPUT;
    case HD_OUT_OF_MEMORY:
    case HD_UNAVAILABLE:
    case HD_LOST:
    case HD_EXHAUSTED:
        return EXIT_CODE_DEVICE;
    case HD_BUSY:
    case HD_CLOSED:
    case HD_CANCELLED:
    case HD_DEADLINE:
    case HD_NOT_YET:
    case HD_FORKED:
    case HD_INTERNAL:
        break;
    }
    return EXIT_CODE_DEFECT;
}
