#include "cli/output_files.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "heddle/file.h"

static bool is_taken(const hd_output_files *files, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Bytes that continue a UTF-8 character are left out, so that it becomes one '_' and not
 * several. */
static void clean(const char *name, char *text)
{
    for (; *name != '\0'; name++) {
        unsigned char byte = (unsigned char)*name;
        if ((byte & 0xc0) == 0x80) {
            continue;
        }
        bool kept = byte < 0x80 && (isalnum(byte) || byte == '.' || byte == '_' || byte == '-');
        *text++ = kept ? (char)byte : '_';
    }
    *text = '\0';
}

static char *make_name(const hd_output_files *files, size_t index, const char *name)
{
    size_t size = strlen(name) + 32;
    char *stem = malloc(size), *text = malloc(size);
    if (stem == NULL || text == NULL) {
        free(stem);
        free(text);
        return NULL;
    }
    clean(name, stem);
    snprintf(text, size, "%s.npy", stem);
    for (size_t number = 2; is_taken(files, index, text); number++) {
        snprintf(text, size, "%s-%zu.npy", stem, number);
    }
    free(stem);
    return text;
}

hd_exit_code hd_output_files_name(const hd_model *model, hd_output_files *out_files)
{
    size_t count = hd_model_output_count(model);
    *out_files = (hd_output_files){.names = calloc(count + 1, sizeof(char *))};
    if (out_files->names == NULL) {
        return hd_failure_print_memory();
    }
    for (; out_files->count < count; out_files->count++) {
        hd_value_info info;
        if (hd_model_output_info(model, out_files->count, &info) != HD_OK) {
            return hd_failure_print(EXIT_CODE_DEFECT, "output %zu has no name", out_files->count);
        }
        char *name = make_name(out_files, out_files->count, info.name);
        if (name == NULL) {
            return hd_failure_print_memory();
        }
        out_files->names[out_files->count] = name;
    }
    return EXIT_CODE_OK;
}

void hd_output_files_free(hd_output_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->names[i]);
    }
    free(files->names);
    *files = (hd_output_files){0};
}

static hd_exit_code make_folder(const char *folder)
{
    char *path = strdup(folder);
    if (path == NULL) {
        return hd_failure_print_memory();
    }
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0777); /* the last one tells whether all went well */
        *slash = '/';
    }
    int result = mkdir(path, 0777);
    struct stat status;
    bool there =
        result == 0 || (errno == EEXIST && stat(path, &status) == 0 && S_ISDIR(status.st_mode));
    int reason = result != 0 && errno == EEXIST ? ENOTDIR : errno;
    free(path);
    return there ? EXIT_CODE_OK
                 : hd_failure_print(EXIT_CODE_INPUT, "the folder %s cannot be made: %s", folder,
                                    strerror(reason));
}

hd_exit_code hd_output_files_write(const hd_output_files *files, const char *folder,
                                   const hd_tensor *outputs)
{
    hd_exit_code code = make_folder(folder);
    for (size_t i = 0; i < files->count && code == EXIT_CODE_OK; i++) {
        size_t size = strlen(folder) + strlen(files->names[i]) + 2;
        char *path = malloc(size);
        if (path == NULL) {
            return hd_failure_print_memory();
        }
        hd_error error = {0};
        snprintf(path, size, "%s/%s", folder, files->names[i]);
        if (hd_tensor_save_npy(path, &outputs[i], &error) != HD_OK) {
            code = hd_failure_print_error(&error);
        }
        free(path);
    }
    return code;
}
