#include "cli/folder.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

hd_exit_code hd_folder_make(const char *folder)
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
