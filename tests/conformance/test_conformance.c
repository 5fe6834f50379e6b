/* usage: conformance_test_conformance [GROUP/NAME...]
 *
 * Runs ONNX's own test models (Debian's libonnx-testdata; or what lies in the folder that HEDDLE_ONNX_DATA names, which
 * make_nodes.py makes, and then without the list) through the public API and compares
 * each output with the expected one at rtol 1e-3, atol 1e-6; NaN equals NaN, integers are equal
 * exactly. Fails when a model that expected_failures.txt does not list fails, and when a listed
 * one passes. Models outside what Heddle is for are told by what they contain, not by their
 * names.
 *
 * Models run in a child process that goes from one to the next; when one ends it, that is the
 * model's result, and another child goes on behind it. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heddle/heddle.h"
#include "model_case.h"
#include "onnx.pb-c.h"
#include "test_device.h"

#define SECONDS_LIMIT 120u /* for one model */
#define TEXT_SIZE     MODEL_CASE_TEXT_SIZE
#define EXPECTED_LIST HD_TEST_SOURCE_DIR "/tests/conformance/expected_failures.txt"

static const char *const groups[] = {"node", "pytorch-converted", "pytorch-operator", "simple",
                                     "real"};
#define GROUP_COUNT (sizeof groups / sizeof groups[0])

typedef enum outcome { PASSED, FAILED, OUT_OF_SCOPE, OUTCOME_COUNT } outcome;

typedef struct conformance_case {
    char name[TEXT_SIZE]; /* "node/test_abs" */
    size_t group;
    bool is_expected_to_fail;
    bool is_done;
    outcome outcome;
    char reason[TEXT_SIZE];
} conformance_case;

/* Where the models are: what the environment names, else the distribution's. */
static const char *data_folder(void)
{
    const char *named = getenv("HEDDLE_ONNX_DATA");
    return named != NULL && named[0] != '\0' ? named : HD_TEST_ONNX_DIR;
}

static bool is_named_by_environment(void)
{
    return strcmp(data_folder(), HD_TEST_ONNX_DIR) != 0;
}

static const model_tolerance tolerance = {.relative = 1e-3, .absolute = 1e-6};
static conformance_case *cases;
static size_t case_count;
static const char *program;

/* ---- what a model contains ------------------------------------------------------------------- */

static const struct {
    const char *type;
    const char *reason;
} foreign_operators[] = {
    {"SequenceMap", "sequence"},
    {"StringNormalizer", "string"},
    /* what is expected is what NumPy drew */
    {"RandomNormal", "random"},
    {"RandomNormalLike", "random"},
    {"RandomUniform", "random"},
    {"RandomUniformLike", "random"},
    {"Multinomial", "random"},
    {"Bernoulli", "random"},
};

static const char *foreign_type(int64_t data_type)
{
    if (data_type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 && !is_named_by_environment()) {
        return "bfloat16"; /* the distribution's data has uint16 in its place */
    }
    return data_type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING ? "string" : NULL;
}

static const char *foreign_value(const Onnx__ValueInfoProto *value)
{
    if (value->type == NULL) {
        return NULL;
    }
    switch (value->type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return foreign_type(value->type->tensor_type->elem_type);
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return "optional";
    case ONNX__TYPE_PROTO__VALUE__NOT_SET:
        return NULL;
    default:
        return "sequence";
    }
}

static const char *foreign_node(const Onnx__NodeProto *node)
{
    if (node->domain != NULL && strstr(node->domain, "training") != NULL) {
        return "training";
    }
    if (node->domain != NULL && strstr(node->domain, "preview") != NULL) {
        return "preview";
    }
    for (size_t i = 0; i < sizeof foreign_operators / sizeof foreign_operators[0]; i++) {
        if (strcmp(node->op_type, foreign_operators[i].type) == 0) {
            return foreign_operators[i].reason;
        }
    }
    if (strcmp(node->op_type, "Dropout") == 0 && node->n_input > 2 && node->input[2][0] != '\0') {
        return "random"; /* its training mode */
    }
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        const char *reason = attribute->t != NULL ? foreign_type(attribute->t->data_type) : NULL;
        if (strcmp(node->op_type, "Cast") == 0 && strcmp(attribute->name, "to") == 0) {
            reason = foreign_type(attribute->i);
        }
        if (reason != NULL) {
            return reason;
        }
    }
    return NULL;
}

/* NULL: the model is within what Heddle is for. */
static const char *foreign_model(const Onnx__ModelProto *model)
{
    const Onnx__GraphProto *graph = model->graph;
    const char *reason = NULL;
    for (size_t i = 0; i < graph->n_node && reason == NULL; i++) {
        reason = foreign_node(graph->node[i]);
    }
    for (size_t i = 0; i < graph->n_input && reason == NULL; i++) {
        reason = foreign_value(graph->input[i]);
    }
    for (size_t i = 0; i < graph->n_output && reason == NULL; i++) {
        reason = foreign_value(graph->output[i]);
    }
    for (size_t i = 0; i < graph->n_value_info && reason == NULL; i++) {
        reason = foreign_value(graph->value_info[i]);
    }
    for (size_t i = 0; i < graph->n_initializer && reason == NULL; i++) {
        reason = foreign_type(graph->initializer[i]->data_type);
    }
    return reason;
}

/* Gives "cannot be read" for a file that is no model. */
static const char *classify(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    const char *reason = "cannot be read";
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        goto done;
    }
    long size = ftell(file);
    rewind(file);
    data = malloc(size > 0 ? (size_t)size : 1);
    if (data == NULL || fread(data, 1, (size_t)size, file) != (size_t)size) {
        goto done;
    }
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, (size_t)size, data);
    if (model != NULL) {
        reason = model->graph == NULL ? reason : foreign_model(model);
        onnx__model_proto__free_unpacked(model, NULL);
    }
done:
    free(data);
    if (file != NULL) {
        fclose(file);
    }
    return reason;
}

/* ---- one model ------------------------------------------------------------------------------- */

static outcome run_case(hd_device *device, const char *name, char reason[TEXT_SIZE])
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/model.onnx", data_folder(), name);
    const char *foreign = classify(path);
    if (foreign != NULL) {
        model_case_say(reason, "%s", foreign);
        return OUT_OF_SCOPE;
    }
    hd_model *model = NULL;
    hd_error error = {0};
    if (hd_model_load(device, path, NULL, &model, &error) != HD_OK) {
        model_case_say(reason, "load: %s: %s", hd_status_name(error.status), error.message);
        return FAILED;
    }
    bool passed = true;
    int set = 0;
    for (; passed; set++) {
        char folder[1024];
        snprintf(folder, sizeof folder, "%s/%s/test_data_set_%d", data_folder(), name, set);
        if (access(folder, F_OK) != 0) {
            break;
        }
        passed = model_case_run(model, folder, &tolerance, reason);
    }
    if (passed && set == 0) {
        model_case_say(reason, "test data: there is no test_data_set_0");
        passed = false;
    }
    hd_model_destroy(&model);
    return passed ? PASSED : FAILED;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What the child writes to the parent about a model; smaller than PIPE_BUF, so it arrives whole. */
typedef struct report {
    size_t index;
    outcome outcome;
    char reason[TEXT_SIZE];
} report;

static void run_child(int results, size_t begin)
{
    hd_device *device = NULL;
    hd_error error = {0};
    if (hd_device_open(test_device_name(), NULL, &device, &error) != HD_OK) {
        fprintf(stderr, "the device cannot be opened: %s\n", error.message);
        _exit(2);
    }
    for (size_t i = begin; i < case_count; i++) {
        report sent = {.index = i};
        alarm(SECONDS_LIMIT);
        sent.outcome = run_case(device, cases[i].name, sent.reason);
        if (write(results, &sent, sizeof sent) != sizeof sent) {
            _exit(2);
        }
    }
    alarm(0);
    hd_device_destroy(&device);
    exit(0); /* not _exit: leak checkers look at the end of a process */
}

/* Runs the models from `begin` on in a new child; gives the index of the first that is not done. */
static size_t run_from(size_t begin)
{
    int ends[2];
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        close(ends[0]);
        run_child(ends[1], begin);
    }
    close(ends[1]);
    report received;
    while (read(ends[0], &received, sizeof received) == sizeof received) {
        conformance_case *done = &cases[received.index];
        done->outcome = received.outcome;
        memcpy(done->reason, received.reason, sizeof done->reason);
        done->is_done = true;
        begin = received.index + 1;
    }
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    if (begin == case_count) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "the process that ran the models ended with %d after the last\n",
                    status);
            exit(1);
        }
        return begin;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        exit(2);
    }
    conformance_case *culprit = &cases[begin];
    culprit->outcome = FAILED;
    culprit->is_done = true;
    if (WIFSIGNALED(status)) {
        model_case_say(culprit->reason, "ended the process with signal %d (%s)%s", WTERMSIG(status),
                       strsignal(WTERMSIG(status)),
                       WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
    } else {
        model_case_say(culprit->reason, "ended the process with exit code %d", WEXITSTATUS(status));
    }
    return begin + 1;
}

static void add_case(const char *name, size_t group)
{
    cases = realloc(cases, (case_count + 1) * sizeof *cases);
    if (cases == NULL) {
        abort();
    }
    conformance_case *added = &cases[case_count++];
    memset(added, 0, sizeof *added);
    snprintf(added->name, sizeof added->name, "%s", name);
    added->group = group;
}

/* Adds the models of a group, in the order of their names, whose name is wanted. */
static void collect_group(size_t group, char **wanted, int wanted_count)
{
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/%s", data_folder(), groups[group]);
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[TEXT_SIZE];
        char path[1600];
        snprintf(name, sizeof name, "%s/%.200s", groups[group], entries[i]->d_name);
        snprintf(path, sizeof path, "%s/%s/model.onnx", data_folder(), name);
        bool is_wanted = wanted_count == 0;
        for (int w = 0; w < wanted_count; w++) {
            is_wanted = is_wanted || strcmp(wanted[w], name) == 0;
        }
        if (is_wanted && entries[i]->d_name[0] != '.' && access(path, F_OK) == 0) {
            add_case(name, group);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

/* Reads "GROUP/NAME reason in words" lines; '#' begins a comment. Gives the number of lines that
 * are wrong: without a reason or with a name that no model has. */
static int read_expected(bool is_complete)
{
    FILE *file = fopen(EXPECTED_LIST, "r");
    char line[1024];
    int wrong = 0;
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", EXPECTED_LIST, strerror(errno));
        return 1;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        char name[TEXT_SIZE];
        int end = 0;
        if (line[0] == '#' || sscanf(line, "%511s %n", name, &end) != 1) {
            continue;
        }
        bool is_known = false;
        for (size_t i = 0; i < case_count; i++) {
            if (strcmp(cases[i].name, name) == 0) {
                cases[i].is_expected_to_fail = true;
                is_known = true;
            }
        }
        if (line[end] == '\0' || (!is_known && is_complete)) {
            printf("LIST %s: it has no reason, or there is no such model\n", name);
            wrong++;
        }
    }
    fclose(file);
    return wrong;
}

/* Prints the failures and the totals; gives the number of models that are not as the list says. */
static int print_results(void)
{
    size_t totals[GROUP_COUNT + 1][OUTCOME_COUNT] = {0};
    int wrong = 0;
    for (size_t i = 0; i < case_count; i++) {
        const conformance_case *done = &cases[i];
        totals[done->group][done->outcome]++;
        totals[GROUP_COUNT][done->outcome]++;
        if (done->outcome == FAILED && !done->is_expected_to_fail) {
            printf("FAIL %s: %s (repeat: %s %s)\n", done->name, done->reason, program, done->name);
            wrong++;
        } else if (done->outcome != FAILED && done->is_expected_to_fail) {
            printf("LISTED %s: it is in %s, but %s\n", done->name, EXPECTED_LIST,
                   done->outcome == PASSED ? "it passes" : "it is out of scope");
            wrong++;
        } else if (done->outcome == FAILED && case_count < 20) {
            printf("EXPECTED %s: %s\n", done->name, done->reason);
        } else if (case_count < 20) {
            printf("%s %s %s\n", done->outcome == PASSED ? "PASS" : "OUT OF SCOPE", done->name,
                   done->reason);
        }
    }
    printf("%-18s %8s %8s %8s %8s\n", "group", "models", "in scope", "passed", "failed");
    for (size_t g = 0; g <= GROUP_COUNT; g++) {
        const size_t *t = totals[g];
        size_t in_scope = t[PASSED] + t[FAILED];
        printf("%-18s %8zu %8zu %8zu %8zu%s\n", g < GROUP_COUNT ? groups[g] : "all",
               in_scope + t[OUT_OF_SCOPE], in_scope, t[PASSED], t[FAILED],
               g < GROUP_COUNT && in_scope + t[OUT_OF_SCOPE] == 0 ? "  (no model.onnx is installed)"
                                                                  : "");
    }
    return wrong;
}

static void print_scope(void)
{
    static const char *const reasons[] = {"sequence", "optional", "string", "training",
                                          "random",   "bfloat16", "preview"};
    printf("out of scope:");
    for (size_t r = 0; r < sizeof reasons / sizeof reasons[0]; r++) {
        size_t count = 0;
        for (size_t i = 0; i < case_count; i++) {
            count += cases[i].outcome == OUT_OF_SCOPE && strcmp(cases[i].reason, reasons[r]) == 0;
        }
        printf("%s %zu %s", r == 0 ? "" : ",", count, reasons[r]);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    program = argv[0];
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        collect_group(g, argv + 1, argc - 1);
    }
    if (case_count == 0 || (argc > 1 && case_count != (size_t)argc - 1)) {
        fprintf(stderr, "%s has %zu models%s (Debian: libonnx-testdata)\n", data_folder(),
                case_count, argc > 1 ? " of these names" : "");
        return 1;
    }
    int wrong = is_named_by_environment() ? 0 : read_expected(argc == 1);
    for (size_t next = 0; next < case_count;) {
        next = run_from(next);
    }
    wrong += print_results();
    print_scope();
    printf("%zu passed, %d failed\n", case_count - (size_t)wrong, wrong);
    free(cases);
    return wrong > 0;
}
