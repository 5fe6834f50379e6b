#include "operation/einsum.h"

#include <string.h>

/* Identities: 'A' to 'Z' are 0 to 25, 'a' to 'z' 26 to 51, then the dimensions of "...", counted
 * from the last one. */
enum { LETTERS = 52, IDENTITIES = LETTERS + HD_MAX_RANK, NONE = 255 };

typedef struct einsum_term {
    uint32_t count;
    uint8_t identities[HD_EINSUM_LABELS];
} einsum_term;

typedef struct equation_reader {
    const hd_operation *operation;
    hd_error *error;
    const char *next;
    uint8_t label_of[IDENTITIES]; /* NONE: not seen */
    size_t uses[IDENTITIES];      /* in how many places of the inputs */
    uint32_t ellipsis_rank;       /* the most dimensions that "..." stands for */
} equation_reader;

static hd_status fail_equation(const equation_reader *reader, const char *what)
{
    return hd_operation_fail(reader->operation, reader->error, HD_BAD_MODEL,
                             "equation '%.100s': %s",
                             hd_operation_string(reader->operation, "equation", ""), what);
}

static int identity_of(char letter)
{
    return letter >= 'A' && letter <= 'Z'   ? letter - 'A'
           : letter >= 'a' && letter <= 'z' ? letter - 'a' + 26
                                            : -1;
}

/* One term, up to a comma, an arrow or the end. rank: that of its input, or -1 for the output,
 * where "..." stands for as many dimensions as it did at most. */
static hd_status read_term(equation_reader *reader, int64_t rank, einsum_term *term)
{
    uint32_t ellipsis_at = UINT32_MAX;
    term->count = 0;
    for (; *reader->next != '\0' && *reader->next != ',' && *reader->next != '-'; reader->next++) {
        if (*reader->next == ' ') {
            continue;
        }
        if (strncmp(reader->next, "...", 3) == 0 && ellipsis_at == UINT32_MAX) {
            ellipsis_at = term->count;
            reader->next += 2;
            continue;
        }
        int identity = identity_of(*reader->next);
        if (identity < 0 || term->count >= LETTERS) {
            return fail_equation(reader,
                                 "letters, commas, '->' and one '...' a term make an equation");
        }
        term->identities[term->count++] = (uint8_t)identity;
    }
    if (ellipsis_at == UINT32_MAX) {
        return rank < 0 || rank == term->count
                   ? HD_OK
                   : fail_equation(reader, "a term has not its input's rank");
    }
    if (rank >= 0 && rank < term->count) {
        return fail_equation(reader, "a term has more letters than its input dimensions");
    }
    uint32_t hidden = rank < 0 ? reader->ellipsis_rank : (uint32_t)rank - term->count;
    memmove(term->identities + ellipsis_at + hidden, term->identities + ellipsis_at,
            term->count - ellipsis_at);
    for (uint32_t i = 0; i < hidden; i++) {
        term->identities[ellipsis_at + i] = (uint8_t)(LETTERS + hidden - 1 - i);
    }
    term->count += hidden;
    reader->ellipsis_rank = hidden > reader->ellipsis_rank ? hidden : reader->ellipsis_rank;
    return HD_OK;
}

static hd_status read_inputs(equation_reader *reader, einsum_term *terms, int64_t sizes[IDENTITIES])
{
    const hd_operation *operation = reader->operation;
    for (size_t input = 0; input < operation->input_count; input++) {
        const hd_shape *shape = &operation->inputs[input].shape;
        hd_status status = read_term(reader, shape->rank, &terms[input]);
        if (status != HD_OK) {
            return status;
        }
        for (uint32_t i = 0; i < terms[input].count; i++) {
            uint8_t identity = terms[input].identities[i];
            int64_t dim = shape->dims[i];
            if (reader->uses[identity] > 0 && sizes[identity] != dim && sizes[identity] != 1 &&
                dim != 1) {
                return hd_operation_fail(operation, reader->error, HD_INVALID_ARGUMENT,
                                         "a dimension of input %zu does not fit the equation",
                                         input);
            }
            sizes[identity] =
                reader->uses[identity] == 0 || sizes[identity] == 1 ? dim : sizes[identity];
            reader->uses[identity]++;
        }
        bool last = input + 1 == operation->input_count;
        if (!last && *reader->next != ',') {
            return fail_equation(reader, "there are fewer terms than inputs");
        }
        reader->next += last ? 0 : 1;
    }
    return *reader->next == ',' ? fail_equation(reader, "there are more terms than inputs") : HD_OK;
}

/* After "->", or, where there is none, "..." and then the letters that stand once, in order. */
static hd_status read_output(equation_reader *reader, einsum_term *output)
{
    if (*reader->next == '\0') {
        output->count = 0;
        for (uint32_t i = reader->ellipsis_rank; i-- > 0;) {
            output->identities[output->count++] = (uint8_t)(LETTERS + i);
        }
        for (uint8_t identity = 0; identity < LETTERS; identity++) {
            if (reader->uses[identity] == 1) {
                output->identities[output->count++] = identity;
            }
        }
    } else {
        if (strncmp(reader->next, "->", 2) != 0) {
            return fail_equation(reader, "a '-' that is no '->'");
        }
        reader->next += 2;
        hd_status status = read_term(reader, -1, output);
        if (status != HD_OK) {
            return status;
        }
        if (*reader->next != '\0') {
            return fail_equation(reader, "something follows the output's term");
        }
    }
    return output->count <= HD_MAX_RANK ? HD_OK
                                        : fail_equation(reader, "the output's rank is too high");
}

hd_status hd_einsum_resolve(const hd_operation *operation, hd_region *region, hd_einsum *einsum,
                            hd_error *error)
{
    *einsum = (hd_einsum){.input_count = (uint32_t)operation->input_count};
    equation_reader reader = {.operation = operation,
                              .error = error,
                              .next = hd_operation_string(operation, "equation", "")};
    memset(reader.label_of, NONE, sizeof reader.label_of);
    einsum_term *terms = hd_region_array(region, operation->input_count, sizeof *terms), output;
    einsum->strides = hd_region_array(region, operation->input_count, sizeof *einsum->strides);
    if (terms == NULL || einsum->strides == NULL) {
        return hd_operation_fail(operation, error, HD_OUT_OF_MEMORY, "no memory for its equation");
    }
    int64_t sizes[IDENTITIES];
    hd_status status = read_inputs(&reader, terms, sizes);
    status = status == HD_OK ? read_output(&reader, &output) : status;
    if (status != HD_OK) {
        return status;
    }
    for (uint32_t i = 0; i < output.count; i++) {
        uint8_t identity = output.identities[i];
        if (reader.uses[identity] == 0 || reader.label_of[identity] != NONE) {
            return fail_equation(&reader, "a letter of the output stands twice or in no input");
        }
        reader.label_of[identity] = (uint8_t)einsum->label_count;
        einsum->sizes[einsum->label_count++] = sizes[identity];
    }
    einsum->output_rank = output.count;
    for (size_t input = 0; input < operation->input_count; input++) {
        int64_t strides[HD_MAX_RANK];
        hd_shape_strides(&operation->inputs[input].shape, strides);
        for (uint32_t i = 0; i < terms[input].count; i++) {
            uint8_t identity = terms[input].identities[i];
            if (reader.label_of[identity] == NONE) {
                reader.label_of[identity] = (uint8_t)einsum->label_count;
                einsum->sizes[einsum->label_count++] = sizes[identity];
            }
            bool repeats = operation->inputs[input].shape.dims[i] == 1;
            einsum->strides[input][reader.label_of[identity]] += repeats ? 0 : strides[i];
        }
    }
    return HD_OK;
}
