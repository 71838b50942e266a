# Writes OUTPUT (strata_version.h), only if it would change: nothing that includes it is rebuilt
# otherwise. Called by every build with the facts that configure knows (StrataVersion.cmake).
cmake_minimum_required(VERSION 3.24)
set(commit "unknown")
find_program(git git)
if(git AND EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND ${git} -C ${SOURCE_DIR} describe --always --dirty --abbrev=12
                          --match v[0-9]*
                  OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                  RESULT_VARIABLE failed)
  if(NOT failed AND described)
    set(commit ${described})
  endif()
endif()

set(text "// Written by every build (cmake/write_version.cmake).
#pragma once

#include <string_view>

namespace strata::version {

inline constexpr std::string_view number = \"${VERSION}\";
inline constexpr std::string_view commit = \"${commit}\";
inline constexpr std::string_view compiler = \"${COMPILER}\";
inline constexpr std::string_view build_type = \"${BUILD_TYPE}\";
inline constexpr std::string_view system = \"${SYSTEM}\";
inline constexpr std::string_view features = \"${FEATURES}\";  // options that are on

}  // namespace strata::version
")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "@text@" @ONLY)
