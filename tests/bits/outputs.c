/* usage: outputs FILE FOLDER... [MODEL.onnx]
 *
 * Writes what a library computes to FILE, for tools/bits-compare: of each model with test data below the folders (as ONNX's
 * test data lie: NAME/model.onnx, NAME/test_data_set_0/input_0.pb), of a transformer of token ids (MODEL.onnx), of the ten
 * cases and of convolutions. Uses public headers alone, so that it can be built against another commit's library.
 *
 * A record: a line `name<TAB>status<TAB>type<TAB>rank<TAB>dims<TAB>bytes`, and so many bytes behind it. Each model runs in a
 * process of its own, so that one that crashes is a record, too. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cases.h"
#include "cli/random.h"
#include "heddle/heddle.h"

#define OPERAND_LIMIT 64
#define TOKENS        16

static const char *file_name;

static void write_record(const char *name, size_t output, const char *status,
                         const hd_tensor *tensor)
{
    FILE *file = fopen(file_name, "ab");
    if (file == NULL) {
        _exit(2);
    }
    fprintf(file, "%s:%zu\t%s\t%s\t%u\t", name, output, status, hd_dtype_name(tensor->dtype),
            tensor->rank);
    for (uint32_t d = 0; d < tensor->rank; d++) {
        fprintf(file, "%s%lld", d == 0 ? "" : "x", (long long)tensor->dims[d]);
    }
    fprintf(file, "\t%zu\n", tensor->data == NULL ? 0 : tensor->size);
    if (tensor->data != NULL && fwrite(tensor->data, 1, tensor->size, file) != tensor->size) {
        _exit(2);
    }
    if (fclose(file) != 0) {
        _exit(2);
    }
}

static void write_status(const char *name, const char *status)
{
    write_record(name, 0, status, &(hd_tensor){.dtype = HD_DTYPE_NONE});
}

/* Runs a model that is taken over, and writes its outputs. */
static void run_model(const char *name, hd_model *model, const hd_tensor *inputs, size_t count)
{
    hd_tensor outputs[OPERAND_LIMIT];
    memset(outputs, 0, sizeof outputs);
    size_t output_count = hd_model_output_count(model);
    if (output_count > OPERAND_LIMIT) {
        write_status(name, "too many outputs");
        return;
    }
    hd_status status = hd_model_run(model, inputs, count, outputs, output_count, NULL);
    if (status != HD_OK) {
        write_status(name, hd_status_name(status));
    }
    for (size_t i = 0; status == HD_OK && i < output_count; i++) {
        write_record(name, i, "OK", &outputs[i]);
        hd_tensor_release(&outputs[i]);
    }
    hd_model_destroy(&model);
}

static void run_folder(hd_device *device, const char *folder)
{
    char path[1024];
    hd_model *model = NULL;
    hd_tensor inputs[OPERAND_LIMIT];
    memset(inputs, 0, sizeof inputs);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    hd_status status = hd_model_load(device, path, NULL, &model, NULL);
    size_t count = status == HD_OK ? hd_model_input_count(model) : 0;
    for (size_t i = 0; status == HD_OK && i < count && i < OPERAND_LIMIT; i++) {
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%zu.pb", folder, i);
        if (hd_tensor_load(path, &inputs[i], NULL) != HD_OK) {
            write_status(folder, "no inputs");
            return;
        }
    }
    if (status != HD_OK) {
        write_status(folder, hd_status_name(status));
        return;
    }
    run_model(folder, model, inputs, count);
}

static void run_tokens(hd_device *device, const char *path)
{
    hd_model *model = NULL;
    if (hd_model_load(device, path, NULL, &model, NULL) != HD_OK) {
        write_status("tokens", "not loaded");
        return;
    }
    static int64_t values[3][TOKENS];
    hd_tensor inputs[3];
    memset(inputs, 0, sizeof inputs);
    for (size_t i = 0; i < 3; i++) {
        for (int64_t t = 0; t < TOKENS; t++) { /* ids, mask, types */
            values[i][t] = i == 0 ? 1000 + 37 * t : i == 1 ? t < TOKENS - 2 : 0;
        }
        inputs[i] = (hd_tensor){.dtype = HD_INT64,
                                .rank = 2,
                                .dims = {1, TOKENS},
                                .data = values[i],
                                .size = sizeof values[i]};
    }
    run_model("tokens", model, inputs, 3);
}

static void run_case(hd_device *device, size_t index)
{
    const hd_case_definition *definition = &hd_case_definitions[index];
    hd_case_weights weights;
    hd_case_inputs inputs;
    hd_tensor tensors[CASE_INPUTS_MAX];
    hd_model *model = NULL;
    if (!hd_case_weights_create(definition, &weights) ||
        !hd_case_inputs_create(definition, 1, CASE_STEP_ALIGNED, &inputs) ||
        hd_case_model_create(device, definition, &weights, false, &model, NULL) != HD_OK) {
        write_status(definition->name, "not made");
        return;
    }
    hd_case_inputs_get(&inputs, 0, tensors);
    run_model(definition->name, model, tensors, definition->input_count);
}

/* Two convolutions of one kind in a row, so that what lies between them is channels last. */
typedef struct convolution {
    const char *name;
    int64_t channels, between, group, kernel, stride, dilation, size;
    bool transposed;
} convolution;

static const convolution convolutions[] = {
    {"plain", 24, 40, 1, 3, 2, 1, 19, false},        {"pointwise", 64, 96, 1, 1, 1, 1, 21, false},
    {"winograd", 48, 64, 1, 3, 1, 1, 23, false},     {"depthwise", 40, 40, 40, 3, 1, 1, 25, false},
    {"depthwise-5", 72, 72, 72, 5, 2, 1, 33, false}, {"groups", 48, 48, 4, 3, 1, 1, 17, false},
    {"dilated", 32, 32, 1, 3, 1, 2, 29, false},      {"few-outputs", 16, 4, 1, 3, 1, 1, 96, false},
    {"few-inputs", 3, 24, 1, 3, 1, 1, 64, false},    {"folded", 24, 16, 1, 2, 2, 1, 13, true},
    {"transposed", 20, 24, 1, 3, 2, 1, 15, true},    {"large", 64, 128, 1, 3, 1, 1, 112, false}};
#define CONVOLUTION_COUNT (sizeof convolutions / sizeof convolutions[0])

static float *draw(hd_random_generator *generator, size_t count)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count && values != NULL; i++) {
        values[i] = (float)((int64_t)(hd_random_next(generator) % 2001) - 1000) / 1000.0f;
    }
    return values;
}

static hd_status add_convolution(hd_graph *graph, const convolution *c, int64_t from, int64_t to,
                                 hd_random_generator *generator, hd_value *value)
{
    int64_t first = c->transposed ? from : to, second = (c->transposed ? to : from) / c->group;
    int64_t kernel[2] = {c->kernel, c->kernel}, strides[2] = {c->stride, c->stride};
    int64_t dilations[2] = {c->dilation, c->dilation}, pad = c->kernel / 2 * c->dilation;
    int64_t pads[4] = {pad, pad, pad, pad};
    hd_tensor weight = {.dtype = HD_FLOAT32,
                        .rank = 4,
                        .dims = {first, second, c->kernel, c->kernel},
                        .size = (size_t)(first * second * c->kernel * c->kernel) * sizeof(float)};
    weight.data = draw(generator, weight.size / sizeof(float));
    hd_attribute attributes[] = {
        {.name = "kernel_shape", .kind = HD_ATTRIBUTE_INTS, .ints = kernel, .count = 2},
        {.name = "strides", .kind = HD_ATTRIBUTE_INTS, .ints = strides, .count = 2},
        {.name = "dilations", .kind = HD_ATTRIBUTE_INTS, .ints = dilations, .count = 2},
        {.name = "group", .kind = HD_ATTRIBUTE_INT, .i = c->group},
        {.name = "pads", .kind = HD_ATTRIBUTE_INTS, .ints = pads, .count = 4}};
    hd_value inputs[2] = {*value}, convolved;
    hd_status status = hd_graph_add_constant(graph, &weight, &inputs[1], NULL);
    free(weight.data);
    if (status == HD_OK) {
        status = hd_graph_add_node(graph, c->transposed ? "ConvTranspose" : "Conv", inputs, 2,
                                   attributes, c->transposed && c->kernel == c->stride ? 4 : 5,
                                   &convolved, 1, NULL);
    }
    return status == HD_OK
               ? hd_graph_add_node(graph, "Relu", &convolved, 1, NULL, 0, value, 1, NULL)
               : status;
}

static void run_convolution(hd_device *device, size_t index)
{
    const convolution *c = &convolutions[index];
    char name[64];
    snprintf(name, sizeof name, "convolution/%s", c->name);
    hd_random_generator generator = {index + 1};
    hd_graph *graph = NULL;
    hd_model *model = NULL;
    hd_value value;
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 4,
                       .dims = {2, c->channels, c->size, c->size + 3},
                       .size = (size_t)(2 * c->channels * c->size * (c->size + 3)) * sizeof(float)};
    input.data = draw(&generator, input.size / sizeof(float));
    if (hd_graph_create(0, &graph, NULL) != HD_OK ||
        hd_graph_add_input(graph, "x", HD_FLOAT32, 4, input.dims, &value, NULL) != HD_OK ||
        add_convolution(graph, c, c->channels, c->between, &generator, &value) != HD_OK ||
        add_convolution(graph, c, c->between, c->channels, &generator, &value) != HD_OK ||
        hd_graph_add_output(graph, "y", value, NULL) != HD_OK ||
        hd_model_create(device, graph, NULL, &model, NULL) != HD_OK) {
        write_status(name, "not made");
        return;
    }
    hd_graph_destroy(&graph);
    run_model(name, model, &input, 1);
    free(input.data);
}

typedef void run_one(hd_device *device, const void *what);

static void run_folder_of(hd_device *device, const void *what)
{
    run_folder(device, what);
}

static void run_tokens_of(hd_device *device, const void *what)
{
    run_tokens(device, what);
}

static void run_case_of(hd_device *device, const void *what)
{
    run_case(device, *(const size_t *)what);
}

static void run_convolution_of(hd_device *device, const void *what)
{
    run_convolution(device, *(const size_t *)what);
}

static void run_apart(const char *name, run_one *run, const void *what)
{
    pid_t child = fork();
    if (child == 0) {
        hd_device *device = NULL;
        alarm(120);
        if (hd_device_open("cpu", NULL, &device, NULL) != HD_OK) {
            _exit(2);
        }
        run(device, what);
        hd_device_destroy(&device);
        _exit(0);
    }
    int state = 0;
    if (child < 0 || waitpid(child, &state, 0) != child ||
        (WIFEXITED(state) && WEXITSTATUS(state))) {
        fprintf(stderr, "outputs: %s could not be run\n", name);
        exit(2);
    }
    if (WIFSIGNALED(state)) {
        write_status(name, "crashed");
    }
}

static int compare_entries(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* All models below a folder, in the order of their names. */
static void run_folders(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, compare_entries);
    for (int i = 0; i < count; i++) {
        char path[1024], model[1100];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        snprintf(model, sizeof model, "%s/model.onnx", path);
        if (entries[i]->d_name[0] != '.' && access(model, R_OK) == 0) {
            run_apart(path, run_folder_of, path);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: outputs FILE FOLDER... [MODEL.onnx]\n");
        return 2;
    }
    file_name = argv[1];
    remove(file_name);
    for (size_t i = 0; i < CONVOLUTION_COUNT; i++) {
        run_apart(convolutions[i].name, run_convolution_of, &i);
    }
    for (size_t i = 0; i < CASE_COUNT; i++) {
        run_apart(hd_case_definitions[i].name, run_case_of, &i);
    }
    for (int i = 2; i < argc; i++) {
        size_t length = strlen(argv[i]);
        if (length > 5 && strcmp(argv[i] + length - 5, ".onnx") == 0) {
            run_apart("tokens", run_tokens_of, argv[i]);
        } else {
            run_folders(argv[i]);
        }
    }
    return 0;
}
