/* heddle inspect: what a file holds, and what of it is not supported. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/session.h"
#include "cli/tensors.h"
#include "heddle/inspect.h"

#define SHAPE_TEXT 512

static void shape_text(const hd_inspection_value *value, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    if (value->rank == HD_RANK_UNKNOWN) {
        snprintf(text, size, "of any shape");
    } else if (value->rank == 0) {
        snprintf(text, size, "scalar");
    }
    for (uint32_t i = 0; value->rank != HD_RANK_UNKNOWN && i < value->rank && used < size; i++) {
        const char *separator = i == 0 ? "" : "x";
        int length;
        if (value->dims[i] >= 0) {
            length = snprintf(text + used, size - used, "%s%" PRId64, separator, value->dims[i]);
        } else {
            const char *name = value->dim_names[i] != NULL ? value->dim_names[i] : "?";
            length = snprintf(text + used, size - used, "%s%s", separator, name);
        }
        used += length > 0 ? (size_t)length : 0;
    }
}

typedef hd_status get_value(const hd_inspection *, size_t, hd_inspection_value *);

static void write_values(hd_report *report, const hd_inspection *inspection, const char *key,
                         size_t count, get_value *get)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_array(json, key);
    for (size_t i = 0; i < count; i++) {
        hd_inspection_value value = {.struct_size = sizeof value};
        char text[SHAPE_TEXT];
        if (get(inspection, i, &value) != HD_OK) {
            continue;
        }
        hd_json_begin_object(json, NULL);
        hd_json_string(json, "name", value.name);
        hd_json_string(json, "type", value.type);
        if (value.rank == HD_RANK_UNKNOWN) {
            hd_json_string(json, "dims", NULL);
        } else {
            hd_json_begin_array(json, "dims");
            for (uint32_t d = 0; d < value.rank; d++) {
                if (value.dims[d] >= 0) {
                    hd_json_integer(json, NULL, value.dims[d]);
                } else {
                    hd_json_string(json, NULL, value.dim_names[d]);
                }
            }
            hd_json_end_array(json);
        }
        hd_json_end_object(json);
        if (report->tables) {
            shape_text(&value, text, sizeof text);
            printf("  %-7s %-24s %s %s\n", i == 0 ? key : "", value.name, value.type, text);
        }
    }
    hd_json_end_array(json);
}

static void write_opsets(hd_report *report, const hd_inspection *inspection, size_t count)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_array(json, "opsets");
    for (size_t i = 0; i < count; i++) {
        hd_inspection_opset opset = {.struct_size = sizeof opset};
        if (hd_inspection_get_opset(inspection, i, &opset) == HD_OK) {
            hd_json_begin_object(json, NULL);
            hd_json_string(json, "domain", opset.domain);
            hd_json_integer(json, "version", opset.version);
            hd_json_end_object(json);
            if (report->tables) {
                printf("%s %s %" PRId64, i == 0 ? "opsets:" : ",", opset.domain, opset.version);
            }
        }
    }
    hd_json_end_array(json);
    if (report->tables && count > 0) {
        printf("\n");
    }
}

static void write_operators(hd_report *report, const hd_inspection *inspection, size_t count)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_array(json, "operators");
    for (size_t i = 0; i < count; i++) {
        hd_inspection_operator operator = {.struct_size = sizeof operator};
        if (hd_inspection_get_operator(inspection, i, &operator) != HD_OK) {
            continue;
        }
        hd_json_begin_object(json, NULL);
        hd_json_string(json, "domain", operator.domain);
        hd_json_string(json, "operator", operator.name);
        hd_json_integer(json, "count", (int64_t)operator.count);
        hd_json_boolean(json, "supported", operator.is_supported);
        hd_json_end_object(json);
        if (report->tables) {
            bool is_default = strcmp(operator.domain, "ai.onnx") == 0;
            printf("%s%s%s%s x %" PRIu64, i == 0 ? "operators: " : ", ",
                   is_default ? "" : operator.domain, is_default ? "" : ".", operator.name,
                   operator.count);
        }
    }
    hd_json_end_array(json);
    if (report->tables && count > 0) {
        printf("\n");
    }
}

/* On a terminal: how many nodes run where. */
static void print_devices(const hd_inspection *inspection, size_t count)
{
    static const char *const others[] = {"cpu", "merged", "none", "unknown"};
    size_t counts[4] = {0}, on_device = 0;
    const char *device = NULL;
    for (size_t i = 0; i < count; i++) {
        hd_inspection_node node = {.struct_size = sizeof node};
        bool is_other = false;
        if (hd_inspection_get_node(inspection, i, &node) != HD_OK) {
            continue;
        }
        for (size_t o = 0; o < 4; o++) {
            if (strcmp(node.device, others[o]) == 0) {
                counts[o]++;
                is_other = true;
            }
        }
        if (!is_other) {
            device = node.device;
            on_device++;
        }
    }
    printf("nodes: %zu", count);
    if (device != NULL) {
        printf(", %s %zu", device, on_device);
    }
    for (size_t o = 0; o < 4; o++) {
        if (counts[o] > 0) {
            printf(", %s %zu", others[o], counts[o]);
        }
    }
    printf("\n");
}

static void write_nodes(hd_report *report, const hd_inspection *inspection, size_t count)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_array(json, "nodes");
    for (size_t i = 0; i < count; i++) {
        hd_inspection_node node = {.struct_size = sizeof node};
        if (hd_inspection_get_node(inspection, i, &node) != HD_OK) {
            continue;
        }
        hd_json_begin_object(json, NULL);
        hd_json_string(json, "name", node.name);
        hd_json_string(json, "domain", node.domain);
        hd_json_string(json, "operator", node.type);
        hd_json_string(json, "device", node.device);
        hd_json_end_object(json);
    }
    hd_json_end_array(json);
    if (report->tables) {
        print_devices(inspection, count);
    }
}

static void write_findings(hd_report *report, const hd_inspection *inspection, size_t count)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_array(json, "unsupported");
    for (size_t i = 0; i < count; i++) {
        hd_inspection_finding finding = {.struct_size = sizeof finding};
        if (hd_inspection_get_finding(inspection, i, &finding) != HD_OK) {
            continue;
        }
        hd_json_begin_object(json, NULL);
        hd_json_string(json, "status", hd_status_name(finding.status));
        hd_json_string(json, "operator", finding.type[0] == '\0' ? NULL : finding.type);
        hd_json_string(json, "node", finding.node[0] == '\0' ? NULL : finding.node);
        hd_json_integer(json, "count", (int64_t)finding.count);
        hd_json_string(json, "reason", finding.reason);
        hd_json_end_object(json);
        if (report->tables && finding.node[0] != '\0') {
            printf("%s%s x %" PRIu64 ": %s (first: node '%s')\n",
                   i == 0 ? "not supported:\n  " : "  ", finding.type, finding.count,
                   finding.reason, finding.node);
        } else if (report->tables) {
            printf("%s%s\n", i == 0 ? "not supported:\n  " : "  ", finding.reason);
        }
    }
    hd_json_end_array(json);
}

static void write_summary(hd_report *report, const hd_inspection_summary *summary)
{
    hd_json_writer *json = &report->json;
    hd_json_integer(json, "ir_version", summary->ir_version);
    hd_json_string(json, "producer", summary->producer);
    hd_json_string(json, "producer_version", summary->producer_version);
    hd_json_string(json, "graph", summary->graph_name);
    hd_json_string(json, "model_domain", summary->domain);
    hd_json_integer(json, "model_version", summary->model_version);
    hd_json_begin_object(json, "parameters");
    hd_json_integer(json, "tensors", (int64_t)summary->parameter_tensors);
    hd_json_integer(json, "count", (int64_t)summary->parameter_count);
    hd_json_integer(json, "bytes", (int64_t)summary->parameter_bytes);
    hd_json_end_object(json);
    hd_json_begin_object(json, "memory");
    hd_json_integer(json, "weight_bytes", (int64_t)summary->weight_bytes);
    hd_json_integer(json, "run_bytes", (int64_t)summary->run_bytes);
    hd_json_boolean(json, "partial", summary->is_partial);
    hd_json_boolean(json, "open_dims", summary->is_guessed);
    hd_json_end_object(json);
    hd_json_boolean(json, "supported", summary->is_supported);
    if (report->tables) {
        printf("%s%s%s%sIR version %" PRId64 "\n", summary->producer,
               summary->producer_version[0] != '\0' ? " " : "", summary->producer_version,
               summary->producer[0] != '\0' ? ", " : "", summary->ir_version);
    }
}

static void print_sizes(const hd_inspection_summary *summary)
{
    printf("parameters: %" PRIu64 " in %" PRIu64 " tensors, %" PRIu64 " bytes\n",
           summary->parameter_count, summary->parameter_tensors, summary->parameter_bytes);
    if (summary->weight_bytes > 0 || summary->run_bytes > 0) {
        printf("memory: model %" PRIu64 " bytes, a run %" PRIu64 "%s%s\n", summary->weight_bytes,
               summary->run_bytes, summary->is_partial ? " or more" : "",
               summary->is_guessed ? ", open dimensions counted as 1 (--shape)" : "");
    }
}

static void write_inspection(hd_report *report, const char *device, const char *path,
                             const hd_inspection *inspection, const hd_inspection_summary *summary)
{
    hd_json_writer *json = &report->json;
    hd_json_begin_object(json, NULL);
    hd_json_integer(json, "schema_version", 1);
    hd_json_string(json, "command", "inspect");
    hd_json_string(json, "device", device);
    hd_json_string(json, "model", path);
    write_summary(report, summary);
    write_opsets(report, inspection, summary->opset_count);
    write_values(report, inspection, "inputs", summary->input_count, hd_inspection_get_input);
    write_values(report, inspection, "outputs", summary->output_count, hd_inspection_get_output);
    if (report->tables) {
        print_sizes(summary);
    }
    write_operators(report, inspection, summary->operator_count);
    write_nodes(report, inspection, summary->node_count);
    write_findings(report, inspection, summary->finding_count);
    hd_json_end_object(json);
}

/* The shapes of --shape; *out_shapes is to be freed. */
static hd_exit_code read_shapes(const hd_arguments *given, hd_inspect_options *options,
                                hd_tensor **out_shapes)
{
    size_t count = hd_arguments_count(given, "--shape");
    *out_shapes = calloc(count + 1, sizeof **out_shapes);
    if (*out_shapes == NULL) {
        return hd_failure_print_memory();
    }
    hd_exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < count && code == EXIT_CODE_OK; i++) {
        hd_named_value shape = hd_arguments_named(given, "--shape", i);
        (*out_shapes)[i].name = shape.name;
        code = hd_tensor_parse_shape(shape, &(*out_shapes)[i]);
    }
    options->shapes = *out_shapes;
    options->shape_count = count;
    return code;
}

/* A shape of no input would be passed over in silence. */
static hd_exit_code check_shapes(const hd_inspection *inspection, const hd_inspect_options *options)
{
    for (size_t i = 0; i < options->shape_count; i++) {
        hd_inspection_value input = {.struct_size = sizeof input};
        bool is_found = false;
        for (size_t n = 0; hd_inspection_get_input(inspection, n, &input) == HD_OK; n++) {
            is_found = is_found || strcmp(input.name, options->shapes[i].name) == 0;
        }
        if (!is_found) {
            return hd_failure_print(EXIT_CODE_USAGE, "--shape: the model has no input '%s'",
                                    options->shapes[i].name);
        }
    }
    return EXIT_CODE_OK;
}

static hd_exit_code run(const hd_arguments *given)
{
    hd_report report;
    hd_session session = {0};
    hd_inspect_options options = {.struct_size = sizeof options};
    hd_inspection_summary summary = {.struct_size = sizeof summary};
    hd_inspection *inspection = NULL;
    hd_tensor *shapes = NULL;
    hd_error error = {0};
    const char *path = hd_arguments_positional(given);
    hd_exit_code code = hd_report_open(given, &report);
    if (code == EXIT_CODE_OK) {
        code = read_shapes(given, &options, &shapes);
    }
    if (code == EXIT_CODE_OK) {
        code = hd_session_open(given, NULL, &session);
    }
    if (code == EXIT_CODE_OK &&
        (hd_inspection_create(session.device, path, &options, &inspection, &error) != HD_OK ||
         hd_inspection_get_summary(inspection, &summary) != HD_OK)) {
        code = hd_failure_print_error(&error);
    }
    if (code == EXIT_CODE_OK) {
        code = check_shapes(inspection, &options);
    }
    if (code == EXIT_CODE_OK) {
        write_inspection(&report, session.info.name, path, inspection, &summary);
        code = hd_report_finish(&report);
    }
    if (code == EXIT_CODE_OK && !summary.is_supported) {
        code = hd_failure_print(EXIT_CODE_INPUT, "%s: %zu %s not supported", path,
                                summary.finding_count,
                                summary.finding_count == 1 ? "thing is" : "things are");
    }
    hd_inspection_destroy(&inspection);
    free(shapes);
    hd_session_close(&session);
    hd_report_close(&report);
    return code;
}

const hd_command hd_command_inspect = {
    .name = "inspect",
    .positional = "MODEL",
    .summary = "Tells what an ONNX file holds, and all of it that is not supported.",
    .details =
        "Nothing is run. Operators, types, attributes and whatever else is not supported are all\n"
        "listed, each with its reason and how many nodes it concerns; the exit code is 3 then. A\n"
        "file that cannot be loaded is inspected as far as it goes. --json has the nodes, too, "
        "and\n"
        "where each would run: see docs/inspect.md.",
    .options = {{"--shape", "NAME=1x128", true, "sizes of an input's open dimensions (else 1)"}},
    .examples = {"heddle inspect model.onnx",
                 "heddle inspect model.onnx --shape x=8x3x224x224 --json -", NULL},
    .run = run,
};
