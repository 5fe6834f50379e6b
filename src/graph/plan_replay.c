#include "graph/plan_replay.h"

#include <string.h>

#include "base/memory.h"
#include "base/stop.h"
#include "graph/index_checks.h"
#include "hal/backend.h"
#include "operation/narrow.h"

/* What encloses a part: where its operands lie. */
typedef struct surroundings {
    hd_list_memory memory;
    void *const *inputs;
    void *const *outputs;
} surroundings;

static void *operand(const hd_plan_control *control, size_t index, const surroundings *around)
{
    return hd_reference_resolve(&control->operands[index], &around->memory, around->inputs,
                                around->outputs);
}

/* What is recorded is charged to the lane. */
static void enter_scope(const hd_replay *replay, hd_memory_scope *scope)
{
    hd_memory_scope_enter(scope, hd_memory_account_owner(&replay->device->memory, HD_MEMORY_ARENAS),
                          UINT64_MAX);
}

static hd_status record(const hd_replay *replay, hd_unit *unit, const hd_recipe *recipe,
                        hd_recorded *recorded, const surroundings *around)
{
    const hd_list_table *lists = unit->backend->lists;
    lists->destroy(unit, &recorded->list);
    hd_memory_scope scope;
    enter_scope(replay, &scope);
    hd_status status = lists->record(unit, recipe, &around->memory, &recorded->list);
    hd_memory_scope_leave(&scope);
    if (status != HD_OK) {
        return hd_fail(replay->error, status, "no memory to record a run's %zu steps",
                       recipe->step_count);
    }
    recorded->generation = replay->generation;
    return HD_OK;
}

/* Waits for what the device has been given, if anything. The caller's memory and the lane's are its until then, so
 * nothing but its loss ends the wait. */
static hd_status settle(const hd_replay *replay)
{
    uint64_t point = *replay->pending;
    if (point == 0) {
        return HD_OK;
    }
    *replay->pending = 0;
    hd_status status =
        hd_device_queue_wait(hd_device_hardware(replay->device, replay->lane), point);
    return status == HD_OK ? HD_OK : hd_fail(replay->error, status, "the device was lost");
}

static hd_status replay_recipe(const hd_replay *replay, hd_memory_place place,
                               const hd_recipe *recipe, hd_recorded *recorded,
                               const surroundings *around)
{
    hd_device *device = replay->device;
    hd_unit *unit = hd_device_unit(device, place);
    if (recorded->list == NULL || recorded->generation != replay->generation) {
        hd_status status = record(replay, unit, recipe, recorded, around);
        if (status != HD_OK) {
            return status;
        }
    }
    hd_launch launch = {.list = recorded->list,
                        .inputs = around->inputs,
                        .outputs = around->outputs,
                        .scratch = replay->scratch[place],
                        .host = around->memory.host,
                        .stop = replay->stop};
    if (!unit->is_host) {
        hd_status status = hd_device_queue_submit(hd_device_hardware(device, replay->lane), &launch,
                                                  replay->pending);
        return status == HD_OK ? HD_OK : hd_fail(replay->error, status, "the device took no work");
    }
    uint64_t point;
    hd_status status = settle(replay);
    if (status == HD_OK) {
        status = hd_queue_submit(unit, device->queues[replay->lane], &launch, &point);
        status = status == HD_OK ? HD_OK : hd_stop_tell(status, replay->error);
    }
    return status;
}

/* Room for the pointers to a block's inputs and outputs, of this lane; NULL when out of memory. */
static void **reserve_pointers(const hd_replay *replay, hd_plan_control *control)
{
    void ***pointers = &control->pointers[replay->lane];
    if (*pointers == NULL) {
        size_t inputs = control->captured[0] + control->captured[1] + 1 + control->carried;
        hd_memory_scope scope;
        enter_scope(replay, &scope);
        *pointers =
            hd_alloc_zero(inputs + control->carried + control->results + 1, sizeof **pointers);
        hd_memory_scope_leave(&scope);
        if (*pointers == NULL) {
            hd_fail(replay->error, HD_OUT_OF_MEMORY, "no memory for the blocks of node '%s'",
                    control->name);
        }
    }
    return *pointers;
}

/* Replays a block and copies what its steps have not written in place. */
static hd_status replay_block(const hd_replay *replay, hd_plan *block, unsigned char *arena,
                              void *const *inputs, void *const *outputs)
{
    hd_list_memory memory = {arena, arena}; /* a block is in one place */
    hd_status status = hd_plan_replay(replay, block, &memory, inputs, outputs);
    return status == HD_OK ? hd_plan_deliver(block, &memory, inputs, outputs) : status;
}

static hd_status replay_if(const hd_replay *replay, hd_plan_control *control,
                           const surroundings *around)
{
    void **inputs = reserve_pointers(replay, control);
    if (inputs == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    const uint8_t *condition = operand(control, 0, around);
    size_t branch = *condition != 0 ? 0 : 1;
    size_t captured = 1 + (branch == 0 ? 0 : control->captured[0]);
    size_t results = 1 + control->captured[0] + control->captured[1];
    void **outputs = inputs + control->captured[branch];
    for (size_t i = 0; i < control->captured[branch]; i++) {
        inputs[i] = operand(control, captured + i, around);
    }
    for (size_t i = 0; i < control->results; i++) {
        outputs[i] = operand(control, results + i, around);
    }
    unsigned char *memory = operand(control, results + control->results, around);
    return replay_block(replay, control->blocks[branch], memory + HD_CONTROL_HEADER, inputs,
                        outputs);
}

/* A Loop while it runs; see hd_plan_control for the order of operands. */
typedef struct loop_run {
    hd_plan_control *control;
    const surroundings *around;
    void **inputs;  /* of the body */
    void **outputs; /* of the body */
    unsigned char *memory;
    size_t results; /* the first operand that is an output */
} loop_run;

/* Where carried value `index` is written in a turn: the last turn that is sure to come writes where the values
 * are wanted in the end. */
static void *carried_target(const loop_run *run, size_t index, int64_t turn)
{
    const hd_plan_control *control = run->control;
    bool is_second = control->ends_early ? turn % 2 != 0 : (control->limit - 1 - turn) % 2 != 0;
    size_t second = is_second ? control->carried + control->results : 0;
    return operand(control, run->results + second + index, run->around);
}

static void bind_turn(loop_run *run, int64_t turn)
{
    const hd_plan_control *control = run->control;
    int64_t number = control->first + turn;
    memcpy(run->memory, &number, sizeof number);
    for (size_t i = 0; i < control->carried; i++) {
        run->inputs[1 + i] = turn == 0 ? operand(control, i, run->around) : run->outputs[i];
    }
    for (size_t i = 0; i < control->carried; i++) {
        run->outputs[i] = carried_target(run, i, turn);
    }
    for (size_t i = 0; i < control->results; i++) {
        unsigned char *stacked = operand(control, run->results + control->carried + i, run->around);
        run->outputs[control->carried + i] = stacked + (size_t)turn * control->result_sizes[i];
    }
}

/* A Loop that ends by its condition may go on for ever: each turn takes of what the run may do. */
static hd_status charge_turn(const hd_replay *replay, const hd_plan_control *control, int64_t turn)
{
    if (!control->ends_early) {
        return HD_OK; /* its turns were counted when it was planned */
    }
    *replay->work_left -= control->turn_work;
    return *replay->work_left >= 0 ? HD_OK
                                   : hd_fail(replay->error, HD_UNSUPPORTED,
                                             "node '%s' (Loop): its condition is still true after "
                                             "iteration %lld; work_limit allows "
                                             "no more",
                                             control->name, (long long)(control->first + turn));
}

/* Tells how far a Loop came, and the dimensions of its scan outputs. */
static void note_turns(const loop_run *run, int64_t turns, bool goes_on)
{
    const hd_plan_control *control = run->control;
    size_t state_index = run->results + 2 * control->carried + control->results + 1;
    int64_t state[2] = {turns, goes_on};
    memcpy(operand(control, state_index, run->around), state, sizeof state);
    for (size_t i = 0; i < control->results; i++) {
        int64_t extent[HD_MAX_RANK] = {turns};
        const hd_shape *shape = &control->result_shapes[i];
        memcpy(extent + 1, shape->dims, shape->rank * sizeof *extent);
        memcpy(operand(control, state_index + 1 + control->carried + i, run->around), extent,
               sizeof extent);
    }
}

static hd_status replay_loop(const hd_replay *replay, hd_plan_control *control,
                             const surroundings *around)
{
    loop_run run = {.control = control,
                    .around = around,
                    .inputs = reserve_pointers(replay, control),
                    .results = control->carried + control->captured[0]};
    if (run.inputs == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    run.outputs = run.inputs + 1 + control->carried + control->captured[0];
    run.memory = operand(control, run.results + 2 * control->carried + control->results, around);
    run.inputs[0] = run.memory;
    for (size_t i = 0; i < control->captured[0]; i++) {
        run.inputs[1 + control->carried + i] = operand(control, control->carried + i, around);
    }
    const uint8_t *condition = run.memory + HD_CACHE_LINE;
    run.outputs[control->carried + control->results] = run.memory + HD_CACHE_LINE;
    bool goes_on = true;
    int64_t turn = 0;
    hd_status status = HD_OK;
    while (goes_on && turn < control->limit && status == HD_OK) {
        bind_turn(&run, turn++);
        status = replay_block(replay, control->blocks[0], run.memory + HD_CONTROL_HEADER,
                              run.inputs, run.outputs);
        goes_on = !control->ends_early || *condition != 0;
        if (status == HD_OK && goes_on && turn < control->limit) {
            status = charge_turn(replay, control, turn);
        }
    }
    for (size_t i = 0; i < control->carried && status == HD_OK; i++) {
        void *wanted = operand(control, run.results + i, around);
        if (run.outputs[i] != wanted) {
            hd_stop_copy(wanted, run.outputs[i], control->carried_sizes[i]);
        }
    }
    if (control->notes_turns && status == HD_OK) {
        note_turns(&run, turn, goes_on);
    }
    return status;
}

bool hd_plan_is_launch(const hd_plan *plan)
{
    return plan->part_count == 1 && plan->parts->control == NULL &&
           plan->parts->place == HD_PLACE_DEVICE;
}

bool hd_plan_is_recorded(const hd_plan *plan, uint32_t lane, uint64_t generation)
{
    const hd_recorded *recorded = &plan->parts->lists[lane];
    return recorded->list != NULL && recorded->generation == generation;
}

hd_status hd_plan_replay(const hd_replay *replay, hd_plan *plan, const hd_list_memory *memory,
                         void *const *inputs, void *const *outputs)
{
    surroundings around = {*memory, inputs, outputs};
    hd_status status = HD_OK;
    if (plan->parts == NULL) {
        status = replay_recipe(replay, HD_PLACE_DEVICE, &plan->recipe, &plan->lists[replay->lane],
                               &around);
    }
    for (size_t p = 0; p < plan->part_count && status == HD_OK; p++) {
        hd_plan_part *part = &plan->parts[p];
        if (part->control == NULL) {
            status = replay_recipe(replay, part->place, &part->recipe, &part->lists[replay->lane],
                                   &around);
            continue;
        }
        status = settle(replay);
        if (status == HD_OK) {
            status = part->control->is_loop ? replay_loop(replay, part->control, &around)
                                            : replay_if(replay, part->control, &around);
        }
    }
    if (*replay->pending != 0 && replay->leaves && status == HD_OK) {
        return HD_OK;
    }
    if (*replay->pending != 0) {
        hd_status settled = settle(replay);
        status = status == HD_OK ? settled : status;
    }
    return status == HD_OK ? hd_plan_read_checks(plan, memory, replay->error) : status;
}

hd_status hd_plan_deliver(const hd_plan *plan, const hd_list_memory *memory, void *const *inputs,
                          void *const *outputs)
{
    hd_status status = HD_OK;
    for (size_t i = 0; i < plan->output_count && status == HD_OK; i++) {
        const hd_plan_output *output = &plan->outputs[i];
        if (!output->direct && !output->is_texts) {
            void *data = outputs[output->index];
            const void *source = hd_reference_resolve(&output->source, memory, inputs, outputs);
            if (output->is_packed) {
                hd_narrow_pack(output->dtype, source, (size_t)hd_shape_count(&output->shape), data);
            } else if (output->on_device) {
                status = hd_unit_copy(plan->device->unit, data, source, output->size);
            } else if (source != data && output->size > 0) {
                hd_stop_copy(data, source, output->size);
            }
        }
    }
    return status;
}
