# `cmake --install`: headers, both libraries, the program, the CMake package and the pkg-config file.
# All paths inside are relative to the prefix, so the installed tree may be moved.

include(CMakePackageConfigHelpers)

set(HEDDLE_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/heddle)

install(FILES ${HEDDLE_PUBLIC_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/heddle)
install(FILES ${HEDDLE_STATIC_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS heddle EXPORT heddle_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET heddle_program)
    install(TARGETS heddle_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# heddle::heddle comes from the export; heddle::heddle_static is written in the package file, since
# the merged archive is no target of CMake's own.
install(EXPORT heddle_targets NAMESPACE heddle:: DESTINATION ${HEDDLE_PACKAGE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/heddle-config.cmake.in
    ${PROJECT_BINARY_DIR}/heddle-config.cmake
    INSTALL_DESTINATION ${HEDDLE_PACKAGE_DIR}
    PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/heddle-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/heddle-config.cmake ${PROJECT_BINARY_DIR}/heddle-config-version.cmake
    DESTINATION ${HEDDLE_PACKAGE_DIR})

# pkg-config: from lib/<triplet>/pkgconfig up to the prefix, counted from CMAKE_INSTALL_LIBDIR.
file(RELATIVE_PATH HEDDLE_PC_PREFIX "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
string(REGEX REPLACE "/$" "" HEDDLE_PC_PREFIX "${HEDDLE_PC_PREFIX}")
configure_file(${PROJECT_SOURCE_DIR}/cmake/heddle.pc.in ${PROJECT_BINARY_DIR}/heddle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/heddle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
