/* From which opset on an operator exists, and which operands and attributes it has (onnx.ai, "Operator Schemas"; as
 * version 1.23 of the Python package onnx lists them, onnx.defs.get_schema). Inference and kernels look only at
 * attributes that are there and of the right kind, so what they would pass over is refused here. */
#include <stdlib.h>
#include <string.h>

#include "graph/operator.h"

/* A word of a rule, read. */
typedef struct attribute_word {
    const char *name;
    size_t length;
    char kind;
    bool required;
    uint32_t first;
    uint32_t last;
} attribute_word;

/* The word at `text`, which moves behind it; false at the end. */
static bool next_word(const char **text, attribute_word *out)
{
    const char *at = *text;
    if (*at == '\0') {
        return false;
    }
    *out = (attribute_word){.name = at, .length = strcspn(at, ":"), .last = UINT32_MAX};
    at += out->length + 1;
    out->kind = *at++;
    for (; *at != ' ' && *at != '\0';) {
        char mark = *at++;
        if (mark == '!') {
            out->required = true;
            continue;
        }
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        *(mark == '@' ? &out->first : &out->last) = (uint32_t)number;
        at = end;
    }
    *text = *at == ' ' ? at + 1 : at;
    return true;
}

static char letter_of(hd_attribute_kind kind)
{
    switch (kind) {
    case HD_ATTRIBUTE_INT:
        return 'i';
    case HD_ATTRIBUTE_FLOAT:
        return 'f';
    case HD_ATTRIBUTE_STRING:
        return 's';
    case HD_ATTRIBUTE_INTS:
        return 'I';
    case HD_ATTRIBUTE_FLOATS:
        return 'F';
    case HD_ATTRIBUTE_TENSOR:
        return 't';
    }
    return '?';
}

static const char *kind_name(char letter)
{
    switch (letter) {
    case 'i':
        return "an integer";
    case 'f':
        return "a number";
    case 's':
        return "a text";
    case 'I':
        return "a list of integers";
    case 'F':
        return "a list of numbers";
    default:
        return "a tensor";
    }
}

static hd_status check_attribute(const hd_operation *operation, const hd_operator *rule,
                                 const hd_attribute *attribute, hd_error *error)
{
    const char *text = rule->attributes == NULL ? "" : rule->attributes;
    attribute_word word;
    while (next_word(&text, &word)) {
        if (operation->opset < word.first || operation->opset > word.last ||
            strlen(attribute->name) != word.length ||
            memcmp(attribute->name, word.name, word.length) != 0) {
            continue;
        }
        char letter = letter_of(attribute->kind);
        return letter == word.kind
                   ? HD_OK
                   : hd_operation_fail(operation, error, HD_BAD_MODEL,
                                       "its attribute '%s' is %s, but must be %s", attribute->name,
                                       kind_name(letter), kind_name(word.kind));
    }
    /* ONNX leaves names that begin so to whoever writes or reads a file. */
    return strncmp(attribute->name, "__", 2) == 0
               ? HD_OK
               : hd_operation_fail(operation, error, HD_BAD_MODEL,
                                   "it has no attribute '%s' at opset %u", attribute->name,
                                   operation->opset);
}

/* The numbers that `text` (hd_operator's input_counts) gives for an opset; false where it gives none. */
static bool counts_at(const char *text, uint32_t opset, size_t *out_least, size_t *out_most)
{
    bool found = false;
    while (text != NULL && *text != '\0') {
        char *end;
        size_t least = strtoul(text, &end, 10);
        size_t most = strtoul(end + 1, &end, 10);              /* behind '-' */
        uint32_t since = (uint32_t)strtoul(end + 1, &end, 10); /* behind '@' */
        if (since <= opset) {
            *out_least = least;
            *out_most = most;
            found = true;
        }
        text = *end == ' ' ? end + 1 : end;
    }
    return found;
}

hd_status hd_operator_check_counts(const hd_operation *operation, hd_error *error)
{
    const hd_operator *rule = hd_operator_of(operation->id);
    const struct {
        const char *text, *noun;
        size_t count;
    } sides[] = {{rule->input_counts, "input", operation->input_count},
                 {rule->output_counts, "output", operation->output_count}};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        size_t least, most;
        if (counts_at(sides[i].text, operation->opset, &least, &most) &&
            (sides[i].count < least || sides[i].count > most)) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "it has %zu %ss, but opset %u allows %zu to %zu",
                                     sides[i].count, sides[i].noun, operation->opset, least, most);
        }
    }
    return HD_OK;
}

hd_status hd_operator_check_attributes(const hd_operation *operation, hd_error *error)
{
    const hd_operator *rule = hd_operator_of(operation->id);
    if (operation->opset < rule->since) {
        return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                 "the operator exists since opset %u; this is opset %u",
                                 rule->since, operation->opset);
    }
    for (size_t i = 0; i < operation->attribute_count; i++) {
        hd_status status = check_attribute(operation, rule, &operation->attributes[i], error);
        if (status != HD_OK) {
            return status;
        }
    }
    const char *text = rule->attributes == NULL ? "" : rule->attributes;
    attribute_word word;
    while (next_word(&text, &word)) {
        bool found =
            !word.required || operation->opset < word.first || operation->opset > word.last;
        for (size_t i = 0; i < operation->attribute_count && !found; i++) {
            const char *name = operation->attributes[i].name;
            found = strlen(name) == word.length && memcmp(name, word.name, word.length) == 0;
        }
        if (!found) {
            return hd_operation_fail(operation, error, HD_BAD_MODEL,
                                     "its attribute '%.*s' is missing", (int)word.length,
                                     word.name);
        }
    }
    return HD_OK;
}
