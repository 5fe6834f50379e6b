/* Message: printf for the sentences of errors. Names in them come from files, so that they may be of any
 * length and hold any bytes: a name is shortened in its middle, lest it cut off the reason behind it, and
 * bytes that a terminal would obey, or that are no UTF-8, are written as \xNN.
 *
 * Thread-safety: any thread. */
#ifndef HD_BASE_MESSAGE_H
#define HD_BASE_MESSAGE_H

#include <stdarg.h>
#include <stddef.h>

/* Longest name that is written whole, in bytes. */
#define HD_MESSAGE_NAME_LIMIT 64

/* Writes at most size - 1 bytes and a terminating 0, cut at a character's border; returns how many.
 * format: printf's with the conversions d, u, x, c, s, p, e, f and g and the lengths l, ll and z. '%s' and
 * (%s), in quotes or parentheses and without a precision, is a name. */
size_t hd_message_write(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
