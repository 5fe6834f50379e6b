/* expect: cannot call function 'hd_backend_destroy_executor' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "hal/backend.h"

void wait(outer *object, const hd_backend *backend);

void wait(outer *object, const hd_backend *backend)
{
    outer_lock(object);
    hd_backend_destroy_executor(backend, NULL);
    outer_unlock(object);
}
