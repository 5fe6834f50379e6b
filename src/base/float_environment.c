#include "base/float_environment.h"

#if defined(__x86_64__)
#include <xmmintrin.h>

#define MXCSR_DEFAULT 0x1F80u /* nearest, no flush, no denormals-are-zero, all masked */

void hd_float_environment_enter(hd_float_environment *saved)
{
    *saved = _mm_getcsr();
    _mm_setcsr(MXCSR_DEFAULT);
}

void hd_float_environment_leave(const hd_float_environment *saved)
{
    _mm_setcsr(*saved);
}
#else
void hd_float_environment_enter(hd_float_environment *saved)
{
    fegetenv(saved);
    fesetenv(FE_DFL_ENV);
}

void hd_float_environment_leave(const hd_float_environment *saved)
{
    fesetenv(saved);
}
#endif
