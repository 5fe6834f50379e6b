#include "gate_device.h"
#include "test_device.h"

#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

gate_state gate;

static atomic_bool is_open;
static hd_stream_work work;

void gate_pass(void)
{
    while (!atomic_load(&is_open)) {
        sched_yield();
    }
}

static hd_work_result run_gate(hd_work *self, uint32_t runner)
{
    (void)runner;
    gate_pass();
    hd_stream_complete((hd_stream_work *)self);
    return HD_WORK_DONE;
}

void gate_open(void)
{
    atomic_store(&is_open, true);
}

hd_tensor gate_tensor(float *data)
{
    return (hd_tensor){.dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {GATE_SIZE},
                       .data = data,
                       .size = GATE_SIZE * sizeof *data};
}

static void make_model(void)
{
    static const int64_t dims[] = {-1};
    float one = 1;
    hd_tensor constant = {.dtype = HD_FLOAT32, .data = &one, .size = sizeof one};
    hd_value operands[2], sum;
    hd_graph *graph;
    assert_ok(hd_graph_create(0, &graph, &gate.error));
    assert_ok(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &operands[0], &gate.error));
    assert_ok(hd_graph_add_constant(graph, &constant, &operands[1], &gate.error));
    assert_ok(hd_graph_add_node(graph, "Add", operands, 2, NULL, 0, &sum, 1, &gate.error));
    assert_ok(hd_graph_add_output(graph, "y", sum, &gate.error));
    assert_ok(hd_model_create(gate.device, graph, NULL, &gate.model, &gate.error));
    hd_graph_destroy(&graph);
}

int gate_open_all(void **state)
{
    (void)state;
    hd_device_options options = {
        .struct_size = sizeof options, .thread_count = 2, .queue_depth = GATE_DEPTH};
    hd_stream_ref ref;
    gate.input = gate_tensor(gate.x);
    gate.output = gate_tensor(gate.y);
    gate.late_output = gate_tensor(gate.z);
    atomic_store(&is_open, false);
    work = (hd_stream_work){.work = {.run = run_gate}};
    assert_ok(hd_device_open(test_device_name(), &options, &gate.device, &gate.error));
    make_model();
    assert_ok(hd_stream_acquire(gate.device, 0, &gate.stream, &gate.error));
    assert_ok(hd_device_find_stream(gate.device, gate.stream, &ref, &gate.error));
    assert_ok(hd_device_submit(gate.device, &ref, &work, NULL, 0, &gate.error));
    return 0;
}

static void end_all(void)
{
    assert_ok(hd_device_shutdown(gate.device, HD_WAIT_FOREVER, &gate.error));
    assert_int_equal(hd_slot_pool_count(&gate.device->slots).leased, 0);
    /* the handle's and the model's */
    assert_int_equal(hd_load_relaxed(&gate.device->reference_count), 2);
    hd_model_destroy(&gate.model);
    hd_device_destroy(&gate.device);
}

void gate_reopen_all(void)
{
    gate_open();
    end_all();
    gate_open_all(NULL);
}

int gate_close_all(void **state)
{
    (void)state;
    alarm(60);
    gate_open();
    assert_ok(hd_model_run(gate.model, &gate.input, 1, &gate.output, 1, &gate.error));
    assert_ok(
        hd_model_run_async(gate.model, &gate.input, 1, &gate.output, 1, NULL, NULL, &gate.error));
    end_all();
    alarm(0);
    return 0;
}
