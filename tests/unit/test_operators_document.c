/* docs/operators.md is what this program prints of the operator table, of the devices' tables, and of what runs: each
 * operator is run with each element type that its rows (support/operator_rows.h) leave open. CUDA's tables are read from
 * their sources, so that builds without CUDA print the same.
 *
 *   build/release/tests/unit_test_operators_document --print > docs/operators.md */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "graph/operator.h"
#include "onnx/scope.h"
#include "support/row_run.h"

#define TEXT_LIMIT ((size_t)1 << 20)

static const hd_dtype dtypes[] = {
    HD_FLOAT32, HD_FLOAT64, HD_FLOAT16, HD_BFLOAT16, HD_INT8, HD_INT16, HD_INT32, HD_INT64,
    HD_UINT8, HD_UINT16, HD_UINT32, HD_UINT64, HD_BOOL,
    /* narrow ones */
    HD_FLOAT8E4M3FN, HD_FLOAT8E4M3FNUZ, HD_FLOAT8E5M2, HD_FLOAT8E5M2FNUZ, HD_FLOAT8E8M0,
    HD_FLOAT6E2M3, HD_FLOAT6E3M2, HD_FLOAT4E2M1, HD_INT4, HD_UINT4, HD_INT2, HD_UINT2,
    /* texts */
    HD_STRING};
#define DTYPE_COUNT (sizeof dtypes / sizeof dtypes[0])
#define WIDE_COUNT  13u
#define ALL_WIDE    ((1u << WIDE_COUNT) - 1)
#define TEXT_AT     (DTYPE_COUNT - 1)
#define ALL_DTYPES  ((1u << TEXT_AT) - 1)

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    char *text = calloc(TEXT_LIMIT, 1);
    assert_non_null(text);
    assert_true(fread(text, 1, TEXT_LIMIT - 1, file) < TEXT_LIMIT - 1);
    fclose(file);
    return text;
}

static hd_operator_id id_of(const char *word, size_t length)
{
    static const char *const words[HD_OP_COUNT] = {
        [HD_OP_NONE] = "NONE",
#define HD_OPERATOR(id, name, ...) [HD_OP_##id] = #id,
#include "operation/operators.inc"
    };
    for (int id = 0; id < HD_OP_COUNT; id++) {
        if (strlen(words[id]) == length && memcmp(words[id], word, length) == 0) {
            return (hd_operator_id)id;
        }
    }
    return HD_OP_NONE;
}

/* Marks the operators of the table whose text begins at `at`: {HD_OP_ID, … and ROW(ID), up to HD_OP_NONE. */
static void mark_table(const char *at, bool has[HD_OP_COUNT])
{
    const char *end = strstr(at, "HD_OP_NONE");
    assert_non_null(end);
    while (at < end) {
        size_t skipped = strncmp(at, "HD_OP_", 6) == 0 ? 6 : strncmp(at, "ROW(", 4) == 0 ? 4 : 0;
        if (skipped == 0) {
            at++;
            continue;
        }
        at += skipped;
        at += strspn(at, " \n");
        size_t length = 0;
        while (isupper((unsigned char)at[length]) || isdigit((unsigned char)at[length]) ||
               at[length] == '_') {
            length++;
        }
        has[id_of(at, length)] = true;
        at += length;
    }
}

static void find_cuda_operators(bool has[HD_OP_COUNT])
{
    static const char table[] = "const hd_cuda_operator hd_cuda_operators_";
    glob_t files;
    assert_int_equal(glob(HD_TEST_SOURCE_DIR "/src/hal/cuda/*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        char *text = read_text(files.gl_pathv[i]);
        assert_non_null(text);
        for (const char *at = text; (at = strstr(at, table)) != NULL; at += sizeof table) {
            mark_table(at, has);
        }
        free(text);
    }
    globfree(&files);
}

/* The letter of the operator's rule for an input (graph/operator.h); '*' where inference looks itself. */
static char letter_of(const hd_operator *operator, size_t input)
{
    size_t count = operator->types == NULL ? 0 : strlen(operator->types);
    return count == 0 ? '*' : operator->types[input < count ? input : count - 1];
}

/* The input whose types the document tells: the first that the table leaves open, else the first. */
static size_t told_input(const hd_operator *operator, const row_case *base)
{
    for (size_t i = 0; i < base->input_count; i++) {
        if (base->inputs[i].dtype != HD_DTYPE_NONE &&
            strchr("T*", letter_of(operator, i)) != NULL) {
            return i;
        }
    }
    return 0;
}

/* Bit t: the case runs with dtypes[t] in place of the told input's type. */
static unsigned types_that_run(hd_device *device, const hd_operator *operator, const row_case *base)
{
    size_t told = told_input(operator, base);
    char letter = letter_of(operator, told);
    unsigned found = 0;
    for (size_t t = 0; t < DTYPE_COUNT; t++) {
        row_case c;
        row_case_copy(&c, base);
        for (size_t i = 0; i < c.input_count; i++) {
            if (base->inputs[i].dtype == base->inputs[told].dtype &&
                strchr("T*", letter_of(operator, i)) != NULL) {
                c.inputs[i].dtype = dtypes[t];
            }
        }
        if (strchr("T*", letter) == NULL) {
            c.inputs[told].dtype = dtypes[t];
        }
        hd_tensor outputs[ROW_OUTPUT_LIMIT];
        hd_status status = HD_INTERNAL;
        if (row_run(device, &c, ROW_PLANNED, outputs, &status, NULL) && status == HD_OK) {
            found |= 1u << t;
        }
        row_outputs_clear(outputs);
    }
    return found;
}

static unsigned find_types(hd_device *device, const hd_operator *operator)
{
    unsigned found = 0;
    for (size_t r = 0; r < operator_row_count; r++) {
        row_case base;
        for (const char *types = operator_rows[r].types;
             row_case_next(&operator_rows[r], &types, &base);) {
            if (strcmp(base.type, operator->name) == 0) {
                found |= types_that_run(device, operator, &base);
            }
        }
    }
    return found;
}

static void write_types(FILE *out, unsigned types)
{
    const char *separator = "";
    const unsigned sets[] = {ALL_WIDE, ALL_DTYPES & ~ALL_WIDE};
    static const char *const names[] = {"all", "narrow"};
    for (size_t t = 0; t < DTYPE_COUNT; t++) {
        const size_t set = t >= WIDE_COUNT;
        if (t < TEXT_AT && (types & sets[set]) == sets[set]) {
            if (t == 0 || t == WIDE_COUNT) {
                fprintf(out, "%s%s", separator, names[set]);
                separator = ", ";
            }
        } else if ((types >> t & 1) != 0) {
            fprintf(out, "%s%s", separator, hd_dtype_name(dtypes[t]));
            separator = ", ";
        }
    }
}

/* Whether a device that computes these has the operator: also where a pass makes another of it (operation/fused.h). */
static bool is_on_device(const hd_operator *operator, const bool has[HD_OP_COUNT])
{
    static const struct {
        hd_operator_id id, made;
    } passes[] = {{HD_OP_CONV, HD_OP_HEDDLE_CONV},
                  {HD_OP_CONV_TRANSPOSE, HD_OP_HEDDLE_CONV_TRANSPOSE},
                  {HD_OP_GEMM, HD_OP_HEDDLE_LINEAR},
                  {HD_OP_LAYER_NORMALIZATION, HD_OP_HEDDLE_LAYER_NORM}};
    bool found = has[operator->id] || (operator->flags & HD_OPERATOR_VIEW) != 0;
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        found = found || (passes[i].id == operator->id && has[passes[i].made]);
    }
    return found;
}

static void write_row(FILE *out, hd_device *device, const hd_operator *operator,
                      const bool has[HD_OP_COUNT])
{
    const char *dot = strrchr(operator->name, '.');
    int domain = dot == NULL ? 0 : (int)(dot - operator->name);
    fprintf(out, "| %s | %.*s | ", dot == NULL ? operator->name : dot + 1, domain == 0 ? 7 : domain,
            domain == 0 ? "ai.onnx" : operator->name);
    if (operator->since > 0) {
        fprintf(out, "%u on", operator->since);
    } else {
        fputs("all", out);
    }
    fputs(" | ", out);
    if ((operator->flags & HD_OPERATOR_CONTROL) != 0) {
        fputs("as its graphs | the host steers; its graphs run where their nodes do |\n", out);
        return;
    }
    if ((operator->flags & HD_OPERATOR_SEQUENCE) != 0) {
        fputs("as its tensors | inside of a graph, where its parts are known when the file is read "
              "|\n",
              out);
        return;
    }
    write_types(out, find_types(device, operator));
    if (operator->expand != NULL) {
        fputs(" | as the operators that it is written out in |\n", out);
        return;
    }
    fprintf(out, " | cpu%s |\n", is_on_device(operator, has) ? ", cuda" : "");
}

static const char introduction[] =
    "# Operators\n"
    "\n"
    "Generated: `build/release/tests/unit_test_operators_document --print > docs/operators.md`; "
    "the test\n"
    "`unit.operators_document` fails where this file is not what the program prints.\n"
    "\n"
    "- **opsets**: of the operator's domain. Files may ask for those of ai.onnx from %d to %d (of "
    "1 to %d, operators that\n"
    "  mean there what they mean in %d); \"all\" are these, \"N on\" those from N on. What a row "
    "says holds for each of them, as\n"
    "  far as ONNX has the operator there.\n"
    "- **types**: element types of the first input that has a choice, for which the operator was "
    "run on the CPU, over the\n"
    "  forms that the test of operands has; \"all\" are float32, float64, float16, bfloat16, int8 "
    "to int64, uint8 to uint64 and\n"
    "  bool; \"narrow\" float8e4m3fn, float8e4m3fnuz, float8e5m2, float8e5m2fnuz, float8e8m0, "
    "float6e2m3, "
    "float6e3m2, float4e2m1,\n"
    "  int4, uint4, int2 and uint2, which take a byte each in memory. string: texts. Shapes, "
    "indices and the like "
    "have ONNX's types.\n"
    "- **devices**: `cuda` means that there are kernels for some of the types, in builds with "
    "CUDA; what the device has none for\n"
    "  runs on the CPU. Constants are folded on the CPU in any case.\n"
    "\n"
    "`Constant` is read with any type. A file's own functions are expanded where they are called.\n"
    "\n"
    "| operator | domain | opsets | types | devices |\n"
    "| --- | --- | --- | --- | --- |\n";

/* The document, to be freed. */
static char *print_document(void)
{
    char *text;
    size_t size;
    bool has[HD_OP_COUNT] = {false};
    FILE *out = open_memstream(&text, &size);
    hd_device *device = row_device();
    find_cuda_operators(has);
    fprintf(out, introduction, HD_ONNX_OPSET_MIN, HD_ONNX_OPSET_MAX, HD_ONNX_OPSET_MIN - 1,
            HD_ONNX_OPSET_MIN);
    for (int id = HD_OP_NONE + 1; id < HD_OP_FIRST_INTERNAL; id++) {
        write_row(out, device, hd_operator_of((hd_operator_id)id), has);
    }
    fclose(out);
    hd_device_destroy(&device);
    return text;
}

static void test_document_is_what_is_printed(void **state)
{
    (void)state;
    char *printed = print_document();
    char *written = read_text(HD_TEST_SOURCE_DIR "/docs/operators.md");
    assert_non_null(written);
    if (strcmp(printed, written) != 0) {
        size_t line = 0;
        for (size_t i = 0; printed[i] == written[i]; i++) {
            line = printed[i] == '\n' ? i + 1 : line;
        }
        fail_msg("docs/operators.md has\n%.*s, but what is printed is\n%.*s; print it anew: its "
                 "first lines say how",
                 (int)strcspn(written + line, "\n"), written + line,
                 (int)strcspn(printed + line, "\n"), printed + line);
    }
    free(printed);
    free(written);
}

/* What would make the document say too little: a table whose form the reader does not know. */
static void test_tables_of_cuda_are_found(void **state)
{
    (void)state;
    bool has[HD_OP_COUNT] = {false};
    find_cuda_operators(has);
    static const hd_operator_id ids[] = {HD_OP_ADD,         HD_OP_TRANSPOSE,
                                         HD_OP_HEDDLE_CONV, HD_OP_HEDDLE_ATTENTION,
                                         HD_OP_SOFTMAX,     HD_OP_BIT_SHIFT};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_true(has[ids[i]]);
    }
    assert_false(has[HD_OP_NONE]);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--print") == 0) {
        char *text = print_document();
        fputs(text, stdout);
        free(text);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document_is_what_is_printed),
        cmocka_unit_test(test_tables_of_cuda_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
