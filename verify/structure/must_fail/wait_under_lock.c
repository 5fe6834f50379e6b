/* expect: while rank 'hd_rank_stream' is held */
#include "../locks.h"

void wait(outer *object);
void wait(outer *object)
{
    outer_lock(object);
    wait_for_something();
    outer_unlock(object);
}
