/* Wait: the one vocabulary of every call that may wait, and what else ends a thread's wait.
 *
 * An argument (wait_ms, timeout_ms) says how many milliseconds the call waits at most, and 0 means not at all.
 * A field of an options struct says the same, but there 0 means the default, which the field's comment
 * names. Two values mean the same in every argument and in every field:
 *   HD_WAIT_FOREVER  until it has come; with deadline_ms: there is no deadline
 *   HD_NO_WAIT       not at all; with deadline_ms: the deadline has passed already
 * A call that does not wait takes what is there at once; it may still fail for the same reasons.
 *
 * A wait ends with what was waited for, with its own time limit (HD_NOT_YET, HD_EXHAUSTED), or with a
 * shutdown (HD_CLOSED); no lock is held meanwhile (BOUND).
 *
 * Threads that are cancelled (pthread_cancel): a thread inside a call is not ended there, also while it waits
 * or reads a file; the call returns as ever, and the thread ends at its next cancellation point of the
 * program's own, with nothing of the library's held. That is so for the deferred type, which threads have
 * unless they say otherwise. A thread of the asynchronous type must not be inside a call when it is
 * cancelled, as POSIX says of nearly every function; it sets its type or state before the call. */
#ifndef HEDDLE_WAIT_H
#define HEDDLE_WAIT_H

#include "heddle/api.h"

#define HD_WAIT_FOREVER UINT32_MAX
#define HD_NO_WAIT      (UINT32_MAX - 1)

#endif
