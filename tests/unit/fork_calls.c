#include "fork_calls.h"
#include "support/test_device.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

hd_error error;
hd_device *device;
hd_model *model, *last_model;
hd_graph *graph;
hd_stream stream;
hd_event *event, *never_recorded;
hd_future *final_future, *future;
hd_batch *batch;
void *block;
float x[SIZE], y[SIZE], z[SIZE];
char path[64];

hd_status build_graph(hd_graph **out_graph)
{
    static const int64_t dims[] = {-1};
    hd_value operands[2] = {HD_VALUE_NONE, HD_VALUE_NONE}, output = HD_VALUE_NONE;
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_status status = hd_graph_create(0, out_graph, &error);
    if (status == HD_OK) {
        status = hd_graph_add_input(*out_graph, "x", HD_FLOAT32, 1, dims, &operands[0], &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_constant(*out_graph, &constant, &operands[1], &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_node(*out_graph, "Add", operands, 2, NULL, 0, &output, 1, &error);
    }
    if (status == HD_OK) {
        status = hd_graph_add_output(*out_graph, "y", output, &error);
    }
    return status;
}

hd_status open_device(void)
{
    hd_device *other;
    return hd_device_open(test_device_name(), NULL, &other, &error);
}

static hd_status list_devices(void)
{
    hd_device_info info = {.struct_size = sizeof info};
    size_t count;
    return hd_device_list(&info, 1, &count, &error);
}

static hd_status get_info(void)
{
    hd_device_info info = {.struct_size = sizeof info};
    return hd_device_get_info(device, &info);
}

static hd_status get_memory(void)
{
    hd_memory_info info = {.struct_size = sizeof info};
    return hd_device_get_memory(device, &info);
}

static hd_status shutdown_device(void)
{
    return hd_device_shutdown(device, FOREVER, &error);
}

hd_status destroy_device(void)
{
    hd_device_destroy(&device);
    return HD_OK;
}

static hd_status make_graph(void)
{
    hd_graph *other = NULL;
    hd_status status = build_graph(&other);
    hd_graph_destroy(&other);
    return status;
}

hd_status destroy_graph(void)
{
    hd_graph_destroy(&graph);
    return HD_OK;
}

static hd_status create_model(void)
{
    hd_model *other;
    return hd_model_create(device, graph, NULL, &other, &error);
}

static hd_status load_model(void)
{
    hd_model *other;
    return hd_model_load(device, path, NULL, &other, &error);
}

static hd_status inspect_file(void)
{
    hd_inspection *inspection = NULL;
    hd_status status = hd_inspection_create(device, path, NULL, &inspection, &error);
    hd_inspection_destroy(&inspection);
    return status;
}

/* A child has no inspection: of none they say so. */
static hd_status read_no_inspection(void)
{
    hd_inspection_summary summary = {.struct_size = sizeof summary};
    hd_inspection_opset opset = {.struct_size = sizeof opset};
    hd_inspection_value value = {.struct_size = sizeof value};
    hd_inspection_operator one = {.struct_size = sizeof one};
    hd_inspection_node node = {.struct_size = sizeof node};
    hd_inspection_finding finding = {.struct_size = sizeof finding};
    bool refused = hd_inspection_get_summary(NULL, &summary) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_opset(NULL, 0, &opset) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_input(NULL, 0, &value) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_output(NULL, 0, &value) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_operator(NULL, 0, &one) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_node(NULL, 0, &node) == HD_INVALID_ARGUMENT &&
                   hd_inspection_get_finding(NULL, 0, &finding) == HD_INVALID_ARGUMENT;
    return refused ? HD_OK : HD_INTERNAL;
}

static hd_status load_model_memory(void)
{
    hd_model *other;
    return hd_model_load_memory(device, "model", 5, NULL, &other, &error);
}

static hd_status describe_model(void)
{
    hd_value_info info = {.struct_size = sizeof info};
    bool good = hd_model_input_count(model) == 1 && hd_model_output_count(model) == 1;
    good = good && hd_model_input_info(model, 0, &info) == HD_OK;
    return good && hd_model_output_info(model, 0, &info) == HD_OK ? HD_OK : HD_INTERNAL;
}

hd_status run_model(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    return hd_model_run(model, &input, 1, &output, 1, &error);
}

static hd_status run_model_with_a_token(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_cancel *cancel;
    hd_status status = hd_cancel_create(&cancel, &error);
    if (status == HD_OK) {
        hd_run_options options = {.struct_size = sizeof options, .cancel = cancel};
        status = hd_model_run_with(model, &input, 1, &output, 1, &options, &error);
        hd_cancel_set(cancel);
        status = hd_cancel_is_set(cancel) ? status : HD_INTERNAL;
        hd_cancel_destroy(&cancel);
    }
    return status;
}

void call_back(void *context, hd_status outcome, const hd_error *problem)
{
    (void)context, (void)outcome, (void)problem;
}

static hd_status run_model_later(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_future *other;
    hd_submit_options options = {.struct_size = sizeof options, .callback = call_back};
    hd_status status = hd_model_run_async(model, &input, 1, &output, 1, &options, &other, &error);
    options.callback = NULL;
    hd_status again = hd_model_run_async(model, &input, 1, &output, 1, &options, &other, &error);
    return status == again ? status : HD_INTERNAL;
}

hd_status destroy_models(void)
{
    hd_model_destroy(&last_model);
    hd_model_destroy(&model);
    return HD_OK;
}

static hd_status wait_future(void)
{
    hd_status status = hd_future_wait(final_future, 0, &error);
    return hd_future_wait(future, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status cancel_future(void)
{
    hd_status status = hd_future_cancel(future);
    return hd_future_cancel(final_future) == status ? status : HD_INTERNAL;
}

hd_status destroy_futures(void)
{
    hd_future_destroy(&final_future);
    hd_future_destroy(&future);
    return HD_OK;
}

static hd_status acquire_stream(void)
{
    hd_stream other;
    return hd_stream_acquire(device, FOREVER, &other, &error);
}

static hd_status synchronize_stream(void)
{
    hd_status status = hd_stream_synchronize(device, (hd_stream){0}, FOREVER, &error);
    return hd_stream_synchronize(device, stream, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status release_stream(void)
{
    return hd_stream_release(device, stream, &error);
}

static hd_status create_event(void)
{
    hd_event *other;
    return hd_event_create(device, &other, &error);
}

static hd_status record_event(void)
{
    return hd_event_record(event, stream, FOREVER, &error);
}

static hd_status let_stream_wait(void)
{
    hd_status status = hd_event_wait_on_stream(never_recorded, stream, FOREVER, &error);
    return hd_event_wait_on_stream(event, stream, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status wait_event(void)
{
    hd_status status = hd_event_wait(never_recorded, FOREVER, &error);
    return hd_event_wait(event, FOREVER, &error) == status ? status : HD_INTERNAL;
}

static hd_status measure_event(void)
{
    double milliseconds;
    return hd_event_elapsed(event, event, &milliseconds, &error);
}

hd_status destroy_events(void)
{
    hd_event_destroy(&event);
    hd_event_destroy(&never_recorded);
    return HD_OK;
}

static hd_status allocate_memory(void)
{
    void *memory;
    return hd_memory_allocate(device, stream, 1000, FOREVER, &memory, &error);
}

static hd_status record_memory(void)
{
    return hd_memory_record_stream(device, block, (hd_stream){0}, &error);
}

static hd_status copy_memory(void)
{
    char byte = 0;
    return hd_memory_copy(device, &byte, &byte, 1, &error);
}

static hd_status free_memory(void)
{
    return hd_memory_free(device, block, &error);
}

static hd_status trim_memory(void)
{
    return hd_memory_trim(device, &error);
}

static hd_status count_memory(void)
{
    hd_memory_statistics statistics = {.struct_size = sizeof statistics};
    return hd_memory_get_statistics(device, &statistics);
}

static hd_status create_batch(void)
{
    hd_batch *other;
    return hd_batch_create(model, NULL, &other, &error);
}

static hd_status submit_to_batch(void)
{
    hd_tensor input = tensor_of(x), output = tensor_of(y);
    hd_future *other;
    return hd_batch_submit(batch, &input, 1, &output, 1, NULL, &other, &error);
}

static hd_status shut_batch_down(void)
{
    return hd_batch_shutdown(batch, HD_BATCH_CANCEL, FOREVER, &error);
}

static hd_status count_batch(void)
{
    hd_batch_statistics statistics = {.struct_size = sizeof statistics};
    return hd_batch_get_statistics(batch, &statistics);
}

hd_status destroy_batch(void)
{
    hd_batch_destroy(&batch);
    return HD_OK;
}

static hd_status use_tensors(void)
{
    hd_tensor tensor = tensor_of(x);
    hd_status status = hd_tensor_save_npy(path, &tensor, &error);
    if (status == HD_OK) {
        status = hd_tensor_load(path, &tensor, &error);
        hd_tensor_release(&tensor);
    }
    if (status == HD_OK) {
        status = hd_tensor_load_memory("no tensor", 9, &tensor, &error) == HD_BAD_MODEL
                     ? HD_OK
                     : HD_INTERNAL;
    }
    return status;
}

static hd_status use_names(void)
{
    bool good = hd_dtype_size(HD_FLOAT32) == 4 && hd_dtype_bits(HD_INT4) == 4 &&
                strcmp(hd_dtype_name(HD_FLOAT32), "float32") == 0 &&
                hd_status_name(HD_OK) != NULL && hd_status_text(HD_OK) != NULL &&
                hd_version() != NULL;
    return good ? HD_OK : HD_INTERNAL;
}

const fork_call fork_calls[] = {
    {" hd_device_open ", open_device, HD_FORKED},
    {" hd_device_list ", list_devices, HD_FORKED},
    {" hd_device_get_info ", get_info, HD_FORKED},
    {" hd_device_get_memory ", get_memory, HD_FORKED},
    {" hd_device_shutdown ", shutdown_device, HD_FORKED},
    {" hd_graph_create hd_graph_add_input hd_graph_add_constant hd_graph_add_node "
     "hd_graph_add_output ",
     make_graph, HD_OK},
    {" hd_model_create ", create_model, HD_FORKED},
    {" hd_model_load ", load_model, HD_FORKED},
    {" hd_model_load_memory ", load_model_memory, HD_FORKED},
    {" hd_inspection_create hd_inspection_destroy ", inspect_file, HD_FORKED},
    {" hd_inspection_get_summary hd_inspection_get_opset hd_inspection_get_input "
     "hd_inspection_get_output hd_inspection_get_operator hd_inspection_get_node "
     "hd_inspection_get_finding ",
     read_no_inspection, HD_OK},
    {" hd_model_input_count hd_model_output_count hd_model_input_info hd_model_output_info ",
     describe_model, HD_OK},
    {" hd_model_run ", run_model, HD_FORKED},
    {" hd_cancel_create hd_cancel_set hd_cancel_is_set hd_cancel_destroy hd_model_run_with ",
     run_model_with_a_token, HD_FORKED},
    {" hd_model_run_async ", run_model_later, HD_FORKED},
    {" hd_future_wait ", wait_future, HD_FORKED},
    {" hd_future_cancel ", cancel_future, HD_FORKED},
    {" hd_stream_acquire ", acquire_stream, HD_FORKED},
    {" hd_stream_synchronize ", synchronize_stream, HD_FORKED},
    {" hd_event_create ", create_event, HD_FORKED},
    {" hd_event_record ", record_event, HD_FORKED},
    {" hd_event_wait_on_stream ", let_stream_wait, HD_FORKED},
    {" hd_event_wait ", wait_event, HD_FORKED},
    {" hd_event_elapsed ", measure_event, HD_FORKED},
    {" hd_memory_allocate ", allocate_memory, HD_FORKED},
    {" hd_memory_record_stream ", record_memory, HD_FORKED},
    {" hd_memory_copy ", copy_memory, HD_FORKED},
    {" hd_memory_free ", free_memory, HD_FORKED},
    {" hd_memory_trim ", trim_memory, HD_FORKED},
    {" hd_memory_get_statistics ", count_memory, HD_FORKED},
    {" hd_batch_create ", create_batch, HD_FORKED},
    {" hd_batch_submit ", submit_to_batch, HD_FORKED},
    {" hd_batch_shutdown ", shut_batch_down, HD_FORKED},
    {" hd_batch_get_statistics ", count_batch, HD_FORKED},
    {" hd_batch_destroy ", destroy_batch, HD_OK},
    {" hd_stream_release ", release_stream, HD_FORKED},
    {" hd_tensor_save_npy hd_tensor_load hd_tensor_load_memory hd_tensor_release ", use_tensors,
     HD_OK},
    {" hd_dtype_size hd_dtype_bits hd_dtype_name hd_status_name hd_status_text hd_version ",
     use_names, HD_OK},
    {" hd_future_destroy ", destroy_futures, HD_OK},
    {" hd_event_destroy ", destroy_events, HD_OK},
    {" hd_graph_destroy ", destroy_graph, HD_OK},
    {" hd_model_destroy ", destroy_models, HD_OK},
    {" hd_device_destroy ", destroy_device, HD_OK},
};

const size_t fork_call_count = sizeof fork_calls / sizeof *fork_calls;
