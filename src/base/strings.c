#include "base/strings.h"

#include <string.h>

#include "base/memory.h"

size_t hd_strings_size(const hd_string *strings, size_t count)
{
    size_t size;
    if (!hd_multiply_size(count, sizeof *strings, &size)) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        if (!hd_add_size(size, strings[i].size, &size)) {
            return SIZE_MAX;
        }
    }
    return size;
}

void hd_strings_write(void *block, const hd_string *strings, size_t count)
{
    hd_string *entries = block;
    char *bytes = (char *)(entries + count);
    for (size_t i = 0; i < count; i++) {
        const size_t size = strings[i].size;
        if (size > 0) {
            memcpy(bytes, strings[i].data, size);
        }
        entries[i] = (hd_string){.data = bytes, .size = size};
        bytes += size;
    }
}

void *hd_strings_copy(const hd_string *strings, size_t count)
{
    const size_t size = hd_strings_size(strings, count);
    void *block = size == SIZE_MAX ? NULL : hd_alloc_aligned(size);
    if (block != NULL) {
        hd_strings_write(block, strings, count);
    }
    return block;
}

int hd_strings_compare(const hd_string *a, const hd_string *b)
{
    const size_t shared = a->size < b->size ? a->size : b->size;
    const int order = shared == 0 ? 0 : memcmp(a->data, b->data, shared);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}
