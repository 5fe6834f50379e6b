#include "onnx/onnx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "graph/budget.h"
#include "onnx/elements.h"
#include "onnx/external.h"
#include "onnx/guess.h"
#include "onnx/import.h"
#include "onnx/resolve.h"
#include "onnx/unpack.h"
#include "onnx/visit.h"

#define IR_VERSION_WITH_OPSETS    3 /* onnx.proto: each model has one from then on */
#define IR_VERSION_WITH_OVERRIDES 4 /* before, each initializer had to be among the inputs */
#define IR_VERSION_MAX 14           /* the newest whose changes are known (onnx.proto, "Version") */

/* Graphs inside are those of ONNX's own operators. */
static bool has_own_operators(const Onnx__GraphProto *graph)
{
    bool found = false;
    for (size_t i = 0; i < graph->n_node && !found; i++) {
        found = hd_onnx_is_default_domain(graph->node[i]->domain);
    }
    return found;
}

hd_status hd_onnx_find_opset(const Onnx__ModelProto *model, int64_t *out, hd_error *error)
{
    if (model->ir_version > IR_VERSION_MAX) {
        return hd_fail(error, HD_UNSUPPORTED,
                       "the model's IR version is %lld; versions up to %d are supported",
                       (long long)model->ir_version, IR_VERSION_MAX);
    }
    bool is_given = false;
    *out = 1; /* a model that says nothing is from before there were versions */
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        if (!hd_onnx_is_default_domain(set->domain) || !set->has_version) {
            continue;
        }
        if (is_given && *out != set->version) {
            return hd_fail(error, HD_BAD_MODEL, "the model uses opset %lld and opset %lld",
                           (long long)*out, (long long)set->version);
        }
        is_given = true;
        *out = set->version;
    }
    if (!is_given && model->n_opset_import > 0 && !has_own_operators(model->graph)) {
        *out = HD_ONNX_OPSET_MAX; /* it means nothing */
        return HD_OK;
    }
    if (!is_given && model->ir_version >= IR_VERSION_WITH_OPSETS) {
        return hd_fail(error, HD_BAD_MODEL,
                       "the model does not say which opset of ONNX's operators it uses");
    }
    return *out >= HD_ONNX_OPSET_OLDEST && *out <= HD_ONNX_OPSET_MAX
               ? HD_OK
               : hd_fail(error, HD_UNSUPPORTED, "the model uses opset %lld; %d to %d are supported",
                         (long long)*out, HD_ONNX_OPSET_MIN, HD_ONNX_OPSET_MAX);
}

/* The names of initializers that become inputs. */
static hd_status note_overrides(const hd_onnx_overrides *overrides, const Onnx__ModelProto *model,
                                hd_onnx_resolver *resolver)
{
    bool can_be = overrides != NULL && model->ir_version >= IR_VERSION_WITH_OVERRIDES;
    for (size_t i = 0; can_be && i < overrides->count; i++) {
        if (hd_onnx_names_put(&resolver->overrides, resolver->region, overrides->names[i]) ==
            NULL) {
            return hd_fail(resolver->error, HD_OUT_OF_MEMORY,
                           "no memory for names of initializers");
        }
    }
    return HD_OK;
}

typedef struct import_context {
    const hd_onnx_overrides *overrides;
    hd_graph *graph;
} import_context;

static hd_status import_model(void *context, const hd_onnx_origin *origin,
                              const Onnx__ModelProto *model, hd_error *error)
{
    import_context *self = context;
    hd_region region = {0};
    hd_onnx_resolver resolver = {
        .region = &region,
        .model = model,
        .ml_version = hd_onnx_find_ml_version(model->opset_import, model->n_opset_import, 1),
        .error = error};
    hd_onnx_scope *root;
    hd_graph *graph = NULL;
    hd_status status = hd_onnx_find_opset(model, &resolver.opset, error);
    if (status == HD_OK) {
        status = note_overrides(self->overrides, model, &resolver);
    }
    if (status == HD_OK) {
        status = hd_onnx_resolve(&resolver, &root);
    }
    if (status == HD_OK) {
        int64_t opset = resolver.opset < HD_ONNX_OPSET_MIN ? HD_ONNX_OPSET_MIN : resolver.opset;
        status = hd_graph_create((uint32_t)opset, &graph, error);
    }
    if (status == HD_OK) {
        status = hd_onnx_import(origin, root, graph, NULL, error);
    }
    hd_region_clear(&region);
    if (status != HD_OK) {
        hd_graph_destroy(&graph);
        return status;
    }
    self->graph = graph;
    return HD_OK;
}

/* path: NULL for bytes in memory. */
static hd_status visit(const hd_onnx_source *source, hd_onnx_message kind, const char *path,
                       int folder, hd_onnx_visitor *visitor, void *context, hd_error *error)
{
    hd_onnx_origin origin = {
        .source = source, .folder = folder, .model = source->memory == NULL ? source->file : -1};
    ProtobufCMessage *message = NULL;
    hd_budget_bring(source->size);
    hd_status status = hd_onnx_unpack(source, kind, &message, error);
    const Onnx__ModelProto *model = (const Onnx__ModelProto *)message;
    if (status == HD_OK && (model->graph == NULL || model->graph->n_output == 0)) {
        status = hd_fail(error, HD_BAD_MODEL, "the file has no ONNX graph with outputs");
    } else if (status == HD_OK) {
        status = visitor(context, &origin, model, error);
        hd_onnx_unpack_free(message);
        return status;
    }
    hd_onnx_unpack_free(message);
    const char *guess = status == HD_BAD_MODEL ? hd_onnx_guess(source) : NULL;
    if (guess != NULL) {
        hd_fail(error, status, "no ONNX model: it %s", guess);
    }
    return path == NULL ? status : hd_fail_prefix(error, status, "'%s'", path);
}

static hd_status open_folder(const char *path, int *out, hd_error *error)
{
    *out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 ? HD_OK
                     : hd_fail(error, errno == ENOENT || errno == ENOTDIR ? HD_NOT_FOUND : HD_IO,
                               "the folder '%.300s': %s", path, strerrordesc_np(errno));
}

hd_status hd_onnx_visit_file(const char *path, hd_onnx_message kind, hd_onnx_visitor *visitor,
                             void *context, hd_error *error)
{
    hd_onnx_source source = {.file = -1};
    int folder = -1;
    char *parent = NULL;
    hd_status status = hd_onnx_file_open(path, &source, error);
    if (status != HD_OK) {
        return status;
    }
    parent = hd_copy_text(path[0] == '\0' ? "." : path);
    if (parent == NULL) {
        status = hd_fail(error, HD_OUT_OF_MEMORY, "no memory for the path of the model's folder");
        goto fail;
    }
    char *slash = strrchr(parent, '/');
    if (slash != NULL) {
        slash[slash == parent ? 1 : 0] = '\0';
    }
    status = open_folder(slash != NULL ? parent : ".", &folder, error);
    if (status == HD_OK) {
        status = visit(&source, kind, path, folder, visitor, context, error);
    }
fail:
    if (folder >= 0) {
        close(folder);
    }
    hd_free(parent);
    close(source.file);
    return status;
}

hd_status hd_onnx_load_file_with(const char *path, const hd_onnx_overrides *overrides,
                                 hd_graph **out_graph, hd_error *error)
{
    if (path == NULL || out_graph == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "path or out_graph is NULL");
    }
    import_context context = {.overrides = overrides};
    hd_status status = hd_onnx_visit_file(path, HD_ONNX_MODEL, import_model, &context, error);
    *out_graph = context.graph;
    return status;
}

hd_status hd_onnx_load_memory_with(const void *data, size_t size, const char *base_directory,
                                   const hd_onnx_overrides *overrides, hd_graph **out_graph,
                                   hd_error *error)
{
    if (data == NULL || out_graph == NULL) {
        return hd_fail(error, HD_INVALID_ARGUMENT, "data or out_graph is NULL");
    }
    *out_graph = NULL;
    hd_onnx_source source = {.memory = data, .size = size};
    int folder = -1;
    hd_status status = base_directory == NULL ? HD_OK : open_folder(base_directory, &folder, error);
    if (status == HD_OK) {
        import_context context = {.overrides = overrides};
        status = visit(&source, HD_ONNX_MODEL, NULL, folder, import_model, &context, error);
        *out_graph = context.graph;
    }
    if (folder >= 0) {
        close(folder);
    }
    return status;
}
