# Mutants: copies of one file of the library with one line broken; ThreadSanitizer must report each, and
# stay silent on the same program with the true file. Only in builds with -fsanitize=thread.
if(NOT HEDDLE_SANITIZE STREQUAL "thread")
    return()
endif()

# heddle_add_mutant(NAME PROGRAM FILE FROM TO [FROM TO]...): texts of FILE are replaced one by one.
function(heddle_add_mutant name program file)
    set(path ${PROJECT_SOURCE_DIR}/src/${file})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
    file(READ ${path} text)
    set(changes ${ARGN})
    while(changes)
        list(POP_FRONT changes from to)
        string(REPLACE "${from}" "${to}" mutated "${text}")
        if(mutated STREQUAL text)
            message(FATAL_ERROR "Mutant ${name}: ${file} has no '${from}'")
        endif()
        set(text "${mutated}")
    endwhile()
    set(source ${CMAKE_CURRENT_BINARY_DIR}/mutants/${name}.c)
    file(CONFIGURE OUTPUT ${source} CONTENT "@text@" @ONLY)
    # The mutated object comes first, so that the archive's own is not taken. Its checks are off: they
    # would stop it before the sanitizer sees it.
    add_executable(mutants_${name} ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/${program}.c ${source})
    set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-UHD_DEBUG_CHECKS;-w")
    target_link_libraries(mutants_${name} PRIVATE heddle_test_support)
    add_test(NAME mutants.${name}
        COMMAND ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/check-report race $<TARGET_FILE:mutants_${name}>)
    set_tests_properties(mutants.${name} PROPERTIES LABELS mutants TIMEOUT 120)
endfunction()

foreach(program early_slot leaving_caller)
    add_executable(mutants_none_${program} ${CMAKE_CURRENT_LIST_DIR}/${program}.c)
    target_link_libraries(mutants_none_${program} PRIVATE heddle_test_support)
    add_test(NAME mutants.none_${program}
        COMMAND ${CMAKE_CURRENT_LIST_DIR}/check-report clean $<TARGET_FILE:mutants_none_${program}>)
    set_tests_properties(mutants.none_${program} PROPERTIES LABELS mutants TIMEOUT 120)
endforeach()

heddle_add_mutant(slot_returned_before_the_run early_slot graph/model_run.c
    "hd_device_return(device, &lease)" "(void)device"
    "if (lease.is_delegated)" "if (hd_device_return(device, &lease), lease.is_delegated)")
heddle_add_mutant(caller_leaves_before_the_last_tiles leaving_caller hal/cpu/team.c
    "await_number(team, &job->done, (uint32_t)tile_count - own)" "(void)own")
heddle_add_mutant(caller_leaves_before_its_workers leaving_caller hal/cpu/team.c
    "await_number(team, &job->state, 0)" "(void)team")
heddle_add_mutant(tile_done_without_release leaving_caller hal/cpu/team.c
    "hd_add_release(&job->done, 1)" "hd_add_relaxed(&job->done, 1)")
