# Compiler and linker flags that every file of Heddle is built with.
# The target heddle_flags carries them, so that nothing leaks into programs that use the library.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(heddle_flags INTERFACE)
# Empty, as a file that says `#define _GNU_SOURCE` itself has it.
target_compile_definitions(heddle_flags INTERFACE _GNU_SOURCE=)
# BITS: no contraction of a*b+c behind our back (FMA is written out), and no reordering.
target_compile_options(heddle_flags INTERFACE
    -ffp-contract=off -fno-math-errno
    -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wvla
    # gcc's full -Wshadow also minds a variable named as a type; clang's sees the globals for both.
    $<IF:$<C_COMPILER_ID:GNU>,-Wshadow=local,-Wshadow>
    $<$<BOOL:${HEDDLE_WERROR}>:-Werror>)
target_link_options(heddle_flags INTERFACE -Wl,-z,relro -Wl,-z,now)

if(HEDDLE_DEBUG_CHECKS)
    target_compile_definitions(heddle_flags INTERFACE HD_DEBUG_CHECKS=1)
endif()
if(HEDDLE_FAULT)
    target_compile_definitions(heddle_flags INTERFACE HD_FAULT=1)
endif()
if(HEDDLE_SANITIZE)
    target_compile_options(heddle_flags INTERFACE
        -fsanitize=${HEDDLE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(heddle_flags INTERFACE -fsanitize=${HEDDLE_SANITIZE})
endif()
if(HEDDLE_FUZZ)
    # Coverage for libFuzzer everywhere; its main() only in the fuzz targets (tests/CMakeLists.txt).
    target_compile_options(heddle_flags INTERFACE -fsanitize=fuzzer-no-link)
    target_link_options(heddle_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Files that need an instruction set say so by their name; all others are baseline x86-64, so that
# the library loads on any machine and picks its kernels at run time.
#
# These files unroll a lot. With AddressSanitizer's checks inlined and UndefinedBehaviorSanitizer beside
# them clang takes minutes for one; with calls in place of inlined checks, and without the second, seconds.
set(heddle_unrolled_flags "")
if(HEDDLE_SANITIZE MATCHES "address")
    set(heddle_unrolled_flags
        "-mllvm;-asan-instrumentation-with-call-threshold=0;-fno-sanitize=undefined")
endif()
function(heddle_set_instruction_flags)
    foreach(file IN LISTS ARGN)
        if(file MATCHES "_avx2\\.c$")
            set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
                "-mavx2;-mfma;-mf16c;${heddle_unrolled_flags}")
        elseif(file MATCHES "_avx512\\.c$")
            set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
                "-mavx512f;-mavx512vl;-mavx512bw;-mavx512dq;-mfma;-mf16c;${heddle_unrolled_flags}")
        elseif(file MATCHES "_avx512vnni\\.c$")
            set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS
                "-mavx512f;-mavx512vl;-mavx512bw;-mavx512dq;-mavx512vnni;-mfma;-mf16c;${heddle_unrolled_flags}")
        endif()
    endforeach()
endfunction()
