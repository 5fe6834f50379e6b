#include "onnx/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "onnx/npy_texts.h"
#include "operation/operation.h"

#define MAGIC        "\x93NUMPY"
#define MAGIC_SIZE   ((size_t)6)
#define HEADER_LIMIT ((size_t)64 << 10) /* NumPy itself reads 10,000 bytes at most by default */

static const struct {
    hd_dtype dtype;
    const char *code; /* without the byte order */
} codes[] = {{HD_FLOAT32, "f4"}, {HD_FLOAT64, "f8"}, {HD_FLOAT16, "f2"}, {HD_UINT8, "u1"},
             {HD_UINT16, "u2"},  {HD_UINT32, "u4"},  {HD_UINT64, "u8"},  {HD_INT8, "i1"},
             {HD_INT16, "i2"},   {HD_INT32, "i4"},   {HD_INT64, "i8"},   {HD_BOOL, "b1"},
             {HD_BFLOAT16, "V2"}};

#define CODE_COUNT (sizeof codes / sizeof codes[0])

bool hd_npy_matches(const void *data, size_t size)
{
    return size >= MAGIC_SIZE && memcmp(data, MAGIC, MAGIC_SIZE) == 0;
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Steps over `text` after spaces; NULL when something else stands there. */
static const char *expect(const char *at, const char *text)
{
    size_t length = strlen(text);
    at = at == NULL ? NULL : skip_spaces(at);
    return at != NULL && strncmp(at, text, length) == 0 ? at + length : NULL;
}

/* Reads a text in single or double quotes; NULL when there is none or it is too long. */
static const char *parse_text(const char *at, char *out, size_t size)
{
    at = skip_spaces(at);
    char quote = *at;
    if (quote != '\'' && quote != '"') {
        return NULL;
    }
    at++;
    size_t length = 0;
    while (at[length] != quote && at[length] != '\0' && length + 1 < size) {
        out[length] = at[length];
        length++;
    }
    out[length] = '\0';
    return at[length] == quote ? at + length + 1 : NULL;
}

/* "<f4" and so on; HD_DTYPE_NONE for a type or a byte order that is none of ours. */
static hd_dtype parse_descr(const char *descr)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        if (strcmp(descr + 1, codes[i].code) == 0 && hd_dtype_size(codes[i].dtype) > 0 &&
            (descr[0] == '<' ||
             (descr[0] == '|' && (descr[2] == '1' || codes[i].dtype == HD_BFLOAT16)))) {
            return codes[i].dtype;
        }
    }
    return HD_DTYPE_NONE;
}

/* "(2, 3)", "(2,)" or "()". */
static const char *parse_shape(const char *at, hd_tensor *out)
{
    at = expect(at, "(");
    while (at != NULL && expect(at, ")") == NULL) {
        at = skip_spaces(at);
        if (*at < '0' || *at > '9' || out->rank == HD_MAX_RANK) {
            return NULL;
        }
        int64_t dim = 0;
        for (; *at >= '0' && *at <= '9'; at++) {
            if (__builtin_mul_overflow(dim, (int64_t)10, &dim) ||
                __builtin_add_overflow(dim, (int64_t)(*at - '0'), &dim)) {
                return NULL;
            }
        }
        out->dims[out->rank++] = dim;
        const char *next = expect(at, ",");
        at = next != NULL ? next : expect(at, ")") != NULL ? at : NULL;
    }
    return expect(at, ")");
}

static hd_status fail_header(hd_error *error)
{
    return hd_fail(error, HD_BAD_MODEL, "the .npy header is malformed, or its rank is over %d",
                   HD_MAX_RANK);
}

static hd_status parse_header(const char *header, hd_tensor *out, hd_npy_texts *texts,
                              hd_error *error)
{
    bool is_column_major = false;
    unsigned int seen = 0; /* a bit each for the three keys */
    const char *at = expect(header, "{");
    while (at != NULL && expect(at, "}") == NULL) {
        char key[24];
        char descr[24];
        at = parse_text(at, key, sizeof key);
        at = expect(at, ":");
        if (at == NULL) {
            break;
        }
        if (strcmp(key, "descr") == 0) {
            seen |= 1;
            at = parse_text(at, descr, sizeof descr);
            if (at == NULL || descr[0] == '\0') {
                return hd_fail(error, HD_UNSUPPORTED, "the .npy type is a structure or unknown");
            }
            out->dtype = hd_npy_texts_parse(descr, texts) ? HD_STRING : parse_descr(descr);
            if (out->dtype == HD_DTYPE_NONE) {
                return hd_fail(error, HD_UNSUPPORTED, "the .npy type '%s' is not supported", descr);
            }
        } else if (strcmp(key, "fortran_order") == 0) {
            seen |= 2;
            is_column_major = expect(at, "True") != NULL;
            at = expect(at, is_column_major ? "True" : "False");
        } else if (strcmp(key, "shape") == 0 && (seen & 4) == 0) {
            seen |= 4;
            at = parse_shape(at, out);
        } else {
            at = NULL;
        }
        const char *next = expect(at, ",");
        at = next != NULL ? next : expect(at, "}") != NULL ? at : NULL;
    }
    if (at == NULL || seen != 7 || *skip_spaces(expect(at, "}")) != '\0') {
        return fail_header(error);
    }
    if (is_column_major && out->rank > 1) {
        return hd_fail(error, HD_UNSUPPORTED, "the .npy file is in column-major (Fortran) order");
    }
    return HD_OK;
}

/* Reads the header's text into `*out_text` (hd_free) and finds where the elements begin. */
static hd_status read_header(const hd_onnx_source *source, char **out_text, uint64_t *out_begin,
                             hd_error *error)
{
    unsigned char start[12];
    size_t start_size = 10;
    hd_status status = hd_onnx_source_read(source, 0, start, start_size, error);
    if (status != HD_OK) {
        return status;
    }
    if (start[6] < 1 || start[6] > 3) {
        return hd_fail(error, HD_UNSUPPORTED, "version %u of .npy is not supported", start[6]);
    }
    size_t length = (size_t)start[8] | (size_t)start[9] << 8;
    if (start[6] > 1) {
        start_size = 12;
        status = hd_onnx_source_read(source, 0, start, start_size, error);
        if (status != HD_OK) {
            return status;
        }
        length |= (size_t)start[10] << 16 | (size_t)start[11] << 24;
    }
    if (length > HEADER_LIMIT || length > source->size - start_size) {
        return hd_fail(error, HD_BAD_MODEL, "the .npy header of %zu bytes is cut short or too long",
                       length);
    }
    char *text = hd_alloc(length + 1);
    if (text == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a .npy header");
    }
    status = hd_onnx_source_read(source, start_size, text, length, error);
    if (status == HD_OK && memchr(text, '\0', length) != NULL) {
        status = fail_header(error);
    }
    if (status != HD_OK) {
        hd_free(text);
        return status;
    }
    text[length] = '\0';
    *out_text = text;
    *out_begin = start_size + length;
    return HD_OK;
}

hd_status hd_npy_read(const hd_onnx_source *source, hd_tensor *out, hd_error *error)
{
    hd_npy_texts texts = {0};
    hd_tensor tensor = {0};
    char *header = NULL;
    uint64_t begin = 0;
    hd_status status = read_header(source, &header, &begin, error);
    if (status != HD_OK) {
        return status;
    }
    status = parse_header(header, &tensor, &texts, error);
    hd_free(header);
    if (status != HD_OK) {
        return status;
    }
    hd_shape shape = {.rank = tensor.rank};
    memcpy(shape.dims, tensor.dims, sizeof shape.dims);
    if (!hd_shape_is_valid(&shape, tensor.dtype)) {
        return hd_fail(error, HD_BAD_MODEL, "the size of shape %s overflows",
                       hd_shape_text(&shape, (char[128]){0}, 128));
    }
    if (tensor.dtype == HD_STRING) {
        status = hd_npy_texts_read(source, begin, &texts, (size_t)hd_shape_count(&shape), &tensor,
                                   error);
        if (status == HD_OK) {
            *out = tensor;
        }
        return status;
    }
    tensor.size = (size_t)hd_shape_count(&shape) * hd_dtype_size(tensor.dtype);
    if (tensor.size != source->size - begin) {
        return hd_fail(error, HD_BAD_MODEL, "%s of shape %s takes %zu bytes, but %llu are there",
                       hd_dtype_name(tensor.dtype), hd_shape_text(&shape, (char[128]){0}, 128),
                       tensor.size, (unsigned long long)(source->size - begin));
    }
    tensor.data = hd_alloc_aligned(tensor.size);
    if (tensor.data == NULL) {
        return hd_fail(error, HD_OUT_OF_MEMORY, "no memory for a tensor of %zu bytes", tensor.size);
    }
    status = hd_onnx_source_read(source, begin, tensor.data, tensor.size, error);
    if (status != HD_OK) {
        hd_free(tensor.data);
        return status;
    }
    unsigned char *bytes = tensor.data;
    for (size_t i = 0; tensor.dtype == HD_BOOL && i < tensor.size; i++) {
        bytes[i] = bytes[i] != 0;
    }
    *out = tensor;
    return HD_OK;
}

size_t hd_npy_write_header(const hd_tensor *tensor, size_t text_width,
                           char header[HD_NPY_HEADER_SIZE])
{
    const char *code = "";
    char texts[32];
    for (size_t i = 0; i < CODE_COUNT; i++) {
        code = codes[i].dtype == tensor->dtype ? codes[i].code : code;
    }
    if (tensor->dtype == HD_STRING) {
        snprintf(texts, sizeof texts, "U%zu", text_width);
        code = texts;
    }
    char shape[HD_MAX_RANK * 24];
    size_t length = 0;
    shape[0] = '\0';
    for (uint32_t i = 0; i < tensor->rank; i++) {
        int written =
            snprintf(shape + length, sizeof shape - length, "%" PRId64 "%s", tensor->dims[i],
                     i + 1 < tensor->rank ? ", "
                     : tensor->rank == 1  ? ","
                                          : "");
        length += (size_t)written;
    }
    memcpy(header, MAGIC "\x01\x00", MAGIC_SIZE + 2);
    int written = snprintf(header + 10, HD_NPY_HEADER_SIZE - 10,
                           "{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }",
                           code[1] == '1' && code[0] != 'U' ? "|" : "<", code, shape);
    size_t end = 10 + (size_t)written;
    size_t size = hd_align_up(end + 1, 64);
    memset(header + end, ' ', size - end);
    header[size - 1] = '\n';
    header[8] = (char)((size - 10) & 0xFF);
    header[9] = (char)((size - 10) >> 8);
    return size;
}
