/* Failure: what an execution ends with when something is wrong. */
#ifndef INTERLEAVE_FAILURE_H
#define INTERLEAVE_FAILURE_H

/* Ends the current execution; the explorer reports it with its schedule. kind: one word. */
_Noreturn void failure(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes one that belongs to no execution, and so has no schedule. */
void failure_between(const char *kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the last one said, and its schedule: empty without one. */
const char *failure_text(void);
const char *failure_schedule(void);

/* From now on a crash of the code under test is a failure. */
void failure_catch_crashes(void);

#endif
