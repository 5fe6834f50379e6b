/* What every public header needs: the export mark, the warning about ignored statuses, and the version.
 * docs/compatibility.md says what stays as it is from version to version, and how structs grow. */
#ifndef HEDDLE_API_H
#define HEDDLE_API_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define HD_API        __attribute__((visibility("default")))
#define HD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HD_API
#define HD_MUST_CHECK
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "Heddle reads little-endian tensors in place; big-endian machines are not supported"
#endif
#endif

#define HD_VERSION_MAJOR 0
#define HD_VERSION_MINOR 1
#define HD_VERSION_PATCH 0
/* For comparisons by #if: 10203 is 1.2.3. */
#define HD_VERSION_NUMBER (HD_VERSION_MAJOR * 10000 + HD_VERSION_MINOR * 100 + HD_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that is linked, for example "0.1.0". Static storage; any thread. */
HD_API const char *hd_version(void);

#ifdef __cplusplus
}
#endif
#endif
