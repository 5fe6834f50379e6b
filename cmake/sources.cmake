# Which files make the library and the program. New files are found by themselves.

file(GLOB_RECURSE HEDDLE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
file(GLOB_RECURSE HEDDLE_PROGRAM_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
file(GLOB HEDDLE_PUBLIC_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/heddle/*.h)
list(FILTER HEDDLE_SOURCES EXCLUDE REGEX "/src/cli/")
# The simulated device is linked into what tests run (tests/CMakeLists.txt). Each backend but the cpu's joins when its tools are there; without it, opening it says UNAVAILABLE.
list(FILTER HEDDLE_SOURCES EXCLUDE REGEX "/src/hal/(cuda|sim|vulkan)/")

set(HEDDLE_HAVE_CUDA OFF)
if(NOT HEDDLE_CUDA STREQUAL "OFF" AND EXISTS ${PROJECT_SOURCE_DIR}/src/hal/cuda/backend.c)
    find_program(HEDDLE_NVCC NAMES nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(HEDDLE_NVCC)
        set(HEDDLE_HAVE_CUDA ON)
        file(GLOB_RECURSE HEDDLE_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/hal/cuda/*.c)
        list(APPEND HEDDLE_SOURCES ${HEDDLE_CUDA_SOURCES})
    elseif(HEDDLE_CUDA STREQUAL "ON")
        message(FATAL_ERROR "HEDDLE_CUDA is ON, but nvcc was not found")
    endif()
endif()

heddle_set_instruction_flags(${HEDDLE_SOURCES})
