/* Verdict: what came of a part, a section, the whole.
 *
 * Thread-safety: any thread. */
#ifndef HEDDLE_CLI_VERIFY_VERDICT_H
#define HEDDLE_CLI_VERIFY_VERDICT_H

#include "cli/verify/json_value.h"

/* From good to bad. */
typedef enum hd_verdict {
    VERDICT_PASS,
    VERDICT_EARLIER, /* checked earlier, on the same sources; not now */
    VERDICT_SKIPPED,
    VERDICT_FAIL
} hd_verdict;

const char *hd_verdict_text(hd_verdict verdict);
/* Of the member `verdict`; what is none counts as a failure. */
hd_verdict hd_verdict_of(const hd_json_value *object);

/* How long it took: "35 s", "4 min 05 s"; and what was counted: "12 passed", "12 passed, 1 failed", "". */
#define VERDICT_TEXT_MAX 64
const char *hd_duration_text(double seconds, char room[VERDICT_TEXT_MAX]);
const char *hd_counts_text(const hd_json_value *object, char room[VERDICT_TEXT_MAX]);

#endif
