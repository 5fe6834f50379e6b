/* Session: the device that a command was told to use, and the model on it.
 *
 * Thread-safety: as hd_device and hd_model; opened and closed by one thread. */
#ifndef HEDDLE_CLI_SESSION_H
#define HEDDLE_CLI_SESSION_H

#include "cli/arguments.h"
#include "heddle/model.h"

/* What --precision takes, for --help. */
#define HD_SESSION_PRECISIONS                                                                      \
    "float32, tf32, float16 or bfloat16, if the device has it (default: float32)"

typedef struct hd_session {
    hd_device *device;
    hd_device_info info;
    hd_model *model;
} hd_session;

/* Opens --device and, if path is not NULL, loads the model. Prints a sentence on failure; the
 * session is to be closed in any case. */
hd_exit_code hd_session_open(const hd_arguments *given, const char *path, hd_session *out_session);
void hd_session_close(hd_session *session);

#endif
