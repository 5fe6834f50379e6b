#include "hal/cuda/driver.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/once.h"

static hd_cuda_driver driver;
static hd_once opened;
static char absence[96] = "this machine has no CUDA device"; /* written by open_driver alone */

/* A name as the library exports it: the header renames functions to their newest version. */
#define TEXT_(name) #name
#define TEXT(name)  TEXT_(name)

static hd_status open_driver(void *argument)
{
    (void)argument;
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        snprintf(absence, sizeof absence, "NVIDIA's driver (libcuda.so.1) cannot be opened");
        return HD_UNAVAILABLE;
    }
    void *found;
#define LOAD(name)                                                                                 \
    found = dlsym(library, TEXT(name));                                                            \
    if (found == NULL) {                                                                           \
        snprintf(absence, sizeof absence, "NVIDIA's driver is too old: it has no %s", TEXT(name)); \
        return HD_UNAVAILABLE;                                                                     \
    }                                                                                              \
    memcpy(&driver.name, &found, sizeof found);
    HD_CUDA_DRIVER_LIST(LOAD)
#undef LOAD
    CUresult result = driver.cuInit(0);
    if (result != CUDA_SUCCESS) {
        snprintf(absence, sizeof absence, "NVIDIA's driver does not start (CUDA error %d)",
                 (int)result);
        return HD_UNAVAILABLE;
    }
    return HD_OK;
}

const hd_cuda_driver *hd_cuda_driver_get(void)
{
    return hd_once_start(&opened, open_driver, NULL) == HD_OK ? &driver : NULL;
}

const char *hd_cuda_driver_absence(void)
{
    (void)hd_cuda_driver_get(); /* which writes it once */
    return absence;
}
