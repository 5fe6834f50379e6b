/* Runs a fuzz target once over each file of the folders given, in builds without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns 0 when the file was read and run. The buffer has the file's exact size, so that
 * AddressSanitizer sees a read past its end. */
static int replay_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    int result = 1;

    if (file == NULL || fstat(fileno(file), &status) != 0)
        goto fail;
    data = malloc(status.st_size > 0 ? (size_t)status.st_size : 1);
    if (data == NULL || fread(data, 1, (size_t)status.st_size, file) != (size_t)status.st_size)
        goto fail;
    LLVMFuzzerTestOneInput(data, (size_t)status.st_size);
    result = 0;
fail:
    if (result != 0)
        fprintf(stderr, "cannot read %s\n", path);
    free(data);
    if (file != NULL)
        fclose(file);
    return result;
}

int main(int argc, char **argv)
{
    int files = 0, failed = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;
        if (folder == NULL) {
            fprintf(stderr, "cannot open the folder %s\n", argv[i]);
            return 1;
        }
        while ((entry = readdir(folder)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            failed += replay_file(path);
            files++;
        }
        closedir(folder);
    }
    printf("%d files replayed\n", files - failed);
    return files == 0 || failed != 0;
}
