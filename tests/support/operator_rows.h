/* Operator rows: for each operator of ONNX that Heddle has, small operands and attributes in few words, so that a test
 * can go through all operators and change one thing at a time.
 *
 * Inputs, with spaces between: a letter for the type (f float32, d float64, L int64, I int32, U uint32, B bool,
 * u uint8, c int8, h uint16, q int4, e float8e4m3fn), then
 * "2x3" a shape, nothing a scalar, "[1,2]" a list of these elements, "=3" a scalar of this element; "-" is left out.
 * Attributes: NAME=3, NAME=0.5, NAME=[1,2], NAME='text', tensors NAME=f[1,2] (float32), NAME=u[1,2]
 * (uint8) and NAME=s[a,b] (texts). Shapes of a row name each size by a number of its own, where
 * the operator lets them.
 *
 * Thread-safety: immutable; a case belongs to one thread. */
#ifndef HD_TEST_OPERATOR_ROWS_H
#define HD_TEST_OPERATOR_ROWS_H

#include "heddle/heddle.h"
#include "operation/operation.h"

#define ROW_OPERAND_LIMIT   18
#define ROW_ATTRIBUTE_LIMIT 20
#define ROW_ELEMENT_LIMIT   16

typedef struct operator_row {
    const char *types; /* operators that take the same, with spaces between */
    const char *inputs;
    const char *attributes; /* NULL: none */
    size_t output_count;    /* 0: 1 */
    uint32_t opset;         /* 0: 21, or the operator's first where that is later */
} operator_row;

extern const operator_row operator_rows[];
extern const size_t operator_row_count;

typedef struct row_operand {
    hd_dtype dtype; /* HD_DTYPE_NONE: left out */
    hd_shape shape;
    bool has_elements; /* those of the row; others are made up */
    double elements[ROW_ELEMENT_LIMIT];
    int64_t integers[ROW_ELEMENT_LIMIT]; /* the same, where the type is an integer's */
} row_operand;

/* A row, read, for one of its operators. Its attributes point into it. */
typedef struct row_case {
    char type[64];
    uint32_t opset;
    row_operand inputs[ROW_OPERAND_LIMIT];
    size_t input_count;
    hd_attribute attributes[ROW_ATTRIBUTE_LIMIT];
    size_t attribute_count;
    size_t output_count;
    char names[ROW_ATTRIBUTE_LIMIT][48];
    char texts[ROW_ATTRIBUTE_LIMIT][48];
    int64_t ints[ROW_ATTRIBUTE_LIMIT][ROW_ELEMENT_LIMIT];
    float floats[ROW_ATTRIBUTE_LIMIT][ROW_ELEMENT_LIMIT];
    uint8_t bytes[ROW_ATTRIBUTE_LIMIT][ROW_ELEMENT_LIMIT];
    hd_string strings[ROW_ATTRIBUTE_LIMIT][ROW_ELEMENT_LIMIT];
    hd_tensor tensors[ROW_ATTRIBUTE_LIMIT];
} row_case;

/* Reads a row for the operator at *types, which moves behind it; false at the end. */
bool row_case_next(const operator_row *row, const char **types, row_case *out);

/* An exact copy, whose attributes point into itself. */
void row_case_copy(row_case *to, const row_case *from);

/* Elements of an operand, hd_alloc'd; NULL when they are none or too many for a test. */
void *row_operand_data(const row_operand *operand);

/* The case in words, cut to size. */
const char *row_case_text(const row_case *c, char *text, size_t size);

#endif
