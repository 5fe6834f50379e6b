#include "cli/output_files.h"

#include <ctype.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/folder.h"
#include "heddle/file.h"

/* A file's name, and the number that the next file of the same stem is tried with. */
typedef struct taken_name {
    char *text;
    size_t next;
} taken_name;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const taken_name *)a)->text, ((const taken_name *)b)->text);
}

/* The names so far, in search.h's tree: a model may have very many outputs of one name. */
static taken_name *find_taken(void *const *names, char *text)
{
    taken_name wanted = {.text = text};
    void *found = tfind(&wanted, names, compare_names);
    return found == NULL ? NULL : *(taken_name **)found;
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

/* Writes STEM.npy or STEM-NUMBER.npy; the stem is cut where that would be longer than a file's name
 * may be. */
static void write_name(char text[NAME_MAX + 1], const char *stem, size_t number)
{
    char end[32] = ".npy";
    if (number > 1) {
        snprintf(end, sizeof end, "-%zu.npy", number);
    }
    snprintf(text, NAME_MAX + 1, "%.*s%s", (int)(NAME_MAX - strlen(end)), stem, end);
}

/* The name of an output's file, as an entry of the tree; NULL: no memory. */
static taken_name *make_name(void **names, const char *name)
{
    char *stem = malloc(strlen(name) + 1);
    taken_name *made = malloc(sizeof *made);
    char *text = malloc(NAME_MAX + 1);
    if (stem == NULL || made == NULL || text == NULL) {
        goto fail;
    }
    clean(name, stem);
    write_name(text, stem, 1);
    taken_name *same = find_taken(names, text);
    size_t number = same == NULL ? 1 : same->next;
    for (; number > 1; number++) {
        write_name(text, stem, number);
        if (find_taken(names, text) == NULL) {
            break;
        }
    }
    if (same != NULL) {
        same->next = number + 1;
    }
    *made = (taken_name){.text = text, .next = 2};
    if (tsearch(made, names, compare_names) == NULL) {
        goto fail;
    }
    free(stem);
    return made;
fail:
    free(stem);
    free(made);
    free(text);
    return NULL;
}

hd_exit_code hd_output_files_name(const hd_model *model, hd_output_files *out_files)
{
    size_t count = hd_model_output_count(model);
    *out_files = (hd_output_files){.names = calloc(count + 1, sizeof(char *))};
    if (out_files->names == NULL) {
        return hd_failure_print_memory();
    }
    void *names = NULL;
    hd_exit_code code = EXIT_CODE_OK;
    for (; out_files->count < count; out_files->count++) {
        hd_value_info info = {.struct_size = sizeof info};
        if (hd_model_output_info(model, out_files->count, &info) != HD_OK) {
            code = hd_failure_print(EXIT_CODE_DEFECT, "output %zu has no name", out_files->count);
            break;
        }
        taken_name *name = make_name(&names, info.name);
        if (name == NULL) {
            code = hd_failure_print_memory();
            break;
        }
        out_files->names[out_files->count] = name->text;
    }
    tdestroy(names, free);
    return code;
}

void hd_output_files_free(hd_output_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->names[i]);
    }
    free(files->names);
    *files = (hd_output_files){0};
}

hd_exit_code hd_output_files_write(const hd_output_files *files, const char *folder,
                                   const hd_tensor *outputs)
{
    hd_exit_code code = hd_folder_make(folder);
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
