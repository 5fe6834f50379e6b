/* Process: memory of this process, callers' threads and the clock.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_PROCESS_H
#define HEDDLE_CLI_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "cli/failure.h"

/* Bytes that are resident now, without a call of malloc; 0 if the system does not say. */
uint64_t hd_process_resident_bytes(void);
/* The most that ever was resident. */
uint64_t hd_process_peak_resident_bytes(void);

/* Bytes that could still be had without swapping (MemAvailable of proc(5)); 0 if it is not
 * known. */
uint64_t hd_process_available_bytes(void);

/* Seconds of a clock that never goes back. */
double hd_process_clock(void);

/* Starts `count` threads, each with run(contexts + i * context_size), and waits for all of them.
 * EXIT_CODE_DEVICE with a sentence when a thread cannot be started: then none has run `run`. */
hd_exit_code hd_process_run_threads(size_t count, void (*run)(void *context), void *contexts,
                                    size_t context_size);

#endif
