/* expect: reading variable 'is_called' requires holding rank 'hd_rank_batch' */
#include "runtime/batch_queue.h"

bool is_called(const hd_batch_worker *worker);

bool is_called(const hd_batch_worker *worker)
{
    return worker->is_called;
}
