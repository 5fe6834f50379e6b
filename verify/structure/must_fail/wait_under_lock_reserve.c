/* expect: cannot call function 'hd_callbacks_reserve' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "runtime/callbacks.h"

void wait(outer *object, hd_callbacks *callbacks);

void wait(outer *object, hd_callbacks *callbacks)
{
    outer_lock(object);
    (void)!hd_callbacks_reserve(callbacks);
    outer_unlock(object);
}
