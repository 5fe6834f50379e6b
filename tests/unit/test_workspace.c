/* Workspace, memory account and command list: what a run takes for itself, counted against one limit. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hal/backend.h"
#include "hal/cpu/command_list.h"
#include "runtime/memory_account.h"
#include "runtime/workspace.h"
#include "support/block_graph.h"

#define KILOBYTE ((size_t)1024)

static hd_unit *open_unit(void)
{
    hd_unit *unit;
    hd_unit_options options = {.thread_count = 1};
    assert_int_equal(hd_backend_host()->open(0, &options, &unit, NULL), HD_OK);
    return unit;
}

static void an_arena_grows_keeps_its_beginning_and_changes_its_generation(void **state)
{
    (void)state;
    hd_memory_account account = {.limit = 0};
    hd_workspace workspace = {0};
    hd_unit *unit = open_unit();
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, 1000, 0), HD_OK);
    uint64_t generation = workspace.generation;
    size_t size = workspace.arenas[0].size;
    memset(workspace.arenas[0].memory, 0x3C, 1000);
    /* large enough */
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, size, 1000), HD_OK);
    assert_int_equal(workspace.generation, generation);
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, size + 1, 1000),
        HD_OK);
    assert_int_not_equal(workspace.generation, generation);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(workspace.arenas[0].memory[i], 0x3C);
    }
    assert_int_equal(
        hd_workspace_reserve_scratch(&workspace, unit, &account, HD_PLACE_DEVICE, 5000), HD_OK);
    assert_int_equal(hd_load_relaxed(&account.total),
                     workspace.arenas[0].size + workspace.scratch[0].size);
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, SIZE_MAX - 5, 0),
        HD_OUT_OF_MEMORY);
    assert_int_equal(
        hd_workspace_reserve_scratch(&workspace, unit, &account, HD_PLACE_DEVICE, SIZE_MAX - 5),
        HD_OUT_OF_MEMORY);
    assert_int_equal(hd_load_relaxed(&account.total),
                     workspace.arenas[0].size + workspace.scratch[0].size);
    assert_true(hd_workspace_reserve_pointers(&workspace, &account, 100));
    assert_false(hd_workspace_reserve_pointers(&workspace, &account, SIZE_MAX / 2));
    assert_true(hd_workspace_reserve_key(&workspace, &account, 100));
    hd_workspace_clear(&workspace, unit, &account);
    hd_unit_close(&unit);
    assert_int_equal(hd_load_relaxed(&account.total), 0);
    assert_int_equal(hd_load_relaxed(&account.kinds[HD_MEMORY_ARENAS]), 0);
}

static hd_status refuse_copy(hd_unit *unit, void *to, const void *from, size_t size)
{
    (void)unit, (void)to, (void)from, (void)size;
    return HD_LOST;
}

/* The larger one goes back; the smaller one stays as it was. */
static void an_arena_that_cannot_be_copied_stays(void **state)
{
    (void)state;
    hd_memory_account account = {.limit = 0};
    hd_workspace workspace = {0};
    hd_unit *unit = open_unit();
    hd_memory_table memory = *unit->backend->memory;
    hd_backend backend = *unit->backend;
    hd_unit lost = *unit;
    memory.copy = refuse_copy;
    backend.memory = &memory;
    lost.backend = &backend;
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, 1000, 0), HD_OK);
    unsigned char *before = workspace.arenas[HD_PLACE_DEVICE].memory;
    size_t size = workspace.arenas[HD_PLACE_DEVICE].size;
    memset(before, 0x3C, 1000);
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, &lost, &account, HD_PLACE_DEVICE, size + 1, 1000),
        HD_LOST);
    assert_ptr_equal(workspace.arenas[HD_PLACE_DEVICE].memory, before);
    assert_int_equal(workspace.arenas[HD_PLACE_DEVICE].size, size);
    assert_int_equal(before[999], 0x3C);
    assert_int_equal(hd_load_relaxed(&account.total), size);
    hd_workspace_clear(&workspace, unit, &account);
    hd_unit_close(&unit);
    assert_int_equal(hd_load_relaxed(&account.total), 0);
}

static void a_limit_refuses_and_counts_nothing(void **state)
{
    (void)state;
    hd_memory_account account = {.limit = 100 * KILOBYTE};
    hd_workspace workspace = {0};
    hd_unit *unit = open_unit();
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, 60 * KILOBYTE, 0),
        HD_OK);
    uint64_t held = hd_load_relaxed(&account.total);
    assert_int_equal(
        hd_workspace_reserve_scratch(&workspace, unit, &account, HD_PLACE_DEVICE, 60 * KILOBYTE),
        HD_OUT_OF_MEMORY);
    assert_int_equal(
        hd_workspace_reserve_arena(&workspace, unit, &account, HD_PLACE_DEVICE, 200 * KILOBYTE, 1),
        HD_OUT_OF_MEMORY);
    assert_int_equal(hd_load_relaxed(&account.total), held);
    assert_false(hd_memory_account_take(&account, HD_MEMORY_PLANS, SIZE_MAX));
    assert_false(hd_memory_account_take(&account, HD_MEMORY_PLANS, 100 * KILOBYTE));
    assert_true(hd_memory_account_take(&account, HD_MEMORY_PLANS, 100 * KILOBYTE - held));
    assert_false(hd_memory_account_take(&account, HD_MEMORY_WEIGHTS, 1));
    hd_memory_account_give(&account, HD_MEMORY_PLANS, 100 * KILOBYTE - held);
    hd_workspace_clear(&workspace, unit, &account);
    hd_unit_close(&unit);
    assert_int_equal(hd_load_relaxed(&account.total), 0);
}

static hd_memory_account shared_account;
static _Atomic bool violated;

static void *take_and_give(void *argument)
{
    size_t size = (size_t)(uintptr_t)argument;
    for (size_t i = 0; i < 5000; i++) {
        hd_memory_kind kind = (hd_memory_kind)(i % HD_MEMORY_KINDS);
        if (hd_memory_account_take(&shared_account, kind, size)) {
            if (hd_load_relaxed(&shared_account.total) > shared_account.limit) {
                hd_store_relaxed(&violated, true);
            }
            hd_memory_account_give(&shared_account, kind, size);
        }
    }
    return NULL;
}

static void threads_never_pass_the_limit_together(void **state)
{
    (void)state;
    pthread_t threads[8];
    shared_account.limit = 1000;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, take_and_give, (void *)(uintptr_t)(150 + 50 * i)), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_false(hd_load_relaxed(&violated));
    assert_int_equal(hd_load_relaxed(&shared_account.total), 0);
    for (size_t i = 0; i < HD_MEMORY_KINDS; i++) {
        assert_int_equal(hd_load_relaxed(&shared_account.kinds[i]), 0);
    }
}

static void a_command_list_points_where_its_recipe_says(void **state)
{
    (void)state;
    unsigned char arena[256], constant[4], *inputs[2], *outputs[1];
    unsigned char in_0, in_1, other_0, other_1, out, other_out;
    hd_reference references[] = {
        {.space = HD_SPACE_INPUT, .index = 1},   {.space = HD_SPACE_NONE},
        {.space = HD_SPACE_ARENA, .offset = 64}, {.space = HD_SPACE_CONSTANT, .constant = constant},
        {.space = HD_SPACE_OUTPUT, .index = 0},  {.space = HD_SPACE_INPUT, .index = 0}};
    hd_recipe recipe = {.references = references, .reference_total = 6};
    hd_cpu_command_list *list;
    assert_int_equal(hd_cpu_command_list_create(&recipe, &(hd_list_memory){.arena = arena}, &list),
                     HD_OK);
    for (size_t repeat = 0; repeat < 2; repeat++) {
        inputs[0] = repeat == 0 ? &in_0 : &other_0;
        inputs[1] = repeat == 0 ? &in_1 : &other_1;
        outputs[0] = repeat == 0 ? &out : &other_out;
        hd_cpu_command_list_bind(list, (void *const *)inputs, (void *const *)outputs);
        void *wanted[] = {inputs[1], NULL, arena + 64, constant, outputs[0], inputs[0]};
        for (size_t i = 0; i < 6; i++) {
            assert_ptr_equal(list->buffers[i], wanted[i]);
            assert_ptr_equal(hd_reference_resolve(&references[i], &(hd_list_memory){.arena = arena},
                                                  (void *const *)inputs, (void *const *)outputs),
                             wanted[i]);
        }
    }
    hd_cpu_command_list_destroy(&list);
    assert_null(list);
}

/* A device whose limit the weights, the plan or the arena would pass: a status each time, and what fits
 * still runs. */
static void a_devices_limit_is_a_status_and_no_end(void **state)
{
    (void)state;
    size_t successes = 0, model_refusals = 0, run_refusals = 0;
    static float x[64 * 64];
    for (size_t limit = 8 * KILOBYTE; limit < 400 * KILOBYTE; limit += 8 * KILOBYTE) {
        hd_device_options options = {
            .struct_size = sizeof options, .thread_count = 1, .memory_limit = limit};
        hd_device *device;
        hd_graph *graph;
        hd_model *model;
        hd_value value;
        hd_memory_info info = {.struct_size = sizeof info};
        assert_int_equal(hd_device_open("cpu", &options, &device, NULL), HD_OK);
        assert_int_equal(hd_graph_create(0, &graph, NULL), HD_OK);
        hd_tensor weight = {
            .dtype = HD_FLOAT32, .rank = 2, .dims = {64, 64}, .data = x, .size = sizeof x};
        hd_value input = block_input(graph, graph->root, "x", HD_FLOAT32);
        assert_int_equal(hd_graph_add_constant(graph, &weight, &value, NULL), HD_OK);
        hd_value product = NODE(graph, graph->root, "MatMul", input, value);
        block_output(graph, graph->root, "y", NODE(graph, graph->root, "Softmax", product));
        hd_error error;
        hd_status status = hd_model_create(device, graph, NULL, &model, &error);
        model_refusals += status != HD_OK;
        assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
        if (status == HD_OK) {
            hd_tensor output = {0};
            status = hd_model_run(model, &weight, 1, &output, 1, &error);
            assert_true(status == HD_OK || status == HD_OUT_OF_MEMORY);
            successes += status == HD_OK;
            run_refusals += status != HD_OK;
            assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
            assert_true(info.weight_bytes + info.arena_bytes + info.plan_bytes <= limit);
            hd_tensor_release(&output);
        }
        hd_model_destroy(&model);
        hd_graph_destroy(&graph);
        assert_int_equal(hd_device_get_memory(device, &info), HD_OK);
        assert_int_equal(info.weight_bytes + info.plan_bytes, 0);
        hd_device_destroy(&device);
    }
    assert_true(model_refusals > 0 && run_refusals > 0 && successes > 0);
}

static void an_array_of_any_size_is_counted_as_it_is(void **state)
{
    (void)state;
    hd_memory_account account;
    hd_memory_account_init(&account, 0);
    for (size_t needed = 1; needed < 20 << 20; needed = needed * 2 + 13) {
        void *memory = NULL;
        size_t capacity = 0;
        assert_true(
            hd_memory_account_reserve(&account, HD_MEMORY_ARENAS, &memory, &capacity, needed, 1));
        assert_true(capacity >= needed);
        assert_int_equal(account.kinds[HD_MEMORY_ARENAS], capacity);
        assert_int_equal(account.total, capacity);
        hd_free(memory);
        hd_memory_account_give(&account, HD_MEMORY_ARENAS, capacity);
    }
}

static void the_first_host_block_that_is_large_enough_is_taken(void **state)
{
    (void)state;
    static const size_t sizes[] = {3 * KILOBYTE, KILOBYTE,
                                   2 * KILOBYTE}; /* the last is the first */
    unsigned char *memory[3];
    hd_workspace workspace = {0};
    for (size_t i = 0; i < 3; i++) {
        memory[i] = malloc(sizes[i]);
        assert_non_null(memory[i]);
        hd_workspace_block block = {memory[i], sizes[i]};
        hd_workspace_push_host(&workspace, &block);
        assert_null(block.memory);
    }
    hd_workspace_block block = hd_workspace_pop_host(&workspace, 2 * KILOBYTE + 1);
    assert_ptr_equal(block.memory, memory[0]);
    assert_int_equal(block.size, sizes[0]);
    block = hd_workspace_pop_host(&workspace, 2 * KILOBYTE + 1); /* else any */
    assert_ptr_equal(block.memory, memory[2]);
    block = hd_workspace_pop_host(&workspace, 0);
    assert_ptr_equal(block.memory, memory[1]);
    assert_null(hd_workspace_pop_host(&workspace, 0).memory);
    for (size_t i = 0; i < 3; i++) {
        free(memory[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_arena_grows_keeps_its_beginning_and_changes_its_generation),
        cmocka_unit_test(an_arena_that_cannot_be_copied_stays),
        cmocka_unit_test(a_limit_refuses_and_counts_nothing),
        cmocka_unit_test(threads_never_pass_the_limit_together),
        cmocka_unit_test(an_array_of_any_size_is_counted_as_it_is),
        cmocka_unit_test(the_first_host_block_that_is_large_enough_is_taken),
        cmocka_unit_test(a_command_list_points_where_its_recipe_says),
        cmocka_unit_test(a_devices_limit_is_a_status_and_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
