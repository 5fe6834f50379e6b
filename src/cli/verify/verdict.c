#include "cli/verify/verdict.h"

#include <stdio.h>
#include <string.h>

const char *hd_verdict_text(hd_verdict verdict)
{
    static const char *const texts[] = {"PASS", "CHECKED EARLIER", "SKIPPED", "FAIL"};
    return texts[verdict];
}

hd_verdict hd_verdict_of(const hd_json_value *object)
{
    hd_verdict verdict = VERDICT_PASS;
    const char *text = hd_json_text(object, "verdict");
    while (verdict != VERDICT_FAIL && strcmp(text, hd_verdict_text(verdict)) != 0) {
        verdict++;
    }
    return verdict;
}

const char *hd_duration_text(double seconds, char room[VERDICT_TEXT_MAX])
{
    if (seconds < 60) {
        snprintf(room, VERDICT_TEXT_MAX, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
    } else {
        unsigned whole = (unsigned)(seconds + 0.5);
        snprintf(room, VERDICT_TEXT_MAX, "%u min %02u s", whole / 60, whole % 60);
    }
    return room;
}

const char *hd_counts_text(const hd_json_value *object, char room[VERDICT_TEXT_MAX])
{
    double passed = hd_json_amount(object, "passed"), failed = hd_json_amount(object, "failed");
    room[0] = '\0';
    if (failed > 0) {
        snprintf(room, VERDICT_TEXT_MAX, "%.0f passed, %.0f failed", passed, failed);
    } else if (passed > 0) {
        snprintf(room, VERDICT_TEXT_MAX, "%.0f passed", passed);
    }
    return room;
}
