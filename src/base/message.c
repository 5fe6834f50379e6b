#include "base/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What is left of a name that is shortened, at its begin and its end. */
#define HEAD 40
#define TAIL 20

typedef struct writer {
    char *text;
    size_t size;
    size_t used;
    bool is_full; /* nothing more is written: what follows would stand in the wrong place */
} writer;

/* Writes all of a character or nothing. */
static void put_character(writer *to, const char *bytes, size_t length)
{
    if (to->is_full || length >= to->size - to->used) {
        to->is_full = true;
        return;
    }
    memcpy(to->text + to->used, bytes, length);
    to->used += length;
}

/* Bytes of the character at `text`, of which `left` are there; 0: no UTF-8, or a control character. */
static size_t character_length(const char *text, size_t left)
{
    const unsigned char *at = (const unsigned char *)text;
    if (at[0] < 0x20 || at[0] == 0x7F) {
        return 0;
    }
    size_t length = at[0] < 0x80    ? 1
                    : at[0] >= 0xF0 ? 4
                    : at[0] >= 0xE0 ? 3
                    : at[0] >= 0xC2 ? 2
                                    : 0;
    if (length > left || (length == 2 && at[0] == 0xC2 && at[1] < 0xA0)) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static void put_text(writer *to, const char *text, size_t size)
{
    for (size_t i = 0; i < size && !to->is_full;) {
        size_t length = character_length(text + i, size - i);
        if (length > 0) {
            put_character(to, text + i, length);
            i += length;
            continue;
        }
        char escaped[8];
        snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned char)text[i]);
        put_character(to, escaped, 4);
        i++;
    }
}

/* The border of a character at or before `at`. */
static size_t border(const char *text, size_t at)
{
    size_t start = at;
    while (start > 0 && at - start < 3 && ((unsigned char)text[start] & 0xC0) == 0x80) {
        start--;
    }
    return start;
}

static void put_name(writer *to, const char *name)
{
    size_t size = strlen(name);
    if (size <= HD_MESSAGE_NAME_LIMIT) {
        put_text(to, name, size);
        return;
    }
    size_t tail = border(name, size - TAIL);
    put_text(to, name, border(name, HEAD));
    put_character(to, "\xE2\x80\xA6", 3); /* an ellipsis */
    put_text(to, name + tail, size - tail);
}

/* A conversion of a format. */
typedef struct conversion {
    char text[16]; /* from % to the letter, as printf takes it */
    size_t length; /* in the format */
    bool has_precision;
    bool takes_precision; /* .* */
    char letter;
    char size; /* l, L for ll, z, or 0 */
} conversion;

static void read_conversion(const char *format, conversion *out)
{
    *out = (conversion){.length = 1};
    size_t flags = strspn(format + 1, "-+ #0123456789.*");
    out->has_precision = memchr(format + 1, '.', flags) != NULL;
    out->takes_precision = memchr(format + 1, '*', flags) != NULL;
    out->length += flags;
    for (; format[out->length] == 'l' || format[out->length] == 'z'; out->length++) {
        out->size = format[out->length] == 'z' ? 'z' : out->size == 'l' ? 'L' : 'l';
    }
    out->letter = format[out->length];
    out->length += out->letter != '\0';
    if (out->length < sizeof out->text) {
        memcpy(out->text, format, out->length);
    }
}

static void put_string(writer *to, const conversion *spec, bool is_name, const char *string,
                       int precision)
{
    if (string == NULL) {
        string = "(null)";
    }
    if (is_name && !spec->has_precision) {
        put_name(to, string);
        return;
    }
    size_t most = (size_t)(precision < 0 ? 0 : precision);
    const char *end = spec->has_precision ? memchr(string, '\0', most) : string + strlen(string);
    put_text(to, string, end == NULL ? most : (size_t)(end - string));
}

/* Where a list of arguments is; its type may be an array, which no pointer could be passed to. */
typedef struct argument_list {
    va_list at;
} argument_list;

/* Writes a number with printf, which knows how; the format is the caller's, checked where it stands. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void put_number(writer *to, const conversion *spec, argument_list *arguments)
{
    char text[400];
    if (strchr("efg", spec->letter) != NULL) {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, double));
    } else if (spec->letter == 'p') {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, void *));
    } else if (spec->size == 'L') {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, long long));
    } else if (spec->size == 'l') {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, long));
    } else if (spec->size == 'z') {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, size_t));
    } else {
        snprintf(text, sizeof text, spec->text, va_arg(arguments->at, int));
    }
    put_text(to, text, strlen(text));
}
#pragma GCC diagnostic pop

size_t hd_message_write(char *text, size_t size, const char *format, va_list list)
{
    writer to = {.text = text, .size = size};
    argument_list arguments;
    va_copy(arguments.at, list);
    char before = '\0';
    while (*format != '\0' && !to.is_full) {
        if (*format != '%') {
            size_t plain = strcspn(format, "%");
            put_text(&to, format, plain);
            before = format[plain - 1];
            format += plain;
            continue;
        }
        conversion spec;
        read_conversion(format, &spec);
        char after = format[spec.length];
        if (spec.letter == '%') {
            put_text(&to, "%", 1);
        } else if (spec.letter == 's') {
            int precision = spec.takes_precision ? va_arg(arguments.at, int) : 0;
            const char *dot = strchr(spec.text, '.');
            if (dot != NULL && !spec.takes_precision) {
                for (const char *digit = dot + 1; *digit >= '0' && *digit <= '9'; digit++) {
                    precision = 10 * precision + (*digit - '0');
                }
            }
            bool is_name = (before == '\'' && after == '\'') || (before == '(' && after == ')');
            put_string(&to, &spec, is_name, va_arg(arguments.at, const char *), precision);
        } else {
            put_number(&to, &spec, &arguments);
        }
        before = '\0';
        format += spec.length;
    }
    va_end(arguments.at);
    to.text[to.used] = '\0';
    return to.used;
}
