#include "hal/cuda/driver.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/once.h"

static hd_cuda_driver driver;
static hd_once opened;

/* A name as the library exports it: the header renames functions to their newest version. */
#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

static hd_status open_driver(void *argument)
{
    (void)argument;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return HD_UNAVAILABLE;
    }
    void *found;
#define LOAD(name)                                                                                 \
    found = dlsym(library, TEXT(name));                                                            \
    if (found == NULL) {                                                                           \
        return HD_UNAVAILABLE;                                                                     \
    }                                                                                              \
    memcpy(&driver.name, &found, sizeof found);
    HD_CUDA_DRIVER_LIST(LOAD)
#undef LOAD
    return driver.cuInit(0) == CUDA_SUCCESS ? HD_OK : HD_UNAVAILABLE;
}

const hd_cuda_driver *hd_cuda_driver_get(void)
{
    return hd_once_start(&opened, open_driver, NULL) == HD_OK ? &driver : NULL;
}
