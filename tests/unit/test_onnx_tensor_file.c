/* Tensors in files: .npy and TensorProto. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "heddle/file.h"
#include "onnx_bytes.h"

static char path[256];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/test_tensor_file_XXXXXX",
             getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
    int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* A .npy file of version 1 with this header and `size` bytes of elements, all 1. */
static bytes make_npy(const char *header, size_t size)
{
    bytes file = {0};
    size_t length = strlen(header);
    const unsigned char start[] = {0x93,
                                   'N',
                                   'U',
                                   'M',
                                   'P',
                                   'Y',
                                   1,
                                   0,
                                   (unsigned char)(length & 0xFF),
                                   (unsigned char)(length >> 8)};
    put(&file, start, sizeof start);
    put(&file, header, length);
    for (size_t i = 0; i < size; i++) {
        put(&file, "\1", 1);
    }
    return file;
}

static hd_status load(bytes file, hd_tensor *out, hd_error *error)
{
    unsigned char *exact = malloc(file.size == 0 ? 1 : file.size);
    assert_non_null(exact);
    memcpy(exact, file.data, file.size);
    *out = (hd_tensor){0};
    *error = (hd_error){0};
    hd_status status = hd_tensor_load_memory(exact, file.size, out, error);
    assert_true(status == HD_OK || (out->data == NULL && error->message[0] != '\0'));
    free(exact);
    free(file.data);
    return status;
}

static void every_type_and_rank_comes_back_from_npy(void **state)
{
    (void)state;
    const hd_dtype dtypes[] = {HD_FLOAT32, HD_UINT8,  HD_INT8,    HD_UINT16,  HD_INT16,
                               HD_INT32,   HD_INT64,  HD_BOOL,    HD_FLOAT16, HD_FLOAT64,
                               HD_UINT32,  HD_UINT64, HD_BFLOAT16};
    unsigned char elements[HD_MAX_RANK * 16];
    memset(elements, 1, sizeof elements);
    for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++) {
        for (uint32_t rank = 0; rank <= HD_MAX_RANK; rank++) {
            hd_tensor tensor = {.dtype = dtypes[t], .rank = rank, .data = elements};
            for (uint32_t i = 0; i < rank; i++) {
                tensor.dims[i] = i == rank - 1 ? rank : 1;
            }
            tensor.size = (rank == 0 ? 1 : rank) * hd_dtype_size(dtypes[t]);
            hd_tensor back = {0};
            hd_error error = {0};
            assert_int_equal(hd_tensor_save_npy(path, &tensor, &error), HD_OK);
            assert_int_equal(hd_tensor_load(path, &back, &error), HD_OK);
            assert_int_equal(back.dtype, tensor.dtype);
            assert_int_equal(back.rank, rank);
            assert_memory_equal(back.dims, tensor.dims, sizeof back.dims);
            assert_int_equal(back.size, tensor.size);
            assert_memory_equal(back.data, elements, tensor.size);
            hd_tensor_release(&back);
        }
    }
}

static void an_empty_tensor_comes_back_from_npy(void **state)
{
    (void)state;
    hd_tensor tensor = {.dtype = HD_INT64, .rank = 2, .dims = {0, 3}};
    hd_tensor back = {0};
    assert_int_equal(hd_tensor_save_npy(path, &tensor, NULL), HD_OK);
    assert_int_equal(hd_tensor_load(path, &back, NULL), HD_OK);
    assert_int_equal(back.rank, 2);
    assert_int_equal(back.dims[1], 3);
    assert_int_equal(back.size, 0);
    hd_tensor_release(&back);
}

static void a_message_and_npy_are_told_apart_by_their_bytes(void **state)
{
    (void)state;
    hd_tensor tensor;
    hd_error error;
    assert_int_equal(load(make_floats("w", 2, (const float[]){3, 4}), &tensor, &error), HD_OK);
    assert_memory_equal(tensor.data, ((const float[]){3, 4}), 8);
    assert_null(tensor.name);
    hd_tensor_release(&tensor);
    bytes npy = make_npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", 4);
    assert_int_equal(load(npy, &tensor, &error), HD_OK);
    assert_memory_equal(tensor.data, ((const int16_t[]){257, 257}), 4);
    hd_tensor_release(&tensor);
}

static void headers_in_other_words_are_read(void **state)
{
    (void)state;
    const char *headers[] = {
        "{\"shape\":(2,),\"fortran_order\":False,\"descr\":\"<i2\"}\n",
        "{'descr': '<i2', 'fortran_order': True, 'shape': (2,)}    \n",
        " { 'fortran_order' : False , 'shape' : ( 2 , 1 ) , 'descr' : '<f2' , }"};
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        hd_tensor tensor;
        hd_error error;
        assert_int_equal(load(make_npy(headers[i], 4), &tensor, &error), HD_OK);
        hd_tensor_release(&tensor);
    }
}

static void npy_files_that_are_malformed_are_refused(void **state)
{
    (void)state;
    const char *headers[] = {
        "",
        "{}",
        "{'descr': '<i2', 'fortran_order': False}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)} x",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2 2)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2,",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
        "{'descr': '<i2', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (2,), 'shape': (2,)}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        hd_tensor tensor;
        hd_error error;
        hd_status status = load(make_npy(headers[i], 4), &tensor, &error);
        if (status != HD_BAD_MODEL) {
            print_error("%s: %s\n", headers[i], hd_status_name(status));
        }
        assert_int_equal(status, HD_BAD_MODEL);
    }
}

static void npy_types_and_orders_that_are_none_of_ours_are_named(void **state)
{
    (void)state;
    hd_tensor tensor;
    hd_error error;
    const char *types[] = {">f4", "<c8", ">U1", "<S4", "<f1", "|O"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }",
                 types[i]);
        assert_int_equal(load(make_npy(header, 4), &tensor, &error), HD_UNSUPPORTED);
        assert_non_null(strstr(error.message, types[i]));
    }
    bytes npy = make_npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 1), }", 4);
    assert_int_equal(load(npy, &tensor, &error), HD_UNSUPPORTED);
    assert_non_null(strstr(error.message, "Fortran"));
}

static void a_file_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        bytes whole = kind == 0
                          ? make_npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", 4)
                          : make_floats("w", 2, (const float[]){3, 4});
        for (size_t size = 0; size < whole.size; size++) {
            bytes part = {0};
            put(&part, whole.data, size);
            hd_tensor tensor;
            hd_error error;
            assert_int_not_equal(load(part, &tensor, &error), HD_OK);
        }
        free(whole.data);
    }
}

static void what_cannot_be_opened_or_written_is_named(void **state)
{
    (void)state;
    hd_tensor tensor = {.dtype = HD_UINT8, .rank = 0, .data = &tensor, .size = 1};
    hd_error error = {0};
    assert_int_equal(hd_tensor_load("/nonexistent/x.npy", &tensor, &error), HD_NOT_FOUND);
    assert_non_null(strstr(error.message, "/nonexistent/x.npy"));
    assert_int_equal(hd_tensor_load("/", &tensor, &error), HD_IO);
    assert_ptr_equal(tensor.data, &tensor);
    assert_int_equal(hd_tensor_save_npy("/nonexistent/x.npy", &tensor, &error), HD_IO);
    assert_non_null(strstr(error.message, "/nonexistent/x.npy"));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(hd_tensor_save_npy("/dev/full", &tensor, &error), HD_IO);
    }
    tensor.rank = HD_MAX_RANK + 1;
    assert_int_equal(hd_tensor_save_npy(path, &tensor, &error), HD_INVALID_ARGUMENT);
    tensor.rank = 1;
    tensor.dims[0] = 2;
    assert_int_equal(hd_tensor_save_npy(path, &tensor, &error), HD_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_rank_comes_back_from_npy),
        cmocka_unit_test(an_empty_tensor_comes_back_from_npy),
        cmocka_unit_test(a_message_and_npy_are_told_apart_by_their_bytes),
        cmocka_unit_test(headers_in_other_words_are_read),
        cmocka_unit_test(npy_files_that_are_malformed_are_refused),
        cmocka_unit_test(npy_types_and_orders_that_are_none_of_ours_are_named),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(what_cannot_be_opened_or_written_is_named),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
