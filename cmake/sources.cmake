# Which files make the library and the program. New files are found by themselves.

file(GLOB_RECURSE HEDDLE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
file(GLOB_RECURSE HEDDLE_PROGRAM_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/cli/*.c)
file(GLOB HEDDLE_PUBLIC_HEADERS CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/heddle/*.h)
list(FILTER HEDDLE_SOURCES EXCLUDE REGEX "/src/cli/")
# The simulated device is linked into what tests run (tests/CMakeLists.txt). Each backend but the cpu's joins when its tools are there; without it, opening it says UNAVAILABLE.
list(FILTER HEDDLE_SOURCES EXCLUDE REGEX "/src/hal/(cuda|sim|vulkan)/")

# A C source that holds the file's bytes, and a zero behind them, as `symbol`.
function(heddle_embed symbol file)
    file(WRITE ${cuda_folder}/${symbol}.c.new
"#include \"hal/cuda/kernels.h\"
__asm__(\".section .rodata\\n.balign 64\\n.globl ${symbol}\\n.hidden ${symbol}\\n\"
        \"${symbol}:\\n.incbin \\\"${file}\\\"\\n.byte 0\\n.previous\\n\");
")
    configure_file(${cuda_folder}/${symbol}.c.new ${cuda_folder}/${symbol}.c COPYONLY)
    set_source_files_properties(${cuda_folder}/${symbol}.c PROPERTIES OBJECT_DEPENDS ${file})
    set(HEDDLE_CUDA_SOURCES ${HEDDLE_CUDA_SOURCES} ${cuda_folder}/${symbol}.c PARENT_SCOPE)
endfunction()

# nvcc compiles kernels; the driver is opened when it is asked for, so nothing is linked.
set(HEDDLE_HAVE_CUDA OFF)
if(HEDDLE_CUDA AND NOT HEDDLE_CUDA STREQUAL "AUTO") # as older build folders have it
    find_program(HEDDLE_NVCC NAMES nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
    if(NOT HEDDLE_NVCC)
        message(FATAL_ERROR "HEDDLE_CUDA is ON, but nvcc was not found")
    endif()
    set(HEDDLE_HAVE_CUDA ON)
    get_filename_component(HEDDLE_CUDA_HOME ${HEDDLE_NVCC} REALPATH)
    get_filename_component(HEDDLE_CUDA_HOME ${HEDDLE_CUDA_HOME}/../.. ABSOLUTE)
    file(GLOB HEDDLE_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/hal/cuda/*.c)
    set(cuda_folder ${PROJECT_BINARY_DIR}/cuda)
    file(MAKE_DIRECTORY ${cuda_folder})
    # For tests whose driver stands in and takes any image: the compiler reads the kernels, which takes a seventh of the time, and
    # no GPU could run them as they should.
    option(HEDDLE_CUDA_READ_ONLY "Compile CUDA's kernels no further than to PTX, unoptimized" OFF)
    set(HEDDLE_CUDA_ARCHITECTURES 80 90 CACHE STRING "Compute capabilities, times ten, that kernels are compiled for; the last as PTX, too")
    set(cuda_targets "")
    foreach(architecture ${HEDDLE_CUDA_ARCHITECTURES})
        list(APPEND cuda_targets -gencode arch=compute_${architecture},code=sm_${architecture})
        set(cuda_newest ${architecture})
    endforeach()
    list(APPEND cuda_targets -gencode arch=compute_${cuda_newest},code=compute_${cuda_newest})
    set(cuda_effort -O3)
    # What uses instructions of one architecture alone has `only` that of it, in HD_CUDA_FILE_LIST, too.
    set(cuda_targets_product_half -gencode arch=compute_90a,code=sm_90a)
    if(HEDDLE_CUDA_READ_ONLY)
        set(cuda_effort -Xcicc -O0)
        set(cuda_targets -gencode arch=compute_90,code=compute_90)
        set(cuda_targets_product_half -gencode arch=compute_90a,code=compute_90a)
    endif()
    set(cuda_targets_attention_wgmma ${cuda_targets_product_half})
    file(GLOB cuda_kernels CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/hal/cuda/kernels/*.cu)
    file(GLOB cuda_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/hal/cuda/kernels/*.h
        ${PROJECT_SOURCE_DIR}/src/hal/cuda/kernels/*.cuh)
    # Functions are PTX, of which kernels are put together at run time (src/hal/cuda/elementwise_text.h).
    set(cuda_functions ${PROJECT_SOURCE_DIR}/src/hal/cuda/kernels/elementwise_functions.cu)
    list(REMOVE_ITEM cuda_kernels ${cuda_functions})
    add_custom_command(
        OUTPUT ${cuda_folder}/elementwise_functions.ptx
        COMMAND ${HEDDLE_NVCC} -std=c++17 -O3 -fmad=false -rdc=true -arch=compute_80 -ptx -o ${cuda_folder}/elementwise_functions.ptx ${cuda_functions}
        DEPENDS ${cuda_functions} ${cuda_headers} VERBATIM)
    heddle_embed(hd_cuda_elementwise_functions ${cuda_folder}/elementwise_functions.ptx)
    foreach(kernel ${cuda_kernels})
        get_filename_component(name ${kernel} NAME_WE)
        set(own_targets ${cuda_targets})
        if(DEFINED cuda_targets_${name})
            set(own_targets ${cuda_targets_${name}})
        endif()
        add_custom_command(
            OUTPUT ${cuda_folder}/${name}.fatbin
            COMMAND ${HEDDLE_NVCC} -std=c++17 ${cuda_effort} -fmad=false -fatbin ${own_targets} -o ${cuda_folder}/${name}.fatbin ${kernel}
            DEPENDS ${kernel} ${cuda_headers} VERBATIM)
        heddle_embed(hd_cuda_kernels_${name} ${cuda_folder}/${name}.fatbin)
        list(APPEND cuda_images ${cuda_folder}/${name}.fatbin)
    endforeach()
    add_custom_target(heddle_cuda_kernels DEPENDS ${cuda_images} ${cuda_folder}/elementwise_functions.ptx)
    set_source_files_properties(${HEDDLE_CUDA_SOURCES} PROPERTIES INCLUDE_DIRECTORIES ${HEDDLE_CUDA_HOME}/include)
    list(APPEND HEDDLE_SOURCES ${HEDDLE_CUDA_SOURCES})
endif()

heddle_set_instruction_flags(${HEDDLE_SOURCES})
