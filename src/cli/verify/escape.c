#include "cli/verify/escape.h"

#include <math.h>
#include <string.h>

#include "cli/utf8.h"

/* Characters that change how what follows is shown, and are not seen themselves. */
static bool is_hidden(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x2069) ||
           code == 0xfeff;
}

/* Writes the text with put_plain for what is ASCII and seen. */
static void write_escaped(FILE *stream, const char *text, void (*put_plain)(FILE *, char))
{
    const char backslash = '\\';
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        size_t length = hd_utf8_length(at);
        uint32_t code = length == 0 ? 0xfffd : hd_utf8_decode(at, length);
        if (length == 0) {
            fputs("\xef\xbf\xbd", stream);
            length = 1;
        } else if (code == '\n' || code == '\t') {
            fputc(' ', stream);
        } else if (is_hidden(code)) {
            put_plain(stream, backslash);
            fprintf(stream, code < 0x100 ? "x%02x" : "u%04x", (unsigned)code);
        } else if (code < 0x80) {
            put_plain(stream, (char)code);
        } else {
            fwrite(at, 1, length, stream);
        }
        at += length;
    }
}

static void put_html(FILE *stream, char character)
{
    switch (character) {
    case '&':
        fputs("&amp;", stream);
        return;
    case '<':
        fputs("&lt;", stream);
        return;
    case '>':
        fputs("&gt;", stream);
        return;
    case '"':
        fputs("&quot;", stream);
        return;
    case '\'':
        fputs("&#39;", stream);
        return;
    default:
        fputc(character, stream);
    }
}

/* Signs that mean something within a line. */
static void put_markdown(FILE *stream, char character)
{
    if (character == '&' || character == '<' || character == '>') {
        put_html(stream, character);
        return;
    }
    if (strchr("\\`*_[]|~$", character) != NULL) {
        fputc('\\', stream);
    }
    fputc(character, stream);
}

void hd_escape_markdown(FILE *stream, const char *text)
{
    write_escaped(stream, text, put_markdown);
}

void hd_escape_markdown_line(FILE *stream, const char *text)
{
    text += strspn(text, " \t\n");
    size_t digits = strspn(text, "0123456789");
    fprintf(stream, "%.*s", (int)digits, text);
    text += digits;
    if (*text != '\0' && strchr(digits > 0 ? ".)" : "-+=#", *text) != NULL) {
        fputc('\\', stream);
    }
    hd_escape_markdown(stream, text);
}

void hd_escape_html(FILE *stream, const char *text)
{
    write_escaped(stream, text, put_html);
}

static void write_grouped(double number, char room[CELL_TEXT_MAX])
{
    char digits[40];
    snprintf(digits, sizeof digits, "%.0f", fabs(number));
    size_t length = strlen(digits), to = 0;
    if (number < 0) {
        room[to++] = '-';
    }
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            room[to++] = ',';
        }
        room[to++] = digits[i];
    }
    room[to] = '\0';
}

const char *hd_cell_text(const hd_json_value *cell, char room[CELL_TEXT_MAX])
{
    double size = fabs(cell->number);
    switch (cell->kind) {
    case JSON_STRING:
        return cell->text;
    case JSON_BOOLEAN:
        return cell->boolean ? "yes" : "no";
    case JSON_NUMBER:
        break;
    default:
        return "\xe2\x80\x93"; /* a dash */
    }
    if (size < 1e15 && (size >= 1000 || size == floor(size))) {
        write_grouped(cell->number, room);
    } else if (size >= 100 && size < 1000) {
        snprintf(room, CELL_TEXT_MAX, "%.1f", cell->number);
    } else {
        snprintf(room, CELL_TEXT_MAX, "%.3g", cell->number);
    }
    return room;
}

bool hd_column_is_numeric(const hd_json_value *table, size_t column)
{
    bool some = false;
    const hd_json_value *row = hd_json_get(table, "rows")->first;
    for (; row != NULL; row = row->next) {
        const hd_json_value *cell = row->first;
        for (size_t i = 0; i < column; i++) {
            cell = cell->next;
        }
        if (cell->kind != JSON_NUMBER && cell->kind != JSON_NULL) {
            return false;
        }
        some = some || cell->kind == JSON_NUMBER;
    }
    return some;
}
