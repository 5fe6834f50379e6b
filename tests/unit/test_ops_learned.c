/* Classical models beside trees: tables that contradict themselves are refused when a graph gets them. Values are held to
 * onnxruntime's by tests/opset/learned. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "heddle/heddle.h"

#define LIMIT 5

/* A node, and what its attributes are: lists of numbers. */
typedef struct node_case {
    const char *type;
    const char *names[LIMIT];     /* of lists of floats */
    float lists[LIMIT][8];        /* ended by HUGE_VALF */
    const char *integer_names[2]; /* of lists of integers */
    int64_t integers[2][4];       /* ended by INT64_MAX */
    const char *text_name, *text;
    hd_status status;
} node_case;

#define END  HUGE_VALF
#define LAST INT64_MAX

static const node_case cases[] = {
    {"Scaler", {"offset", "scale"}, {{1, 2, END}, {1, 2, END}}, .status = HD_OK},
    {"Scaler", {"offset", "scale"}, {{1, 2, END}, {1, 0, END}}, .status = HD_BAD_MODEL},
    {"Scaler", {"offset", "scale"}, {{1, 2, END}, {1, NAN, END}}, .status = HD_BAD_MODEL},
    {"Scaler", {"offset", "scale"}, {{1, 2, END}, {1, 2, 3, END}}, .status = HD_BAD_MODEL},
    {"Normalizer", .text_name = "norm", .text = "L3", .status = HD_BAD_MODEL},
    {"Imputer", .status = HD_BAD_MODEL},
    {"Imputer",
     {"imputed_value_floats"},
     {{1, END}},
     {"imputed_value_int64s"},
     {{1, LAST}},
     .status = HD_BAD_MODEL},
    {"LinearRegressor", {"coefficients", "intercepts"}, {{1, 2, END}, {1, END}}, .status = HD_OK},
    {"LinearRegressor",
     {"coefficients", "intercepts"},
     {{1, 2, END}, {1, 2, END}},
     .status = HD_BAD_MODEL},
    {"LinearRegressor", .status = HD_BAD_MODEL},
    {"LinearRegressor",
     {"coefficients"},
     {{1, END}},
     .text_name = "post_transform",
     .text = "SOFTMIN",
     .status = HD_BAD_MODEL},
    {"LinearClassifier",
     {"coefficients", "intercepts"},
     {{1, 2, END}, {1, 2, END}},
     {"classlabels_ints"},
     {{5, 7, LAST}},
     .status = HD_OK},
    {"LinearClassifier",
     {"coefficients", "intercepts"},
     {{1, 2, END}, {1, 2, END}},
     {"classlabels_ints"},
     {{5, 7, 8, LAST}},
     .status = HD_BAD_MODEL},
    {"LinearClassifier",
     {"coefficients", "intercepts"},
     {{1, 2, 3, END}, {1, 2, END}},
     {"classlabels_ints"},
     {{5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"LinearClassifier",
     {"coefficients", "intercepts"},
     {{1, 2, END}, {1, 2, END}},
     .status = HD_BAD_MODEL},
    {"LabelEncoder",
     {"values_floats"},
     {{1, 2, END}},
     {"keys_int64s"},
     {{5, 7, LAST}},
     .status = HD_OK},
    {"LabelEncoder",
     {"values_floats"},
     {{1, END}},
     {"keys_int64s"},
     {{5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"LabelEncoder",
     {"values_floats", "keys_floats"},
     {{1, END}, {1, END}},
     {"keys_int64s"},
     {{5, LAST}},
     .status = HD_BAD_MODEL},
    {"LabelEncoder", .status = HD_BAD_MODEL},
    {"OneHotEncoder", .status = HD_BAD_MODEL},
    {"FeatureVectorizer", .integer_names = {"inputdimensions"}, .integers = {{2, LAST}},
     .status = HD_OK},
    {"FeatureVectorizer", .integer_names = {"inputdimensions"}, .integers = {{2, 2, LAST}},
     .status = HD_BAD_MODEL},
    {"FeatureVectorizer", .integer_names = {"inputdimensions"}, .integers = {{-2, LAST}},
     .status = HD_BAD_MODEL},
    {"SVMRegressor", {"coefficients", "rho"}, {{1, 2, END}, {1, END}}, .status = HD_OK},
    {"SVMRegressor", {"coefficients"}, {{1, 2, END}}, .status = HD_BAD_MODEL},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors"},
     {{1, 2, END}, {1, END}, {1, 2, 3, 4, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{1, 1, LAST}, {5, 7, LAST}},
     .status = HD_OK},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors"},
     {{1, 2, END}, {1, END}, {1, 2, 3, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{1, 1, LAST}, {5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors"},
     {{1, 2, END}, {1, 2, END}, {1, 2, 3, 4, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{1, 1, LAST}, {5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors", "prob_a"},
     {{1, 2, END}, {1, END}, {1, 2, 3, 4, END}, {1, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{1, 1, LAST}, {5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors"},
     {{1, 2, END}, {1, END}, {1, 2, 3, 4, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{-1, 3, LAST}, {5, 7, LAST}},
     .status = HD_BAD_MODEL},
    {"SVMClassifier",
     {"coefficients", "rho", "support_vectors"},
     {{1, 2, END}, {1, END}, {1, 2, 3, 4, END}},
     {"vectors_per_class", "classlabels_ints"},
     {{2, LAST}, {5, LAST}},
     .status = HD_BAD_MODEL},
};

static size_t read_attributes(const node_case *c, hd_attribute *attributes)
{
    size_t count = 0;
    for (size_t i = 0; i < LIMIT && c->names[i] != NULL; i++) {
        hd_attribute *made = &attributes[count++];
        *made =
            (hd_attribute){.name = c->names[i], .kind = HD_ATTRIBUTE_FLOATS, .floats = c->lists[i]};
        while (c->lists[i][made->count] != END) {
            made->count++;
        }
    }
    for (size_t i = 0; i < 2 && c->integer_names[i] != NULL; i++) {
        hd_attribute *made = &attributes[count++];
        *made = (hd_attribute){
            .name = c->integer_names[i], .kind = HD_ATTRIBUTE_INTS, .ints = c->integers[i]};
        while (c->integers[i][made->count] != LAST) {
            made->count++;
        }
    }
    if (c->text_name != NULL) {
        attributes[count++] =
            (hd_attribute){.name = c->text_name, .kind = HD_ATTRIBUTE_STRING, .s = c->text};
    }
    return count;
}

static void test_tables_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char type[64] = "ai.onnx.ml.";
        strcat(type, cases[i].type);
        hd_attribute attributes[LIMIT + 3];
        hd_graph *graph = NULL;
        hd_value x, y[2];
        hd_error error = {0};
        const bool is_integer = strcmp(cases[i].type, "LabelEncoder") == 0;
        assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
        assert_int_equal(hd_graph_add_input(graph, "x", is_integer ? HD_INT64 : HD_FLOAT32, 2,
                                            (const int64_t[]){-1, 2}, &x, NULL),
                         HD_OK);
        const size_t count = read_attributes(&cases[i], attributes);
        const size_t outputs = strstr(type, "Classifier") != NULL ? 2 : 1;
        hd_status status =
            hd_graph_add_node(graph, type, &x, 1, attributes, count, y, outputs, &error);
        if (status != cases[i].status) {
            fail_msg("case %zu, %s: %s, %s", i, type, hd_status_name(status), error.message);
        }
        hd_graph_destroy(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_that_contradict_themselves_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
