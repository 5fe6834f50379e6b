/* Escape: text from anywhere, as text in Markdown and in HTML. What is no UTF-8 becomes U+FFFD; control characters,
 * and those that turn the direction of what follows, are spelled out (\x1b, \u202e).
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_ESCAPE_H
#define HEDDLE_CLI_VERIFY_ESCAPE_H

#include <stdio.h>

#include "cli/verify/json_value.h"

/* Within a line of Markdown, also within a cell of a table. */
void hd_escape_markdown(FILE *stream, const char *text);
/* Where a line or an item of a list begins, and what would begin a list or a heading shall not. */
void hd_escape_markdown_line(FILE *stream, const char *text);
/* An element's text, or an attribute's value between double quotes. */
void hd_escape_html(FILE *stream, const char *text);

/* A scalar as people read it: numbers in groups of three digits or to three places, yes or no, a dash for null. */
#define CELL_TEXT_MAX 64
/* Into `room`, or the value's own text. */
const char *hd_cell_text(const hd_json_value *cell, char room[CELL_TEXT_MAX]);

/* Whether each cell of a table's column is a number or null. */
bool hd_column_is_numeric(const hd_json_value *table, size_t column);

#endif
