# The program `stress THREADS SCALE ITER SEED`; short here, as long as one likes by hand.
add_executable(stress ${CMAKE_CURRENT_LIST_DIR}/stress.c ${CMAKE_CURRENT_LIST_DIR}/stress_later.c)
target_link_libraries(stress PRIVATE heddle_test_support)
heddle_add_test(few_threads stress stress 120 4 2 400 1)
heddle_add_test(many_threads stress stress 120 48 1 60 2)

# The program `shutdown ROUNDS SEED`; `make shutdown-long` plays 10,000 rounds.
add_executable(shutdown ${CMAKE_CURRENT_LIST_DIR}/shutdown.c)
target_link_libraries(shutdown PRIVATE heddle_test_support)
heddle_add_test(shutdown stress shutdown 120 300 1)
