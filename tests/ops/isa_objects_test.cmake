# The objects of the per-ISA kernels define no symbol that another object could share: none that is
# weak or unique (an inline function, a template), and none outside of the variant's own namespace.
# Of a shared symbol the linker keeps one copy, perhaps the one for a CPU that is not there.
#
#   cmake -D NM=<nm> -D ISA=<name> -D OBJECTS=<a|b|c> -P isa_objects_test.cmake
string(REPLACE "|" ";" OBJECTS "${OBJECTS}")
list(LENGTH OBJECTS count)
if(count EQUAL 0)
  message(FATAL_ERROR "no objects given for ${ISA}")
endif()
execute_process(COMMAND ${NM} --defined-only ${OBJECTS} OUTPUT_VARIABLE text
                COMMAND_ERROR_IS_FATAL ANY)
string(LENGTH "${ISA}" length)
set(own "_ZN6strata3cpu${length}${ISA}")
string(REPLACE "\n" ";" lines "${text}")
set(checked 0)
set(bad "")
foreach(line IN LISTS lines)
  if(NOT line MATCHES "^[0-9a-f]+ ([A-Za-z]) (.+)$")
    continue()
  endif()
  set(kind "${CMAKE_MATCH_1}")
  # AddressSanitizer marks each global object with a symbol made of its name.
  string(REGEX REPLACE "^__odr_asan\\." "" symbol "${CMAKE_MATCH_2}")
  math(EXPR checked "${checked} + 1")
  if(kind MATCHES "^[WVuvw]$")
    list(APPEND bad "weak: ${symbol}")
  elseif(kind MATCHES "^[TDBRCG]$")
    string(FIND "${symbol}" "${own}" at)
    if(NOT at EQUAL 0)
      list(APPEND bad "outside of the variant's namespace: ${symbol}")
    endif()
  endif()
endforeach()
if(checked EQUAL 0)
  message(FATAL_ERROR "${NM} listed no symbols in ${count} objects of ${ISA}")
endif()
if(bad)
  list(JOIN bad "\n  " bad)
  message(FATAL_ERROR "kernels of ${ISA} define symbols that may leak:\n  ${bad}\n"
                      "Try: make helpers `static inline`, use no std:: templates (kernels/isa.h)")
endif()
message(STATUS "${ISA}: ${checked} symbols in ${count} objects, none can leak")
