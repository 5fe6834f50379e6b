#include "base/stop.h"

hd_status hd_stop_tell(hd_status why, hd_error *error)
{
    return hd_fail(error, why, why == HD_CANCELLED ? "the request was cancelled" : "the request's deadline passed");
}
