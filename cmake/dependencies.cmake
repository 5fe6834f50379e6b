# What Heddle links with. protobuf-c is linked statically and hidden; SLEEF exists in
# Debian 12 as a shared library only, so it stays a dependency of whoever links Heddle.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)


macro(heddle_require what variable debian_package)
    if(NOT ${variable})
        message(FATAL_ERROR "${what} was not found. On Debian: apt-get install ${debian_package}")
    endif()
    mark_as_advanced(${variable})
endmacro()


find_library(HEDDLE_PROTOBUF_C_LIBRARY NAMES libprotobuf-c.a)
heddle_require("libprotobuf-c.a" HEDDLE_PROTOBUF_C_LIBRARY libprotobuf-c-dev)
find_path(HEDDLE_PROTOBUF_C_INCLUDE_DIR NAMES protobuf-c/protobuf-c.h)
heddle_require("protobuf-c.h" HEDDLE_PROTOBUF_C_INCLUDE_DIR libprotobuf-c-dev)
find_program(HEDDLE_PROTOC_C NAMES protoc-c)
heddle_require("protoc-c" HEDDLE_PROTOC_C protobuf-c-compiler)

find_path(HEDDLE_ONNX_PROTO_DIR NAMES onnx/onnx.proto)
heddle_require("onnx/onnx.proto" HEDDLE_ONNX_PROTO_DIR libonnx-dev)

find_library(HEDDLE_SLEEF_LIBRARY NAMES sleef)
heddle_require("libsleef" HEDDLE_SLEEF_LIBRARY libsleef-dev)
find_path(HEDDLE_SLEEF_INCLUDE_DIR NAMES sleef.h)
heddle_require("sleef.h" HEDDLE_SLEEF_INCLUDE_DIR libsleef-dev)

# Sources include the generated header as "onnx.pb-c.h"; the messages are Onnx__ModelProto and kin.
set(HEDDLE_GENERATED_DIR ${PROJECT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${HEDDLE_GENERATED_DIR})
# Debian's is of IR version 8; functions have had default values since version 9 and overloads since 10.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${HEDDLE_ONNX_PROTO_DIR}/onnx/onnx.proto)
file(READ ${HEDDLE_ONNX_PROTO_DIR}/onnx/onnx.proto proto)
if(NOT proto MATCHES "attribute_proto = 11")
    string(REPLACE "optional string domain = 10;" "optional string domain = 10;
  repeated AttributeProto attribute_proto = 11;" proto "${proto}")
endif()
if(NOT proto MATCHES "overload = 13")
    string(REPLACE "optional string domain = 10;" "optional string domain = 10;
  optional string overload = 13;" proto "${proto}")
    string(REPLACE "optional string domain = 7;" "optional string domain = 7;
  optional string overload = 8;" proto "${proto}")
endif()
file(GENERATE OUTPUT ${HEDDLE_GENERATED_DIR}/onnx.proto CONTENT "${proto}")
add_custom_command(
    OUTPUT ${HEDDLE_GENERATED_DIR}/onnx.pb-c.c ${HEDDLE_GENERATED_DIR}/onnx.pb-c.h
    COMMAND ${HEDDLE_PROTOC_C} --proto_path=${HEDDLE_GENERATED_DIR}
            --c_out=${HEDDLE_GENERATED_DIR} onnx.proto
    DEPENDS ${HEDDLE_GENERATED_DIR}/onnx.proto
    COMMENT "Generating onnx.pb-c.c from onnx.proto"
    VERBATIM)

add_library(heddle_dependencies INTERFACE)
target_include_directories(heddle_dependencies SYSTEM INTERFACE
    ${HEDDLE_GENERATED_DIR} ${HEDDLE_PROTOBUF_C_INCLUDE_DIR}
    ${HEDDLE_SLEEF_INCLUDE_DIR})
set(HEDDLE_HIDDEN_ARCHIVES
    ${HEDDLE_PROTOBUF_C_LIBRARY})
set(HEDDLE_SYSTEM_LIBRARIES ${HEDDLE_SLEEF_LIBRARY} Threads::Threads m ${CMAKE_DL_LIBS})
