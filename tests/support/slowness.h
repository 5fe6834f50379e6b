/* Slowness: how many times as long all takes in a build with a sanitizer. */
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

#endif
