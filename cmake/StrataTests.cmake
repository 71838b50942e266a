# strata_test(name DEPENDS targets... [LABELS labels...] [SHARDS n] [THREADS filter] [RUNS_PROGRAM])
#
# compiles every .cpp of tests/<name>/ (or the SOURCES given) into the program <name>_test, and makes one ctest entry of
# it: starting a process per case would cost more than the cases do. With SHARDS the cases are
# dealt to n entries that can run side by side. Each entry leaves its cases' results as XML in
# <build>/test-results/, from which tools/test.sh counts. With RUNS_PROGRAM the tests run the command
# as a user does: STRATA_PROGRAM in their environment is its path.
#
# Labels: host (needs no device; every test has it), threads (THREADS was given: the cases that match
# the filter are those that run under ThreadSanitizer), house (rules of the source tree, not of the
# program).

add_custom_target(strata_thread_tests)

function(strata_test name)
  cmake_parse_arguments(arg "RUNS_PROGRAM" "SHARDS;THREADS" "DEPENDS;LABELS;SOURCES" ${ARGN})
  set(sources ${arg_SOURCES})
  if(NOT sources)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  endif()
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  strata_target_defaults(${name}_test)
  target_link_libraries(${name}_test PRIVATE ${arg_DEPENDS} strata_test_support GTest::gtest
                                             GTest::gtest_main GTest::gmock)
  set(filter "")
  if(arg_THREADS)
    list(APPEND arg_LABELS threads)
    add_dependencies(strata_thread_tests ${name}_test)
    if(STRATA_SANITIZE STREQUAL "thread")
      set(filter "--gtest_filter=${arg_THREADS}")
    endif()
  endif()
  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  math(EXPR last "${arg_SHARDS} - 1")
  if(arg_RUNS_PROGRAM AND TARGET strata)
    set(program "STRATA_PROGRAM=$<TARGET_FILE:strata>")
  endif()
  foreach(shard RANGE ${last})
    set(entry ${name}_test)
    if(arg_SHARDS GREATER 1)
      set(entry ${name}_test.${shard})
    endif()
    strata_add_gtest(${entry} ${name}_test ${filter})
    set_tests_properties(${entry} PROPERTIES
      LABELS "host;${arg_LABELS}"
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${shard};${program}")
  endforeach()
endfunction()

# The ctest entry `entry`, which runs the GoogleTest program `target` (with more arguments).
function(strata_add_gtest entry target)
  add_test(NAME ${entry} COMMAND ${target} --gtest_brief=1
           --gtest_output=xml:${CMAKE_BINARY_DIR}/test-results/${entry}.xml ${ARGN})
  set_tests_properties(${entry} PROPERTIES TIMEOUT 900)
endfunction()
