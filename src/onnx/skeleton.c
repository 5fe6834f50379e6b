#include "onnx/skeleton.h"

#include <string.h>

#include "base/memory.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* The messages of onnx.proto that the importer looks into. */
typedef enum message_kind {
    MODEL,
    GRAPH,
    NODE,
    ATTRIBUTE,
    TENSOR,
    VALUE_INFO,
    TYPE,
    TENSOR_TYPE,
    SHAPE,
    DIMENSION,
    FUNCTION,
    OPERATOR_SET,
    ENTRY,
    MESSAGE_KIND_COUNT
} message_kind;

/* What becomes of a field. A field that is not in the table is left out: texts for readers,
 * inferred shapes, training. */
enum {
    LEAVE = 0,
    KEEP,    /* a number or a text, copied */
    ELEMENT, /* elements of a tensor: an extent is noted */
    PRESENT, /* a message kept empty: that it is there is enough to refuse it with a sentence */
    INTO     /* + message_kind: a message that is walked through */
};

#define FIELD_END 32
#define VALUES    13u /* of a graph */
#define RAW_DATA  9u

static const unsigned char actions[MESSAGE_KIND_COUNT][FIELD_END] = {
    [MODEL] = {[1] = KEEP, [7] = INTO + GRAPH, [8] = INTO + OPERATOR_SET, [25] = INTO + FUNCTION},
    [GRAPH] = {[1] = INTO + NODE,
               [2] = KEEP,
               [5] = INTO + TENSOR,
               [11] = INTO + VALUE_INFO,
               [12] = INTO + VALUE_INFO,
               [15] = PRESENT},
    [NODE] = {[1] = KEEP,
              [2] = KEEP,
              [3] = KEEP,
              [4] = KEEP,
              [5] = INTO + ATTRIBUTE,
              [7] = KEEP,
              [8] = KEEP},
    [ATTRIBUTE] = {[1] = KEEP,
                   [2] = KEEP,
                   [3] = KEEP,
                   [4] = KEEP,
                   [5] = INTO + TENSOR,
                   [6] = INTO + GRAPH,
                   [7] = KEEP,
                   [8] = KEEP,
                   [9] = KEEP,
                   [10] = PRESENT,
                   [11] = PRESENT,
                   [14] = PRESENT,
                   [15] = PRESENT,
                   [20] = KEEP,
                   [21] = KEEP,
                   [22] = PRESENT,
                   [23] = PRESENT},
    [TENSOR] = {[1] = KEEP,
                [2] = KEEP,
                [3] = PRESENT,
                [4] = ELEMENT,
                [5] = ELEMENT,
                [6] = ELEMENT,
                [7] = ELEMENT,
                [8] = KEEP,
                [RAW_DATA] = ELEMENT,
                [10] = ELEMENT,
                [11] = ELEMENT,
                [13] = INTO + ENTRY,
                [14] = KEEP},
    [VALUE_INFO] = {[1] = KEEP, [2] = INTO + TYPE},
    [TYPE] = {[1] = INTO + TENSOR_TYPE, [4] = PRESENT, [5] = PRESENT, [8] = PRESENT, [9] = PRESENT},
    [TENSOR_TYPE] = {[1] = KEEP, [2] = INTO + SHAPE},
    [SHAPE] = {[1] = INTO + DIMENSION},
    [DIMENSION] = {[1] = KEEP, [2] = KEEP},
    [FUNCTION] = {[1] = KEEP,
                  [4] = KEEP,
                  [5] = KEEP,
                  [6] = KEEP,
                  [7] = INTO + NODE,
                  [9] = INTO + OPERATOR_SET,
                  [10] = KEEP,
                  [11] = INTO + ATTRIBUTE,
                  [13] = KEEP},
    [OPERATOR_SET] = {[1] = KEEP, [2] = KEEP},
    [ENTRY] = {[1] = KEEP, [2] = KEEP},
};

typedef struct scanner {
    bool inspects;
    hd_onnx_reader reader;
    hd_onnx_skeleton skeleton;
    hd_onnx_extent *extents; /* of the tensor that is walked through; tensors do not nest */
    size_t extent_count;
    size_t extent_capacity;
    size_t field_count;
    size_t list_length; /* where the length of the list of numbers stands that was written last */
    size_t list_end;
    uint32_t list_number; /* its field; 0: none that goes on */
    unsigned int depth;
    hd_error *error;
} scanner;

/* One field, from its tag on; a length-delimited one's `size` bytes begin at the reader's
 * position. */
typedef struct field {
    uint64_t begin;
    uint32_t number;
    uint32_t wire;
    uint64_t size;
} field;

static hd_status scan_message(scanner *scan, message_kind kind, uint64_t end);

/* Room for `size` more bytes of skeleton. */
static hd_status reserve(scanner *scan, uint64_t size)
{
    hd_onnx_skeleton *skeleton = &scan->skeleton;
    if (size > HD_ONNX_SIZE_LIMIT || skeleton->size + size > HD_ONNX_SIZE_LIMIT) {
        return hd_fail(scan->error, HD_UNSUPPORTED,
                       "nodes, names and attributes take more than %zu MB, tensors not counted",
                       HD_ONNX_SIZE_LIMIT >> 20);
    }
    if (!hd_array_reserve((void **)&skeleton->bytes, &skeleton->capacity,
                          skeleton->size + (size_t)size, 1)) {
        return hd_fail(scan->error, HD_OUT_OF_MEMORY,
                       "no memory for %llu bytes of the model's graph", (unsigned long long)size);
    }
    return HD_OK;
}

/* Appends a varint; room was reserved. */
static void put_varint(hd_onnx_skeleton *skeleton, uint64_t value)
{
    while (value >= 0x80) {
        skeleton->bytes[skeleton->size++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    skeleton->bytes[skeleton->size++] = (unsigned char)value;
}

/* Appends a tag and a length that is known later, in five bytes; gives the length's position. */
static size_t put_open_length(hd_onnx_skeleton *skeleton, uint32_t number)
{
    put_varint(skeleton, (uint64_t)number << 3 | WIRE_BYTES);
    size_t at = skeleton->size;
    skeleton->size += 5;
    return at;
}

static void close_length(hd_onnx_skeleton *skeleton, size_t at)
{
    size_t length = skeleton->size - (at + 5);
    for (size_t i = 0; i < 4; i++) {
        skeleton->bytes[at + i] = (unsigned char)((length >> (7 * i)) | 0x80);
    }
    skeleton->bytes[at + 4] = (unsigned char)(length >> 28);
}

/* Counts a field that protobuf-c will unpack. */
static hd_status count_field(scanner *scan)
{
    return ++scan->field_count <= HD_ONNX_FIELD_LIMIT
               ? HD_OK
               : hd_fail(scan->error, HD_UNSUPPORTED, "the model has more than %zu million fields",
                         HD_ONNX_FIELD_LIMIT >> 20);
}

/* Whether a field is one number of a list that was not packed, as ONNX's writers leave them. */
static bool is_number_of_list(message_kind kind, const field *f)
{
    return (kind == ATTRIBUTE && f->number == 8 && f->wire == WIRE_VARINT) ||
           (kind == ATTRIBUTE && f->number == 7 && f->wire == WIRE_FIXED32) ||
           (kind == TENSOR && f->number == 1 && f->wire == WIRE_VARINT);
}

/* Packs the numbers of a list into one field: there may be millions. */
static hd_status keep_number(scanner *scan, const field *f)
{
    hd_onnx_skeleton *skeleton = &scan->skeleton;
    bool goes_on = scan->list_number == f->number && scan->list_end == skeleton->size;
    hd_status status = goes_on ? HD_OK : count_field(scan);
    if (status == HD_OK) {
        status = reserve(scan, f->size + 16);
    }
    if (status != HD_OK) {
        return status;
    }
    if (!goes_on) {
        scan->list_length = put_open_length(skeleton, f->number);
        scan->list_number = f->number;
    }
    status = hd_onnx_reader_copy(&scan->reader, skeleton->bytes + skeleton->size, (size_t)f->size,
                                 scan->error);
    skeleton->size += (size_t)f->size;
    close_length(skeleton, scan->list_length);
    scan->list_end = skeleton->size;
    return status;
}

/* Copies a field as it stands, tag included; its end was checked. */
static hd_status keep_field(scanner *scan, const field *f)
{
    hd_onnx_reader *reader = &scan->reader;
    uint64_t size = reader->offset + f->size - f->begin;
    hd_status status = count_field(scan);
    if (status == HD_OK) {
        status = reserve(scan, size);
    }
    if (status != HD_OK) {
        return status;
    }
    reader->offset = f->begin;
    hd_onnx_skeleton *skeleton = &scan->skeleton;
    status =
        hd_onnx_reader_copy(reader, skeleton->bytes + skeleton->size, (size_t)size, scan->error);
    skeleton->size += (size_t)size;
    return status;
}

static hd_status keep_empty(scanner *scan, const field *f)
{
    hd_status status = count_field(scan);
    if (status == HD_OK) {
        status = reserve(scan, 16);
    }
    if (status == HD_OK) {
        close_length(&scan->skeleton, put_open_length(&scan->skeleton, f->number));
        scan->reader.offset += f->size;
    }
    return status;
}

static hd_status note_extent(scanner *scan, const field *f)
{
    uint64_t value_begin = scan->reader.offset;
    bool is_packed = f->wire == WIRE_BYTES;
    hd_onnx_extent extent = {.offset = is_packed ? value_begin : f->begin,
                             .size = is_packed ? f->size : value_begin + f->size - f->begin,
                             .field = f->number,
                             .wire = f->wire};
    scan->reader.offset += f->size;
    hd_onnx_extent *last = scan->extent_count > 0 ? &scan->extents[scan->extent_count - 1] : NULL;
    if (last != NULL && !is_packed && last->field == f->number && last->wire == f->wire &&
        last->offset + last->size == extent.offset) {
        last->size += extent.size;
        return HD_OK;
    }
    if (f->number == RAW_DATA) { /* not repeated: the last one counts */
        scan->extent_count = 0;
    }
    hd_status status = count_field(scan);
    if (status != HD_OK) {
        return status;
    }
    if (!hd_array_reserve((void **)&scan->extents, &scan->extent_capacity, scan->extent_count + 1,
                          sizeof *scan->extents)) {
        return hd_fail(scan->error, HD_OUT_OF_MEMORY, "no memory for a tensor's description");
    }
    scan->extents[scan->extent_count++] = extent;
    return HD_OK;
}

/* Writes the extents of the tensor that ends here. */
static hd_status put_extents(scanner *scan)
{
    size_t size = scan->extent_count * sizeof *scan->extents;
    hd_status status = size > 0 ? reserve(scan, size + 16) : HD_OK;
    if (status == HD_OK && size > 0) {
        hd_onnx_skeleton *skeleton = &scan->skeleton;
        size_t at = put_open_length(skeleton, RAW_DATA);
        memcpy(skeleton->bytes + skeleton->size, scan->extents, size);
        skeleton->size += size;
        close_length(skeleton, at);
    }
    return status;
}

/* Walks through a message within the one before it. */
static hd_status descend(scanner *scan, const field *f, message_kind kind)
{
    hd_status status = count_field(scan);
    if (status == HD_OK) {
        status = reserve(scan, 16);
    }
    if (status != HD_OK) {
        return status;
    }
    if (scan->depth >= HD_ONNX_NESTING_LIMIT) {
        return hd_fail(scan->error, HD_BAD_MODEL,
                       "at byte %llu the nesting is deeper than %u messages",
                       (unsigned long long)f->begin, HD_ONNX_NESTING_LIMIT);
    }
    size_t at = put_open_length(&scan->skeleton, f->number);
    scan->depth++;
    if (kind == TENSOR) {
        scan->extent_count = 0;
    }
    status = scan_message(scan, kind, scan->reader.offset + f->size);
    if (status == HD_OK && kind == TENSOR) {
        status = put_extents(scan);
    }
    scan->depth--;
    scan->list_number = 0;
    if (status == HD_OK) {
        close_length(&scan->skeleton, at);
    }
    return status;
}

/* Reads a field's tag and, of a length-delimited one, the length; checks that it ends before
 * `end`. */
static hd_status read_field(scanner *scan, uint64_t end, field *f)
{
    hd_onnx_reader *reader = &scan->reader;
    uint64_t tag;
    f->begin = reader->offset;
    hd_status status = hd_onnx_reader_varint(reader, end, &tag, scan->error);
    if (status != HD_OK) {
        return status;
    }
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)(tag & 7);
    switch (f->wire) {
    case WIRE_VARINT: {
        uint64_t begin = reader->offset;
        uint64_t ignored;
        status = hd_onnx_reader_varint(reader, end, &ignored, scan->error);
        f->size = reader->offset - begin;
        reader->offset = begin;
        break;
    }
    case WIRE_FIXED64:
        f->size = 8;
        break;
    case WIRE_BYTES:
        status = hd_onnx_reader_varint(reader, end, &f->size, scan->error);
        break;
    case WIRE_FIXED32:
        f->size = 4;
        break;
    default:
        f->number = 0;
        break;
    }
    if (status != HD_OK) {
        return status;
    }
    if (f->number == 0 || tag >> 32 != 0) {
        return hd_fail(scan->error, HD_BAD_MODEL, "the bytes at %llu are not of the ONNX format",
                       (unsigned long long)f->begin);
    }
    if (f->size > end - reader->offset) {
        return hd_fail(
            scan->error, HD_BAD_MODEL,
            "the field at byte %llu is %llu bytes long, but only %llu are left (cut short?)",
            (unsigned long long)f->begin, (unsigned long long)f->size,
            (unsigned long long)(end - reader->offset));
    }
    return HD_OK;
}

static hd_status scan_field(scanner *scan, message_kind kind, const field *f)
{
    unsigned int action = f->number < FIELD_END ? actions[kind][f->number] : LEAVE;
    if (scan->inspects && kind == GRAPH && f->number == VALUES) {
        action = INTO + VALUE_INFO;
    } else if (scan->inspects && kind == MODEL && f->number >= 2 && f->number <= 5) {
        action = KEEP; /* producer, its version, domain, version */
    }
    if (action == LEAVE) {
        scan->reader.offset += f->size;
        return HD_OK;
    }
    if (action == KEEP) {
        return is_number_of_list(kind, f) ? keep_number(scan, f) : keep_field(scan, f);
    }
    if (action == ELEMENT) {
        return note_extent(scan, f);
    }
    if (f->wire != WIRE_BYTES) {
        return hd_fail(scan->error, HD_BAD_MODEL, "the field at byte %llu has the wrong type",
                       (unsigned long long)f->begin);
    }
    return action == PRESENT ? keep_empty(scan, f)
                             : descend(scan, f, (message_kind)(action - INTO));
}

static hd_status scan_message(scanner *scan, message_kind kind, uint64_t end)
{
    while (scan->reader.offset < end) {
        field f;
        hd_status status = read_field(scan, end, &f);
        if (status == HD_OK) {
            status = scan_field(scan, kind, &f);
        }
        if (status != HD_OK) {
            return status;
        }
    }
    return HD_OK;
}

hd_status hd_onnx_skeleton_make(const hd_onnx_source *source, hd_onnx_message message,
                                hd_onnx_skeleton *out_skeleton, hd_error *error)
{
    scanner scan = {.inspects = message == HD_ONNX_MODEL_TO_INSPECT, .error = error};
    *out_skeleton = (hd_onnx_skeleton){0};
    hd_status status = hd_onnx_reader_init(&scan.reader, source, error);
    if (status == HD_OK) {
        status = reserve(&scan, 16);
    }
    if (status == HD_OK) {
        status = scan_message(&scan, message == HD_ONNX_TENSOR ? TENSOR : MODEL, source->size);
    }
    if (status == HD_OK && message == HD_ONNX_TENSOR) {
        status = put_extents(&scan);
    }
    hd_onnx_reader_clear(&scan.reader);
    hd_free(scan.extents);
    if (status != HD_OK) {
        hd_free(scan.skeleton.bytes);
        return status;
    }
    *out_skeleton = scan.skeleton;
    return HD_OK;
}

void hd_onnx_skeleton_clear(hd_onnx_skeleton *skeleton)
{
    hd_free(skeleton->bytes);
    *skeleton = (hd_onnx_skeleton){0};
}
