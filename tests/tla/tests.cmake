# Specs, C code and tests speak of the same; TLC itself is run by `make test`'s phase tla.
if(NOT HEDDLE_SANITIZE)
    add_test(NAME tla.check COMMAND ${PROJECT_SOURCE_DIR}/verify/tla/check)
    add_test(NAME tla.check_can_fail COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tla/check-can-fail ${PROJECT_SOURCE_DIR})
    set_tests_properties(tla.check tla.check_can_fail PROPERTIES LABELS structure TIMEOUT 120)
endif()
