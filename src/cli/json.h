/* JSON writer: writes one value to a stream, with indentation and commas of its own.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_JSON_H
#define HEDDLE_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define JSON_DEPTH_MAX 12

typedef struct hd_json_writer {
    FILE *stream;
    uint32_t depth;
    bool has_members[JSON_DEPTH_MAX + 1]; /* of what is open at each depth */
} hd_json_writer;

/* key: of a member of an object; NULL for an element of an array and for the whole. */
void hd_json_begin_object(hd_json_writer *json, const char *key);
void hd_json_end_object(hd_json_writer *json);
void hd_json_begin_array(hd_json_writer *json, const char *key);
void hd_json_end_array(hd_json_writer *json);
/* value: UTF-8; bytes that are not become U+FFFD. NULL is written as null. */
void hd_json_string(hd_json_writer *json, const char *key, const char *value);
void hd_json_integer(hd_json_writer *json, const char *key, int64_t value);
/* The shortest decimal number that reads back as the same double; null if it is not finite. */
void hd_json_number(hd_json_writer *json, const char *key, double value);
void hd_json_boolean(hd_json_writer *json, const char *key, bool value);

#endif
