# GoogleTest as static libraries, from STRATA_GPU_PACK.
foreach(name gtest gtest_main gmock)
  add_library(GTest::${name} STATIC IMPORTED GLOBAL)
  set_target_properties(GTest::${name} PROPERTIES
    IMPORTED_LOCATION ${STRATA_GPU_PACK}/lib/lib${name}.a
    INTERFACE_INCLUDE_DIRECTORIES ${STRATA_GPU_PACK}/include)
endforeach()
set_property(TARGET GTest::gtest PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads)
set_property(TARGET GTest::gtest_main PROPERTY INTERFACE_LINK_LIBRARIES GTest::gtest)
set_property(TARGET GTest::gmock PROPERTY INTERFACE_LINK_LIBRARIES GTest::gtest)
set(GTest_FOUND TRUE)
set(GTest_VERSION "of the pack")
