# Tests of the public interface open test_device_name() (support/test_device.h) and run once a device: their names end in
# .cpu or .sim. Those listed here ask for what is the CPU's own.
set(HEDDLE_TESTS_OF_CPU
    unit.budget       # weighs what stays of a model's constants; sim has a copy of its own
    unit.cancel       # a device does not look at a stop within what was submitted
    unit.cancel_files # uses libheddle.so, which has no sim
    unit.cancel_ways  # as unit.cancel
    unit.device       # names the device
    unit.long_runs    # who computes a long run: on a device it does
    unit.memory_limit # limits that fit the CPU's sizes
    unit.process_end  # uses libheddle.so
    unit.rows_split   # rows of a batch one by one, for the core's caches
    unit.sized        # names the device
    unit.stop_gaps    # as unit.cancel
    unit.warm         # counts what the CPU's run allocates
    conformance.stop_gaps
    bits.flat)        # counts what the CPU's run allocates
# What a CUDA device cannot keep: between its arithmetic and the host's the bits may differ.
set(HEDDLE_TESTS_NOT_OF_CUDA
    unit.fork         # the driver serves no child of a process that has used it
    unit.loop_parts   # compares the bits of turns that the host runs with those of turns written out for the device
    unit.operands)    # bounds the address space, of which the driver takes hundreds of GB; compares with what the host folds
# Under sanitizers, in ordinary test runs: those that touch every synchronized object. All with HEDDLE_TEST_ALL.
set(HEDDLE_TESTS_OF_SIM_SANITIZED
    unit.async unit.batch unit.event unit.flights unit.lifecycle unit.memory unit.outcome unit.plan_folds unit.precision unit.segments
    unit.wait
    stress.few_threads)

# Adds a test for each device.
function(heddle_add_device_tests name folder target timeout source)
    set(full ${folder}.${name})
    file(STRINGS ${source} asks REGEX "test_device_name\\(\\)|device_fixture\\.h|gate_device\\.h|row_run\\.h|rows_fixture\\.h")
    if(NOT asks OR full IN_LIST HEDDLE_TESTS_OF_CPU)
        heddle_add_test(${name} ${folder} ${target} ${timeout} ${ARGN})
        return()
    endif()
    set(devices cpu)
    if(NOT HEDDLE_SANITIZE OR HEDDLE_TEST_ALL OR full IN_LIST HEDDLE_TESTS_OF_SIM_SANITIZED)
        list(APPEND devices sim)
    endif()
    if(HEDDLE_HAVE_CUDA AND NOT HEDDLE_SANITIZE AND NOT full IN_LIST HEDDLE_TESTS_NOT_OF_CUDA)
        list(APPEND devices cuda)
    endif()
    foreach(device IN LISTS devices)
        set(parts ${name})
        set(environment "${test_environment};HEDDLE_TEST_DEVICE=${device}")
        if(device STREQUAL "sim" AND folder STREQUAL "bits") # each launch is late, so a repeat takes minutes
            list(APPEND environment HEDDLE_BITS_REPEATS=1)
            if(HEDDLE_SANITIZE) # a test for each behaviour, since all take longer than a test may
                set(parts many_threads rows_of stacked workers another_process callers_float)
            endif()
        elseif(folder STREQUAL "bits" AND HEDDLE_SANITIZE MATCHES "address" AND NOT HEDDLE_TEST_ALL)
            # without many_threads, half of their time: ThreadSanitizer's, and no kernel there that others do not run
            set(parts rows_of stacked workers another_process callers_float)
        endif()
        foreach(part IN LISTS parts)
            if(part STREQUAL name)
                heddle_add_test(${name}.${device} ${folder} ${target} ${timeout} ${ARGN})
            else()
                heddle_add_test(${part}.${device} ${folder} ${target} ${timeout} "${part}*")
            endif()
            set_tests_properties(${folder}.${part}.${device} PROPERTIES ENVIRONMENT "${environment}")
        endforeach()
        if(device STREQUAL "cuda") # `make test-cuda`: they need a GPU
            set_tests_properties(${full}.${device} PROPERTIES LABELS cuda)
        endif()
    endforeach()
endfunction()
