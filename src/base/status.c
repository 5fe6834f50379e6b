#include "base/status.h"

#include <string.h>

#include "base/message.h"

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
#define TEXT(x)  TEXT_(x)
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

static void write_message(hd_error *error, const char *format, va_list arguments)
{
    char text[sizeof error->message]; /* an argument may be the old message */
    size_t length = hd_message_write(text, sizeof text, format, arguments);
    memcpy(error->message, text, length + 1);
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

hd_status hd_fail_suffix(hd_error *error, hd_status status, const char *format, ...)
{
    if (error != NULL) {
        size_t used = strlen(error->message);
        va_list arguments;
        va_start(arguments, format);
        hd_message_write(error->message + used, sizeof error->message - used, format, arguments);
        va_end(arguments);
    }
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
    error->status = status;
    return hd_fail_suffix(error, status, ": %s", rest);
}
