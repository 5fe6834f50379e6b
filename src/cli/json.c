#include "cli/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/utf8.h"

static void write_quoted(FILE *stream, const char *value)
{
    fputc('"', stream);
    for (const unsigned char *text = (const unsigned char *)value; *text != '\0';) {
        size_t length = hd_utf8_length(text);
        if (length == 0) {
            fputs("\xef\xbf\xbd", stream);
            length = 1;
        } else if (*text == '"' || *text == '\\') {
            fprintf(stream, "\\%c", *text);
        } else if (*text < 0x20) {
            fprintf(stream, "\\u%04x", *text);
        } else {
            fwrite(text, 1, length, stream);
        }
        text += length;
    }
    fputc('"', stream);
}

/* What stands before a value: comma, line, key. */
static void begin_value(hd_json_writer *json, const char *key)
{
    if (json->depth > 0) {
        fputs(json->has_members[json->depth] ? ",\n" : "\n", json->stream);
        fprintf(json->stream, "%*s", (int)json->depth * 2, "");
    }
    json->has_members[json->depth] = true;
    if (key != NULL) {
        write_quoted(json->stream, key);
        fputs(": ", json->stream);
    }
}

static void open_bracket(hd_json_writer *json, const char *key, char bracket)
{
    begin_value(json, key);
    fputc(bracket, json->stream);
    if (json->depth == JSON_DEPTH_MAX) {
        abort(); /* our own files are nine deep */
    }
    json->has_members[++json->depth] = false;
}

static void close_bracket(hd_json_writer *json, char bracket)
{
    bool had_members = json->has_members[json->depth--];
    if (had_members) {
        fprintf(json->stream, "\n%*s", (int)json->depth * 2, "");
    }
    fputc(bracket, json->stream);
    if (json->depth == 0) {
        fputc('\n', json->stream);
    }
}

void hd_json_begin_object(hd_json_writer *json, const char *key)
{
    open_bracket(json, key, '{');
}

void hd_json_end_object(hd_json_writer *json)
{
    close_bracket(json, '}');
}

void hd_json_begin_array(hd_json_writer *json, const char *key)
{
    open_bracket(json, key, '[');
}

void hd_json_end_array(hd_json_writer *json)
{
    close_bracket(json, ']');
}

void hd_json_string(hd_json_writer *json, const char *key, const char *value)
{
    begin_value(json, key);
    if (value == NULL) {
        fputs("null", json->stream);
    } else {
        write_quoted(json->stream, value);
    }
}

void hd_json_integer(hd_json_writer *json, const char *key, int64_t value)
{
    begin_value(json, key);
    fprintf(json->stream, "%" PRId64, value);
}

void hd_json_number(hd_json_writer *json, const char *key, double value)
{
    begin_value(json, key);
    if (!isfinite(value)) {
        fputs("null", json->stream);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    fputs(text, json->stream);
}

void hd_json_boolean(hd_json_writer *json, const char *key, bool value)
{
    begin_value(json, key);
    fputs(value ? "true" : "false", json->stream);
}
