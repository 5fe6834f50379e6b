#include "base/status.h"

#include <stdio.h>
#include <string.h>

static const struct {
    hd_status status;
    const char *name;
    const char *text;
} status_table[] = {
#define STATUS_ROW(code, value, text) {code, #code, text},
    HD_STATUS_LIST(STATUS_ROW)
#undef STATUS_ROW
};

#define STATUS_COUNT (sizeof status_table / sizeof status_table[0])

const char *hd_version(void)
{
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
    return TEXT(HD_VERSION_MAJOR) "." TEXT(HD_VERSION_MINOR) "." TEXT(HD_VERSION_PATCH);
}

const char *hd_status_name(hd_status status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_table[i].status == status) {
            return status_table[i].name;
        }
    }
    return "HD_?";
}

const char *hd_status_text(hd_status status)
{
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (status_table[i].status == status) {
            return status_table[i].text;
        }
    }
    return "no such status";
}

/* Ends the text after a cut at `size` bytes on the border of a UTF-8 character. */
static void cut_at_character(char *text, size_t size)
{
    size_t end = size - 1;
    if (text[end - 1] == '\0') {
        return;
    }
    size_t start = end - 1;
    while (start > 0 && ((unsigned char)text[start] & 0xC0) == 0x80) {
        start--;
    }
    unsigned char lead = (unsigned char)text[start];
    size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (start + length > end) {
        text[start] = '\0';
    }
}

static void write_message(hd_error *error, const char *format, va_list arguments)
{
    char text[sizeof error->message];
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length < 0) {
        text[0] = '\0';
    } else if ((size_t)length >= sizeof text) {
        cut_at_character(text, sizeof text);
    }
    memcpy(error->message, text, sizeof text);
}

hd_status hd_fail_list(hd_error *error, hd_status status, const char *format, va_list arguments)
{
    if (error != NULL) {
        write_message(error, format, arguments);
        error->status = status;
    }
    return status;
}

hd_status hd_fail(hd_error *error, hd_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    hd_fail_list(error, status, format, arguments);
    va_end(arguments);
    return status;
}

hd_status hd_fail_prefix(hd_error *error, hd_status status, const char *format, ...)
{
    if (error == NULL) {
        return status;
    }
    char rest[sizeof error->message];
    memcpy(rest, error->message, sizeof rest);
    va_list arguments;
    va_start(arguments, format);
    write_message(error, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    int length = snprintf(error->message + used, sizeof error->message - used, ": %s", rest);
    if (length > 0 && (size_t)length >= sizeof error->message - used) {
        cut_at_character(error->message, sizeof error->message);
    }
    error->status = status;
    return status;
}
