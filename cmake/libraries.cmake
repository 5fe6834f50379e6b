# One set of objects, compiled once, becomes
#   heddle_internal  an archive with all symbols linkable, for the tests
#   heddle           libheddle.so, exporting only what HD_API marks
#   heddle_static    libheddle.a, one object in which everything else is local
# and the program build/<preset>/heddle on top of libheddle.so; tests/heddle-sim is it with the simulated device.

add_library(heddle_onnx_proto OBJECT ${HEDDLE_GENERATED_DIR}/onnx.pb-c.c ${HEDDLE_GENERATED_DIR}/onnx.pb-c.h)
target_include_directories(heddle_onnx_proto SYSTEM PRIVATE ${HEDDLE_PROTOBUF_C_INCLUDE_DIR})
target_compile_options(heddle_onnx_proto PRIVATE -w) # generated code

if(NOT HEDDLE_SOURCES)
    message(FATAL_ERROR "There are no sources in ${PROJECT_SOURCE_DIR}/src")
endif()

add_library(heddle_objects OBJECT ${HEDDLE_SOURCES})
add_dependencies(heddle_objects heddle_onnx_proto)
target_include_directories(heddle_objects
    PUBLIC ${PROJECT_SOURCE_DIR}/include PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(heddle_objects PRIVATE
    HD_BUILDING=1 HD_VERSION_STRING="${PROJECT_VERSION}" HD_HAVE_CUDA=$<BOOL:${HEDDLE_HAVE_CUDA}>)
target_link_libraries(heddle_objects PRIVATE heddle_flags heddle_dependencies)

set(HEDDLE_ALL_OBJECTS $<TARGET_OBJECTS:heddle_objects> $<TARGET_OBJECTS:heddle_onnx_proto>)

# --- for tests: nothing is hidden from a link in which the archive itself takes part
# and it has the simulated device, which hal/backend.c finds where it is linked
file(GLOB heddle_sim_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/hal/sim/*.c)
add_library(heddle_sim OBJECT ${heddle_sim_sources})
target_include_directories(heddle_sim PRIVATE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(heddle_sim PRIVATE heddle_flags heddle_dependencies)
add_library(heddle_internal STATIC ${HEDDLE_ALL_OBJECTS} $<TARGET_OBJECTS:heddle_sim>)
target_link_options(heddle_internal INTERFACE -Wl,-u,hd_backend_sim)
target_include_directories(heddle_internal INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(heddle_internal
    INTERFACE heddle_dependencies ${HEDDLE_HIDDEN_ARCHIVES} ${HEDDLE_SYSTEM_LIBRARIES})

# --- shared
add_library(heddle SHARED ${HEDDLE_ALL_OBJECTS})
set_target_properties(heddle PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR} LINKER_LANGUAGE C)
target_include_directories(heddle PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(heddle PRIVATE
    $<BUILD_INTERFACE:heddle_flags> ${HEDDLE_HIDDEN_ARCHIVES} ${HEDDLE_SYSTEM_LIBRARIES})
# nodelete: threads of the process may still hold a key whose destructor lies in this library.
target_link_options(heddle PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,nodelete)
if(NOT HEDDLE_SANITIZE AND NOT HEDDLE_FUZZ)
    target_link_options(heddle PRIVATE -Wl,-z,defs)
endif()

# --- static: merged and localized, so that a program that brings its own protobuf-c does not collide
set(HEDDLE_STATIC_ARCHIVE ${PROJECT_BINARY_DIR}/libheddle.a)
add_custom_command(
    OUTPUT ${HEDDLE_STATIC_ARCHIVE}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${HEDDLE_STATIC_ARCHIVE}
    COMMAND ${CMAKE_LINKER} -r -o ${PROJECT_BINARY_DIR}/heddle_merged.o
            ${HEDDLE_ALL_OBJECTS} ${HEDDLE_HIDDEN_ARCHIVES}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${PROJECT_BINARY_DIR}/heddle_merged.o
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=hd_* ${PROJECT_BINARY_DIR}/heddle_merged.o
    COMMAND ${CMAKE_AR} qcs ${HEDDLE_STATIC_ARCHIVE} ${PROJECT_BINARY_DIR}/heddle_merged.o
    DEPENDS heddle_objects heddle_onnx_proto ${HEDDLE_ALL_OBJECTS} ${HEDDLE_HIDDEN_ARCHIVES}
    COMMENT "Merging and localizing libheddle.a"
    COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(heddle_static_archive ALL DEPENDS ${HEDDLE_STATIC_ARCHIVE})

# --- the program, found at build/<preset>/heddle; it sees the public headers only (tools/check-includes)
if(HEDDLE_PROGRAM_SOURCES)
    add_executable(heddle_program ${HEDDLE_PROGRAM_SOURCES})
    set_target_properties(heddle_program PROPERTIES
        OUTPUT_NAME heddle BUILD_RPATH "$ORIGIN" INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
    target_include_directories(heddle_program PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_compile_definitions(heddle_program PRIVATE HD_VERSION_STRING="${PROJECT_VERSION}" HD_TEST_BUILD=0)
    target_link_libraries(heddle_program PRIVATE heddle_flags heddle Threads::Threads m)
    if(HEDDLE_TESTS AND NOT HEDDLE_SANITIZE) # the same with the simulated device, for `heddle verify` and tests
        add_executable(heddle_program_sim ${HEDDLE_PROGRAM_SOURCES})
        set_target_properties(heddle_program_sim PROPERTIES
            OUTPUT_NAME heddle-sim RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
        target_compile_definitions(heddle_program_sim PRIVATE HD_VERSION_STRING="${PROJECT_VERSION}" HD_TEST_BUILD=1)
        target_link_libraries(heddle_program_sim PRIVATE heddle_flags heddle_internal Threads::Threads m)
    endif()
endif()
