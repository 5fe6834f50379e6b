/* Slowness: how many times as long all takes in a build with a sanitizer; and what spares it the plain arithmetic of a
 * test's own reference, whose accesses nothing is to be learned from. */
#ifndef HD_TEST_SLOWNESS_H
#define HD_TEST_SLOWNESS_H

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOWNESS 10
#endif
#endif
#if !defined(SLOWNESS) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define SLOWNESS 10
#endif
#ifndef SLOWNESS
#define SLOWNESS 1
#endif

#if defined(__clang__)
#define UNSANITIZED __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define UNSANITIZED
#endif

#endif
