# The program `stress THREADS SCALE ITER SEED`; short here, as long as one likes by hand.
add_executable(stress ${CMAKE_CURRENT_LIST_DIR}/stress.c ${CMAKE_CURRENT_LIST_DIR}/stress_later.c)
target_link_libraries(stress PRIVATE heddle_test_support)
set(stress_source ${CMAKE_CURRENT_LIST_DIR}/stress.c)
heddle_add_device_tests(few_threads stress stress 120 ${stress_source} 4 2 400 1)
heddle_add_device_tests(many_threads stress stress 120 ${stress_source} 48 1 60 2)

# The program `shutdown ROUNDS SEED`; `make shutdown-long` plays 10,000 rounds.
add_executable(shutdown ${CMAKE_CURRENT_LIST_DIR}/shutdown.c)
target_link_libraries(shutdown PRIVATE heddle_test_support)
heddle_add_device_tests(shutdown stress shutdown 120 ${CMAKE_CURRENT_LIST_DIR}/shutdown.c 300 1)
