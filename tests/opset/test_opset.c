/* usage: opset_test_opset [NAME...]
 *
 * Runs the cases in tests/opset/cases/, which make.py made for opsets 18 to 21, in newer/, which make_newer.py made for
 * opsets 22 to 28, in learned/, which make_learned.py made of scikit-learn's, LightGBM's and XGBoost's models and domain
 * ai.onnx.ml, and in microsoft/, which make_microsoft.py made for operators of domain com.microsoft, and compares with
 * the outputs in them: onnxruntime's, or of newer ones onnx's. Fails when a case that expected_failures.txt does not list
 * fails, and when a listed one passes. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_case.h"
#include "support/test_device.h"

#define ROOT          HD_TEST_SOURCE_DIR "/tests/opset/"
#define EXPECTED_LIST ROOT "expected_failures.txt"
#define SUFFIX        ".case"

static const char *const folders[] = {ROOT "cases", ROOT "learned", ROOT "microsoft", ROOT "newer"};
#define FOLDER_COUNT (sizeof folders / sizeof folders[0])

static const model_tolerance tolerance = {.relative = 1e-3, .absolute = 1e-6, .of_peak = 1e-5};

/* A case file, and what its records hold. */
typedef struct opset_case {
    char *data;
    size_t size;
    const char *model;
    size_t model_size;
    hd_tensor inputs[MODEL_CASE_OPERAND_LIMIT];
    hd_tensor outputs[MODEL_CASE_OPERAND_LIMIT];
    size_t input_count;
    size_t output_count;
} opset_case;

static bool read_file(const char *name, opset_case *read)
{
    FILE *file = NULL;
    for (size_t i = 0; i < FOLDER_COUNT && file == NULL; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s%s", folders[i], name, SUFFIX);
        file = fopen(path, "rb");
    }
    if (file == NULL) {
        return false;
    }
    bool is_read = fseek(file, 0, SEEK_END) == 0;
    read->size = (size_t)ftell(file);
    rewind(file);
    read->data = malloc(read->size + 1);
    is_read = is_read && read->data != NULL && fread(read->data, 1, read->size, file) == read->size;
    fclose(file);
    if (is_read) {
        read->data[read->size] = '\0';
    }
    return is_read;
}

/* Takes the file apart; false when it has no form. */
static bool read_records(opset_case *read)
{
    for (size_t at = 0; at < read->size;) {
        char kind[16];
        size_t size = 0;
        int line = 0;
        if (sscanf(read->data + at, "%15s %zu%n", kind, &size, &line) != 2 ||
            size >= read->size - at - (size_t)line) {
            return false;
        }
        const char *bytes = read->data + at + line + 1;
        bool is_input = strcmp(kind, "input") == 0;
        size_t *count = is_input ? &read->input_count : &read->output_count;
        if (strcmp(kind, "model") == 0) {
            read->model = bytes;
            read->model_size = size;
        } else if (*count == MODEL_CASE_OPERAND_LIMIT ||
                   hd_tensor_load_memory(bytes, size,
                                         &(is_input ? read->inputs : read->outputs)[*count],
                                         NULL) != HD_OK) {
            return false;
        } else {
            (*count)++;
        }
        at += (size_t)line + 1 + size;
    }
    return read->model != NULL;
}

static bool run_case(hd_device *device, const char *name, char reason[MODEL_CASE_TEXT_SIZE])
{
    opset_case read = {0};
    hd_model *model = NULL;
    hd_error error = {0};
    bool passed = false;
    if (!read_file(name, &read) || !read_records(&read)) {
        model_case_say(reason, "the case cannot be read");
    } else if (hd_model_load_memory(device, read.model, read.model_size, NULL, &model, &error) !=
               HD_OK) {
        model_case_say(reason, "load: %s: %s", hd_status_name(error.status), error.message);
    } else if (hd_model_input_count(model) != read.input_count ||
               hd_model_output_count(model) != read.output_count) {
        model_case_say(reason, "it has %zu inputs and %zu outputs", hd_model_input_count(model),
                       hd_model_output_count(model));
    } else {
        passed = model_case_check(model, read.inputs, read.outputs, &tolerance, reason);
    }
    hd_model_destroy(&model);
    for (size_t i = 0; i < MODEL_CASE_OPERAND_LIMIT; i++) {
        hd_tensor_release(&read.inputs[i]);
        hd_tensor_release(&read.outputs[i]);
    }
    free(read.data);
    return passed;
}

/* Whether the list has the case, with a reason behind it. */
static bool is_listed(const char *name)
{
    FILE *file = fopen(EXPECTED_LIST, "r");
    char line[1024];
    bool found = false;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char listed[256] = "", word[256];
        found =
            found || (sscanf(line, "%255s %255s", listed, word) == 2 && strcmp(listed, name) == 0);
    }
    if (file != NULL) {
        fclose(file);
    }
    return found;
}

/* True when the result is what the list says. */
static bool check(hd_device *device, const char *name, const char *program)
{
    char reason[MODEL_CASE_TEXT_SIZE] = "";
    bool passed = run_case(device, name, reason);
    bool listed = is_listed(name);
    if (!passed && !listed) {
        printf("FAIL %s: %s (repeat: %s %s)\n", name, reason, program, name);
    } else if (passed && listed) {
        printf("LISTED %s: it is in %s, but it passes\n", name, EXPECTED_LIST);
    }
    return passed != listed;
}

static int is_case(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), suffix = strlen(SUFFIX);
    return length > suffix && strcmp(entry->d_name + length - suffix, SUFFIX) == 0;
}

/* Every listed case must be there; gives the number of those that are not. */
static int check_list(void)
{
    FILE *file = fopen(EXPECTED_LIST, "r");
    char line[1024];
    int wrong = file == NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char name[256], word[256];
        opset_case read = {0};
        if (line[0] == '#' || sscanf(line, "%255s", name) != 1) {
            continue;
        }
        if (sscanf(line, "%255s %255s", name, word) != 2 || !read_file(name, &read)) {
            printf("LIST %s: it has no reason, or there is no such case\n", name);
            wrong++;
        }
        free(read.data);
    }
    if (file != NULL) {
        fclose(file);
    }
    return wrong;
}

/* Adds the cases of a folder to those that are as listed, or are not. */
static void check_folder(hd_device *device, const char *folder, const char *program, int counts[2])
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_case, alphasort);
    for (int i = 0; i < count; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - strlen(SUFFIX)] = '\0';
        counts[check(device, entries[i]->d_name, program)]++;
        free(entries[i]);
    }
    counts[false] += count <= 0;
    free(entries);
}

int main(int argc, char **argv)
{
    hd_device *device = NULL;
    hd_error error = {0};
    int counts[2] = {0, 0}; /* failed, passed */
    if (hd_device_open(test_device_name(), NULL, &device, &error) != HD_OK) {
        fprintf(stderr, "the device cannot be opened: %s\n", error.message);
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        counts[check(device, argv[i], argv[0])]++;
    }
    for (size_t i = 0; i < FOLDER_COUNT && argc == 1; i++) {
        check_folder(device, folders[i], argv[0], counts);
    }
    counts[false] += argc > 1 ? 0 : check_list();
    hd_device_destroy(&device);
    printf("%d passed, %d failed\n", counts[true], counts[false]);
    return counts[false] > 0 || counts[true] == 0;
}
