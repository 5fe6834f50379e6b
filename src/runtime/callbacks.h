/* Callbacks: the one thread of a device on which callbacks of the program run, under no lock. Nothing that
 * the library does waits for it.
 *
 * Law: reserved = places taken and not yet given back <= HD_CALLBACK_CAPACITY; a posted callback holds
 * a place until it has returned, so the list is bounded (BOUND).
 *
 * Thread-safety: any thread. The lock has the rank callbacks. The thread starts with the first place. */
#ifndef HD_RUNTIME_CALLBACKS_H
#define HD_RUNTIME_CALLBACKS_H

#include <stdbool.h>

#include "base/mutex.h"
#include "base/once.h"
#include "base/thread.h"

#define HD_CALLBACK_CAPACITY 1024

/* One callback to come; part of something that lives until `run` was called. */
typedef struct hd_callback {
    struct hd_callback *next;
    void (*run)(struct hd_callback *callback); /* may free the callback, and end the device */
} hd_callback;

typedef struct hd_callbacks {
    hd_mutex mutex;
    hd_condition posted;
    hd_thread thread; /* constant once `started` is */
    hd_once started;
    bool *gone HD_GUARDED_BY(&mutex); /* on the thread's own stack */
    bool stopping HD_GUARDED_BY(&mutex);
    uint32_t reserved HD_GUARDED_BY(&mutex);
    hd_callback *first HD_GUARDED_BY(&mutex);
    hd_callback *last HD_GUARDED_BY(&mutex);
} hd_callbacks;

/* HD_OUT_OF_MEMORY. */
HD_MUST_CHECK hd_status hd_callbacks_init(hd_callbacks *callbacks);

/* Ends the thread. Nothing may be reserved, except by the callback that runs when the callback thread
 * itself calls this: then the thread ends when that callback returns, and touches *callbacks no more. */
void hd_callbacks_destroy(hd_callbacks *callbacks) HD_WAITS;

/* Takes a place. HD_EXHAUSTED: none is free. HD_OUT_OF_MEMORY: the thread could not be started. */
HD_MUST_CHECK hd_status hd_callbacks_reserve(hd_callbacks *callbacks) HD_WAITS;
/* Gives a place back that was not used. */
void hd_callbacks_cancel(hd_callbacks *callbacks);

/* Hands over a callback for a reserved place, which is free again when it has returned. Cannot fail. */
void hd_callbacks_post(hd_callbacks *callbacks, hd_callback *callback);

/* True on the callback thread. */
bool hd_callbacks_is_current(hd_callbacks *callbacks);

#endif
