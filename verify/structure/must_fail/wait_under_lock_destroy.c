/* expect: cannot call function 'hd_device_destroy' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "runtime/device.h"

void wait(outer *object, hd_device **device);

void wait(outer *object, hd_device **device)
{
    outer_lock(object);
    hd_device_destroy(device);
    outer_unlock(object);
}
