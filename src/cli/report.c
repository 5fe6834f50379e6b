#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

hd_exit_code hd_report_open(const hd_arguments *given, hd_report *out_report)
{
    hd_report *report = out_report;
    memset(report, 0, sizeof *report);
    report->path = hd_arguments_value(given, "--json");
    report->tables = report->path == NULL || strcmp(report->path, "-") != 0;
    if (report->path != NULL && report->tables) {
        report->created = access(report->path, F_OK) != 0;
        int descriptor = open(report->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor < 0 || (report->file = fdopen(descriptor, "w")) == NULL) {
            int reason = errno;
            if (descriptor >= 0) {
                close(descriptor);
            }
            return hd_failure_print(EXIT_CODE_INPUT, "%s cannot be written: %s", report->path,
                                    strerror(reason));
        }
    }
    report->json.stream = open_memstream(&report->text, &report->text_size);
    if (report->json.stream == NULL) {
        hd_report_close(report);
        return hd_failure_print_memory();
    }
    return EXIT_CODE_OK;
}

void hd_report_begin(hd_report *report, const char *command, const char *device,
                     const char *points_key)
{
    hd_json_begin_object(&report->json, NULL);
    hd_json_integer(&report->json, "schema_version", 1);
    hd_json_string(&report->json, "command", command);
    hd_json_string(&report->json, "device", device);
    hd_json_begin_array(&report->json, points_key);
}

void hd_report_end_points(hd_report *report)
{
    hd_json_end_array(&report->json);
}

/* An old file that was longer is cut; what is no regular file, such as /dev/null, cannot be. */
static bool write_file(hd_report *report)
{
    struct stat status;
    int descriptor = fileno(report->file);
    bool regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    bool written = !regular || ftruncate(descriptor, 0) == 0;
    written =
        written && fwrite(report->text, 1, report->text_size, report->file) == report->text_size;
    written = fclose(report->file) == 0 && written;
    report->file = NULL;
    return written;
}

hd_exit_code hd_report_end(hd_report *report)
{
    hd_json_end_object(&report->json);
    return hd_report_finish(report);
}

hd_exit_code hd_report_finish(hd_report *report)
{
    bool complete = !ferror(report->json.stream);
    complete = fclose(report->json.stream) == 0 && complete;
    report->json.stream = NULL;
    if (!complete) {
        return hd_failure_print_memory();
    }
    if (report->path == NULL) {
        return EXIT_CODE_OK;
    }
    if (report->file == NULL) {
        fwrite(report->text, 1, report->text_size, stdout); /* main() looks whether that worked */
    } else if (!write_file(report)) {
        return hd_failure_print(EXIT_CODE_INPUT, "%s cannot be written: %s", report->path,
                                strerror(errno));
    }
    return EXIT_CODE_OK;
}

void hd_report_close(hd_report *report)
{
    if (report->json.stream != NULL) {
        fclose(report->json.stream);
    }
    free(report->text);
    if (report->file != NULL) {
        struct stat status;
        bool regular = fstat(fileno(report->file), &status) == 0 && S_ISREG(status.st_mode);
        fclose(report->file);
        if (report->created && regular) {
            unlink(report->path);
        }
    }
    memset(report, 0, sizeof *report);
}

void hd_report_progress(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    fputs("\r\033[K", stderr);
    if (format != NULL) {
        va_list values;
        va_start(values, format);
        vfprintf(stderr, format, values);
        va_end(values);
    }
    fflush(stderr);
}
