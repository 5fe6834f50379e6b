/* Attempts: a public function is called again and again, and each time a later one of the fallible calls that it
 * makes fails. Only in builds with HD_FAULT. */
#ifndef FAULT_ATTEMPT_H
#define FAULT_ATTEMPT_H

#include <stdint.h>

#include "heddle/status.h"

/* A call under test: does it once, checks a success, and cleans up. */
typedef hd_status fault_attempt(hd_error *error);

/* Lets each fallible call fail once, more than `least` of them; behind each failure the function must answer
 * HD_OK. sites: the kinds of calls that it reaches, with spaces between; of each one must fail. */
void fault_each_call_once(fault_attempt *function, uint64_t least, const char *sites);

/* Of each kind of fallible call that the library's sources name one has failed so far. */
void fault_require_all_kinds(void);

#endif
