#include "cli/verify/text_file.h"

#include <stdio.h>
#include <sys/stat.h>

char *hd_text_file_read(hd_arena *arena, const char *path, size_t *out_length)
{
    struct stat status;
    *out_length = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return NULL;
    }
    if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode)) {
        fclose(file);
        return NULL;
    }
    size_t size = (size_t)status.st_size;
    if (size > TEXT_FILE_MAX) {
        fseeko(file, status.st_size - (off_t)TEXT_FILE_MAX, SEEK_SET);
        size = TEXT_FILE_MAX;
    }
    char *text = hd_arena_take(arena, size + 1);
    *out_length = fread(text, 1, size, file);
    fclose(file);
    return text;
}
