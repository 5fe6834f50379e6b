/* Trace: what happened, in words: one line an operation while a schedule is replayed. */
#ifndef INTERLEAVE_TRACE_H
#define INTERLEAVE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool trace_is_on;
/* Lines say thread and event only, also while one thread is alone: for the trace specs (verify/tla/traces). */
extern bool trace_is_short;

void trace_restart(void);
void trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define trace(...) (trace_is_on ? trace_line(__VA_ARGS__) : (void)0)

/* Names for memory and threads, valid until the execution ends. */
void trace_name(const void *memory, size_t size, const char *name);
void trace_thread(uint32_t thread, const char *name);

/* "file:line (function)" of a return address, and what an address belongs to. The texts live until a
 * few more have been asked for. */
const char *trace_place(uintptr_t place);
const char *trace_object(uintptr_t address);

#endif
