# Writes OUTPUT: a digest of the headers that a backend in a library of its own shares with the
# program. A library of another build is refused by it, instead of being misread.
cmake_minimum_required(VERSION 3.24)
set(whole "")
string(REPLACE "|" ";" files "${FILES}")
foreach(file IN LISTS files)
  file(SHA256 ${file} digest)
  string(APPEND whole "${digest}")
endforeach()
string(SHA256 digest "${whole}")
string(SUBSTRING ${digest} 0 16 digest)
set(text "// Written by cmake/write_seam.cmake.
#pragma once

namespace strata {

inline constexpr const char* kSeam = \"${digest}\";

}  // namespace strata
")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "@text@" @ONLY)
