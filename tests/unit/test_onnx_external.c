/* ONNX files on disk: external data within the model's folder only, files and offsets beyond 4
 * GB, and the memory that loading takes at its peak. */
#include <fcntl.h>
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
#include "heddle/model.h"
#include "onnx/onnx.h"
#include "onnx_bytes.h"
#include "support/test_device.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#define MB ((size_t)1 << 20)

/* A new folder of the test's own, with everything in it removed at the end. */
static char folder[256];

static const char *in_folder(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Makes a file of `size` bytes, mostly a hole that takes no disk, with `tail` at its end. */
static void write_sparse(const char *name, off_t size, const void *tail, size_t tail_size)
{
    int file = open(in_folder(name), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, size), 0);
    assert_int_equal(pwrite(file, tail, tail_size, size - (off_t)tail_size), tail_size);
    assert_int_equal(close(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/test_onnx_XXXXXX",
             getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR"));
    if (mkdtemp(folder) == NULL || mkdir(in_folder("model"), 0700) != 0 ||
        mkdir(in_folder("model/sub"), 0700) != 0) {
        return -1;
    }
    const float values[] = {0, 1, 2, 3};
    write_file("model/weights", values, sizeof values);
    write_file("model/sub/weights", values, sizeof values);
    write_file("outside", values, sizeof values);
    return symlink("weights", in_folder("model/link")) != 0 ||
                   symlink("..", in_folder("model/up")) != 0 ||
                   symlink("../outside", in_folder("model/link_out")) != 0 ||
                   symlink("sub", in_folder("model/linked_sub")) != 0
               ? -1
               : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void put_entry(bytes *tensor, const char *key, const char *value)
{
    bytes entry = {0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, entry);
}

/* y = Identity(w), w of `count` floats in an external file; offset and length may be NULL. */
static bytes make_external_model(const char *location, const char *offset, const char *length,
                                 int64_t count)
{
    bytes tensor = make_tensor("w", 1, 1, &count);
    put_int(&tensor, 14, 1);
    put_entry(&tensor, "location", location);
    if (offset != NULL) {
        put_entry(&tensor, "offset", offset);
    }
    if (length != NULL) {
        put_entry(&tensor, "length", length);
    }
    bytes graph = {0};
    add_tensor(&graph, tensor);
    add_node(&graph, make_node("Identity", "n", "w", "y"));
    add_output(&graph, "y");
    return make_model(graph, 13);
}

static hd_status load_external(const char *location, const char *offset, const char *length,
                               int64_t count, hd_graph **out, hd_error *error)
{
    bytes model = make_external_model(location, offset, length, count);
    write_file("model/model.onnx", model.data, model.size);
    free(model.data);
    *error = (hd_error){0};
    return hd_onnx_load_file(in_folder("model/model.onnx"), out, error);
}

static const void *first_constant(const hd_graph *graph)
{
    for (size_t i = 1; i < graph->value_count; i++) {
        if (graph->values[i].data != NULL) {
            return graph->values[i].data;
        }
    }
    return NULL;
}

static void external_data_is_read_from_the_models_folder(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_error error;
    const char *places[] = {"weights", "./weights", "sub/weights", "sub/./weights"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        assert_int_equal(load_external(places[i], "4", "8", 2, &graph, &error), HD_OK);
        assert_memory_equal(first_constant(graph), ((const float[]){1, 2}), 8);
        hd_graph_destroy(&graph);
    }
    assert_int_equal(load_external("weights", NULL, NULL, 4, &graph, &error), HD_OK);
    hd_graph_destroy(&graph);
    bytes model = make_external_model("weights", NULL, NULL, 4);
    assert_int_equal(
        hd_onnx_load_memory(model.data, model.size, in_folder("model"), &graph, &error), HD_OK);
    hd_graph_destroy(&graph);
    assert_int_equal(hd_onnx_load_memory(model.data, model.size, NULL, &graph, &error),
                     HD_UNSUPPORTED);
    assert_non_null(strstr(error.message, "'w'"));
    free(model.data);
}

static void external_data_outside_the_folder_is_refused(void **state)
{
    (void)state;
    char absolute[512];
    snprintf(absolute, sizeof absolute, "%s", in_folder("model/weights"));
    const char *places[] = {"../outside",       "sub/../weights", "..", absolute,
                            "up/outside",       "link_out",       "",   "/",
                            "up/sub/../outside"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        hd_graph *graph;
        hd_error error;
        hd_status status = load_external(places[i], NULL, NULL, 4, &graph, &error);
        if (status != HD_BAD_MODEL) {
            print_error("'%s': %s %s\n", places[i], hd_status_name(status), error.message);
        }
        assert_int_equal(status, HD_BAD_MODEL);
        assert_non_null(strstr(error.message, "'w'"));
        assert_null(graph);
    }
}

static void links_that_stay_in_the_folder_are_followed(void **state)
{
    (void)state;
    const char *places[] = {"link", "linked_sub/weights", "up/model/weights"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        hd_graph *graph;
        hd_error error;
        assert_int_equal(load_external(places[i], "4", "8", 2, &graph, &error), HD_OK);
        assert_memory_equal(first_constant(graph), ((const float[]){1, 2}), 8);
        hd_graph_destroy(&graph);
    }
}

/* Hugging Face's: snapshots/REVISION/onnx/NAME are links to ../../../blobs/HASH. */
static void make_cache(const char *weights)
{
    bytes model = make_external_model("model.onnx_data", NULL, NULL, 4);
    const char *folders[] = {
        "cache",           "cache/blobs",          "cache/blobs-else",
        "cache/snapshots", "cache/snapshots/main", "cache/snapshots/main/onnx"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)mkdir(in_folder(folders[i]), 0700); /* it may be there */
    }
    write_file("cache/blobs/aaa", model.data, model.size);
    free(model.data);
    const float values[] = {4, 5, 6, 7};
    write_file("cache/blobs/bbb", values, sizeof values);
    write_file("cache/blobs-else/bbb", values, sizeof values);
    (void)unlink(in_folder("cache/snapshots/main/onnx/model.onnx"));
    (void)unlink(in_folder("cache/snapshots/main/onnx/model.onnx_data"));
    assert_int_equal(
        symlink("../../../blobs/aaa", in_folder("cache/snapshots/main/onnx/model.onnx")), 0);
    assert_int_equal(symlink(weights, in_folder("cache/snapshots/main/onnx/model.onnx_data")), 0);
}

static void links_into_one_folder_are_a_cache(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_error error = {0};
    make_cache("../../../blobs/bbb");
    const char *path = in_folder("cache/snapshots/main/onnx/model.onnx");
    if (hd_onnx_load_file(path, &graph, &error) != HD_OK) {
        fail_msg("%s", error.message);
    }
    assert_memory_equal(first_constant(graph), ((const float[]){4, 5, 6, 7}), 16);
    hd_graph_destroy(&graph);
}

static void links_that_leave_a_cache_are_refused(void **state)
{
    (void)state;
    const char *places[] = {"../../../blobs-else/bbb", "../../../../outside", "/etc/passwd",
                            "/dev/zero", "../../../blobs/../../outside"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        hd_graph *graph;
        hd_error error = {0};
        make_cache(places[i]);
        const char *path = in_folder("cache/snapshots/main/onnx/model.onnx");
        assert_int_equal(hd_onnx_load_file(path, &graph, &error), HD_BAD_MODEL);
        assert_non_null(strstr(error.message, "'model.onnx_data'"));
    }
    /* Bytes in memory have a folder, but no link of their own. */
    make_cache("../../../blobs/bbb");
    hd_graph *graph;
    bytes model = make_external_model("model.onnx_data", NULL, NULL, 4);
    assert_int_equal(hd_onnx_load_memory(model.data, model.size,
                                         in_folder("cache/snapshots/main/onnx"), &graph, NULL),
                     HD_BAD_MODEL);
    free(model.data);
}

static void weights_that_were_not_fetched_are_named(void **state)
{
    (void)state;
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    hd_graph *graph;
    hd_error error;
    write_file("model/pointer", pointer, sizeof pointer - 1);
    assert_int_equal(load_external("pointer", NULL, NULL, 1000, &graph, &error), HD_BAD_MODEL);
    assert_non_null(strstr(error.message, "Git LFS"));
}

static void external_data_that_is_not_there_is_refused(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_error error;
    assert_int_equal(load_external("lost", NULL, NULL, 4, &graph, &error), HD_NOT_FOUND);
    assert_non_null(strstr(error.message, "lost"));
    assert_int_equal(load_external("sub", NULL, NULL, 4, &graph, &error), HD_IO);
    assert_int_equal(load_external("sub/", NULL, NULL, 4, &graph, &error), HD_IO);
    assert_int_equal(load_external("weights", NULL, NULL, 5, &graph, &error), HD_BAD_MODEL);
    assert_non_null(strstr(error.message, "past its end"));
    assert_int_equal(load_external("weights", "4", NULL, 4, &graph, &error), HD_BAD_MODEL);
    assert_int_equal(load_external("weights", "18446744073709551612", NULL, 4, &graph, &error),
                     HD_BAD_MODEL);
    assert_int_equal(load_external("weights", "-4", NULL, 4, &graph, &error), HD_BAD_MODEL);
    assert_int_equal(load_external("weights", "x", NULL, 4, &graph, &error), HD_BAD_MODEL);
    assert_int_equal(load_external("weights", "0", "12", 4, &graph, &error), HD_BAD_MODEL);
    assert_non_null(strstr(error.message, "12"));
    assert_int_equal(load_external("weights", NULL, NULL, INT64_C(1) << 58, &graph, &error),
                     HD_BAD_MODEL);
}

static void offsets_beyond_4_gb_are_read(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_error error;
    write_sparse("model/large", (off_t)5 << 30, (const float[]){6, 7}, 8);
    assert_int_equal(load_external("large", "5368709112", "8", 2, &graph, &error), HD_OK);
    assert_memory_equal(first_constant(graph), ((const float[]){6, 7}), 8);
    hd_graph_destroy(&graph);
}

/* A field of /proc/self/status or /proc/meminfo in bytes. */
static size_t read_kilobytes(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    char line[256];
    size_t result = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0) {
            result = (size_t)strtoull(line + strlen(name), NULL, 10) * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return result;
}

/* Sets the process's peak back to what it has now; false where the system does not let it. */
static bool reset_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    bool written = file != NULL && fputs("5", file) >= 0;
    return file != NULL && fclose(file) == 0 && written;
}

static void a_tensor_of_more_than_2_gb_is_read(void **state)
{
    (void)state;
#if defined(SANITIZED)
    skip();
#endif
    const int64_t count = (INT64_C(2050) << 20) / 4;
    if (read_kilobytes("/proc/meminfo", "MemAvailable:") < 4000 * MB) {
        print_message("less than 4 GB of memory are free\n");
        skip();
    }
    hd_graph *graph;
    hd_error error;
    write_sparse("model/large", (off_t)count * 4, (const float[]){6, 7}, 8);
    assert_int_equal(load_external("large", NULL, NULL, count, &graph, &error), HD_OK);
    assert_memory_equal((const float *)first_constant(graph) + count - 2, ((const float[]){6, 7}),
                        8);
    hd_graph_destroy(&graph);
}

/* A model file with one weight of 256 MB: `head` has everything up to the weight's elements. */
static void write_large_model(uint32_t elements_field)
{
    const int64_t count = 64 << 20;
    bytes tensor = make_tensor("w", 1, 1, &count);
    put_varint(&tensor, elements_field << 3 | 2);
    put_varint(&tensor, 256 * MB);
    bytes graph = {0};
    add_node(&graph, make_node("Identity", "n", "w", "y"));
    add_output(&graph, "y");
    put_varint(&graph, 5 << 3 | 2);
    put_varint(&graph, tensor.size + 256 * MB);
    put(&graph, tensor.data, tensor.size);
    bytes model = {0};
    put_message(&model, 8, make_operator_set("", 13));
    put_varint(&model, 7 << 3 | 2);
    put_varint(&model, graph.size + 256 * MB);
    put(&model, graph.data, graph.size);
    write_sparse("model/model.onnx", (off_t)(model.size + 256 * MB), (const float[]){6, 7}, 8);
    int file = open(in_folder("model/model.onnx"), O_WRONLY);
    assert_int_equal(pwrite(file, model.data, model.size, 0), model.size);
    close(file);
    free(tensor.data);
    free(graph.data);
    free(model.data);
}

static void the_peak_of_loading_is_at_most_twice_the_weights_and_64_mb(void **state)
{
    (void)state;
#if defined(SANITIZED)
    skip();
#endif
    const uint32_t fields[] = {9, 4}; /* raw_data, float_data */
    for (int i = 0; i < 2; i++) {
        write_large_model(fields[i]);
        if (!reset_peak()) {
            skip();
        }
        size_t before = read_kilobytes("/proc/self/status", "VmRSS:");
        hd_graph *graph;
        hd_error error = {0};
        assert_int_equal(hd_onnx_load_file(in_folder("model/model.onnx"), &graph, &error), HD_OK);
        size_t peak = read_kilobytes("/proc/self/status", "VmHWM:") - before;
        print_message("weights 256 MB, peak %zu MB\n", peak / MB);
        assert_in_range(peak, 256 * MB, (2 * 256 + 64) * MB);
        assert_memory_equal((const float *)first_constant(graph) + (64 << 20) - 2,
                            ((const float[]){6, 7}), 8);
        hd_graph_destroy(&graph);
    }
}

/* A chain of `layers` products with weights of 16 MB each in one external file. */
static void write_deep_model(int layers)
{
    enum { SIDE = 2048 };
    const size_t bytes_each = (size_t)SIDE * SIDE * 4;
    bytes graph = {0};
    char names[3][32];
    put_message(&graph, 11, make_value("v0", 1, 2, (const int64_t[]){-1, SIDE}));
    for (int i = 0; i < layers; i++) {
        snprintf(names[0], sizeof names[0], "w%d", i);
        snprintf(names[1], sizeof names[1], "%zu", (size_t)i * bytes_each);
        snprintf(names[2], sizeof names[2], "v%d,w%d", i, i);
        bytes tensor = make_tensor(names[0], 1, 2, (const int64_t[]){SIDE, SIDE});
        put_int(&tensor, 14, 1);
        put_entry(&tensor, "location", "large");
        put_entry(&tensor, "offset", names[1]);
        add_tensor(&graph, tensor);
        snprintf(names[0], sizeof names[0], "v%d", i + 1);
        add_node(&graph, make_node("MatMul", names[0], names[2], names[0]));
    }
    snprintf(names[0], sizeof names[0], "v%d", layers);
    put_message(&graph, 12, make_value(names[0], 1, 2, (const int64_t[]){-1, SIDE}));
    bytes model = make_model(graph, 13);
    write_file("model/model.onnx", model.data, model.size);
    free(model.data);
    write_sparse("model/large", (off_t)((size_t)layers * bytes_each), (const float[]){6, 7}, 8);
}

static void the_peak_of_making_a_model_is_at_most_twice_the_weights_and_64_mb(void **state)
{
    (void)state;
#if defined(SANITIZED)
    skip();
#endif
    const size_t weights = 16 * 16 * MB;
    hd_error error = {0};
    hd_device *device = NULL;
    hd_model *model = NULL;
    assert_int_equal(hd_device_open(test_device_name(), NULL, &device, &error), HD_OK);
    write_deep_model(16);
    if (!reset_peak()) {
        hd_device_destroy(&device);
        skip();
    }
    size_t before = read_kilobytes("/proc/self/status", "VmRSS:");
    assert_int_equal(hd_model_load(device, in_folder("model/model.onnx"), NULL, &model, &error),
                     HD_OK);
    size_t peak = read_kilobytes("/proc/self/status", "VmHWM:") - before;
    size_t after = read_kilobytes("/proc/self/status", "VmRSS:") - before;
    print_message("weights %zu MB, peak %zu MB, afterwards %zu MB\n", weights / MB, peak / MB,
                  after / MB);
    assert_in_range(peak, weights, 2 * weights + 64 * MB);
    assert_in_range(after, 0, weights + 64 * MB); /* raw copies of packed weights are gone (FLAT) */
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

static void no_descriptor_or_mapping_outlives_a_load(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_error error;
    int first = open("/dev/null", O_RDONLY);
    close(first);
    assert_int_equal(load_external("weights", NULL, NULL, 4, &graph, &error), HD_OK);
    hd_graph_destroy(&graph);
    assert_int_equal(load_external("sub/lost", NULL, NULL, 4, &graph, &error), HD_NOT_FOUND);
    int second = open("/dev/null", O_RDONLY);
    close(second);
    assert_int_equal(first, second); /* the lowest free number is the same as before */
    FILE *file = fopen("/proc/self/maps", "r");
    char line[1024];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        assert_null(strstr(line, folder));
    }
    if (file != NULL) {
        fclose(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(external_data_is_read_from_the_models_folder),
        cmocka_unit_test(external_data_outside_the_folder_is_refused),
        cmocka_unit_test(links_that_stay_in_the_folder_are_followed),
        cmocka_unit_test(links_into_one_folder_are_a_cache),
        cmocka_unit_test(links_that_leave_a_cache_are_refused),
        cmocka_unit_test(weights_that_were_not_fetched_are_named),
        cmocka_unit_test(external_data_that_is_not_there_is_refused),
        cmocka_unit_test(offsets_beyond_4_gb_are_read),
        cmocka_unit_test(a_tensor_of_more_than_2_gb_is_read),
        cmocka_unit_test(the_peak_of_loading_is_at_most_twice_the_weights_and_64_mb),
        cmocka_unit_test(the_peak_of_making_a_model_is_at_most_twice_the_weights_and_64_mb),
        cmocka_unit_test(no_descriptor_or_mapping_outlives_a_load),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
