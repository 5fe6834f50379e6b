# Both programs use the program's ten cases, and the public interface alone.
set(case_sources cases.c case_reference.c random.c process.c failure.c)
list(TRANSFORM case_sources PREPEND ${PROJECT_SOURCE_DIR}/src/cli/)
foreach(target bits_test_bits bits_test_flat)
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/subject.c ${case_sources})
endforeach()
target_sources(bits_test_flat PRIVATE ${PROJECT_SOURCE_DIR}/src/cli/malloc_count.c)
get_property(bits_tests DIRECTORY PROPERTY TESTS)
list(FILTER bits_tests INCLUDE REGEX "^bits\\..*\\.(cpu|sim)$")
set_tests_properties(${bits_tests} PROPERTIES PROCESSORS 2)
# What is resident is measured, so nothing else shall make the system take memory back meanwhile.
set_tests_properties(bits.flat PROPERTIES RUN_SERIAL TRUE)
# The ten cases through a batch queue of 1, 2 and 4 workers, by the program itself.
if(TARGET heddle_program AND NOT HEDDLE_SANITIZE AND NOT HEDDLE_FUZZ)
    add_test(NAME bits.batches
        COMMAND heddle_program bench cases --via batch-1,batch-2,batch-4 --threads 8 --seconds 0.05 --repeat 3)
    set_tests_properties(bits.batches PROPERTIES LABELS bits TIMEOUT 300 PROCESSORS 2
        ENVIRONMENT "${test_environment}")
endif()
