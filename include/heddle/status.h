/* Status: how every fallible call ends, and the optional struct that says what went wrong and where.
 *
 * Thread-safety: statuses are values; an hd_error belongs to the caller and to one call at a time. */
#ifndef HEDDLE_STATUS_H
#define HEDDLE_STATUS_H

#include "heddle/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(code, value, what it means in one clause) */
#define HD_STATUS_LIST(X)                                                                          \
    X(HD_OK, 0, "success")                                                                         \
    X(HD_INVALID_ARGUMENT, 1, "an argument is wrong: type, shape, size, name or null")             \
    X(HD_NOT_FOUND, 2, "no such file, input, output or device name")                               \
    X(HD_BAD_MODEL, 3, "the model is malformed or contradicts itself")                             \
    X(HD_UNSUPPORTED, 4, "valid, but this build or device cannot do it")                           \
    X(HD_IO, 5, "reading or writing a file failed")                                                \
    X(HD_OUT_OF_MEMORY, 6, "host or device memory ran out, or a limit was reached")                \
    X(HD_UNAVAILABLE, 7, "the device or its driver is not present")                                \
    X(HD_LOST, 8, "the device was lost; its work in flight failed")                                \
    X(HD_BUSY, 9, "not from here or not now: the object is in use by the caller itself")           \
    X(HD_CLOSED, 10, "the object was shut down")                                                   \
    X(HD_CANCELLED, 11, "the request was cancelled")                                               \
    X(HD_DEADLINE, 12, "the request's deadline passed")                                            \
    X(HD_NOT_YET, 13, "the wait's own time limit passed; the operation goes on")                   \
    X(HD_EXHAUSTED, 14, "every slot or queue place is taken, and the caller chose not to wait")    \
    X(HD_FORKED, 15, "called in a child that was forked while a device was open")                  \
    X(HD_INTERNAL, 16, "a defect in the library")

typedef enum hd_status {
#define HD_STATUS_ENUM_(code, value, text) code = value,
    HD_STATUS_LIST(HD_STATUS_ENUM_)
#undef HD_STATUS_ENUM_
} hd_status;

/* Where a failing call says what went wrong. Optional everywhere (pass NULL), owned by the caller,
 * fixed in size, so that reporting a failure cannot fail (STATUS). Untouched on success. */
typedef struct hd_error {
    hd_status status;
    char message[480]; /* one sentence, UTF-8, always terminated; cut at a character's border */
} hd_error;

/* The code's name, for example "HD_BAD_MODEL"; "HD_?" for a value that is none. Static storage. */
HD_API const char *hd_status_name(hd_status status);

/* What the code means, in one clause. Static storage. */
HD_API const char *hd_status_text(hd_status status);

#ifdef __cplusplus
}
#endif
#endif
