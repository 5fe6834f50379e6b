/* Operators that move elements, each against plain loops, over odd sizes, tiles in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "support/operation_runner.h"

#define MOST 200000

static unsigned char source_bytes[8 * MOST];
static unsigned char expected_bytes[8 * MOST];

static int setup(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof source_bytes; i++) {
        random = random * 1664525U + 1013904223U;
        source_bytes[i] = (unsigned char)(random >> 24);
    }
    return 0;
}

/* Runs, compares output 0 with expected_bytes of these dims, then all partitions. */
static void check(const operation_case *test, hd_dtype dtype, uint32_t rank, const int64_t *dims)
{
    operation_result result;
    if (operation_run(test, &result) != HD_OK) {
        fail_msg("%s", result.error.message);
    }
    hd_tensor expected = operation_tensor(dtype, expected_bytes, rank, dims);
    operation_check_output(&result.outputs[0], &expected);
    operation_result_clear(&result);
    operation_check_partitions(test);
}

static void expect_status(const operation_case *test, hd_status status)
{
    operation_result result;
    assert_int_equal(operation_run(test, &result), status);
    assert_true(result.error.message[0] != '\0');
    operation_result_clear(&result);
}

/* The next position in row-major order; false after the last. */
static bool advance(int64_t *index, const int64_t *dims, uint32_t rank)
{
    for (uint32_t i = rank; i-- > 0;) {
        if (++index[i] < dims[i]) {
            return true;
        }
        index[i] = 0;
    }
    return false;
}

static int64_t offset_of(const int64_t *index, const int64_t *dims, uint32_t rank)
{
    int64_t offset = 0;
    for (uint32_t i = 0; i < rank; i++) {
        offset = offset * dims[i] + index[i];
    }
    return offset;
}

static void check_transpose(hd_dtype dtype, uint32_t rank, const int64_t *dims, const int64_t *axes)
{
    size_t element = hd_dtype_size(dtype);
    int64_t permuted[HD_MAX_RANK], index[HD_MAX_RANK] = {0}, from[HD_MAX_RANK] = {0}, place = 0;
    for (uint32_t i = 0; i < rank; i++) {
        permuted[i] = dims[axes[i]];
    }
    do {
        for (uint32_t i = 0; i < rank; i++) {
            from[axes[i]] = index[i];
        }
        memcpy(expected_bytes + (size_t)place++ * element,
               source_bytes + (size_t)offset_of(from, dims, rank) * element, element);
    } while (advance(index, permuted, rank));
    hd_attribute attributes[] = {operation_ints("perm", axes, rank)};
    operation_case test = {.type = "Transpose",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {operation_tensor(dtype, source_bytes, rank, dims)},
                           .input_count = 1};
    check(&test, dtype, rank, permuted);
}

static void transpose_moves_every_element_of_every_dtype_and_permutation(void **state)
{
    (void)state;
    static const hd_dtype dtypes[] = {HD_UINT8, HD_FLOAT16, HD_FLOAT32, HD_INT64};
    static const int64_t shapes[][4] = {
        {2, 3, 17, 19}, {1, 9, 1, 65}, {3, 8, 16, 2}, {5, 4, 1, 33}};
    for (size_t d = 0; d < 4; d++) {
        for (size_t s = 0; s < 4; s++) {
            for (int64_t code = 0; code < 256; code++) {
                int64_t axes[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6 & 3};
                uint32_t seen = 0;
                for (int i = 0; i < 4; i++) {
                    seen |= 1U << axes[i];
                }
                if (seen == 15) {
                    check_transpose(dtypes[d], 4, shapes[s], axes);
                }
            }
        }
    }
}

static void transpose_cuts_large_tensors_into_tiles(void **state)
{
    (void)state;
    check_transpose(HD_FLOAT32, 2, (int64_t[]){301, 603}, (int64_t[]){1, 0});
    check_transpose(HD_FLOAT32, 4, (int64_t[]){1, 32, 61, 67}, (int64_t[]){0, 2, 3, 1});
    check_transpose(HD_FLOAT32, 4, (int64_t[]){1, 61, 67, 32}, (int64_t[]){0, 3, 1, 2});
    check_transpose(HD_FLOAT32, 4, (int64_t[]){1, 97, 12, 64}, (int64_t[]){0, 2, 1, 3});
    check_transpose(HD_UINT8, 2, (int64_t[]){301, 603}, (int64_t[]){1, 0});
}

static void transpose_interleaves_few_planes(void **state)
{
    (void)state;
    for (int64_t planes = 1; planes <= 5; planes++) {
        for (int64_t pixels = 1; pixels <= 9; pixels++) {
            check_transpose(HD_FLOAT32, 3, (int64_t[]){2, planes, pixels}, (int64_t[]){0, 2, 1});
        }
        for (int64_t pixels = 13; pixels <= 37; pixels++) { /* bytes by sixteen */
            check_transpose(HD_UINT8, 3, (int64_t[]){2, planes, pixels}, (int64_t[]){0, 2, 1});
        }
        check_transpose(HD_FLOAT32, 4, (int64_t[]){2, planes, 113, 101}, (int64_t[]){0, 2, 3, 1});
        check_transpose(HD_UINT8, 4, (int64_t[]){2, planes, 113, 101}, (int64_t[]){0, 2, 3, 1});
        check_transpose(HD_FLOAT32, 4, (int64_t[]){2, 113, 101, planes}, (int64_t[]){0, 3, 1, 2});
    }
}

static void transpose_rejects_what_is_no_permutation(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("perm", 0, 0)};
    operation_case test = {.type = "Transpose",
                           .attributes = attributes,
                           .attribute_count = 1,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 2, 3)},
                           .input_count = 1};
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void channels_last_and_back_is_the_identity(void **state)
{
    (void)state;
    operation_case there = {.type = "heddle.ToChannelsLast",
                            .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 2, 33, 5, 7)},
                            .input_count = 1};
    operation_result middle;
    assert_int_equal(operation_run(&there, &middle), HD_OK);
    assert_int_equal(middle.outputs[0].dims[3], 33);
    operation_case back = {
        .type = "heddle.FromChannelsLast", .inputs = {middle.outputs[0]}, .input_count = 1};
    memcpy(expected_bytes, source_bytes, middle.outputs[0].size);
    check(&back, HD_FLOAT32, 4, (int64_t[]){2, 33, 5, 7});
    operation_result_clear(&middle);
}

static void reshape_keeps_zero_and_infers_minus_one(void **state)
{
    (void)state;
    static const int64_t target[] = {0, -1, 4};
    operation_case test = {.type = "Reshape",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 2, 6, 2),
                                      OPERATION_TENSOR(HD_INT64, target, 3)},
                           .input_count = 2};
    memcpy(expected_bytes, source_bytes, 24 * 4);
    operation_result result;
    assert_int_equal(operation_run(&test, &result), HD_OK);
    assert_int_equal(result.needed_inputs, 2);
    assert_int_equal(result.outputs[0].dims[0], 2);
    assert_int_equal(result.outputs[0].dims[1], 3);
    assert_memory_equal(result.outputs[0].data, source_bytes, 24 * 4);
    operation_result_clear(&result);
}

static void reshape_rejects_another_element_count(void **state)
{
    (void)state;
    static const int64_t targets[][2] = {{5, 5}, {-1, -1}, {-2, 12}, {-1, 5}};
    for (size_t i = 0; i < 4; i++) {
        operation_case test = {.type = "Reshape",
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 24),
                                          OPERATION_TENSOR(HD_INT64, targets[i], 2)},
                               .input_count = 2};
        expect_status(&test, HD_INVALID_ARGUMENT);
    }
}

static void reshape_infers_minus_one_beside_no_zero(void **state)
{
    (void)state;
    static const int64_t accepted[][2] = {{-1, 3}, {3, -1}, {0, -1}};
    static const int64_t dims[][2] = {{0, 3}, {3, 0}, {2, 0}};
    operation_case test = {.type = "Reshape",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 2, 0)},
                           .input_count = 2};
    for (size_t i = 0; i < 3; i++) {
        operation_result result;
        test.inputs[1] = OPERATION_TENSOR(HD_INT64, accepted[i], 2);
        assert_int_equal(operation_run(&test, &result), HD_OK);
        assert_memory_equal(result.outputs[0].dims, dims[i], sizeof dims[i]);
        operation_result_clear(&result);
    }
    static const int64_t refused[][2] = {{-1, 0}, {0, -1}};
    hd_attribute attributes[] = {operation_int("allowzero", 1)};
    test.attributes = attributes;
    for (size_t i = 0; i < 3; i++) { /* with allowzero; then a 0 that stands for a dimension of 0 */
        test.attribute_count = i < 2;
        test.inputs[1] = OPERATION_TENSOR(HD_INT64, refused[i % 2], 2);
        expect_status(&test, HD_INVALID_ARGUMENT);
    }
}

/* Parts [2, 4, 6, c] and others, each repeated until it is [2, 8, 18, c], joined along the last axis. */
static void check_repeated(hd_dtype dtype, const int64_t channels[3])
{
    static const int64_t parts[3][3] = {{2, 4, 6}, {2, 8, 18}, {1, 2, 9}};
    static const int64_t repeats[12] = {1, 2, 3, 1, 1, 1, 1, 1, 2, 4, 2, 1};
    size_t element = hd_dtype_size(dtype),
           row = (size_t)(channels[0] + channels[1] + channels[2]) * element;
    hd_attribute attributes[] = {
        operation_int("axis", -1),
        {.name = "repeats", .kind = HD_ATTRIBUTE_INTS, .ints = repeats, .count = 12}};
    operation_case test = {.type = "heddle.ConcatRepeated",
                           .attributes = attributes,
                           .attribute_count = 2,
                           .input_count = 3};
    unsigned char *to = expected_bytes;
    for (int64_t pixel = 0; pixel < 2 * 8 * 18; pixel++) {
        int64_t n = pixel / (8 * 18), y = pixel / 18 % 8, x = pixel % 18;
        for (size_t i = 0; i < 3; i++) {
            size_t size = (size_t)channels[i] * element;
            const int64_t *part = parts[i], *factor = &repeats[4 * i];
            int64_t from = (n / factor[0] * part[1] + y / factor[1]) * part[2] + x / factor[2];
            memcpy(to, source_bytes + 1000 * i + (size_t)from * size, size);
            to += size;
        }
    }
    assert_ptr_equal(to, expected_bytes + 2 * 8 * 18 * row);
    for (size_t i = 0; i < 3; i++) {
        int64_t dims[4] = {parts[i][0], parts[i][1], parts[i][2], channels[i]};
        test.inputs[i] = operation_tensor(dtype, source_bytes + 1000 * i, 4, dims);
    }
    check(&test, dtype, 4, (int64_t[]){2, 8, 18, channels[0] + channels[1] + channels[2]});
    test.inputs[1].dims[1] = 7;
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void repeated_parts_are_joined(void **state)
{
    (void)state;
    check_repeated(HD_FLOAT32, (int64_t[]){5, 3, 16});
    check_repeated(HD_FLOAT32, (int64_t[]){24, 1, 132}); /* 528 bytes: a long row */
    check_repeated(HD_INT64, (int64_t[]){1, 2, 6});
    check_repeated(HD_UINT8, (int64_t[]){3, 32, 7});
}

static void concat_and_split_are_inverse(void **state)
{
    (void)state;
    hd_attribute axis[] = {operation_int("axis", 1)};
    static const int64_t sizes[] = {3, 0, 70, 1};
    operation_case split = {.type = "Split",
                            .opset = 13,
                            .attributes = axis,
                            .attribute_count = 1,
                            .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 11, 74, 13),
                                       OPERATION_TENSOR(HD_INT64, sizes, 4)},
                            .input_count = 2,
                            .output_count = 4};
    operation_check_partitions(&split);
    operation_result parts;
    assert_int_equal(operation_run(&split, &parts), HD_OK);
    assert_memory_equal((const char *)parts.outputs[2].data, source_bytes + 3 * 13 * 4,
                        70 * 13 * 4);
    operation_case join = {
        .type = "Concat",
        .attributes = axis,
        .attribute_count = 1,
        .inputs = {parts.outputs[0], parts.outputs[1], parts.outputs[2], parts.outputs[3]},
        .input_count = 4};
    memcpy(expected_bytes, source_bytes, 11 * 74 * 13 * 4);
    check(&join, HD_FLOAT32, 3, (int64_t[]){11, 74, 13});
    operation_result_clear(&parts);
}

static void split_skips_an_unwanted_output(void **state)
{
    (void)state;
    operation_case split = {.type = "Split",
                            .inputs = {OPERATION_TENSOR(HD_INT64, source_bytes, 7)},
                            .input_count = 1,
                            .output_count = 2,
                            .unwanted_outputs = 1};
    operation_result parts;
    assert_int_equal(operation_run(&split, &parts), HD_OK);
    assert_null(parts.outputs[0].data);
    assert_int_equal(parts.outputs[1].dims[0], 3);
    assert_memory_equal(parts.outputs[1].data, source_bytes + 4 * 8, 3 * 8);
    operation_result_clear(&parts);
}

static void slice_clamps_its_bounds(void **state)
{
    (void)state;
    static const int64_t cases[][4] = {
        /* start, end, step, count of 20 */
        {0, 20, 1, 20},
        {3, 17, 4, 4},
        {-1, -21, -1, 20},
        {18, 2, -5, 4},
        {5, 5, 1, 0},
        {-100, 100, 3, 7},
        {INT64_MAX, INT64_MIN, INT64_MIN, 1},
        {0, INT64_MAX, INT64_MAX, 1},
        {INT64_MIN, INT64_MAX, 19, 2},
        {INT64_MIN, INT64_MAX, -1, 0},
        {INT64_MAX, INT64_MIN, 1, 0},
        {-1, INT64_MIN, -19, 2},
        /* a backward start is an element, also far below: no rule of NumPy */
        {-21, INT64_MIN, -1, 1},
        {INT64_MIN, -21, INT64_MIN, 1},
        {-21, -20, -1, 0},
        {-20, -21, -3, 1}};
    static const int64_t first[] = {0, 3, 19, 18, 0, 0, 19, 0, 0, 0, 0, 19, 0, 0, 0, 0};
    static const int64_t axis[] = {-2};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const int64_t *row = cases[c];
        int64_t place = 0;
        for (int64_t i = 0; i < 7; i++) {
            for (int64_t j = 0; j < row[3]; j++) {
                int64_t at = first[c] + (j == 0 ? 0 : j * row[2]);
                memcpy(expected_bytes + place++ * 12, source_bytes + (i * 20 + at) * 12, 12);
            }
        }
        operation_case test = {.type = "Slice",
                               .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 7, 20, 3),
                                          OPERATION_TENSOR(HD_INT64, &row[0], 1),
                                          OPERATION_TENSOR(HD_INT64, &row[1], 1),
                                          OPERATION_TENSOR(HD_INT64, axis, 1),
                                          OPERATION_TENSOR(HD_INT64, &row[2], 1)},
                               .input_count = 5};
        check(&test, HD_FLOAT32, 3, (int64_t[]){7, row[3], 3});
    }
}

static void slice_reads_attributes_before_opset_10(void **state)
{
    (void)state;
    hd_attribute attributes[] = {OPERATION_INTS("starts", 1), OPERATION_INTS("ends", -1),
                                 OPERATION_INTS("axes", 0)};
    operation_case test = {.type = "Slice",
                           .opset = 9,
                           .attributes = attributes,
                           .attribute_count = 3,
                           .inputs = {OPERATION_TENSOR(HD_INT64, source_bytes, 6)},
                           .input_count = 1};
    memcpy(expected_bytes, source_bytes + 8, 4 * 8);
    check(&test, HD_INT64, 1, (int64_t[]){4});
}

/* The position that NumPy's pad reads, for pads shorter than the axis; -1: the constant. */
static int64_t padded_from(const char *mode, int64_t position, int64_t dim)
{
    if (position >= 0 && position < dim) {
        return position;
    }
    switch (mode[0]) {
    case 'e':
        return position < 0 ? 0 : dim - 1;
    case 'r':
        return position < 0 ? -position : 2 * (dim - 1) - position;
    case 'w':
        return position < 0 ? position + dim : position - dim;
    default:
        return -1;
    }
}

static void pad_extends_by_every_mode_and_cuts(void **state)
{
    (void)state;
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    static const int64_t pads[][6] = {{0, 2, 3, 0, 1, 4}, {1, 0, -2, 2, 0, 3}, {2, -1, 0, 1, 2, 0}};
    static const int64_t dims[] = {5, 6, 9};
    const float value = 2.5F;
    for (size_t m = 0; m < 4; m++) {
        for (size_t c = 0; c < 3; c++) {
            const int64_t *p = pads[c];
            int64_t padded[3], index[3] = {0}, place = 0;
            for (int i = 0; i < 3; i++) {
                padded[i] = dims[i] + p[i] + p[i + 3];
            }
            do {
                int64_t from[3];
                bool outside = false;
                for (int i = 0; i < 3; i++) {
                    from[i] = padded_from(modes[m], index[i] - p[i], dims[i]);
                    outside = outside || from[i] < 0;
                }
                memcpy(expected_bytes + 4 * place++,
                       outside ? (const void *)&value : source_bytes + 4 * offset_of(from, dims, 3),
                       4);
            } while (advance(index, padded, 3));
            hd_attribute attributes[] = {operation_string("mode", modes[m])};
            operation_case test = {.type = "Pad",
                                   .attributes = attributes,
                                   .attribute_count = 1,
                                   .inputs = {operation_tensor(HD_FLOAT32, source_bytes, 3, dims),
                                              OPERATION_TENSOR(HD_INT64, p, 6),
                                              OPERATION_SCALAR(HD_FLOAT32, &value)},
                                   .input_count = 3};
            check(&test, HD_FLOAT32, 3, padded);
        }
    }
}

static void pad_rejects_cutting_more_than_there_is(void **state)
{
    (void)state;
    static const int64_t pads[] = {-2, -2};
    operation_case test = {.type = "Pad",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 3),
                                      OPERATION_TENSOR(HD_INT64, pads, 2)},
                           .input_count = 2};
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void expand_and_tile_repeat(void **state)
{
    (void)state;
    static const int64_t target[] = {3, 1, 41}, repeats[] = {3, 1, 41};
    int64_t place = 0;
    for (int64_t i = 0; i < 3 * 50; i++) {
        for (int64_t j = 0; j < 41; j++) {
            memcpy(expected_bytes + 4 * place++, source_bytes + 4 * (i % 50), 4);
        }
    }
    operation_case test = {.type = "Expand",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 50, 1),
                                      OPERATION_TENSOR(HD_INT64, target, 3)},
                           .input_count = 2};
    check(&test, HD_FLOAT32, 3, (int64_t[]){3, 50, 41});
    test.type = "Tile";
    test.inputs[0] = OPERATION_TENSOR(HD_FLOAT32, source_bytes, 1, 50, 1);
    test.inputs[1] = OPERATION_TENSOR(HD_INT64, repeats, 3);
    check(&test, HD_FLOAT32, 3, (int64_t[]){3, 50, 41});
}

static void depth_to_space_and_back_is_the_identity(void **state)
{
    (void)state;
    hd_attribute block[] = {operation_int("blocksize", 3)};
    operation_case there = {.type = "SpaceToDepth",
                            .attributes = block,
                            .attribute_count = 1,
                            .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 2, 5, 12, 9)},
                            .input_count = 1};
    operation_result middle;
    assert_int_equal(operation_run(&there, &middle), HD_OK);
    assert_int_equal(middle.outputs[0].dims[1], 45);
    operation_case back = there;
    back.type = "DepthToSpace";
    back.inputs[0] = middle.outputs[0];
    memcpy(expected_bytes, source_bytes, middle.outputs[0].size);
    check(&back, HD_FLOAT32, 4, (int64_t[]){2, 5, 12, 9});
    operation_result_clear(&middle);
}

static void trilu_keeps_one_triangle(void **state)
{
    (void)state;
    static const int64_t diagonals[] = {0, 2, -3, 100, INT64_MIN};
    for (size_t c = 0; c < 10; c++) {
        int64_t k = diagonals[c / 2], upper = c % 2, place = 0;
        int64_t near = k < -50 ? -50 : k;
        for (int64_t i = 0; i < 3 * 7; i++) {
            for (int64_t j = 0; j < 11; j++, place++) {
                bool kept = upper != 0 ? j >= i % 7 + near : j <= i % 7 + near;
                memset(expected_bytes + 4 * place, 0, 4);
                memcpy(expected_bytes + 4 * place, source_bytes + 4 * place, kept ? 4 : 0);
            }
        }
        hd_attribute attributes[] = {operation_int("upper", upper)};
        operation_case test = {.type = "Trilu",
                               .attributes = attributes,
                               .attribute_count = 1,
                               .inputs = {OPERATION_TENSOR(HD_INT32, source_bytes, 3, 7, 11),
                                          OPERATION_SCALAR(HD_INT64, &k)},
                               .input_count = 2};
        check(&test, HD_INT32, 3, (int64_t[]){3, 7, 11});
    }
}

static void reverse_sequence_clamps_lengths(void **state)
{
    (void)state;
    static const int64_t lengths[] = {-5, 1, 3, 99};
    hd_attribute attributes[] = {operation_int("batch_axis", 0), operation_int("time_axis", 1)};
    for (int64_t b = 0; b < 4; b++) {
        int64_t length = b == 0 ? 0 : b == 3 ? 5 : lengths[b];
        for (int64_t t = 0; t < 5; t++) {
            int64_t from = t < length ? length - 1 - t : t;
            memcpy(expected_bytes + (b * 5 + t) * 24, source_bytes + (b * 5 + from) * 24, 24);
        }
    }
    operation_case test = {.type = "ReverseSequence",
                           .attributes = attributes,
                           .attribute_count = 2,
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 4, 5, 6),
                                      OPERATION_TENSOR(HD_INT64, lengths, 4)},
                           .input_count = 2};
    check(&test, HD_FLOAT32, 3, (int64_t[]){4, 5, 6});
}

static void range_counts_up_and_down(void **state)
{
    (void)state;
    static const int64_t down[] = {10, 3, -2}, none[] = {1, 0, 1}, still[] = {0, 1, 0};
    operation_case test = {.type = "Range",
                           .inputs = {OPERATION_SCALAR(HD_INT64, &down[0]),
                                      OPERATION_SCALAR(HD_INT64, &down[1]),
                                      OPERATION_SCALAR(HD_INT64, &down[2])},
                           .input_count = 3};
    memcpy(expected_bytes, (int64_t[]){10, 8, 6, 4}, 4 * 8);
    check(&test, HD_INT64, 1, (int64_t[]){4});
    for (int i = 0; i < 3; i++) {
        test.inputs[i] = OPERATION_SCALAR(HD_INT64, &none[i]);
    }
    check(&test, HD_INT64, 1, (int64_t[]){0});
    for (int i = 0; i < 3; i++) {
        test.inputs[i] = OPERATION_SCALAR(HD_INT64, &still[i]);
    }
    expect_status(&test, HD_INVALID_ARGUMENT);
}

static void dropout_passes_its_input_and_refuses_to_train(void **state)
{
    (void)state;
    static const float ratio = 0.5F, none = 0;
    static const uint8_t training = 1;
    operation_case test = {.type = "Dropout",
                           .inputs = {OPERATION_TENSOR(HD_FLOAT32, source_bytes, 70001),
                                      OPERATION_SCALAR(HD_FLOAT32, &none),
                                      OPERATION_SCALAR(HD_BOOL, &training)},
                           .input_count = 3,
                           .output_count = 2};
    memcpy(expected_bytes, source_bytes, 70001 * 4);
    check(&test, HD_FLOAT32, 1, (int64_t[]){70001});
    test.inputs[1] = OPERATION_SCALAR(HD_FLOAT32, &ratio);
    expect_status(&test, HD_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpose_moves_every_element_of_every_dtype_and_permutation),
        cmocka_unit_test(transpose_cuts_large_tensors_into_tiles),
        cmocka_unit_test(transpose_interleaves_few_planes),
        cmocka_unit_test(transpose_rejects_what_is_no_permutation),
        cmocka_unit_test(channels_last_and_back_is_the_identity),
        cmocka_unit_test(reshape_keeps_zero_and_infers_minus_one),
        cmocka_unit_test(reshape_rejects_another_element_count),
        cmocka_unit_test(reshape_infers_minus_one_beside_no_zero),
        cmocka_unit_test(repeated_parts_are_joined),
        cmocka_unit_test(concat_and_split_are_inverse),
        cmocka_unit_test(split_skips_an_unwanted_output),
        cmocka_unit_test(slice_clamps_its_bounds),
        cmocka_unit_test(slice_reads_attributes_before_opset_10),
        cmocka_unit_test(pad_extends_by_every_mode_and_cuts),
        cmocka_unit_test(pad_rejects_cutting_more_than_there_is),
        cmocka_unit_test(expand_and_tile_repeat),
        cmocka_unit_test(depth_to_space_and_back_is_the_identity),
        cmocka_unit_test(trilu_keeps_one_triangle),
        cmocka_unit_test(reverse_sequence_clamps_lengths),
        cmocka_unit_test(range_counts_up_and_down),
        cmocka_unit_test(dropout_passes_its_input_and_refuses_to_train),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
