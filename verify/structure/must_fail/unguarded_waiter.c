/* expect: writing variable 'granted' requires holding rank 'hd_rank_slot_pool' exclusively */
#include "runtime/slot_pool.h"

void grant(hd_slot_waiter *waiter);

/* A member that is guarded by the lock of another struct. */
void grant(hd_slot_waiter *waiter)
{
    waiter->granted = 1;
}
