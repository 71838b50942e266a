# Stands in for pkg-config on a machine that has none of the libraries' packages: they are those of
# the folder that `check.sh pack` made (STRATA_GPU_PACK).
macro(pkg_check_modules prefix)
  if("${ARGN}" MATCHES "libpcre2-8")
    strata_packed_library(${prefix} libpcre2-8.a)
  elseif("${ARGN}" MATCHES "libutf8proc")
    strata_packed_library(${prefix} libutf8proc.a)
  elseif("${ARGN}" MATCHES "libxxhash")
    strata_packed_library(${prefix} libxxhash.a)
  else()
    set(${prefix}_FOUND FALSE)  # what is optional
  endif()
endmacro()

function(strata_packed_library name file)
  add_library(PkgConfig::${name} STATIC IMPORTED GLOBAL)
  set_target_properties(PkgConfig::${name} PROPERTIES
    IMPORTED_LOCATION ${STRATA_GPU_PACK}/lib/${file}
    INTERFACE_INCLUDE_DIRECTORIES ${STRATA_GPU_PACK}/include)
  # utf8proc's header would else ask for the shared library's names.
  set_property(TARGET PkgConfig::${name} PROPERTY
               INTERFACE_COMPILE_DEFINITIONS UTF8PROC_STATIC PCRE2_STATIC)
endfunction()

set(PkgConfig_FOUND TRUE)
set(PKG_CONFIG_FOUND TRUE)
