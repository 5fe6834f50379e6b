#define _GNU_SOURCE
#include "trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"
#include "scenario.h"
#include "scheduler.h"
#include "search.h"

#define NAME_LIMIT  32
#define TEXT_COUNT  16
#define TEXT_SIZE   160
#define PLACE_LIMIT 512

bool trace_is_on;
bool trace_is_short;

static struct {
    uintptr_t address;
    size_t size;
    const char *name;
} names[NAME_LIMIT];
static uint32_t name_count;
static char thread_names[THREAD_LIMIT][16];
static char texts[TEXT_COUNT][TEXT_SIZE];
static uint32_t next_text;

static struct {
    uintptr_t place;
    char text[TEXT_SIZE];
} places[PLACE_LIMIT];
static uint32_t place_count;

void trace_restart(void)
{
    name_count = 0;
    memset(thread_names, 0, sizeof thread_names);
    snprintf(thread_names[0], sizeof thread_names[0], "main");
}

void trace_name(const void *memory, size_t size, const char *name)
{
    if (name_count < NAME_LIMIT) {
        names[name_count].address = (uintptr_t)memory;
        names[name_count].size = size;
        names[name_count++].name = name;
    }
}

void trace_thread(uint32_t thread, const char *name)
{
    snprintf(thread_names[thread], sizeof thread_names[thread], "%s", name);
}

static char *take_text(void)
{
    return texts[next_text++ % TEXT_COUNT];
}

const char *trace_object(uintptr_t address)
{
    if (!trace_is_on && search_depth() == 0) {
        return "memory";
    }
    char *text = take_text();
    uint32_t found = name_count; /* the narrowest */
    for (uint32_t i = 0; i < name_count; i++) {
        if (address - names[i].address < names[i].size &&
            (found == name_count || names[i].size < names[found].size)) {
            found = i;
        }
    }
    if (found < name_count) {
        snprintf(text, TEXT_SIZE, "%s+%zu", names[found].name,
                 (size_t)(address - names[found].address));
        return text;
    }
    uint32_t thread, block;
    uintptr_t offset;
    if (heap_describe(address, &thread, &block, &offset)) {
        snprintf(text, TEXT_SIZE, "block %u of thread %u +%zu", block, thread, (size_t)offset);
    } else {
        snprintf(text, TEXT_SIZE, "stack of thread %u",
                 (uint32_t)((address - ARENA_BASE) / STACK_SIZE));
    }
    return text;
}

/* Asks the symbolizer; text: "file:line (function)", with the callers that were inlined around it. */
static void symbolize(uintptr_t place, char *text)
{
    char program[512], command[700], line[512], function[128] = "";
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    snprintf(text, TEXT_SIZE, "%#zx", (size_t)place);
    if (length <= 0) {
        return;
    }
    program[length] = '\0';
    snprintf(command, sizeof command, "llvm-symbolizer-22 -e '%s' -s --inlines %#zx 2>/dev/null",
             program, (size_t)(place - 1));
    FILE *answer = popen(command, "re");
    if (answer == NULL) {
        return;
    }
    size_t used = 0;
    for (uint32_t number = 0; fgets(line, sizeof line, answer) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0') {
            break;
        }
        if (number % 2 == 0) {
            snprintf(function, sizeof function, "%s", line);
            continue;
        }
        char *column = strrchr(line, ':');
        if (column != NULL) {
            *column = '\0';
        }
        if (used < TEXT_SIZE) {
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s (%s)",
                                     used == 0 ? "" : " < ", line, function);
        }
    }
    pclose(answer);
}

const char *trace_place(uintptr_t place)
{
    for (uint32_t i = 0; i < place_count; i++) {
        if (places[i].place == place) {
            return places[i].text;
        }
    }
    uint32_t at = place_count < PLACE_LIMIT ? place_count++ : PLACE_LIMIT - 1;
    places[at].place = place;
    symbolize(place, places[at].text);
    return places[at].text;
}

void scenario_event(const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (trace_is_on) {
        trace_line("%s", text);
    }
}

void trace_line(const char *format, ...)
{
    if (scheduler_is_alone() && !trace_is_short) {
        return; /* set-up and clean-up */
    }
    uint32_t thread = scheduler_current();
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (trace_is_short) {
        printf("%u %s\n", thread, text);
        return;
    }
    printf("%4u  %u %-10s %-48s", search_depth(), thread, thread_names[thread], text);
    const uintptr_t *callers;
    uint32_t count = scheduler_callers(&callers);
    const char *separator = " ";
    uintptr_t place = scheduler_place();
    if (place != 0) {
        printf(" %s", trace_place(place));
        separator = " < ";
    }
    for (uint32_t shown = 0; count > 0 && shown < 2; shown++) {
        count--;
        if (callers[count] >> 32 == 0) {
            printf("%s%s", separator, trace_place(callers[count]));
            separator = " < ";
        }
    }
    printf("\n");
}
