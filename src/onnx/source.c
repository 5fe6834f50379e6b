#include "onnx/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/memory.h"

#define WINDOW_SIZE ((size_t)64 << 10)
#define READ_SIZE   ((size_t)1 << 30) /* Linux reads at most 2 GB less a page in one call */

hd_status hd_onnx_source_read(const hd_onnx_source *source, uint64_t offset, void *out, size_t size,
                              hd_error *error)
{
    if (size == 0) {
        return HD_OK;
    }
    if (offset > source->size || size > source->size - offset) {
        return hd_fail(error, HD_BAD_MODEL, "%zu bytes at byte %llu lie past the end", size,
                       (unsigned long long)offset);
    }
    if (source->memory != NULL) {
        memcpy(out, source->memory + offset, size);
        return HD_OK;
    }
    unsigned char *to = out;
    while (size > 0) {
        size_t wanted = size < READ_SIZE ? size : READ_SIZE;
        ssize_t got = hd_fault_hits("pread") ? (errno = EIO, (ssize_t)-1)
                                             : pread(source->file, to, wanted, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return hd_fail(error, HD_IO, "reading the file at byte %llu failed: %s",
                           (unsigned long long)offset,
                           got < 0 ? strerrordesc_np(errno) : "it became shorter");
        }
        to += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return HD_OK;
}

hd_status hd_onnx_reader_init(hd_onnx_reader *reader, const hd_onnx_source *source, hd_error *error)
{
    *reader = (hd_onnx_reader){.source = source};
    if (source->memory != NULL) {
        reader->window = source->memory;
        reader->window_size = (size_t)source->size;
        return HD_OK;
    }
    reader->buffer = hd_alloc(WINDOW_SIZE);
    if (reader->buffer == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory to read the file");
    }
    reader->window = reader->buffer;
    return HD_OK;
}

void hd_onnx_reader_clear(hd_onnx_reader *reader)
{
    hd_free(reader->buffer);
    *reader = (hd_onnx_reader){0};
}

/* Lets the window begin at the reader's position, which lies before the source's end. */
static hd_status fill_window(hd_onnx_reader *reader, hd_error *error)
{
    uint64_t left = reader->source->size - reader->offset;
    size_t size = left < WINDOW_SIZE ? (size_t)left : WINDOW_SIZE;
    reader->window_size = 0;
    hd_status status =
        hd_onnx_source_read(reader->source, reader->offset, reader->buffer, size, error);
    if (status == HD_OK) {
        reader->window_begin = reader->offset;
        reader->window_size = size;
    }
    return status;
}

static bool is_in_window(const hd_onnx_reader *reader)
{
    return reader->offset >= reader->window_begin &&
           reader->offset - reader->window_begin < reader->window_size;
}

hd_status hd_onnx_reader_varint(hd_onnx_reader *reader, uint64_t end, uint64_t *out,
                                hd_error *error)
{
    uint64_t value = 0;
    uint64_t begin = reader->offset;
    for (unsigned int shift = 0; shift < 70 && reader->offset < end; shift += 7) {
        if (!is_in_window(reader)) {
            hd_status status = fill_window(reader, error);
            if (status != HD_OK) {
                return status;
            }
        }
        unsigned char byte = reader->window[reader->offset - reader->window_begin];
        reader->offset++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *out = value;
            return HD_OK;
        }
    }
    return hd_fail(error, HD_BAD_MODEL, "the number at byte %llu does not end",
                   (unsigned long long)begin);
}

hd_status hd_onnx_reader_copy(hd_onnx_reader *reader, void *out, size_t size, hd_error *error)
{
    unsigned char *to = out;
    while (size > 0) {
        if (!is_in_window(reader) && size >= WINDOW_SIZE) {
            hd_status status = hd_onnx_source_read(reader->source, reader->offset, to, size, error);
            reader->offset += size;
            return status;
        }
        if (!is_in_window(reader)) {
            hd_status status = reader->buffer == NULL
                                   ? hd_fail(error, HD_BAD_MODEL, "the bytes end too early")
                                   : fill_window(reader, error);
            if (status != HD_OK) {
                return status;
            }
        }
        size_t at = (size_t)(reader->offset - reader->window_begin);
        size_t there = reader->window_size - at;
        size_t count = there < size ? there : size;
        memcpy(to, reader->window + at, count);
        to += count;
        reader->offset += count;
        size -= count;
    }
    return HD_OK;
}
