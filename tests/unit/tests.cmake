# Lets the test count how many plans are made.
target_link_options(unit_test_flights PRIVATE -Wl,--wrap=hd_plan_cache_finish)
# It opens and closes libheddle.so.
add_dependencies(unit_test_process_end heddle)
# It counts the calls of malloc.
target_sources(unit_test_warm PRIVATE ${PROJECT_SOURCE_DIR}/src/cli/malloc_count.c)
# They compute for long, so that there is something to stop.
math(EXPR long_timeout "300 * ${timeout_factor}")
set_tests_properties(unit.stop_gaps unit.cancel_ways PROPERTIES TIMEOUT ${long_timeout})
# One program each, in two files.
target_sources(unit_test_faults PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fault_later.c ${CMAKE_CURRENT_LIST_DIR}/fault_runs.c)
target_sources(unit_test_faults_cpu PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fault_runs.c)
target_sources(unit_test_fork PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fork_calls.c)
# It measures times, a minute of a core: where checks or a sanitizer slow it down, nothing is learned for many more.
# unit.cancel_ways, which stops the same runs from other threads, is there in every build.
if(HEDDLE_SANITIZE OR HEDDLE_DEBUG_CHECKS)
    set_tests_properties(unit.stop_gaps PROPERTIES DISABLED TRUE)
endif()
