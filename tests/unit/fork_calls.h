/* Every public function, called in a child that was forked while anything was open; and what the parent has open, for
 * the rest of the program, test_fork.c. */
#ifndef HD_TEST_FORK_CALLS_H
#define HD_TEST_FORK_CALLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heddle/heddle.h"

#define SIZE    64
#define FOREVER HD_WAIT_FOREVER

/* All that the parent had. */
extern hd_error error;
extern hd_device *device;
extern hd_model *model, *last_model;
extern hd_graph *graph;
extern hd_stream stream;
extern hd_event *event, *never_recorded;
extern hd_future *final_future, *future;
extern hd_batch *batch;
extern void *block;
extern float x[SIZE], y[SIZE], z[SIZE];
extern char path[64];

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, error.message);                                              \
        }                                                                                          \
    } while (0)

static inline hd_tensor tensor_of(float *data)
{
    return (hd_tensor){
        .dtype = HD_FLOAT32, .rank = 1, .dims = {SIZE}, .data = data, .size = SIZE * sizeof *data};
}

hd_status build_graph(hd_graph **out_graph);
void call_back(void *context, hd_status outcome, const hd_error *problem);
hd_status open_device(void);
hd_status run_model(void);
hd_status destroy_batch(void);
hd_status destroy_futures(void);
hd_status destroy_events(void);
hd_status destroy_graph(void);
hd_status destroy_models(void);
hd_status destroy_device(void);

typedef struct fork_call {
    const char *functions; /* with spaces around each */
    hd_status (*call)(void);
    hd_status expected;
} fork_call;

/* HD_OK: harmless. Destroying comes last. */
extern const fork_call fork_calls[];
extern const size_t fork_call_count;

#endif
