# Completed below by the CMake package and the pkg-config file.
install(TARGETS heddle LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
