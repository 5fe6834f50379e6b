/* ONNX import of bad files: each ends in a status and a sentence that names node, tensor and
 * reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "onnx_refusal.h"

/* A graph y = Sum(x, w) whose weight is `tensor`. */
static bytes with_weight(bytes tensor)
{
    bytes graph = {0};
    add_input(&graph, "x");
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Sum", "join", "x,w", "y"));
    add_output(&graph, "y");
    return make_model(graph, 13);
}

static void a_file_cut_anywhere_is_a_status(void **state)
{
    (void)state;
    bytes model = with_weight(make_floats("w", 2, (const float[]){3, 4}));
    size_t accepted = 0;
    for (size_t size = 0; size <= model.size; size++) {
        unsigned char *exact = malloc(size == 0 ? 1 : size); /* so that sanitizers see its end */
        assert_non_null(exact);
        memcpy(exact, model.data, size);
        hd_graph *graph = NULL;
        hd_error error = {0};
        hd_status status = hd_onnx_load_memory(exact, size, NULL, &graph, &error);
        accepted += status == HD_OK;
        assert_true(status == HD_OK ? graph != NULL : graph == NULL && error.message[0] != '\0');
        hd_graph_destroy(&graph);
        free(exact);
    }
    assert_int_equal(accepted, 1);
    free(model.data);
}

static void a_flipped_byte_is_a_model_or_a_status(void **state)
{
    (void)state;
    bytes model = with_weight(make_floats("w", 2, (const float[]){3, 4}));
    for (size_t i = 0; i < model.size; i++) {
        for (int change = 1; change < 256; change++) {
            model.data[i] ^= (unsigned char)change;
            hd_graph *graph = NULL;
            hd_error error = {0};
            hd_status status = hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error);
            assert_true(status == HD_OK ? graph != NULL
                                        : graph == NULL && error.message[0] != '\0');
            hd_graph_destroy(&graph);
            model.data[i] ^= (unsigned char)change;
        }
    }
    free(model.data);
}

static void nodes_in_a_circle_are_named(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Sum", "ring_a", "x,b", "a"));
    add_node(&graph, make_node("Identity", "ring_b", "a", "b"));
    add_output(&graph, "b");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "ring_|own output");
}

static void a_missing_weight_is_named_with_its_node(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("MatMul", "product", "x,lost_weight", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "product|MatMul|lost_weight");
}

static void an_output_that_nothing_makes_is_named(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_output(&graph, "nowhere");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "nowhere");
}

static void two_definitions_of_a_name_are_refused(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Identity", "one", "x", "y"));
    add_node(&graph, make_node("Identity", "two", "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "two|'y'");
}

static void an_unknown_operator_is_named_with_its_node(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Frobnicate", "strange", "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED, "strange|Frobnicate");
}

static void every_missing_operator_is_counted(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    char last[16] = "x";
    for (int i = 0; i < 6; i++) {
        char name[16], output[16];
        snprintf(name, sizeof name, "node%d", i);
        snprintf(output, sizeof output, "t%d", i);
        bytes node = make_node(i % 3 == 0   ? "Frobnicate"
                               : i % 3 == 1 ? "Abs"
                                            : "Widget",
                               name, last, output);
        if (i % 3 == 2) {
            put_text(&node, 7, "com.example");
        }
        add_node(&graph, node);
        snprintf(last, sizeof last, "%s", output);
    }
    add_node(&graph, make_node("Unneeded", "aside", "x", "nobody"));
    add_node(&graph, make_node("Frobnicate", "end", last, "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED,
            "Frobnicate x 3|Widget of domain com.example x 2|'node0'");
}

static void missing_operators_beyond_a_dozen_are_counted(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    for (int i = 0; i < 40; i++) {
        char type[16], from[16], to[16];
        snprintf(type, sizeof type, "Odd%d", i);
        snprintf(from, sizeof from, "t%d", i);
        snprintf(to, sizeof to, "t%d", i + 1);
        add_node(&graph, make_node(type, "", i == 0 ? "x" : from, i == 39 ? "y" : to));
    }
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED, "Odd0 x 1|Odd11 x 1|28 more|'t1'");
}

static void an_initializer_that_is_there_twice_is_named(void **state)
{
    (void)state;
    for (int value = 0; value < 2; value++) {
        bytes graph = {0};
        add_input(&graph, "x");
        add_tensor(&graph, make_floats("w", 2, (const float[]){3, 4}));
        add_tensor(&graph, make_floats("w", 2, (const float[]){3, (float)(4 + value)}));
        add_node(&graph, make_node("Sum", "n", "x,w", "y"));
        add_output(&graph, "y");
        refuses(make_model(graph, 13), HD_BAD_MODEL, "initializer 'w'");
    }
    bytes graph = {0};
    add_input(&graph, "x");
    add_tensor(&graph, make_floats("y", 2, (const float[]){3, 4}));
    add_node(&graph, make_node("Abs", "n", "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "n|'y'");
}

static void opsets_that_contradict_or_are_missing_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        bytes graph = {0};
        add_input(&graph, "x");
        add_node(&graph, make_node("Abs", "n", "x", "y"));
        add_output(&graph, "y");
        bytes model = {0};
        put_int(&model, 1, i == 3 ? 2 : 8);
        put_message(&model, 7, graph);
        if (i == 0) { /* once more, by ONNX's other name; and one that nobody uses */
            put_message(&model, 8, make_operator_set("ai.onnx.preview.training", 1));
            put_message(&model, 8, make_operator_set("ai.onnx", 17));
            put_message(&model, 8, make_operator_set("", 17));
            hd_graph *made = NULL;
            assert_int_equal(hd_onnx_load_memory(model.data, model.size, NULL, &made, NULL), HD_OK);
            assert_int_equal(made->opset, 17);
            hd_graph_destroy(&made);
            free(model.data);
        } else if (i == 1) {
            put_message(&model, 8, make_operator_set("ai.onnx", 17));
            put_message(&model, 8, make_operator_set("", 12));
            refuses(model, HD_BAD_MODEL, "17|12");
        } else if (i == 2) {
            put_message(&model, 8, make_operator_set("com.example", 1));
            refuses(model, HD_BAD_MODEL, "opset");
        } else { /* from before there were opsets */
            refuses(model, HD_UNSUPPORTED, "opset 1");
        }
    }
}

static void a_foreign_domain_is_named(void **state)
{
    (void)state;
    bytes graph = {0};
    bytes node = make_node("Sum", "foreign", "x", "y");
    put_text(&node, 7, "com.example");
    add_input(&graph, "x");
    add_node(&graph, node);
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED, "foreign|com.example");
}

static void elements_that_do_not_fit_the_shape_are_refused(void **state)
{
    (void)state;
    bytes tensor = make_tensor("w", 1, 1, (const int64_t[]){3});
    put_bytes(&tensor, 9, "12345678", 8);
    refuses(with_weight(tensor), HD_BAD_MODEL, "'w'|12 bytes|8");
    tensor = make_tensor("w", 1, 1, (const int64_t[]){3}); /* float_data of two */
    put_bytes(&tensor, 4, "12345678", 8);
    refuses(with_weight(tensor), HD_BAD_MODEL, "'w'|2 elements|3");
    tensor =
        make_tensor("w", 1, 1, (const int64_t[]){1}); /* and of two where there should be one */
    put_bytes(&tensor, 4, "12345678", 8);
    refuses(with_weight(tensor), HD_BAD_MODEL, "'w'|more elements");
    tensor = make_tensor("w", 1, 1, (const int64_t[]){3}); /* none at all */
    refuses(with_weight(tensor), HD_BAD_MODEL, "'w'|no elements");
    tensor = make_tensor("w", 7, 1, (const int64_t[]){2}); /* int64 in float_data */
    put_bytes(&tensor, 4, "12345678", 8);
    refuses(with_weight(tensor), HD_BAD_MODEL, "'w'|int64");
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40};
    refuses(with_weight(make_tensor("w", 1, 2, huge)), HD_BAD_MODEL, "'w'|overflows");
    /* 2^60 elements fit a number, but no memory is taken for what the file does not hold */
    const int64_t absurd[] = {INT64_C(1) << 30, INT64_C(1) << 30};
    refuses(with_weight(make_tensor("w", 1, 2, absurd)), HD_BAD_MODEL, "'w'");
    refuses(with_weight(make_tensor("w", 1, 1, (const int64_t[]){-4})), HD_BAD_MODEL, "'w'|-4");
    bytes graph = {0};
    put_message(&graph, 11, make_value("wide", 1, 2, huge));
    add_node(&graph, make_node("Identity", "n", "wide", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "'wide'|overflows");
}

static void types_that_are_none_of_ours_are_named(void **state)
{
    (void)state;
    refuses(with_weight(make_tensor("w", 8, 1, (const int64_t[]){1})), HD_BAD_MODEL, "'w'|texts");
    refuses(with_weight(make_tensor("w", 14, 1, (const int64_t[]){1})), HD_UNSUPPORTED,
            "complex64");
    refuses(with_weight(make_tensor("w", 99, 1, (const int64_t[]){1})), HD_UNSUPPORTED,
            "number 99");
    const int64_t dims[] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    refuses(with_weight(make_tensor("w", 1, 9, dims)), HD_UNSUPPORTED, "'w'|rank 9");
    bytes sequence = {0};
    bytes type = {0};
    put_bytes(&type, 4, "", 0);
    put_text(&sequence, 1, "many");
    put_message(&sequence, 2, type);
    bytes graph = {0};
    put_message(&graph, 11, sequence);
    add_node(&graph, make_node("Identity", "n", "many", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED, "'many'|sequence");
}

static void opsets_of_the_future_are_refused(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_output(&graph, "x");
    refuses(make_model(graph, 29), HD_UNSUPPORTED, "opset 29|28");
    graph = (bytes){0};
    add_input(&graph, "x");
    add_output(&graph, "x");
    bytes model = make_model(graph, 28);
    put_int(&model, 1, 15); /* the last one that stands in a file holds */
    refuses(model, HD_UNSUPPORTED, "IR version is 15|14");
    graph = (bytes){0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Reshape", "old", "x,x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 4), HD_UNSUPPORTED, "old|Reshape|opset 4");
}

static void nesting_that_would_overflow_a_stack_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 2000 };
    bytes graph = {0};
    for (int i = 0; i < DEPTH;
         i++) { /* graph in attribute in node in graph, lengths growing inwards */
        bytes attribute = {0};
        bytes node = {0};
        bytes outer = {0};
        put_message(&attribute, 6, graph);
        put_message(&node, 5, attribute);
        put_message(&outer, 1, node);
        graph = outer;
    }
    refuses(make_model(graph, 13), HD_BAD_MODEL, "nesting");
}

static void functions_that_call_themselves_are_refused(void **state)
{
    (void)state;
    bytes inner = make_node("Loop", "again", "x", "y");
    bytes function = {0};
    put_text(&inner, 7, "local");
    put_text(&function, 1, "Loop");
    put_text(&function, 10, "local");
    put_text(&function, 4, "x");
    put_text(&function, 5, "y");
    put_message(&function, 7, inner);
    bytes call = make_node("Loop", "start", "x", "y");
    put_text(&call, 7, "local");
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, call);
    add_output(&graph, "y");
    bytes model = make_model(graph, 13);
    put_message(&model, 25, function);
    refuses(model, HD_BAD_MODEL, "deep");
}

static void a_field_of_the_wrong_wire_type_is_refused(void **state)
{
    (void)state;
    bytes model = {0};
    put_int(&model, 7, 1); /* the graph as a number */
    refuses(model, HD_BAD_MODEL, "wrong type");
    bytes graph = {0};
    put_int(&graph, 2, 1); /* the graph's name as a number */
    add_input(&graph, "x");
    add_output(&graph, "x");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "wrong type");
}

/* Files that people give in place of a model. */
static void what_is_no_model_is_named_with_its_path(void **state)
{
    (void)state;
    char zeros[600] = {0}, tar[600] = "name";
    memcpy(tar + 257, "ustar", 5);
#define FILE_OF(bytes, words)                                                                      \
    {                                                                                              \
        bytes, sizeof(bytes) - 1, words                                                            \
    }
    const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } files[] = {
        FILE_OF("", "is empty"),
        FILE_OF("<html>not a model</html>", "HTML"),
        FILE_OF("\n <!DOCTYPE HTML><head>", "HTML"),
        FILE_OF("<?xml version=\"1.0\"?><net name=\"n\"/>", "XML"),
        FILE_OF("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
        FILE_OF("{\"model\": 1}", "JSON"),
        FILE_OF("Entry not found", "a text"),
        FILE_OF("\xef\xbb\xbf[1, 2]", "JSON"),
        FILE_OF("PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0archive/data.pkl",
                "PyTorch"),
        FILE_OF("PK\3\4\24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\20\0\0\0config.json", "zip"),
        FILE_OF("\x80\2}q\0.", "pickle"),
        FILE_OF("\x80\4\x95\1\0\0\0", "pickle"),
        FILE_OF("\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"}}", "safetensors"),
        FILE_OF("\x08\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\"}}", "safetensors"),
        FILE_OF("\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
        FILE_OF("\x1c\0\0\0ORTM\0\0", "onnxruntime"),
        FILE_OF("\x1f\x8b\x08\0\0", "gzip"),
        FILE_OF("GGUF\3\0\0\0", "GGUF"),
        FILE_OF("\x89HDF\r\n", "HDF5"),
        FILE_OF("\x93NUMPY\1\0", ".npy"),
        {tar, sizeof tar, "tar"},
        {zeros, sizeof zeros, "zeros"},
    };
    char path[] = "/tmp/heddle_no_model_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        hd_graph *graph = NULL;
        hd_error error = {0};
        assert_int_equal(ftruncate(file, 0), 0);
        assert_int_equal(pwrite(file, files[i].bytes, files[i].size, 0), files[i].size);
        assert_int_equal(hd_onnx_load_file(path, &graph, &error), HD_BAD_MODEL);
        if (strstr(error.message, files[i].words) == NULL) {
            print_error("'%s' is not in: %s\n", files[i].words, error.message);
        }
        assert_non_null(strstr(error.message, files[i].words));
        assert_non_null(strstr(error.message, path));
        bytes copy = {0};
        put(&copy, files[i].bytes, files[i].size);
        refuses(copy, HD_BAD_MODEL, files[i].words);
    }
    close(file);
    unlink(path);
    hd_graph *graph;
    hd_error error;
    assert_int_equal(hd_onnx_load_file("/nonexistent/model.onnx", &graph, &error), HD_NOT_FOUND);
    assert_non_null(strstr(error.message, "/nonexistent/model.onnx"));
    assert_int_equal(hd_onnx_load_file("/tmp", &graph, &error), HD_IO);
    assert_non_null(strstr(error.message, "'/tmp' is a folder"));
    assert_int_equal(hd_onnx_load_file("/dev/zero", &graph, &error), HD_IO);
    assert_int_equal(hd_onnx_load_file(NULL, &graph, NULL), HD_INVALID_ARGUMENT);
}

/* A model of another kind that is in protobuf's format, too. */
static void a_file_without_a_graph_is_named_with_its_path(void **state)
{
    (void)state;
    char path[] = "/tmp/heddle_no_graph_XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "\x08\1", 2), 2);
    close(file);
    hd_graph *graph;
    hd_error error;
    assert_int_equal(hd_onnx_load_file(path, &graph, &error), HD_BAD_MODEL);
    assert_non_null(strstr(error.message, path));
    assert_non_null(strstr(error.message, "no ONNX graph"));
    unlink(path);
}

static void graphs_of_if_and_loop_must_fit_their_node(void **state)
{
    (void)state;
    bytes branch = {0};
    add_node(&branch, make_node("Identity", "inside", "x", "t"));
    add_output(&branch, "t");
    bytes attribute = make_attribute("then_branch", 5);
    put_message(&attribute, 6, branch);
    bytes node = make_node("If", "choose", "x", "y");
    put_message(&node, 5, attribute);
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, node);
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "choose|branch");
}

static void operators_before_their_time_and_inner_ones_are_refused(void **state)
{
    (void)state;
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Gelu", "young", "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 19), HD_BAD_MODEL, "young|Gelu|opset 20|opset 19");
    graph = (bytes){0};
    add_input(&graph, "x");
    add_node(&graph, make_node("heddle.Elementwise", "sly", "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_UNSUPPORTED, "sly|heddle.Elementwise|not supported");
}

static void long_and_wild_names_leave_the_reason(void **state)
{
    (void)state;
    char name[2000] = "\x1b[31m";
    memset(name + 5, 'n', sizeof name - 6);
    bytes graph = {0};
    add_input(&graph, "x");
    add_node(&graph, make_node("Concat", name, "x", "y"));
    add_output(&graph, "y");
    refuses(make_model(graph, 13), HD_BAD_MODEL, "\\x1b[31mnnn|\xE2\x80\xA6nnn|'axis'|missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_cut_anywhere_is_a_status),
        cmocka_unit_test(a_flipped_byte_is_a_model_or_a_status),
        cmocka_unit_test(nodes_in_a_circle_are_named),
        cmocka_unit_test(a_missing_weight_is_named_with_its_node),
        cmocka_unit_test(an_output_that_nothing_makes_is_named),
        cmocka_unit_test(two_definitions_of_a_name_are_refused),
        cmocka_unit_test(an_unknown_operator_is_named_with_its_node),
        cmocka_unit_test(every_missing_operator_is_counted),
        cmocka_unit_test(missing_operators_beyond_a_dozen_are_counted),
        cmocka_unit_test(an_initializer_that_is_there_twice_is_named),
        cmocka_unit_test(opsets_that_contradict_or_are_missing_are_refused),
        cmocka_unit_test(a_foreign_domain_is_named),
        cmocka_unit_test(elements_that_do_not_fit_the_shape_are_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(types_that_are_none_of_ours_are_named),
        cmocka_unit_test(opsets_of_the_future_are_refused),
        cmocka_unit_test(nesting_that_would_overflow_a_stack_is_refused),
        cmocka_unit_test(functions_that_call_themselves_are_refused),
        cmocka_unit_test(a_field_of_the_wrong_wire_type_is_refused),
        cmocka_unit_test(what_is_no_model_is_named_with_its_path),
        cmocka_unit_test(a_file_without_a_graph_is_named_with_its_path),
        cmocka_unit_test(graphs_of_if_and_loop_must_fit_their_node),
        cmocka_unit_test(operators_before_their_time_and_inner_ones_are_refused),
        cmocka_unit_test(long_and_wild_names_leave_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
