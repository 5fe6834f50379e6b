/* Annotations: the names under which clang's thread-safety analysis checks locks (SAFE).
 * Elsewhere they vanish. Source: clang.llvm.org, "Thread Safety Analysis". */
#ifndef HD_BASE_ANNOTATIONS_H
#define HD_BASE_ANNOTATIONS_H

#if defined(__clang__)
#define HD_ANNOTATE(x) __attribute__((x))
#else
#define HD_ANNOTATE(x)
#endif

#define HD_CAPABILITY(name)          HD_ANNOTATE(capability(name))
#define HD_GUARDED_BY(lock)          HD_ANNOTATE(guarded_by(lock))
#define HD_POINTEE_GUARDED_BY(lock)  HD_ANNOTATE(pt_guarded_by(lock))
#define HD_REQUIRES(...)             HD_ANNOTATE(requires_capability(__VA_ARGS__))
#define HD_ACQUIRE(...)              HD_ANNOTATE(acquire_capability(__VA_ARGS__))
#define HD_TRY_ACQUIRE(...)          HD_ANNOTATE(try_acquire_capability(__VA_ARGS__))
#define HD_RELEASE(...)              HD_ANNOTATE(release_capability(__VA_ARGS__))
#define HD_EXCLUDES(...)             HD_ANNOTATE(locks_excluded(__VA_ARGS__))
#define HD_ACQUIRED_AFTER(...)       HD_ANNOTATE(acquired_after(__VA_ARGS__))
#define HD_NO_THREAD_SAFETY_ANALYSIS HD_ANNOTATE(no_thread_safety_analysis)

#endif
