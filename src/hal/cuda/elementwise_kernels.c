#include "hal/cuda/elementwise_kernels.h"

#include <string.h>

#include "base/memory.h"
#include "base/mutex.h"

#define BUCKETS 256

typedef struct entry {
    struct entry *next;
    CUmodule module;
    CUfunction function; /* NULL: it cannot be compiled */
    hd_cuda_pattern pattern;
} entry; /* immutable once it is in */

struct hd_cuda_elementwise_kernels {
    hd_mutex mutex; /* leaf */
    size_t count HD_GUARDED_BY(&mutex);
    size_t limit HD_GUARDED_BY(&mutex); /* of what is counted */
    entry *buckets[BUCKETS] HD_GUARDED_BY(&mutex);
};

static void kernels_lock(hd_cuda_elementwise_kernels *self)
    HD_ACQUIRE(&self->mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_lock(&self->mutex);
}

static void kernels_unlock(hd_cuda_elementwise_kernels *self)
    HD_RELEASE(&self->mutex, hd_rank_leaf) HD_NO_THREAD_SAFETY_ANALYSIS
{
    hd_mutex_unlock(&self->mutex);
}

hd_status hd_cuda_elementwise_kernels_create(hd_cuda_elementwise_kernels **out)
{
    hd_cuda_elementwise_kernels *self = hd_alloc_zero(1, sizeof *self);
    if (self != NULL && hd_mutex_init(&self->mutex, HD_RANK_leaf) != HD_OK) {
        hd_free(self);
        self = NULL;
    }
    if (self != NULL) {
        hd_cuda_elementwise_kernels_limit(self, HD_CUDA_ELEMENTWISE_KERNELS_MAX);
    }
    *out = self;
    return self == NULL ? HD_OUT_OF_MEMORY : HD_OK;
}

void hd_cuda_elementwise_kernels_limit(hd_cuda_elementwise_kernels *kernels, size_t limit)
{
    kernels_lock(kernels);
    kernels->limit = limit;
    kernels_unlock(kernels);
}

static void free_entry(const hd_cuda_unit *unit, entry *dead)
{
    if (dead->module != NULL && hd_cuda_enter(unit) == HD_OK) {
        (void)hd_cuda_status(unit->driver->cuModuleUnload(dead->module));
    }
    hd_free(dead);
}

void hd_cuda_elementwise_kernels_destroy(const hd_cuda_unit *unit,
                                         hd_cuda_elementwise_kernels **kernels)
    HD_NO_THREAD_SAFETY_ANALYSIS /* it is the last user */
{
    hd_cuda_elementwise_kernels *dead = *kernels;
    if (dead == NULL) {
        return;
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        while (dead->buckets[i] != NULL) {
            entry *first = dead->buckets[i];
            dead->buckets[i] = first->next;
            free_entry(unit, first);
        }
    }
    hd_mutex_destroy(&dead->mutex);
    hd_free(dead);
    *kernels = NULL;
}

/* FNV-1a. */
static size_t bucket_of(const hd_cuda_pattern *pattern)
{
    const unsigned char *bytes = (const unsigned char *)pattern;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < sizeof *pattern; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    return (size_t)(hash >> 32) % BUCKETS;
}

static const entry *find(const hd_cuda_elementwise_kernels *self, size_t bucket,
                         const hd_cuda_pattern *pattern) HD_REQUIRES(&self->mutex)
{
    const entry *at = self->buckets[bucket];
    while (at != NULL && memcmp(&at->pattern, pattern, sizeof *pattern) != 0) {
        at = at->next;
    }
    return at;
}

/* Whether the driver says that it cannot compile, not that anything went wrong. */
static bool cannot_compile(CUresult result)
{
    return result == CUDA_ERROR_INVALID_IMAGE || result == CUDA_ERROR_NO_BINARY_FOR_GPU ||
           result == CUDA_ERROR_INVALID_PTX || result == CUDA_ERROR_JIT_COMPILER_NOT_FOUND ||
           result == CUDA_ERROR_UNSUPPORTED_PTX_VERSION ||
           result == CUDA_ERROR_JIT_COMPILATION_DISABLED;
}

static hd_status make(const hd_cuda_unit *unit, const hd_cuda_pattern *pattern, entry **out_entry)
{
    entry *made = hd_alloc_zero(1, sizeof *made);
    char *text = made == NULL ? NULL : hd_cuda_elementwise_text(pattern, unit->capability);
    *out_entry = NULL;
    if (text == NULL) {
        hd_free(made);
        return HD_OUT_OF_MEMORY;
    }
    made->pattern = *pattern;
    hd_status status = hd_cuda_enter(unit);
    if (status == HD_OK) {
        CUresult result = unit->driver->cuModuleLoadData(&made->module, text);
        if (result == CUDA_SUCCESS) {
            result = unit->driver->cuModuleGetFunction(&made->function, made->module,
                                                       HD_CUDA_TEXT_KERNEL);
        }
        status = cannot_compile(result) ? HD_OK : hd_cuda_status(result);
    }
    hd_free(text);
    if (status != HD_OK) {
        free_entry(unit, made);
        return status;
    }
    *out_entry = made;
    return HD_OK;
}

hd_status hd_cuda_elementwise_kernel(const hd_cuda_unit *unit, const hd_cuda_pattern *pattern,
                                     CUfunction *out_function)
{
    hd_cuda_elementwise_kernels *self = unit->elementwise;
    size_t bucket = bucket_of(pattern);
    kernels_lock(self);
    const entry *found = find(self, bucket, pattern);
    bool is_full = self->count >= self->limit;
    kernels_unlock(self);
    *out_function = found == NULL ? NULL : found->function;
    if (found != NULL || is_full) {
        return HD_OK;
    }
    entry *made;
    hd_status status = make(unit, pattern, &made); /* tens of milliseconds, under no lock */
    if (status != HD_OK) {
        return status;
    }
    *out_function = made->function;
    kernels_lock(self);
    found = find(self, bucket, pattern);
    if (found == NULL) {
        made->next = self->buckets[bucket];
        self->buckets[bucket] = made;
        self->count++;
    }
    kernels_unlock(self);
    if (found != NULL) { /* another thread was faster */
        *out_function = found->function;
        free_entry(unit, made);
    }
    return HD_OK;
}
