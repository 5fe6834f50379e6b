/* Registry: which devices are open, by serial number, so that a thread that ends can give its remembered
 * slot back without touching a device that is gone (REUSE).
 *
 * Law: a device is in the list from the end of its opening until its end begins.
 *
 * Thread-safety: any thread. The lock (rank device) is the process's. */
#ifndef HD_RUNTIME_REGISTRY_H
#define HD_RUNTIME_REGISTRY_H

#include "runtime/slot_pool.h"

/* A device's place in the list; part of the device. */
typedef struct hd_registry_entry {
    struct hd_registry_entry *next HD_GUARDED_BY(hd_rank_device);
    uint64_t serial; /* constant, as the next */
    hd_slot_pool *slots;
} hd_registry_entry;

void hd_registry_add(hd_registry_entry *entry);
void hd_registry_remove(hd_registry_entry *entry);

/* Makes a remembered slot of a device free; nothing where the device is gone. */
void hd_registry_forget_slot(uint64_t serial, uint32_t slot);

/* For a child that was forked while no device was open: a thread of the parent that just ended may have held the
 * lock. */
void hd_registry_restart(void);

#endif
