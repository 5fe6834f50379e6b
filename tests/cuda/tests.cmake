# They use the driver's header, and a real device.
if(HEDDLE_HAVE_CUDA)
    target_include_directories(cuda_test_fault PRIVATE ${HEDDLE_CUDA_HOME}/include)
    target_include_directories(cuda_test_compiled PRIVATE ${HEDDLE_CUDA_HOME}/include)
endif()
