# The options of the build. Each is AUTO (on if everything it needs is found), ON (an error if
# something is missing) or OFF. Every decision is a row of the table at the end of configure.
#
#   strata_feature(NAME "what it is" AVAILABLE <bool> WHY <found what / missing what> [HINT <text>])
#
# declares the option STRATA_<NAME>, sets STRATA_<NAME>_ON and STRATA_<NAME>_WHY in the caller's scope
# and adds the row.
# WHY is shown in the table; with ON and nothing available it is the error, and HINT what to try.
function(strata_feature name what)
  cmake_parse_arguments(arg "" "AVAILABLE;WHY;HINT" "" ${ARGN})
  set(STRATA_${name} AUTO CACHE STRING "${what}: AUTO, ON or OFF")
  set_property(CACHE STRATA_${name} PROPERTY STRINGS AUTO ON OFF)
  strata_read_switch(STRATA_${name} asked)
  set(enabled OFF)
  set(why "${arg_WHY}")
  if(asked STREQUAL "OFF")
    set(why "switched off by -DSTRATA_${name}=OFF")
  elseif(arg_AVAILABLE)
    set(enabled ON)
  elseif(asked STREQUAL "ON")
    set(hint "${arg_HINT}")
    if(NOT hint)
      set(hint "install what is missing, or leave the option at AUTO")
    endif()
    message(FATAL_ERROR "STRATA_${name}=ON: ${arg_WHY}\n  Try: ${hint}")
  endif()
  set(STRATA_${name}_ON ${enabled} PARENT_SCOPE)
  set(STRATA_${name}_WHY "${why}" PARENT_SCOPE)
  strata_report("STRATA_${name}" "${enabled}" "${why}")
endfunction()

# Reads the cache variable `variable` as AUTO, ON or OFF (also true/false, yes/no, 1/0) into `out`.
function(strata_read_switch variable out)
  string(TOUPPER "${${variable}}" value)
  if(value MATCHES "^(AUTO|ON|OFF)$")
    set(${out} ${value} PARENT_SCOPE)
  elseif(value MATCHES "^(TRUE|YES|Y|1)$")
    set(${out} ON PARENT_SCOPE)
  elseif(value MATCHES "^(FALSE|NO|N|0)$")
    set(${out} OFF PARENT_SCOPE)
  else()
    message(FATAL_ERROR "${variable}: \"${${variable}}\" is not a value of this option\n"
                        "  Try: AUTO, ON or OFF")
  endif()
endfunction()

# Adds one row to the table: an option or a tool, its state (ON or OFF), and why.
function(strata_report option enabled why)
  if(enabled)
    set(state "on")
  else()
    set(state "off")
  endif()
  string(REPLACE ";" "," why "${why}")
  set_property(GLOBAL APPEND PROPERTY STRATA_FEATURE_ROWS "${option}|${state}|${why}")
  if(enabled AND option MATCHES "^STRATA_(.*)$")
    set_property(GLOBAL APPEND PROPERTY STRATA_FEATURES_ON "${CMAKE_MATCH_1}")
  endif()
endfunction()

# Prints the table. Called last, so that it stands at the end of the configure output.
function(strata_print_features)
  get_property(rows GLOBAL PROPERTY STRATA_FEATURE_ROWS)
  set(text "")
  foreach(row IN LISTS rows)
    string(REPLACE "|" ";" cells "${row}")
    list(GET cells 0 option)
    list(GET cells 1 state)
    list(GET cells 2 why)
    strata_pad("${option}" 15 option)
    strata_pad("${state}" 5 state)
    string(APPEND text "\n  ${option} | ${state} | ${why}")
  endforeach()
  message(STATUS "Strata ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}, "
                 "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}\n"
                 "  option          | state | why\n"
                 "  ----------------+-------+----------------------------------------------------"
                 "${text}")
endfunction()

# `text` filled with blanks to `width` characters, into `out`.
function(strata_pad text width out)
  string(LENGTH "${text}" length)
  if(length LESS width)
    math(EXPR missing "${width} - ${length}")
    string(REPEAT " " ${missing} blanks)
    string(APPEND text "${blanks}")
  endif()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# TRUE into `out` if `folder` (from the project's top) holds sources matching one of the patterns:
# a part of the design whose code is not in the tree yet cannot be switched on.
function(strata_has_sources out folder)
  set(found FALSE)
  foreach(pattern IN LISTS ARGN)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/${pattern})
    if(sources)
      set(found TRUE)
    endif()
  endforeach()
  set(${out} ${found} PARENT_SCOPE)
endfunction()
