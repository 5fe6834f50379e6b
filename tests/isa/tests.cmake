# The kernels' own tests, and ONNX's, again on each instruction set that the processor has; without HEDDLE_ISA they
# run on the best one alone. In optimized builds only: checks and sanitizers change none of it.
if(HEDDLE_SANITIZE OR HEDDLE_FUZZ OR HEDDLE_DEBUG_CHECKS OR NOT TARGET heddle_program)
    return()
endif()
foreach(set baseline avx2 avx512)
    foreach(test unit_test_gemm unit_test_vector_math unit_test_extremes unit_test_ops_attention
            unit_test_ops_convolution unit_test_ops_elementwise unit_test_ops_matrix unit_test_ops_movement
            unit_test_ops_normalization unit_test_ops_reduction unit_test_ops_spatial models_test_half
            conformance_test_conformance opset_test_opset)
        string(REGEX REPLACE "^[a-z]+_test_" "" name ${test})
        add_test(NAME isa.${set}.${name}
            COMMAND ${CMAKE_CURRENT_LIST_DIR}/with-isa ${set} $<TARGET_FILE:heddle_program> $<TARGET_FILE:${test}>
            WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
        set_tests_properties(isa.${set}.${name} PROPERTIES LABELS isa TIMEOUT 300 SKIP_RETURN_CODE 77)
    endforeach()
endforeach()
