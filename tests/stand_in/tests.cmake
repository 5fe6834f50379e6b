# A driver that stands in, and two that cannot be used, each found through LD_LIBRARY_PATH.
if(HEDDLE_HAVE_CUDA)
    set(stand_in_folder ${CMAKE_CURRENT_BINARY_DIR}/stand_in)
    foreach(kind IN ITEMS whole old)
        add_library(stand_in_${kind} SHARED ${CMAKE_CURRENT_LIST_DIR}/libcuda.c)
        target_include_directories(stand_in_${kind} PRIVATE ${HEDDLE_CUDA_HOME}/include)
        target_link_libraries(stand_in_${kind} PRIVATE heddle_flags)
        set_target_properties(stand_in_${kind} PROPERTIES
            OUTPUT_NAME cuda SUFFIX .so.1 LIBRARY_OUTPUT_DIRECTORY ${stand_in_folder}/${kind})
    endforeach()
    target_compile_definitions(stand_in_old PRIVATE MISSING)
    file(WRITE ${stand_in_folder}/broken/libcuda.so.1 "this is no library\n")
    set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/libcuda.c PROPERTIES COMPILE_OPTIONS -Wno-missing-prototypes)
    add_dependencies(stand_in_test_calls stand_in_whole)
    add_dependencies(stand_in_test_plans stand_in_whole)
    add_dependencies(stand_in_test_texts stand_in_whole)
    get_filename_component(cuda_tools ${HEDDLE_NVCC} DIRECTORY)
    target_compile_definitions(stand_in_test_texts PRIVATE HD_TEST_PTXAS="${cuda_tools}/ptxas")
    add_dependencies(stand_in_test_absence stand_in_old)
    set_tests_properties(stand_in.calls stand_in.plans stand_in.texts PROPERTIES
        ENVIRONMENT "${test_environment};LD_LIBRARY_PATH=${stand_in_folder}/whole")
    set_tests_properties(stand_in.absence PROPERTIES
        ENVIRONMENT "${test_environment};LD_LIBRARY_PATH=${stand_in_folder}/old;HEDDLE_TEST_REASON=too old: it has no cuTensorMapReplaceAddress")
    heddle_add_test(absence_broken stand_in stand_in_test_absence 120)
    set_tests_properties(stand_in.absence_broken PROPERTIES
        ENVIRONMENT "${test_environment};LD_LIBRARY_PATH=${stand_in_folder}/broken;HEDDLE_TEST_REASON=cannot be opened")
endif()
