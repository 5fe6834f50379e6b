/* Failure: what an execution ends with when something is wrong. */
#ifndef INTERLEAVE_FAILURE_H
#define INTERLEAVE_FAILURE_H

/* Ends the current execution; the explorer reports it with its schedule. kind: one word. */
_Noreturn void failure(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
