#include "runtime/registry.h"

static hd_mutex registry_mutex = HD_MUTEX_INITIALIZER(HD_RANK_device);
static hd_registry_entry *open_devices HD_GUARDED_BY(&registry_mutex);

static void registry_lock(void)
    HD_ACQUIRE(&registry_mutex, hd_rank_device) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&registry_mutex);
}

static void registry_unlock(void)
    HD_RELEASE(&registry_mutex, hd_rank_device) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&registry_mutex);
}

void hd_registry_add(hd_registry_entry *entry)
{
    registry_lock();
    entry->next = open_devices;
    open_devices = entry;
    registry_unlock();
}

void hd_registry_remove(hd_registry_entry *entry)
{
    registry_lock();
    hd_registry_entry **link = &open_devices;
    while (*link != entry) {
        link = &(*link)->next;
    }
    *link = entry->next;
    registry_unlock();
}

void hd_registry_forget_slot(uint64_t serial, uint32_t slot)
{
    registry_lock();
    for (hd_registry_entry *entry = open_devices; entry != NULL; entry = entry->next) {
        if (entry->serial == serial) {
            /* under the lock: the device cannot end meanwhile */
            hd_slot_pool_forget(entry->slots, slot);
            break;
        }
    }
    registry_unlock();
}

void hd_registry_restart(void)
{
    registry_mutex = (hd_mutex)HD_MUTEX_INITIALIZER(HD_RANK_device);
}
