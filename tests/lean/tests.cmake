# The Lean proofs: checked by Lean where there is one, else their transcript must be of these very sources.
if(NOT HEDDLE_SANITIZE)
    add_test(NAME lean.check COMMAND ${PROJECT_SOURCE_DIR}/verify/lean/check)
    add_test(NAME lean.check_can_fail COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/lean/check-can-fail ${PROJECT_SOURCE_DIR}/verify/lean)
    set_tests_properties(lean.check PROPERTIES LABELS structure TIMEOUT 900)
    set_tests_properties(lean.check_can_fail PROPERTIES LABELS structure TIMEOUT 120)
endif()
