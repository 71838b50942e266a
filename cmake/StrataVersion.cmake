# strata::version: the header strata_version.h with the facts of this build. It is refreshed by
# every build (a commit needs no new configure) and written only when a fact has changed.
set(strata_version_dir ${CMAKE_BINARY_DIR}/generated)
get_property(strata_features_on GLOBAL PROPERTY STRATA_FEATURES_ON)
list(JOIN strata_features_on " " strata_features_on)
string(STRIP "${CMAKE_BUILD_TYPE} ${STRATA_SANITIZE}" strata_build_type)

add_custom_target(strata_version_header
  COMMAND ${CMAKE_COMMAND}
          -D "SOURCE_DIR=${CMAKE_SOURCE_DIR}"
          -D "OUTPUT=${strata_version_dir}/strata_version.h"
          -D "VERSION=${PROJECT_VERSION}"
          -D "COMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
          -D "BUILD_TYPE=${strata_build_type}"
          -D "SYSTEM=${CMAKE_SYSTEM_NAME} ${CMAKE_SYSTEM_PROCESSOR}"
          -D "FEATURES=${strata_features_on}"
          -P ${CMAKE_SOURCE_DIR}/cmake/write_version.cmake
  BYPRODUCTS ${strata_version_dir}/strata_version.h
  COMMENT "Looking at the version"
  VERBATIM)

add_library(strata_version INTERFACE)
add_library(strata::version ALIAS strata_version)
target_include_directories(strata_version INTERFACE ${strata_version_dir})
add_dependencies(strata_version strata_version_header)
