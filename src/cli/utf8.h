/* UTF-8: which bytes are characters.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_UTF8_H
#define HEDDLE_CLI_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the sequence at text, or 0 if there is none (overlong, surrogate, cut short). */
size_t hd_utf8_length(const unsigned char *text);
/* The character that such a sequence is. */
uint32_t hd_utf8_decode(const unsigned char *text, size_t length);

#endif
