# The program's command line, by Python's unittest; in builds without a sanitizer a preloaded library
# also disturbs its runs, to show that it notices.
find_program(HEDDLE_PYTHON NAMES python3)
mark_as_advanced(HEDDLE_PYTHON)
if(NOT TARGET heddle_program OR NOT HEDDLE_PYTHON)
    message(STATUS "The program's tests need the program and python3")
    return()
endif()
set(cli_environment ${test_environment} "HEDDLE_PROGRAM=$<TARGET_FILE:heddle_program>"
    "HEDDLE_SANITIZED=${HEDDLE_SANITIZE}"
    "PYTHONDONTWRITEBYTECODE=1")
if(NOT HEDDLE_SANITIZE AND NOT HEDDLE_FUZZ)
    add_library(cli_disturb_runs MODULE ${CMAKE_CURRENT_LIST_DIR}/disturb_runs.c)
    target_include_directories(cli_disturb_runs PRIVATE ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(cli_disturb_runs PRIVATE heddle_flags ${CMAKE_DL_LIBS})
    list(APPEND cli_environment "HEDDLE_DISTURB=$<TARGET_FILE:cli_disturb_runs>")
endif()
foreach(group usage info inspect run bench)
    heddle_add_test(${group} cli ${HEDDLE_PYTHON} 120 ${CMAKE_CURRENT_LIST_DIR}/program_test.py ${group})
    set_tests_properties(cli.${group} PROPERTIES ENVIRONMENT "${cli_environment}")
endforeach()
heddle_add_test(verify cli ${HEDDLE_PYTHON} 120 ${CMAKE_CURRENT_LIST_DIR}/verify_test.py)
set_tests_properties(cli.verify PROPERTIES ENVIRONMENT "${cli_environment}")
