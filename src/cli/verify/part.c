#include "cli/verify/part.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/verify/child.h"
#include "cli/verify/findings.h"
#include "cli/verify/text_file.h"

#define WORDS_MAX     24
#define REASON_LENGTH 300

static void set_text(hd_verify *verify, hd_json_value *object, const char *key, const char *text)
{
    hd_json_set(object, key, hd_json_make_text(verify->arena, text));
}

static void set_number(hd_verify *verify, hd_json_value *object, const char *key, double number)
{
    hd_json_set(object, key, hd_json_make_number(verify->arena, number));
}

hd_json_value *hd_section_make(hd_verify *verify, const hd_verify_section *row)
{
    hd_json_value *section = hd_json_make(verify->arena, JSON_OBJECT);
    set_text(verify, section, "id", row->id);
    set_text(verify, section, "title", row->title);
    set_text(verify, section, "about", row->about);
    set_text(verify, section, "verdict", hd_verdict_text(VERDICT_SKIPPED));
    set_text(verify, section, "reason", NULL);
    set_number(verify, section, "passed", 0);
    set_number(verify, section, "failed", 0);
    set_number(verify, section, "seconds", 0);
    hd_json_set(section, "parts", hd_json_make(verify->arena, JSON_ARRAY));
    hd_json_set(section, "notes", hd_json_make(verify->arena, JSON_ARRAY));
    hd_json_set(section, "tables", hd_json_make(verify->arena, JSON_ARRAY));
    hd_json_set(section, "plots", hd_json_make(verify->arena, JSON_ARRAY));
    return section;
}

static hd_json_value *add_part(hd_verify *verify, hd_json_value *section, const char *name,
                               hd_verdict verdict, const char *reason)
{
    hd_json_value *part = hd_json_make(verify->arena, JSON_OBJECT);
    set_text(verify, part, "name", name);
    set_text(verify, part, "verdict", hd_verdict_text(verdict));
    set_text(verify, part, "reason", reason);
    set_number(verify, part, "passed", 0);
    set_number(verify, part, "failed", 0);
    set_number(verify, part, "seconds", 0);
    set_text(verify, part, "command", NULL);
    set_text(verify, part, "log", NULL);
    return hd_json_append(hd_json_get(section, "parts"), part);
}

void hd_part_leave_out(hd_verify *verify, hd_json_value *section, const char *name,
                       hd_verdict verdict, const char *reason)
{
    hd_json_value *part = add_part(verify, section, name, verdict, reason);
    if (verdict == VERDICT_FAIL) {
        set_number(verify, part, "failed", 1);
    }
}

void hd_part_fail(hd_verify *verify, hd_json_value *section, const char *reason)
{
    hd_json_value *part = hd_json_get(section, "parts")->last;
    if (hd_verdict_of(part) != VERDICT_FAIL) {
        set_text(verify, part, "verdict", hd_verdict_text(VERDICT_FAIL));
        set_text(verify, part, "reason", reason);
    }
}

void hd_part_count(hd_verify *verify, hd_json_value *section, double passed, double failed)
{
    hd_json_value *part = hd_json_get(section, "parts")->last;
    set_number(verify, part, "passed", hd_json_amount(part, "passed") + passed);
    set_number(verify, part, "failed", hd_json_amount(part, "failed") + failed);
}

/* The command as a shell in the sources' folder would take it. */
static const char *command_text(hd_verify *verify, const char *const *words)
{
    char *text = hd_arena_format(verify->arena, "%s", "");
    size_t length = verify->source == NULL ? 0 : strlen(verify->source);
    for (; *words != NULL; words++) {
        bool below =
            length > 0 && strncmp(*words, verify->source, length) == 0 && (*words)[length] == '/';
        const char *word = below ? *words + length + 1 : *words;
        bool plain = *word != '\0';
        for (const char *at = word; *at != '\0'; at++) {
            plain = plain && (isalnum((unsigned char)*at) || strchr("/._-,:=+", *at) != NULL);
        }
        /* a quote within is left to who reads it */
        text = hd_arena_format(verify->arena, plain ? "%s%s%s" : "%s%s'%s'", text,
                               *text == '\0' ? "" : " ", word);
    }
    return text;
}

typedef struct hd_watched {
    hd_verify *verify;
    const char *what;
    double limit;
} hd_watched;

static void show_progress(void *context, double seconds)
{
    const hd_watched *watched = context;
    hd_report_progress("[%zu/%zu] %s, %.0f s (at most %.0f) …", watched->verify->section_number,
                       watched->verify->section_count, watched->what, seconds, watched->limit);
}

/* What a program said last before it failed. */
static const char *last_line(hd_verify *verify, const char *log)
{
    size_t length = 0;
    const char *text = hd_text_file_read(verify->arena, log, &length);
    while (length > 0 && isspace((unsigned char)text[length - 1])) {
        length--;
    }
    size_t begin = length;
    while (begin > 0 && text[begin - 1] != '\n' && text[begin - 1] != '\r' &&
           length - begin < REASON_LENGTH) {
        begin--;
    }
    return length == 0 ? "" : hd_arena_copy(verify->arena, text + begin, length - begin);
}

/* Why a part that ended so is a failure; NULL where it is none. */
static const char *judge(hd_verify *verify, const hd_child_result *result, const hd_child *child)
{
    switch (result->end) {
    case CHILD_NOT_STARTED:
        return hd_arena_format(verify->arena, "%s cannot be run: %s", child->words[0],
                               strerror(result->status));
    case CHILD_LATE:
        return hd_arena_format(verify->arena, "it took more than %.0f s and was ended",
                               child->limit);
    case CHILD_SIGNALLED:
        return hd_arena_format(verify->arena, "it was ended by signal %d (%s)", result->status,
                               strsignal(result->status));
    case CHILD_ENDED:
        break;
    }
    if (result->status == 0) {
        return NULL;
    }
    const char *said = last_line(verify, child->log);
    return hd_arena_format(verify->arena, "exit code %d%s%s", result->status,
                           *said == '\0' ? "" : ": ", said);
}

/* Letters, digits and '-' of section and part. */
static const char *file_name(hd_verify *verify, const hd_json_value *section, const char *name)
{
    char *text = hd_arena_format(verify->arena, "%s%s%s", hd_json_text(section, "id"),
                                 *name == '\0' ? "" : "-", name);
    for (char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at)) {
            *at = '-';
        }
    }
    return text;
}

hd_json_value *hd_part_run(hd_verify *verify, hd_json_value *section, const char *name,
                           const char *const *words, const char *folder, double limit)
{
    const char *all[WORDS_MAX + 3] = {NULL};
    size_t count = 0;
    while (words[count] != NULL && count < WORDS_MAX) {
        all[count] = words[count];
        count++;
    }
    const char *file = file_name(verify, section, name);
    const char *results = hd_arena_format(verify->arena, "%s/logs/%s.json", verify->output, file);
    const char *log = hd_arena_format(verify->arena, "%s/logs/%s.log", verify->output, file);
    all[count] = "--json";
    all[count + 1] = results;
    hd_watched watched = {.verify = verify,
                          .what = hd_arena_format(verify->arena, "%s%s%s",
                                                  hd_json_text(section, "title"),
                                                  *name == '\0' ? "" : ": ", name),
                          .limit = verify->time_limit > 0 ? verify->time_limit : limit};
    hd_child child = {.words = all,
                      .folder = folder,
                      .log = log,
                      .limit = watched.limit,
                      .tick = show_progress,
                      .context = &watched};
    hd_child_result result;
    unlink(results);
    show_progress(&watched, 0);
    verify->signal = hd_child_run(&child, &result);
    hd_report_progress(NULL);
    hd_json_value *part = add_part(verify, section, name, VERDICT_PASS, NULL);
    set_number(verify, part, "seconds", result.seconds);
    set_text(verify, part, "command", command_text(verify, words));
    set_text(verify, part, "log", log + strlen(verify->output) + 1);
    const char *problem = judge(verify, &result, &child);
    if (problem != NULL) {
        hd_part_fail(verify, section, problem);
    }
    size_t length;
    const char *text = hd_text_file_read(verify->arena, results, &length);
    hd_json_value *found = text == NULL ? NULL : hd_json_parse(verify->arena, text, length);
    if (found == NULL) {
        hd_part_fail(verify, section,
                     text == NULL ? "it wrote no results" : "its results are no JSON");
    }
    return found;
}

void hd_part_take_findings(hd_verify *verify, hd_json_value *section, hd_json_value *findings)
{
    hd_json_value *part = hd_json_get(section, "parts")->last;
    const char *wrong = hd_findings_check(verify->arena, findings);
    if (wrong != NULL) {
        hd_part_fail(verify, section,
                     hd_arena_format(verify->arena,
                                     "its results are not as docs/report.md says: %s", wrong));
        return;
    }
    hd_part_count(verify, section, hd_json_amount(findings, "passed"),
                  hd_json_amount(findings, "failed"));
    hd_verdict verdict =
        hd_json_amount(findings, "failed") > 0 ? VERDICT_FAIL : hd_verdict_of(findings);
    const char *reason = hd_json_text(findings, "reason");
    if (hd_verdict_of(part) == VERDICT_PASS && verdict != VERDICT_PASS) {
        set_text(verify, part, "verdict", hd_verdict_text(verdict));
        set_text(verify, part, "reason", reason);
    } else if (hd_verdict_of(part) == VERDICT_FAIL && *reason != '\0') {
        set_text(verify, part, "reason", reason); /* better than the last line that it printed */
    }
    static const char *const lists[] = {"notes", "tables", "plots"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        hd_json_value *list = hd_json_get(findings, lists[i]), *next;
        for (hd_json_value *one = list == NULL ? NULL : list->first; one != NULL; one = next) {
            next = one->next;
            one->next = NULL;
            hd_json_append(hd_json_get(section, lists[i]), one);
        }
    }
}

void hd_section_finish(hd_verify *verify, hd_json_value *section)
{
    double passed = 0, failed = 0, seconds = 0;
    size_t counts[VERDICT_FAIL + 1] = {0};
    const char *reasons[VERDICT_FAIL + 1] = {NULL};
    const hd_json_value *part = hd_json_get(section, "parts")->first;
    for (; part != NULL; part = part->next) {
        hd_verdict verdict = hd_verdict_of(part);
        const char *name = hd_json_text(part, "name"), *reason = hd_json_text(part, "reason");
        passed += hd_json_amount(part, "passed");
        failed += hd_json_amount(part, "failed");
        seconds += hd_json_amount(part, "seconds");
        if (counts[verdict]++ == 0) {
            reasons[verdict] =
                hd_arena_format(verify->arena, "%s%s%s", name, *name == '\0' ? "" : ": ", reason);
        }
    }
    hd_verdict verdict = counts[VERDICT_FAIL] > 0      ? VERDICT_FAIL
                         : counts[VERDICT_PASS] > 0    ? VERDICT_PASS
                         : counts[VERDICT_EARLIER] > 0 ? VERDICT_EARLIER
                                                       : VERDICT_SKIPPED;
    set_text(verify, section, "verdict", hd_verdict_text(verdict));
    set_text(verify, section, "reason", verdict == VERDICT_PASS ? NULL : reasons[verdict]);
    set_number(verify, section, "passed", passed);
    set_number(verify, section, "failed", failed);
    set_number(verify, section, "seconds", seconds);
}
