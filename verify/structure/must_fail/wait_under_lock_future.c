/* expect: cannot call function 'hd_future_wait' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "runtime/future.h"

void wait(outer *object, hd_future *future);

void wait(outer *object, hd_future *future)
{
    outer_lock(object);
    (void)!hd_future_wait(future, 0, NULL);
    outer_unlock(object);
}
