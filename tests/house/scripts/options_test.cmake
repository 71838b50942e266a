# Configures a small project that uses cmake/StrataFeatures.cmake with each value of an option, and
# looks at the table and at the errors. Called with -D MODULES=<cmake folder> -D WORK=<folder>.
cmake_minimum_required(VERSION 3.24)
file(REMOVE_RECURSE ${WORK})
file(WRITE ${WORK}/CMakeLists.txt "
cmake_minimum_required(VERSION 3.24)
project(probe LANGUAGES NONE)
list(APPEND CMAKE_MODULE_PATH ${MODULES})
include(StrataFeatures)
strata_feature(HAS \"a thing\" AVAILABLE TRUE WHY \"thing 1.2\")
strata_feature(LACKS \"another\" AVAILABLE FALSE WHY \"another not found\" HINT \"buy one\")
message(STATUS \"state HAS=\${STRATA_HAS_ON} LACKS=\${STRATA_LACKS_ON}\")
strata_print_features()
")

# configure(<must succeed?> <text that must be in the output>... [ARGS <cmake arguments>...])
function(configure succeeds)
  cmake_parse_arguments(arg "" "" "ARGS" ${ARGN})
  file(REMOVE_RECURSE ${WORK}/build)
  execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${WORK} -B ${WORK}/build ${arg_ARGS}
                  OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE status)
  string(APPEND out "${err}")
  if((status EQUAL 0) AND NOT succeeds OR (NOT status EQUAL 0) AND succeeds)
    message(FATAL_ERROR "configure with \"${arg_ARGS}\" ended with ${status}:\n${out}")
  endif()
  foreach(text IN LISTS arg_UNPARSED_ARGUMENTS)
    string(FIND "${out}" "${text}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "configure with \"${arg_ARGS}\" does not say \"${text}\":\n${out}")
    endif()
  endforeach()
endfunction()

configure(TRUE "state HAS=ON LACKS=OFF" "STRATA_HAS      | on    | thing 1.2"
          "STRATA_LACKS    | off   | another not found")
configure(TRUE "state HAS=OFF LACKS=OFF" "STRATA_HAS      | off   | switched off by -DSTRATA_HAS=OFF"
          ARGS -DSTRATA_HAS=OFF)
configure(TRUE "state HAS=ON" ARGS -DSTRATA_HAS=on -DSTRATA_LACKS=auto)
configure(TRUE "state HAS=OFF" ARGS -DSTRATA_HAS=0)
configure(FALSE "STRATA_LACKS=ON: another not found" "buy one" ARGS -DSTRATA_LACKS=ON)
configure(FALSE "\"perhaps\" is not a value" ARGS -DSTRATA_HAS=perhaps)
