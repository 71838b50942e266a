# fmt as headers alone, from STRATA_GPU_PACK.
add_library(fmt::fmt INTERFACE IMPORTED GLOBAL)
set_target_properties(fmt::fmt PROPERTIES INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1
                      INTERFACE_INCLUDE_DIRECTORIES ${STRATA_GPU_PACK}/include)
set(fmt_FOUND TRUE)
