#include "hal/cpu/command_list.h"

#include "base/memory.h"

static size_t count_space(const hd_recipe *recipe, hd_space space)
{
    size_t count = 0;
    for (size_t i = 0; i < recipe->reference_total; i++) {
        count += recipe->references[i].space == space;
    }
    return count;
}

hd_status hd_cpu_command_list_create(const hd_recipe *recipe, const hd_list_memory *memory,
                                     hd_cpu_command_list **out_list)
{
    size_t inputs = count_space(recipe, HD_SPACE_INPUT),
           outputs = count_space(recipe, HD_SPACE_OUTPUT);
    size_t pointers_size = recipe->reference_total * sizeof(void *);
    hd_cpu_command_list *list =
        hd_alloc(sizeof *list + pointers_size + (inputs + outputs) * sizeof(hd_cpu_binding_slot));
    *out_list = list;
    if (list == NULL) {
        return HD_OUT_OF_MEMORY;
    }
    *list = (hd_cpu_command_list){.recipe = recipe, .arena = memory->arena};
    list->buffers = (void **)(list + 1);
    list->input_slots = (hd_cpu_binding_slot *)((unsigned char *)(list + 1) + pointers_size);
    list->output_slots = list->input_slots + inputs;
    for (size_t i = 0; i < recipe->reference_total; i++) {
        const hd_reference *reference = &recipe->references[i];
        hd_cpu_binding_slot slot = {(uint32_t)i, reference->index};
        if (reference->space == HD_SPACE_INPUT) {
            list->input_slots[list->input_slot_count++] = slot;
        } else if (reference->space == HD_SPACE_OUTPUT) {
            list->output_slots[list->output_slot_count++] = slot;
        } else {
            list->buffers[i] = hd_reference_resolve(reference, memory, NULL, NULL);
        }
    }
    return HD_OK;
}

void hd_cpu_command_list_guard(const hd_cpu_command_list *list, size_t step, size_t *change,
                               unsigned char *scratch, size_t stride, uint32_t pieces)
{
    const hd_recipe *recipe = list->recipe;
    size_t arena_size = recipe->changes == NULL ? 0 : recipe->arena_size;
    if (step == recipe->step_count) {
        /* what is read afterwards, and the next segment's start, know no gaps */
        hd_memory_allow(list->arena, arena_size);
        hd_memory_allow(scratch, stride * pieces);
        return;
    }
    if (step == 0) {
        hd_memory_forbid(list->arena, arena_size);
    }
    for (; *change < recipe->change_count && recipe->changes[*change].step <= step; ++*change) {
        const hd_arena_change *at = &recipe->changes[*change];
        (at->allows ? hd_memory_allow : hd_memory_forbid)(list->arena + at->offset, at->size);
    }
    for (uint32_t i = 0; i < pieces; i++) {
        hd_memory_forbid(scratch + i * stride, stride);
        hd_memory_allow(scratch + i * stride, recipe->steps[step].kernel.scratch_size);
    }
}

void hd_cpu_command_list_destroy(hd_cpu_command_list **list)
{
    hd_free(*list);
    *list = NULL;
}

void hd_cpu_command_list_bind(hd_cpu_command_list *list, void *const *inputs, void *const *outputs)
{
    for (size_t i = 0; i < list->input_slot_count; i++) {
        list->buffers[list->input_slots[i].position] = inputs[list->input_slots[i].index];
    }
    for (size_t i = 0; i < list->output_slot_count; i++) {
        list->buffers[list->output_slots[i].position] = outputs[list->output_slots[i].index];
    }
}
