/* Strings: the block that a tensor of texts is: an hd_string an element, then their bytes.
 *
 * Thread-safety: works on its arguments only. */
#ifndef HD_BASE_STRINGS_H
#define HD_BASE_STRINGS_H

#include "heddle/tensor.h"

/* Bytes of the block that holds these texts; SIZE_MAX where they are beyond all memory. */
size_t hd_strings_size(const hd_string *strings, size_t count);

/* Writes the block to memory of that size. */
void hd_strings_write(void *block, const hd_string *strings, size_t count);

/* hd_alloc_aligned; NULL when out of memory. */
void *hd_strings_copy(const hd_string *strings, size_t count);

/* By their bytes, as memcmp has it; a text stands before those that go on behind it. */
int hd_strings_compare(const hd_string *a, const hd_string *b);

#endif
