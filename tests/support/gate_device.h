/* A device with a stream that is held by a gate: work that ends when the test opens it, or when the device is
 * closed. For tests of whatever waits. One at a time. */
#ifndef HD_TEST_GATE_DEVICE_H
#define HD_TEST_GATE_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heddle/heddle.h"
#include "runtime/device.h"

#define GATE_SIZE  64 /* floats in a tensor */
#define GATE_DEPTH 3  /* of each stream */

typedef struct gate_state {
    hd_error error;
    hd_device *device;
    hd_model *model;  /* y = x + 1 */
    hd_stream stream; /* the gate's */
    float x[GATE_SIZE], y[GATE_SIZE], z[GATE_SIZE];
    hd_tensor input, output, late_output; /* of x, y and z */
} gate_state;

extern gate_state gate;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != HD_OK) {                                                                     \
            fail_msg("%s: %s", #call, gate.error.message);                                         \
        }                                                                                          \
    } while (0)

hd_tensor gate_tensor(float *data);

/* Opens device and model; the stream waits for the gate. */
int gate_open_all(void **state);
/* Opens the gate and ends everything, which works: nothing is held by a thread that is no more. */
int gate_close_all(void **state);
/* Opens the gate, ends all, and opens all again with the gate closed; also after a shutdown. */
void gate_reopen_all(void);

void gate_open(void);
/* Waits for the gate: no cancellation point, and no lock of the library's. */
void gate_pass(void);

#endif
