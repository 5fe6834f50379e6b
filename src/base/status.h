/* Status, inside: filling an hd_error in one expression. */
#ifndef HD_BASE_STATUS_H
#define HD_BASE_STATUS_H

#include <stdarg.h>

#include "heddle/status.h"

/* Writes one sentence (the format of base/message.h) to *error, if there is one, and returns `status`. */
hd_status hd_fail(hd_error *error, hd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with a list of arguments. */
hd_status hd_fail_list(hd_error *error, hd_status status, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Puts "prefix: " before the message of *error, cutting at its end; returns error's status, or
 * `status` where there is no error struct. */
hd_status hd_fail_prefix(hd_error *error, hd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts more behind the message of *error, cutting at its end; returns `status`. */
hd_status hd_fail_suffix(hd_error *error, hd_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
