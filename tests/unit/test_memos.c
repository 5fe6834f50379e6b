/* Memos: which plans a lane finds without asking the plan cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "graph/model.h"
#include "heddle/heddle.h"
#include "support/block_graph.h"

enum { LARGEST = HD_MEMO_COUNT + 1 };

static void run(hd_model *model, int64_t size)
{
    static const float x[LARGEST];
    hd_tensor input = {.dtype = HD_FLOAT32,
                       .rank = 1,
                       .dims = {size},
                       .data = (void *)(uintptr_t)x,
                       .size = sizeof(float) * (size_t)size};
    hd_tensor output = {0};
    assert_int_equal(hd_model_run(model, &input, 1, &output, 1, NULL), HD_OK);
    assert_int_equal(output.dims[0], size);
    hd_tensor_release(&output);
}

/* The memo of the one lane that has run; there must be no other. */
static const hd_memo *used_memo(const hd_model *model)
{
    const hd_memo *used = NULL;
    for (uint32_t lane = 0; lane < HD_LANE_COUNT; lane++) {
        if (model->memos[lane].plans[0] != NULL) {
            assert_null(used);
            used = &model->memos[lane];
        }
    }
    assert_non_null(used);
    return used;
}

static void a_lane_remembers_its_last_plans(void **state)
{
    (void)state;
    hd_graph *graph;
    hd_value x;
    const int64_t dims[] = {-1};
    hd_device *device;
    assert_int_equal(hd_device_open("cpu", NULL, &device, NULL), HD_OK);
    assert_int_equal(hd_graph_create(17, &graph, NULL), HD_OK);
    assert_int_equal(hd_graph_add_input(graph, "x", HD_FLOAT32, 1, dims, &x, NULL), HD_OK);
    hd_value y = block_node(graph, graph->root, "Relu", NULL, 0, x, BLOCK_END);
    assert_int_equal(hd_graph_add_output(graph, "y", y, NULL), HD_OK);
    hd_model *model = block_model(device, graph, 0);
    for (int64_t size = 1; size <= HD_MEMO_COUNT; size++) {
        run(model, size);
    }
    const hd_memo *memo = used_memo(model);
    hd_plan *plans[HD_MEMO_COUNT];
    for (size_t i = 0; i < HD_MEMO_COUNT; i++) {
        plans[i] = memo->plans[i];
        assert_non_null(plans[i]);
        for (size_t k = 0; k < i; k++) {
            assert_ptr_not_equal(plans[i], plans[k]);
        }
    }
    for (int64_t size = HD_MEMO_COUNT; size > 0; size--) { /* found: nothing moves */
        run(model, size);
    }
    for (size_t i = 0; i < HD_MEMO_COUNT; i++) {
        assert_ptr_equal(memo->plans[i], plans[i]);
    }
    run(model, LARGEST); /* in place of the first that came */
    assert_ptr_not_equal(memo->plans[0], plans[0]);
    for (size_t i = 1; i < HD_MEMO_COUNT; i++) {
        assert_ptr_equal(memo->plans[i], plans[i]);
    }
    hd_model_destroy(&model);
    hd_device_destroy(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_remembers_its_last_plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
