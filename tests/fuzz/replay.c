/* usage: TARGET [--mutate SECONDS FILE] FILE|FOLDER...
 *
 * Runs a fuzz target once over each file, and those of the folders, in builds without libFuzzer; then, for SECONDS,
 * over mutants of them, which the target's own mutator makes, if it has one. Each is written to FILE before it runs, so
 * that one that ends the process can be run again. Mutants that the target finds of use are changed further. The same
 * ones in the same order every time. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define KEPT_LIMIT 1024 /* files, and mutants in their place */
#define KEPT_SIZE  ((size_t)4 << 10)
#define CAPACITY   ((size_t)64 << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
__attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t capacity,
                                                     unsigned int seed);
__attribute__((weak)) size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size,
                                                       const uint8_t *b, size_t b_size,
                                                       uint8_t *out, size_t capacity,
                                                       unsigned int seed);

typedef struct input {
    uint8_t *data;
    size_t size;
} input;

static input kept[KEPT_LIMIT];
static size_t kept_count;
static unsigned int random_state = 1;

static unsigned int draw(void)
{
    random_state = random_state * 1664525u + 1013904223u; /* Knuth's and Lewis' generator */
    return random_state >> 8;
}

/* libFuzzer's, in a few words: one byte changed, or one more, or one less. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity)
{
    size_t at = size == 0 ? 0 : draw() % size;
    unsigned int way = draw() % 3;
    if ((way == 0 || size == 0) && size < capacity) {
        memmove(data + at + 1, data + at, size - at);
        size++;
    } else if (way == 1 && size > 0) {
        memmove(data + at, data + at + 1, size - at - 1);
        return size - 1;
    }
    if (size > 0) {
        data[at] = (uint8_t)draw();
    }
    return size;
}

/* A copy of its own size, so that AddressSanitizer sees a read past its end. */
static input copy_of(const uint8_t *data, size_t size)
{
    input copy = {malloc(size > 0 ? size : 1), size};
    if (copy.data == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(copy.data, data, size);
    }
    return copy;
}

static void keep(input one)
{
    size_t place = kept_count < KEPT_LIMIT ? kept_count++ : draw() % KEPT_LIMIT;
    free(kept[place].data);
    kept[place] = one;
}

/* Returns 0 when the file was read and run. */
static int replay_file(const char *path)
{
    struct stat status;
    FILE *file = fopen(path, "rb");
    input one = {NULL, 0};
    int result = 1;

    if (file == NULL || fstat(fileno(file), &status) != 0)
        goto fail;
    one.size = (size_t)status.st_size;
    one.data = malloc(one.size > 0 ? one.size : 1);
    if (one.data == NULL || fread(one.data, 1, one.size, file) != one.size)
        goto fail;
    LLVMFuzzerTestOneInput(one.data, one.size);
    keep(one);
    one.data = NULL;
    result = 0;
fail:
    if (result != 0)
        fprintf(stderr, "cannot read %s\n", path);
    free(one.data);
    if (file != NULL)
        fclose(file);
    return result;
}

/* Returns how many files could not be read. */
static int replay(const char *path, int *files)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), failed = 0;
    if (count < 0) { /* no folder */
        ++*files;
        return replay_file(path);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            failed += replay_file(file);
            ++*files;
        }
        free(entries[i]);
    }
    free(entries);
    return failed;
}

/* A mutant of one of the inputs, in `to`; its size. */
static size_t mutate(uint8_t *to)
{
    const input *one = &kept[draw() % kept_count];
    size_t size = one->size < CAPACITY ? one->size : CAPACITY;
    memcpy(to, one->data, size);
    for (unsigned int times = 1 + draw() % 4; times > 0; times--) {
        if (LLVMFuzzerCustomMutator == NULL) {
            size = LLVMFuzzerMutate(to, size, CAPACITY);
        } else if (LLVMFuzzerCustomCrossOver != NULL && draw() % 4 == 0) {
            const input *other = &kept[draw() % kept_count];
            input now = copy_of(to, size);
            size = LLVMFuzzerCustomCrossOver(now.data, now.size, other->data, other->size, to,
                                             CAPACITY, draw());
            free(now.data);
        } else {
            size = LLVMFuzzerCustomMutator(to, size, CAPACITY, draw());
        }
    }
    return size;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int run_mutants(double seconds, const char *path)
{
    static uint8_t bytes[CAPACITY];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    size_t mutants = 0;
    for (double end = now() + seconds; file >= 0 && now() < end; mutants++) {
        size_t size = mutate(bytes);
        if (ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != (ssize_t)size) {
            break;
        }
        input one = copy_of(bytes, size);
        if (LLVMFuzzerTestOneInput(one.data, one.size) == 0 && size <= KEPT_SIZE) {
            keep(one);
        } else {
            free(one.data);
        }
    }
    printf("%zu mutants run\n", mutants);
    return file < 0 || close(file) != 0 || mutants == 0 || unlink(path) != 0;
}

int main(int argc, char **argv)
{
    int mutates = argc > 3 && strcmp(argv[1], "--mutate") == 0;
    int files = 0, failed = 0;
    for (int i = mutates ? 4 : 1; i < argc; i++) {
        failed += replay(argv[i], &files);
    }
    printf("%d files replayed\n", files - failed);
    failed += files == 0;
    if (mutates && failed == 0) {
        failed = run_mutants(strtod(argv[2], NULL), argv[3]);
    }
    for (size_t i = 0; i < kept_count; i++) {
        free(kept[i].data);
    }
    return failed != 0;
}
