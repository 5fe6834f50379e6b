/* Cancel, inside: a flag that is set once, with a reference for its handle and one for each run that looks at it.
 *
 * Law: the flag never goes back, as hd_stop asks of what it looks at.
 *
 * Thread-safety: any thread. */
#ifndef HD_RUNTIME_CANCEL_H
#define HD_RUNTIME_CANCEL_H

#include "base/atomic.h"
#include "heddle/cancel.h"

struct hd_cancel {
    _Atomic uint32_t reference_count;
    _Atomic bool is_set; /* relaxed: it orders no data */
};

/* One more hd_cancel_destroy is to come. cancel may be NULL. */
void hd_cancel_retain(hd_cancel *cancel);

#endif
