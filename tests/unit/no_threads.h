/* What the linker puts in pthread_create's place (no_threads.c). */
#ifndef HD_TEST_NO_THREADS_H
#define HD_TEST_NO_THREADS_H

#include <pthread.h>

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*function)(void *), void *argument);

#endif
