# One library target per folder: strata_library(name [DEPENDS targets...]) compiles every .cpp of
# the calling folder, with our warnings as errors and the include root at the project's top.

get_filename_component(STRATA_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(STRATA_WARNINGS -Wall -Wextra -Wconversion -Wshadow)
# Under a sanitizer g++ warns of code paths that only the instrumentation makes: the other builds
# have refused every real warning already.
if(NOT STRATA_SANITIZE)
  list(APPEND STRATA_WARNINGS -Werror)
endif()
# g++ 12 sees an overlap in std::string's operator+ that cannot be (its bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND STRATA_WARNINGS -Wno-restrict)
endif()

function(strata_target_defaults target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_VISIBILITY_PRESET hidden
                        VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target} PUBLIC ${STRATA_ROOT})
  # nvcc has flags of its own (StrataCuda.cmake).
  target_compile_options(${target} PRIVATE
                         "$<$<NOT:$<COMPILE_LANGUAGE:CUDA>>:${STRATA_WARNINGS};-ffp-contract=off>")
endfunction()

function(strata_library name)
  cmake_parse_arguments(arg "" "" "DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  if(sources)
    add_library(strata_${name} STATIC ${sources})
    strata_target_defaults(strata_${name})
    target_link_libraries(strata_${name} PUBLIC ${arg_DEPENDS} PRIVATE ${arg_PRIVATE_DEPENDS})
  else()
    add_library(strata_${name} INTERFACE)
    target_compile_features(strata_${name} INTERFACE cxx_std_20)
    target_include_directories(strata_${name} INTERFACE ${STRATA_ROOT})
    target_link_libraries(strata_${name} INTERFACE ${arg_DEPENDS} ${arg_PRIVATE_DEPENDS})
  endif()
  add_library(strata::${name} ALIAS strata_${name})
endfunction()
