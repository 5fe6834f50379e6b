#include "cli/verify/json_value.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct hd_json_reader {
    hd_arena *arena;
    const char *at;
    const char *end;
    uint32_t depth;
} hd_json_reader;

static hd_json_value *read_value(hd_json_reader *reader);

static void skip_space(hd_json_reader *reader)
{
    while (reader->at < reader->end && strchr(" \t\r\n", *reader->at) != NULL &&
           *reader->at != '\0') {
        reader->at++;
    }
}

/* Takes the next character, behind spaces, if it is this one. */
static bool take(hd_json_reader *reader, char wanted)
{
    skip_space(reader);
    if (reader->at == reader->end || *reader->at != wanted) {
        return false;
    }
    reader->at++;
    return true;
}

static bool take_word(hd_json_reader *reader, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, word, length) != 0) {
        return false;
    }
    reader->at += length;
    return true;
}

static bool read_hexadecimal(hd_json_reader *reader, uint32_t *out_unit)
{
    *out_unit = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        if (reader->at == reader->end || !isxdigit((unsigned char)*reader->at)) {
            return false;
        }
        char digit = (char)tolower((unsigned char)*reader->at);
        *out_unit = *out_unit * 16 + (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return true;
}

static char *put_code_point(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* What stands behind "\u"; half a pair becomes U+FFFD. */
static bool read_unicode(hd_json_reader *reader, char **to)
{
    uint32_t unit, low;
    if (!read_hexadecimal(reader, &unit)) {
        return false;
    }
    if (unit >= 0xd800 && unit < 0xdc00 && reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
        reader->at[1] == 'u') {
        const char *before = reader->at;
        reader->at += 2;
        if (!read_hexadecimal(reader, &low)) {
            return false;
        }
        if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        } else {
            reader->at = before;
        }
    }
    *to = put_code_point(*to, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
    return true;
}

static bool read_escape(hd_json_reader *reader, char **to)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (reader->at == reader->end) {
        return false;
    }
    char name = *reader->at++;
    const char *found = strchr(names, name);
    if (name == 'u') {
        return read_unicode(reader, to);
    }
    if (found == NULL || name == '\0') {
        return false;
    }
    *(*to)++ = values[found - names];
    return true;
}

/* Behind the opening quote. No escape becomes longer than it is written. */
static const char *read_string(hd_json_reader *reader)
{
    const char *close = reader->at;
    while (close < reader->end && *close != '"') {
        close += *close == '\\' && close + 1 < reader->end ? 2 : 1;
    }
    if (close >= reader->end) {
        return NULL;
    }
    char *text = hd_arena_take(reader->arena, (size_t)(close - reader->at) + 1), *to = text;
    while (reader->at < close) {
        char character = *reader->at++;
        if ((unsigned char)character < 0x20) {
            return NULL;
        }
        if (character != '\\') {
            *to++ = character;
        } else if (!read_escape(reader, &to)) {
            return NULL;
        }
    }
    reader->at = close + 1;
    return text;
}

static hd_json_value *read_number(hd_json_reader *reader)
{
    char text[64];
    size_t length = 0;
    while (reader->at + length < reader->end && length < sizeof text - 1 &&
           (isdigit((unsigned char)reader->at[length]) ||
            (reader->at[length] != '\0' && strchr("+-.eE", reader->at[length]) != NULL))) {
        text[length] = reader->at[length];
        length++;
    }
    text[length] = '\0';
    char *end = text;
    double number = strtod(text, &end);
    if (length == 0 || *end != '\0' || text[0] == '+' || text[0] == '.' || !isfinite(number)) {
        return NULL;
    }
    reader->at += length;
    return hd_json_make_number(reader->arena, number);
}

static hd_json_value *read_members(hd_json_reader *reader, hd_json_kind kind, char bracket)
{
    hd_json_value *value = hd_json_make(reader->arena, kind);
    if (++reader->depth > JSON_DEPTH_MAX) {
        return NULL;
    }
    while (!take(reader, bracket)) {
        if (value->count > 0 && !take(reader, ',')) {
            return NULL;
        }
        const char *key = NULL;
        if (kind == JSON_OBJECT &&
            (!take(reader, '"') || (key = read_string(reader)) == NULL || !take(reader, ':'))) {
            return NULL;
        }
        hd_json_value *member = read_value(reader);
        if (member == NULL) {
            return NULL;
        }
        if (kind == JSON_OBJECT) {
            hd_json_set(value, key, member);
        } else {
            hd_json_append(value, member);
        }
    }
    reader->depth--;
    return value;
}

static hd_json_value *read_value(hd_json_reader *reader)
{
    skip_space(reader);
    if (take(reader, '{')) {
        return read_members(reader, JSON_OBJECT, '}');
    }
    if (take(reader, '[')) {
        return read_members(reader, JSON_ARRAY, ']');
    }
    if (take(reader, '"')) {
        hd_json_value *value = hd_json_make(reader->arena, JSON_STRING);
        value->text = read_string(reader);
        return value->text == NULL ? NULL : value;
    }
    bool is_true = take_word(reader, "true");
    if (is_true || take_word(reader, "false")) {
        hd_json_value *value = hd_json_make(reader->arena, JSON_BOOLEAN);
        value->boolean = is_true;
        return value;
    }
    return take_word(reader, "null") ? hd_json_make(reader->arena, JSON_NULL) : read_number(reader);
}

hd_json_value *hd_json_parse(hd_arena *arena, const char *text, size_t length)
{
    hd_json_reader reader = {.arena = arena, .at = text, .end = text + length};
    hd_json_value *value = read_value(&reader);
    skip_space(&reader);
    return reader.at == reader.end ? value : NULL;
}

hd_json_value *hd_json_make(hd_arena *arena, hd_json_kind kind)
{
    hd_json_value *value = hd_arena_take(arena, sizeof *value);
    value->kind = kind;
    return value;
}

hd_json_value *hd_json_make_text(hd_arena *arena, const char *text)
{
    hd_json_value *value = hd_json_make(arena, text == NULL ? JSON_NULL : JSON_STRING);
    value->text = text == NULL ? NULL : hd_arena_copy(arena, text, strlen(text));
    return value;
}

hd_json_value *hd_json_make_number(hd_arena *arena, double number)
{
    hd_json_value *value = hd_json_make(arena, JSON_NUMBER);
    value->number = number;
    return value;
}

hd_json_value *hd_json_append(hd_json_value *array, hd_json_value *value)
{
    if (array->last == NULL) {
        array->first = value;
    } else {
        array->last->next = value;
    }
    array->last = value;
    array->count++;
    return value;
}

hd_json_value *hd_json_set(hd_json_value *object, const char *key, hd_json_value *value)
{
    hd_json_value *same = hd_json_get(object, key);
    if (same != NULL) {
        hd_json_value *next = same->next;
        *same = *value;
        same->key = key;
        same->next = next;
        return same;
    }
    value->key = key;
    return hd_json_append(object, value);
}

hd_json_value *hd_json_get(const hd_json_value *object, const char *key)
{
    if (object == NULL || object->kind != JSON_OBJECT) {
        return NULL;
    }
    hd_json_value *member = object->first;
    while (member != NULL && strcmp(member->key, key) != 0) {
        member = member->next;
    }
    return member;
}

const char *hd_json_text(const hd_json_value *object, const char *key)
{
    const hd_json_value *member = hd_json_get(object, key);
    return member != NULL && member->kind == JSON_STRING ? member->text : "";
}

double hd_json_amount(const hd_json_value *object, const char *key)
{
    const hd_json_value *member = hd_json_get(object, key);
    return member != NULL && member->kind == JSON_NUMBER ? member->number : 0;
}

void hd_json_write(hd_json_writer *json, const char *key, const hd_json_value *value)
{
    switch (value->kind) {
    case JSON_NULL:
        hd_json_string(json, key, NULL);
        return;
    case JSON_BOOLEAN:
        hd_json_boolean(json, key, value->boolean);
        return;
    case JSON_NUMBER:
        hd_json_number(json, key, value->number);
        return;
    case JSON_STRING:
        hd_json_string(json, key, value->text);
        return;
    case JSON_ARRAY:
        hd_json_begin_array(json, key);
        break;
    case JSON_OBJECT:
        hd_json_begin_object(json, key);
        break;
    }
    for (const hd_json_value *member = value->first; member != NULL; member = member->next) {
        hd_json_write(json, value->kind == JSON_OBJECT ? member->key : NULL, member);
    }
    if (value->kind == JSON_ARRAY) {
        hd_json_end_array(json);
    } else {
        hd_json_end_object(json);
    }
}
