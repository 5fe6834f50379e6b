#include "onnx/guess.h"

#include <string.h>
#include <strings.h>

#define START_SIZE ((size_t)512)

typedef struct format {
    size_t offset;
    const char *bytes;
    size_t size;
    const char *name;
} format;

#define TEXT(offset, text, name) {offset, text, sizeof(text) - 1, name}

/* The first that fits counts. */
static const format formats[] = {
    TEXT(0, "version https://git-lfs",
         "looks like a Git LFS pointer: the file itself was not fetched"),
    TEXT(0, "\x1f\x8b", "looks like a gzip archive"),
    TEXT(0, "BZh", "looks like a bzip2 archive"),
    TEXT(0,
         "\xfd"
         "7zXZ",
         "looks like an xz archive"),
    TEXT(0, "7z\xbc\xaf\x27\x1c", "looks like a 7z archive"),
    TEXT(0, "\x28\xb5\x2f\xfd", "looks like a Zstandard archive"),
    TEXT(0, "Rar!", "looks like a RAR archive"),
    TEXT(257, "ustar", "looks like a tar archive"),
    TEXT(0, "GGUF", "looks like a GGUF file"),
    TEXT(0, "\x89HDF", "looks like an HDF5 file, as Keras writes them"),
    TEXT(0, "\x93NUMPY", "looks like a .npy file"),
    TEXT(4, "TFL3", "looks like a TensorFlow Lite file"),
    TEXT(4, "ORTM", "looks like a model in onnxruntime's own format"),
    TEXT(4, "\0\0\0\0{\"", "looks like a safetensors file"),
    TEXT(0, "%PDF", "looks like a PDF file"),
    TEXT(0,
         "\x7f"
         "ELF",
         "looks like a program or library"),
};

/* The name of the first file in a zip archive stands at byte 30. */
static const char *guess_zip(const char *start, size_t size)
{
    char name[START_SIZE + 1] = {0};
    memcpy(name, start + (size > 30 ? 30 : size), size > 30 ? size - 30 : 0);
    bool is_torch = strstr(name, "/data.pkl") != NULL || strstr(name, "/version") != NULL ||
                    strstr(name, "/byteorder") != NULL || strstr(name, "/.format_version") != NULL;
    return is_torch ? "looks like a PyTorch file" : "looks like a zip archive";
}

static const char *guess_text(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < ' ' && strchr("\t\n\v\f\r", byte) == NULL) {
            return NULL;
        }
    }
    size_t at = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* UTF-8's mark */
    at += strspn(text + at, " \t\r\n");
    if (strncasecmp(text + at, "<!doctype html", 14) == 0 ||
        strncasecmp(text + at, "<html", 5) == 0 || strcasestr(text + at, "<head") != NULL ||
        strcasestr(text + at, "<body") != NULL) {
        return "looks like an HTML page, as a server gives in place of a file";
    }
    if (strncmp(text + at, "<?xml", 5) == 0) {
        return "looks like an XML file";
    }
    return text[at] == '{' || text[at] == '[' ? "looks like a JSON file" : "looks like a text";
}

const char *hd_onnx_guess(const hd_onnx_source *source)
{
    char start[START_SIZE + 1] = {0};
    size_t size = source->size < START_SIZE ? (size_t)source->size : START_SIZE;
    if (hd_onnx_source_read(source, 0, start, size, NULL) != HD_OK) {
        return NULL;
    }
    if (size == 0) {
        return "is empty";
    }
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        const format *known = &formats[i];
        if (size >= known->offset + known->size &&
            memcmp(start + known->offset, known->bytes, known->size) == 0) {
            return known->name;
        }
    }
    if (size >= 4 && memcmp(start, "PK\x03\x04", 4) == 0) {
        return guess_zip(start, size);
    }
    if (size >= 2 && (unsigned char)start[0] == 0x80 && start[1] >= 2 && start[1] <= 5) {
        return "looks like a Python pickle, such as PyTorch's older files";
    }
    if (memcmp(start, (const char[16]){0}, 16) == 0) {
        return "begins with nothing but zeros, as a download that did not end";
    }
    return guess_text(start, size);
}
