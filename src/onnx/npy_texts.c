#include "onnx/npy_texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/strings.h"

#define REPLACEMENT 0xFFFDu
#define WIDTH_LIMIT ((size_t)1 << 28)

bool hd_npy_texts_parse(const char *descr, hd_npy_texts *out)
{
    const bool is_unicode = strncmp(descr, "<U", 2) == 0;
    if (!is_unicode && strncmp(descr, "|S", 2) != 0) {
        return false;
    }
    char *end;
    const unsigned long width = strtoul(descr + 2, &end, 10);
    *out = (hd_npy_texts){.is_unicode = is_unicode, .width = width};
    return descr[2] >= '0' && descr[2] <= '9' && *end == '\0' && width <= WIDTH_LIMIT;
}

/* UTF-8 of a code point, at most 4 bytes; their number. */
static size_t encode(uint32_t point, char *to)
{
    if (point >= 0x110000 || (point >= 0xD800 && point < 0xE000)) {
        point = REPLACEMENT;
    }
    if (point < 0x80) {
        to[0] = (char)point;
        return 1;
    }
    const size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; point >>= 6) {
        to[i] = (char)(0x80 | (point & 0x3F));
    }
    to[0] = (char)(marks[size] | point);
    return size;
}

/* The code point at *at, which moves behind it; *at < size. */
static uint32_t decode(const hd_string *text, size_t *at)
{
    const unsigned char *bytes = (const unsigned char *)text->data;
    const unsigned char first = bytes[(*at)++];
    const size_t more = first < 0x80             ? 0
                        : (first & 0xE0) == 0xC0 ? 1
                        : (first & 0xF0) == 0xE0 ? 2
                        : (first & 0xF8) == 0xF0 ? 3
                                                 : SIZE_MAX;
    if (more == 0) {
        return first;
    }
    if (more == SIZE_MAX || more > text->size - *at) {
        return REPLACEMENT;
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t point = first & (0x3Fu >> more);
    for (size_t i = 0; i < more; i++) {
        if ((bytes[*at + i] & 0xC0) != 0x80) {
            return REPLACEMENT;
        }
        point = point << 6 | (bytes[*at + i] & 0x3Fu);
    }
    *at += more;
    return point < least[more] || point >= 0x110000 || (point >= 0xD800 && point < 0xE000)
               ? REPLACEMENT
               : point;
}

/* A cell of the file as UTF-8, without the zeros at its end; its bytes. */
static size_t convert_cell(const hd_npy_texts *texts, const unsigned char *cell, char *to)
{
    size_t length = texts->width, size = 0;
    if (!texts->is_unicode) {
        while (length > 0 && cell[length - 1] == 0) {
            length--;
        }
        memcpy(to, cell, length);
        return length;
    }
    uint32_t point = 0;
    while (length > 0) {
        memcpy(&point, cell + (length - 1) * sizeof point, sizeof point);
        if (point != 0) {
            break;
        }
        length--;
    }
    for (size_t i = 0; i < length; i++) {
        memcpy(&point, cell + i * sizeof point, sizeof point);
        size += encode(point, to + size);
    }
    return size;
}

hd_status hd_npy_texts_read(const hd_onnx_source *source, uint64_t begin, const hd_npy_texts *texts,
                            size_t count, hd_tensor *tensor, hd_error *error)
{
    const size_t cell = texts->width * (texts->is_unicode ? 4 : 1);
    size_t size, array;
    if (!hd_multiply_size(count, cell, &size) || size != source->size - begin ||
        !hd_multiply_size(count, sizeof(hd_string), &array) || (cell == 0 && count > (1u << 20))) {
        return hd_fail(error, HD_BAD_MODEL, "%zu texts of %zu bytes are not what is there", count,
                       cell);
    }
    /* A cell of 4 bytes a code point is no shorter than its UTF-8. */
    unsigned char *cells = hd_alloc(size), *block = hd_alloc_aligned(array + size);
    hd_status status = HD_OK;
    if (cells == NULL || block == NULL) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for %zu texts", count);
    } else {
        status = hd_onnx_source_read(source, begin, cells, size, error);
    }
    if (status == HD_OK) {
        hd_string *entries = (hd_string *)block;
        char *at = (char *)(entries + count);
        for (size_t i = 0; i < count; i++) {
            entries[i] = (hd_string){at, convert_cell(texts, cells + i * cell, at)};
            at += entries[i].size;
        }
        tensor->data = block;
        tensor->size = hd_strings_size(entries, count);
        block = NULL;
    }
    hd_free(cells);
    hd_free(block);
    return status;
}

size_t hd_npy_texts_width(const hd_string *texts, size_t count)
{
    size_t width = 1; /* as NumPy has it for empty ones */
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        for (size_t at = 0; at < texts[i].size; length++) {
            (void)decode(&texts[i], &at);
        }
        width = length > width ? length : width;
    }
    return width;
}

bool hd_npy_texts_write(FILE *file, const hd_string *texts, size_t count, size_t width)
{
    bool is_written = true;
    for (size_t i = 0; i < count && is_written; i++) {
        size_t length = 0;
        for (size_t at = 0; at < texts[i].size && is_written; length++) {
            const uint32_t point = decode(&texts[i], &at);
            is_written = fwrite(&point, sizeof point, 1, file) == 1;
        }
        for (; length < width && is_written; length++) {
            const uint32_t zero = 0;
            is_written = fwrite(&zero, sizeof zero, 1, file) == 1;
        }
    }
    return is_written;
}
