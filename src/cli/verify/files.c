#include "cli/verify/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/verify/writers.h"

static void write_json(FILE *stream, const hd_json_value *report)
{
    hd_json_writer json = {.stream = stream};
    hd_json_write(&json, NULL, report);
}

typedef struct hd_report_format {
    const char *name;
    void (*write)(FILE *stream, const hd_json_value *report);
} hd_report_format;

static const hd_report_format formats[] = {{"report.md", hd_report_write_markdown},
                                           {"report.json", write_json},
                                           {"report.html", hd_report_write_html}};
#define FORMAT_COUNT (sizeof formats / sizeof *formats)

/* Into room[PATH_MAX]; a path that does not fit names a file that cannot be opened. */
static const char *path_of(char *room, const char *folder, const char *name, const char *ending)
{
    snprintf(room, PATH_MAX, "%s/%s%s", folder, name, ending);
    return room;
}

static hd_exit_code refuse(const char *path, int reason)
{
    return hd_failure_print(EXIT_CODE_INPUT, "%s cannot be written: %s", path, strerror(reason));
}

hd_exit_code hd_report_files_try(const char *folder)
{
    char path[PATH_MAX];
    int file =
        open(path_of(path, folder, "report.md", ".new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
        return refuse(path, errno);
    }
    close(file);
    unlink(path);
    return EXIT_CODE_OK;
}

/* 0, or the reason. */
static int write_file(const char *path, const hd_report_format *format, const hd_json_value *report)
{
    FILE *stream = fopen(path, "we");
    if (stream == NULL) {
        return errno;
    }
    errno = 0;
    format->write(stream, report);
    bool written = fflush(stream) == 0 && !ferror(stream) && fsync(fileno(stream)) == 0;
    int reason = written ? 0 : errno != 0 ? errno : EIO;
    return fclose(stream) == 0 || reason != 0 ? reason : errno;
}

hd_exit_code hd_report_files_write(const char *folder, const hd_json_value *report)
{
    char fresh[PATH_MAX], path[PATH_MAX];
    hd_exit_code code = EXIT_CODE_OK;
    for (size_t i = 0; i < FORMAT_COUNT && code == EXIT_CODE_OK; i++) {
        int reason =
            write_file(path_of(fresh, folder, formats[i].name, ".new"), &formats[i], report);
        code =
            reason == 0 ? EXIT_CODE_OK : refuse(path_of(path, folder, formats[i].name, ""), reason);
    }
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        path_of(fresh, folder, formats[i].name, ".new");
        path_of(path, folder, formats[i].name, "");
        if (code != EXIT_CODE_OK) {
            unlink(fresh);
        } else if (rename(fresh, path) != 0) {
            code = refuse(path, errno);
            unlink(fresh);
        }
    }
    return code;
}
