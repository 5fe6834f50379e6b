/* The plan of a run: found in the lane's memo, or in the model's cache, or made. */
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "graph/planning.h"
#include "graph/run.h"

/* How long a run waits for another thread that makes the plan which it needs, too. */
#define PLAN_WAIT_MS 600000
/* Beside the rank of an input in a key: it lies in the device's memory. */
#define ON_DEVICE (UINT32_C(1) << 31)

/* Appends to the key in the workspace; false when out of memory. */
static bool add_to_key(hd_run *run, const void *data, size_t size)
{
    if (!hd_workspace_reserve_key(run->workspace, hd_run_account(run), run->key_size + size)) {
        return false;
    }
    if (size > 0) {
        memcpy(run->workspace->key + run->key_size, data, size);
    }
    run->key_size += size;
    return true;
}

hd_shape hd_run_input_shape(const hd_run *run, size_t index)
{
    const hd_tensor *tensor = run->input_tensors[index];
    hd_shape shape = {.rank = tensor->rank};
    memcpy(shape.dims, tensor->dims, tensor->rank * sizeof *tensor->dims);
    if (run->is_row) {
        shape.dims[0] = 1;
    }
    return shape;
}

/* There is no memory, or what was to be read of the device's is lost. */
static hd_status fail_memory(const hd_run *run)
{
    return hd_fail(run->error, hd_unit_memory_refusal(run->model->device->unit),
                   "no memory for a plan's key");
}

/* Of an input, wherever it lies. */
static bool add_elements_to_key(hd_run *run, const hd_tensor *tensor)
{
    size_t size = hd_run_input_size(tensor), at = run->key_size;
    if (!hd_run_is_on_device(run, tensor)) {
        return add_to_key(run, tensor->data, size);
    }
    run->key_size += size;
    return hd_workspace_reserve_key(run->workspace, hd_run_account(run), run->key_size) &&
           hd_unit_copy(run->model->device->unit, run->workspace->key + at, tensor->data, size) ==
               HD_OK;
}

/* Key of the first segment: steering inputs, wanted outputs, shapes, the steering inputs' elements. Every run makes it, so
 * the room is asked for once. */
static bool make_key(hd_run *run, uint64_t steering)
{
    size_t outputs = hd_run_root(run)->output_count, inputs = hd_run_root(run)->input_count;
    const uint64_t head[2] = {0, steering};
    size_t room =
        sizeof head + outputs + inputs * (sizeof(uint32_t) + HD_MAX_RANK * sizeof(int64_t));
    if (!hd_workspace_reserve_key(run->workspace, hd_run_account(run), room)) {
        return false;
    }
    unsigned char *key = run->workspace->key;
    memcpy(key, head, sizeof head);
    key += sizeof head;
    for (size_t i = 0; i < outputs; i++) {
        const hd_tensor *output = run->output_tensors[i];
        *key++ = output == NULL ? 0 : hd_run_is_on_device(run, output) ? 2 : 1;
    }
    for (size_t i = 0; i < inputs; i++) {
        const hd_tensor *tensor = run->input_tensors[i];
        uint32_t rank = tensor->rank | (hd_run_is_on_device(run, tensor) ? ON_DEVICE : 0);
        memcpy(key, &rank, sizeof rank);
        key += sizeof rank;
        for (uint32_t d = 0; d < tensor->rank; d++, key += sizeof(int64_t)) {
            int64_t dim = run->is_row && d == 0 ? 1 : tensor->dims[d];
            memcpy(key, &dim, sizeof dim);
        }
    }
    run->key_size = (size_t)(key - run->workspace->key);
    bool fits = true;
    for (size_t i = 0; steering != 0 && fits && i < inputs && i < 63; i++) {
        fits = (steering >> i & 1) == 0 || add_elements_to_key(run, run->input_tensors[i]);
    }
    return fits;
}

/* Key of a segment that follows: the one before, and the values that were read at its end. */
static bool make_following_key(hd_run *run, const hd_plan *before)
{
    run->key_size = 0;
    bool fits = add_to_key(run, &before->serial, sizeof before->serial);
    for (size_t i = 0; fits && i < before->boundary_count; i++) {
        const hd_plan_boundary *boundary = &before->boundaries[i];
        fits = add_to_key(run,
                          hd_reference_resolve(&boundary->source, &run->memory, run->input_data,
                                               run->output_data),
                          boundary->size);
    }
    return fits;
}

static hd_plan *find_memo(const hd_run *run)
{
    const hd_memo *memo = &run->model->memos[run->lane];
    for (size_t i = 0; i < HD_MEMO_COUNT; i++) {
        if (memo->key_sizes[i] == run->key_size && memo->plans[i] != NULL &&
            memcmp(memo->keys[i], run->workspace->key, run->key_size) == 0) {
            return memo->plans[i];
        }
    }
    return NULL;
}

/* Remembers a plan for this lane; takes the reference over in any case. Returns the plan. */
static hd_plan *add_memo(const hd_run *run, hd_plan *plan, const void *key, size_t key_size)
{
    hd_memo *memo = &run->model->memos[run->lane];
    uint32_t i = memo->next;
    memo->next = (i + 1) % HD_MEMO_COUNT;
    hd_plan_release(memo->plans[i]);
    memo->plans[i] = plan;
    memo->key_sizes[i] = 0;
    /* without a key it is kept, but found through the cache only */
    if (hd_memory_account_reserve(hd_run_account(run), HD_MEMORY_ARENAS, &memo->keys[i],
                                  &memo->key_capacities[i], key_size, 1)) {
        memcpy(memo->keys[i], key, key_size);
        memo->key_sizes[i] = key_size;
    }
    return plan;
}

/* The elements of an input, where the host reads them; NULL: there is no memory, or the device was lost. */
static const void *read_elements(const hd_run *run, const hd_tensor *tensor, hd_region *region)
{
    if (!hd_run_is_on_device(run, tensor)) {
        return tensor->data;
    }
    size_t size = hd_run_input_size(tensor);
    void *copy = hd_region_array(region, size, 1);
    return copy != NULL && hd_unit_copy(run->model->device->unit, copy, tensor->data, size) == HD_OK
               ? copy
               : NULL;
}

static hd_status request_plan(hd_run *run, hd_plan *before, uint64_t steering, uint64_t *further,
                              hd_plan **out_plan)
{
    size_t inputs = hd_run_root(run)->input_count, outputs = hd_run_root(run)->output_count;
    hd_region region = {0};
    hd_shape *shapes = hd_region_array(&region, inputs, sizeof *shapes);
    const void **values = hd_region_array(&region, inputs, sizeof *values);
    bool *wanted = hd_region_array(&region, 2 * outputs + inputs, sizeof *wanted);
    bool *outputs_on_device = wanted + outputs, *inputs_on_device = wanted + 2 * outputs;
    size_t boundaries = before == NULL ? 0 : before->boundary_count;
    const void **boundary_values = hd_region_array(&region, boundaries, sizeof *boundary_values);
    hd_status status = HD_OUT_OF_MEMORY;
    if (shapes == NULL || values == NULL || wanted == NULL || boundary_values == NULL) {
        hd_fail(run->error, status, "no memory for a plan");
        goto done;
    }
    uint64_t input_bytes = 0;
    for (size_t i = 0; i < inputs; i++) {
        const hd_tensor *tensor = run->input_tensors[i];
        shapes[i] = hd_run_input_shape(run, i);
        input_bytes += hd_run_input_size(tensor);
        inputs_on_device[i] = hd_run_is_on_device(run, tensor);
        if (i < 63 && (steering >> i & 1) != 0) {
            values[i] = read_elements(run, tensor, &region);
            if (values[i] == NULL && hd_run_input_size(tensor) > 0) {
                status = fail_memory(run);
                goto done;
            }
        }
    }
    for (size_t i = 0; i < outputs; i++) {
        const hd_tensor *tensor = run->output_tensors[i];
        wanted[i] = tensor != NULL;
        outputs_on_device[i] = tensor != NULL && hd_run_is_on_device(run, tensor);
    }
    const unsigned char *next = run->workspace->key + sizeof(uint64_t);
    for (size_t i = 0; i < boundaries; i++) {
        boundary_values[i] = next;
        next += before->boundaries[i].size;
    }
    hd_plan_request request = {.model = run->model,
                               .input_shapes = shapes,
                               .input_values = values,
                               .wanted = wanted,
                               .inputs_on_device = inputs_on_device,
                               .outputs_on_device = outputs_on_device,
                               .input_bytes = input_bytes,
                               .before = before,
                               .boundary_values = boundary_values};
    status = hd_plan_create(&request, further, out_plan, run->error);
    if (hd_stop_look(run->stop) != HD_OK) { /* what was folded under it may be half done */
        hd_plan_release(*out_plan);
        *out_plan = NULL;
        status = hd_stop_tell(hd_stop_look(run->stop), run->error);
    }
done:
    hd_region_clear(&region);
    return status;
}

/* Asks the cache, and makes the plan if this thread is the one to do so. *out_plan stays NULL when
 * further inputs turned out to steer: then the key must be made again. */
static hd_status find_or_make(hd_run *run, hd_plan *before, uint64_t steering, hd_plan **out_plan)
{
    hd_plan_cache *cache = run->model->plans;
    void *found;
    hd_memory_scope scope; /* of what the cache keeps beside the plan */
    hd_memory_scope_enter(&scope, hd_memory_account_owner(hd_run_account(run), HD_MEMORY_PLANS),
                          UINT64_MAX);
    hd_status status =
        hd_plan_cache_find_unless(cache, run->workspace->key, run->key_size,
                                  hd_clock_after_ms(PLAN_WAIT_MS), run->stop, &found);
    hd_memory_scope_leave(&scope);
    if (status == HD_CANCELLED || status == HD_DEADLINE) {
        return hd_stop_tell(status, run->error);
    }
    if (status != HD_OK) {
        return hd_fail(run->error, status,
                       status == HD_NOT_YET ? "another thread has not finished this plan in time"
                                            : "no memory for a plan");
    }
    hd_plan *plan = found;
    if (plan == NULL) {
        uint64_t further = 0;
        status = request_plan(run, before, steering, &further, &plan);
        hd_plan_cache_finish(cache, run->workspace->key, run->key_size, plan);
        if (status != HD_OK) {
            return status;
        }
        if (plan == NULL) {
            /* relaxed: see hd_model.steering. */
            atomic_fetch_or_explicit(&run->model->steering, further, memory_order_relaxed);
            *out_plan = NULL;
            return HD_OK;
        }
    }
    *out_plan = add_memo(run, plan, run->workspace->key, run->key_size);
    return HD_OK;
}

hd_status hd_run_find_plan(hd_run *run, hd_plan *before, hd_plan **out_plan)
{
    for (;;) {
        /* A row is planned without the values of inputs, as was proven to be possible (rows.h): those that
         * steer other shapes would be the first row's. */
        uint64_t steering = run->is_row ? 0 : hd_load_relaxed(&run->model->steering);
        if (run->left != NULL && steering != 0) {
            hd_run_await(run); /* their values are what the runs before have written */
        }
        bool fits = before == NULL ? make_key(run, steering) : make_following_key(run, before);
        if (!fits) {
            return fail_memory(run);
        }
        *out_plan = find_memo(run);
        if (*out_plan != NULL) {
            return HD_OK;
        }
        hd_status status = find_or_make(run, before, steering, out_plan);
        if (status != HD_OK || *out_plan != NULL) {
            return status;
        }
    }
}
