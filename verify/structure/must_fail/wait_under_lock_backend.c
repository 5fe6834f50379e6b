/* expect: cannot call function 'hd_backend_drain_queues' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "hal/backend.h"

void wait(outer *object, const hd_backend *backend);

void wait(outer *object, const hd_backend *backend)
{
    outer_lock(object);
    (void)!hd_backend_drain_queues(backend, NULL, 0);
    outer_unlock(object);
}
