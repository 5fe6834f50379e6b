#include "cli/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t hd_process_resident_bytes(void)
{
    char text[128];
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    char *end = NULL;
    strtoull(text, &end, 10); /* size, then resident, in pages */
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* A line of a file in /proc that says "KEY:  NUMBER kB", in bytes; 0 if there is none. */
static uint64_t read_kilobytes(const char *path, const char *key)
{
    char line[256];
    uint64_t kilobytes = 0;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kilobytes = strtoull(line + strlen(key), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kilobytes * 1024;
}

/* Not getrusage's ru_maxrss, which a process inherits from the one that started it. */
uint64_t hd_process_peak_resident_bytes(void)
{
    return read_kilobytes("/proc/self/status", "VmHWM:");
}

uint64_t hd_process_available_bytes(void)
{
    return read_kilobytes("/proc/meminfo", "MemAvailable:");
}

double hd_process_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Threads wait at the gate until all are there, or until it is clear that one will never come. */
typedef struct hd_gate {
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    bool open;
    bool run;
} hd_gate;

typedef struct hd_thread_start {
    hd_gate *gate;
    void (*run)(void *context);
    void *context;
    pthread_t thread;
} hd_thread_start;

static void *thread_main(void *argument)
{
    hd_thread_start *start = argument;
    pthread_mutex_lock(&start->gate->mutex);
    while (!start->gate->open) {
        pthread_cond_wait(&start->gate->moved, &start->gate->mutex);
    }
    bool run = start->gate->run;
    pthread_mutex_unlock(&start->gate->mutex);
    if (run) {
        start->run(start->context);
    }
    return NULL;
}

hd_exit_code hd_process_run_threads(size_t count, void (*run)(void *context), void *contexts,
                                    size_t context_size)
{
    hd_gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    hd_thread_start *starts = calloc(count, sizeof *starts);
    if (starts == NULL) {
        return hd_failure_print_memory();
    }
    size_t started = 0;
    for (; started < count; started++) {
        hd_thread_start *start = &starts[started];
        *start = (hd_thread_start){
            .gate = &gate, .run = run, .context = (char *)contexts + started * context_size};
        if (pthread_create(&start->thread, NULL, thread_main, start) != 0) {
            break;
        }
    }
    pthread_mutex_lock(&gate.mutex);
    gate.open = true;
    gate.run = started == count;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.mutex);
    for (size_t i = 0; i < started; i++) {
        pthread_join(starts[i].thread, NULL);
    }
    free(starts);
    if (started < count) {
        return hd_failure_print(EXIT_CODE_DEVICE, "only %zu of %zu threads could be started",
                                started, count);
    }
    return EXIT_CODE_OK;
}
