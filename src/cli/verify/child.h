/* Child: a program that is run to its end, with what it prints in a file. Nothing of it stays: not it, nor what it
 * started, also when it is late or the user interrupts.
 *
 * Thread-safety: one thread at a time, the only one of the process. */
#ifndef HEDDLE_CLI_VERIFY_CHILD_H
#define HEDDLE_CLI_VERIFY_CHILD_H

#include <stdbool.h>

typedef struct hd_child {
    const char *const
        *words;         /* the program, found on the PATH, and its arguments; ends with NULL */
    const char *folder; /* where it runs; NULL: here */
    const char *log;    /* what it prints to both streams goes there */
    double limit;       /* seconds that it may take */
    void (*tick)(void *context, double seconds); /* about once a second */
    void *context;
} hd_child;

typedef enum hd_child_end {
    CHILD_ENDED,      /* with `status` */
    CHILD_SIGNALLED,  /* by signal `status` */
    CHILD_LATE,       /* it took longer than it may, and was ended */
    CHILD_NOT_STARTED /* for the reason (errno) `status` */
} hd_child_end;

typedef struct hd_child_result {
    hd_child_end end;
    int status;
    double seconds;
} hd_child_result;

/* From now on a signal that would end this process waits until hd_child_run looks for it. Also, what a child
 * leaves behind becomes this process's own child, so that it can be ended. */
void hd_child_begin(void);

/* Runs it. The signal that told this process to end meanwhile, or 0: then it has been ended, and nothing more
 * should be begun. */
int hd_child_run(const hd_child *child, hd_child_result *out_result);

/* The same question without a child. */
int hd_child_interrupted(void);

/* Ends this process by the signal, as if it had never waited. */
void hd_child_end_by(int signal) __attribute__((noreturn));

#endif
