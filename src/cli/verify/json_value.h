/* JSON value: a document in memory, read from text or built member by member. It lives in an arena.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_JSON_VALUE_H
#define HEDDLE_CLI_VERIFY_JSON_VALUE_H

#include <stdbool.h>

#include "cli/json.h"
#include "cli/verify/arena.h"

typedef enum hd_json_kind {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
} hd_json_kind;

typedef struct hd_json_value hd_json_value;
struct hd_json_value {
    hd_json_kind kind;
    bool boolean;
    double number;
    const char *text;     /* of a string; a 0 in it ends it */
    const char *key;      /* of a member of an object */
    hd_json_value *first; /* of an array's elements or an object's members, `count` of them */
    hd_json_value *last;
    hd_json_value *next; /* behind this one in its array or object */
    size_t count;
};

/* Reads one document of `length` bytes; NULL where it is none, or nested more than JSON_DEPTH_MAX deep. */
hd_json_value *hd_json_parse(hd_arena *arena, const char *text, size_t length);

hd_json_value *hd_json_make(hd_arena *arena, hd_json_kind kind);
hd_json_value *hd_json_make_text(hd_arena *arena, const char *text); /* copied; NULL: null */
hd_json_value *hd_json_make_number(hd_arena *arena, double number);

/* Puts a value, which is nobody's yet, behind an array's others, and returns it. */
hd_json_value *hd_json_append(hd_json_value *array, hd_json_value *value);
/* Makes it an object's member, in place of one of that key. The key is not copied. */
hd_json_value *hd_json_set(hd_json_value *object, const char *key, hd_json_value *value);

/* A member; NULL where `object` is none, or NULL, or has no such member. */
hd_json_value *hd_json_get(const hd_json_value *object, const char *key);
/* A member's text, "" where it is no string; its number, 0 where it is none. */
const char *hd_json_text(const hd_json_value *object, const char *key);
double hd_json_amount(const hd_json_value *object, const char *key);

/* Writes it as member `key`, or an element where that is NULL. */
void hd_json_write(hd_json_writer *json, const char *key, const hd_json_value *value);

#endif
