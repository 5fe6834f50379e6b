/* expect: cannot call function 'hd_unit_close' while rank 'hd_rank_stream' is held */
#include "../locks.h"
#include "hal/backend.h"

void wait(outer *object, hd_unit **unit);

void wait(outer *object, hd_unit **unit)
{
    outer_lock(object);
    hd_unit_close(unit);
    outer_unlock(object);
}
