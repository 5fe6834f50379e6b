#include "hal/cpu/isa.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/status.h"

#define REFUSED UINT32_MAX

static const struct {
    const char *word;
    const char *name;
    uint32_t needs;
    hd_cpu_isa_level isa;
} sets[] = {
    {"baseline", "SSE2", 0, HD_ISA_BASELINE},
    {"avx2", "AVX2 with FMA and F16C", HD_CPU_HAS_AVX2, HD_ISA_AVX2},
    {"avx512", "AVX-512 (F, VL, BW, DQ)", HD_CPU_HAS_AVX512, HD_ISA_AVX512},
    {"avx512vnni", "AVX-512 VNNI", HD_CPU_HAS_AVX512VNNI, HD_ISA_AVX512},
    {"amx", "AMX", HD_CPU_HAS_AMX, HD_ISA_AVX512},
};
#define SET_COUNT (sizeof sets / sizeof sets[0])

#define VNNI UINT32_C(256)

/* 0: nobody has looked yet; REFUSED; or 1 + the instruction set, and VNNI. Relaxed: it orders no other data. Who looks first
 * decides, so that a variable which changes meanwhile gives no second answer. */
static _Atomic uint32_t chosen;

uint32_t hd_cpu_features(void)
{
    uint32_t features = 0;
#if defined(__x86_64__)
    /* The compiler's run-time library asks cpuid and xgetbv once, before main. */
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("f16c")) {
        return 0;
    }
    features = HD_CPU_HAS_AVX2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512vl") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq")) {
        return features;
    }
    features |= HD_CPU_HAS_AVX512;
    features |= __builtin_cpu_supports("avx512vnni") ? HD_CPU_HAS_AVX512VNNI : 0;
    features |= __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8")
                    ? HD_CPU_HAS_AMX
                    : 0;
#endif
    return features;
}

hd_status hd_cpu_isa_choose(const char *word, uint32_t features, hd_cpu_isa_level *out_isa,
                            hd_error *error)
{
    *out_isa = features & HD_CPU_HAS_AVX512 ? HD_ISA_AVX512
               : features & HD_CPU_HAS_AVX2 ? HD_ISA_AVX2
                                            : HD_ISA_BASELINE;
    if (word == NULL || word[0] == '\0') {
        return HD_OK;
    }
    for (size_t i = 0; i < SET_COUNT; i++) {
        if (strcmp(word, sets[i].word) != 0) {
            continue;
        }
        if ((features & sets[i].needs) != sets[i].needs) {
            return hd_fail(error, HD_UNAVAILABLE,
                           "HEDDLE_ISA is '%s', but this processor has no %s", word, sets[i].name);
        }
        *out_isa = sets[i].isa;
        return HD_OK;
    }
    return hd_fail(
        error, HD_UNAVAILABLE,
        "HEDDLE_ISA is '%s', which is none of baseline, avx2, avx512, avx512vnni and amx", word);
}

/* The answer, looked up by whoever comes first. */
static uint32_t look(void)
{
    uint32_t answer = hd_load_relaxed(&chosen);
    if (answer == 0) {
        hd_cpu_isa_level isa;
        const char *word = getenv("HEDDLE_ISA");
        const uint32_t features = hd_cpu_features();
        uint32_t mine = REFUSED;
        if (hd_cpu_isa_choose(word, features, &isa, NULL) == HD_OK) {
            const bool is_held = word != NULL && strcmp(word, "avx512") == 0;
            const bool vnni = isa == HD_ISA_AVX512 && features & HD_CPU_HAS_AVX512VNNI && !is_held;
            mine = (1 + (uint32_t)isa) | (vnni ? VNNI : 0);
        }
        answer = hd_cas_relaxed(&chosen, &answer, mine) ? mine : answer;
    }
    return answer;
}

hd_status hd_cpu_isa_check(hd_error *error)
{
    hd_cpu_isa_level isa;
    if (look() != REFUSED) {
        return HD_OK;
    }
    hd_status status = hd_cpu_isa_choose(getenv("HEDDLE_ISA"), hd_cpu_features(), &isa, error);
    return status != HD_OK ? status
                           : hd_fail(error, HD_UNAVAILABLE,
                                     "HEDDLE_ISA named no set of this processor at first");
}

hd_cpu_isa_level hd_cpu_isa(void)
{
    uint32_t answer = look();
    /* refused: no device runs anything */
    return answer == REFUSED ? HD_ISA_BASELINE : (hd_cpu_isa_level)((answer & (VNNI - 1)) - 1);
}

bool hd_cpu_isa_has_vnni(void)
{
    const uint32_t answer = look();
    return answer != REFUSED && (answer & VNNI) != 0;
}
