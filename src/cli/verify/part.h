/* Part: one program that was run for a section, and what came of it.
 *
 * Thread-safety: one thread at a time. */
#ifndef HEDDLE_CLI_VERIFY_PART_H
#define HEDDLE_CLI_VERIFY_PART_H

#include "cli/verify/section.h"

/* A section without parts, tables and plots. */
hd_json_value *hd_section_make(hd_verify *verify, const hd_verify_section *row);

/* Runs `words` and `--json FILE` as part `name` of the section; where `limit` is seconds that it may take. What it
 * wrote to FILE, or NULL: then the part says why. FILE and what is printed stay in the folder logs/ of the report. */
hd_json_value *hd_part_run(hd_verify *verify, hd_json_value *section, const char *name,
                           const char *const *words, const char *folder, double limit);

/* The last part goes wrong for a reason that its program did not know. */
void hd_part_fail(hd_verify *verify, hd_json_value *section, const char *reason);
/* Adds to what the last part counts as passed or failed. */
void hd_part_count(hd_verify *verify, hd_json_value *section, double passed, double failed);

/* A part that did not run. */
void hd_part_leave_out(hd_verify *verify, hd_json_value *section, const char *name,
                       hd_verdict verdict, const char *reason);

/* Takes over what a checker wrote: verdict, counts, tables, plots, if they are as docs/report.md says. */
void hd_part_take_findings(hd_verify *verify, hd_json_value *section, hd_json_value *findings);

/* The section's own verdict and counts, from those of its parts. */
void hd_section_finish(hd_verify *verify, hd_json_value *section);

#endif
