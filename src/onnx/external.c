#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
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
        return hd_fail(error, HD_IO, "'%.300s' is %s", name,
                       S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
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

static bool leads_up(const char *location)
{
    while (*location != '\0') {
        size_t length = strcspn(location, "/");
        if (length == 2 && strncmp(location, "..", 2) == 0) {
            return true;
        }
        location += length + strspn(location + length, "/");
    }
    return false;
}

/* Opens a location part by part, O_NOFOLLOW at every step: the kernel, not a check before it, stops
 * at a link. -1: errno says why. */
static int open_parts(int folder, const char *location)
{
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
        if (strcmp(name, ".") == 0) {
            continue;
        }
        bool is_last = *next == '\0';
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
    errno = number;
    return file;
}

#define PROC_SIZE 32

static const char *proc_path(int file, char text[PROC_SIZE])
{
    snprintf(text, PROC_SIZE, "/proc/self/fd/%d", file);
    return text;
}

/* Where an open file or folder is, no link in it; false when the system does not say. */
static bool find_place(int file, char path[PATH_MAX])
{
    ssize_t size = readlink(proc_path(file, (char[PROC_SIZE]){0}), path, PATH_MAX);
    if (size <= 0 || size >= PATH_MAX) {
        return false;
    }
    path[size] = '\0';
    return path[0] == '/';
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || (length > 0 && folder[length - 1] == '/'));
}

/* Opens a location that leads through links, if the file at its end is where it may be. That is asked
 * of the file once it is found, before anything is read or a device notices: O_PATH. -1: errno. */
static int open_linked(int folder, int model, const char *location)
{
    char place[PATH_MAX], allowed[PATH_MAX];
    int found = open_below(folder, location, O_PATH | O_CLOEXEC);
    if (found < 0) {
        return -1;
    }
    bool fits = find_place(found, place);
    bool is_near = fits && find_place(folder, allowed) && is_below(place, allowed);
    if (fits && !is_near && model >= 0 && find_place(model, allowed)) {
        strrchr(allowed, '/')[1] = '\0';
        is_near = is_below(place, allowed);
    }
    int file =
        is_near ? open_below(AT_FDCWD, proc_path(found, (char[PROC_SIZE]){0}), FILE_FLAGS) : -1;
    int number = is_near ? errno : ELOOP;
    close(found);
    errno = number;
    return file;
}

hd_status hd_onnx_external_open(int folder, int model, const char *location,
                                hd_onnx_source *out_source, hd_error *error)
{
    if (location[0] == '/' || location[0] == '\0') {
        return hd_fail(error, HD_BAD_MODEL, "'%.300s' is not a path below the model's folder",
                       location);
    }
    errno = ELOOP;
    int file = leads_up(location) ? -1 : open_parts(folder, location);
    if (file < 0 && (errno == ELOOP || errno == ENOTDIR) && !leads_up(location)) {
        file = open_linked(folder, model, location);
    }
    if (file >= 0) {
        return make_source(file, location, out_source, error);
    }
    if (errno == ELOOP || errno == ENOTDIR) {
        return hd_fail(error, HD_BAD_MODEL,
                       "'%.300s' leads out of the model's folder, or through a symbolic link",
                       location);
    }
    return fail_open(location, errno, error);
}

void hd_onnx_external_close(hd_onnx_source *source)
{
    if (source->memory == NULL) {
        close(source->file);
    }
}
