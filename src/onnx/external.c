#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

/* O_NONBLOCK: a pipe under a model's name must not hold the caller up (BOUND). */
#define FILE_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

static int open_below(int folder, const char *name, int flags)
{
    if (hd_fault_hits("open")) {
        errno = EMFILE;
        return -1;
    }
    return openat(folder, name, flags);
}

/* Takes over `file`; it is closed on failure. */
static hd_status make_source(int file, const char *name, hd_onnx_source *out_source,
                             hd_error *error)
{
    struct stat status;
    if (fstat(file, &status) != 0) {
        int number = errno;
        close(file);
        return hd_fail(error, HD_IO, "'%.300s': %s", name, strerrordesc_np(number));
    }
    if (!S_ISREG(status.st_mode)) {
        close(file);
        return hd_fail(error, HD_IO, "'%.300s' is not a regular file", name);
    }
    *out_source = (hd_onnx_source){.file = file, .size = (uint64_t)status.st_size};
    return HD_OK;
}

static hd_status fail_open(const char *name, int number, hd_error *error)
{
    if (number == ELOOP || number == EMLINK) {
        return hd_fail(error, HD_BAD_MODEL, "'%.300s' leads through a symbolic link", name);
    }
    return hd_fail(error, number == ENOENT || number == ENOTDIR ? HD_NOT_FOUND : HD_IO,
                   "'%.300s': %s", name, strerrordesc_np(number));
}

hd_status hd_onnx_file_open(const char *path, hd_onnx_source *out_source, hd_error *error)
{
    int file = open_below(AT_FDCWD, path, FILE_FLAGS);
    return file < 0 ? fail_open(path, errno, error) : make_source(file, path, out_source, error);
}

hd_status hd_onnx_external_open(int folder, const char *location, hd_onnx_source *out_source,
                                hd_error *error)
{
    if (location[0] == '/' || location[0] == '\0') {
        return hd_fail(error, HD_BAD_MODEL, "'%.300s' is not a path below the model's folder",
                       location);
    }
    int parent = folder; /* closed here unless it is the caller's */
    int file = -1;
    int number = ENOENT; /* of a location that ends in "/" or is "." */
    const char *part = location;
    while (*part != '\0') {
        size_t length = strcspn(part, "/");
        const char *next = part + length + strspn(part + length, "/");
        char name[256];
        if (length >= sizeof name) {
            number = ENAMETOOLONG;
            break;
        }
        memcpy(name, part, length);
        name[length] = '\0';
        part = next;
        if (strcmp(name, "..") == 0) {
            number = ELOOP;
            break;
        }
        if (strcmp(name, ".") == 0) {
            continue;
        }
        bool is_last = *next == '\0';
        /* O_NOFOLLOW at every step: the kernel, not a check before it, refuses a link. */
        int opened = open_below(
            parent, name, O_NOFOLLOW | (is_last ? FILE_FLAGS : O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        number = errno;
        if (opened < 0 || is_last) {
            file = opened;
            break;
        }
        if (parent != folder) {
            close(parent);
        }
        parent = opened;
    }
    if (parent != folder) {
        close(parent);
    }
    if (file >= 0) {
        return make_source(file, location, out_source, error);
    }
    if (number == ELOOP || number == ENOTDIR) {
        return hd_fail(error, HD_BAD_MODEL,
                       "'%.300s' leads out of the model's folder, or through a symbolic link",
                       location);
    }
    return fail_open(location, number, error);
}

void hd_onnx_external_close(hd_onnx_source *source)
{
    if (source->memory == NULL) {
        close(source->file);
    }
}
