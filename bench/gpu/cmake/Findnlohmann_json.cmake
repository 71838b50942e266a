# nlohmann-json, from STRATA_GPU_PACK.
add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED GLOBAL)
set_target_properties(nlohmann_json::nlohmann_json PROPERTIES
                      INTERFACE_INCLUDE_DIRECTORIES ${STRATA_GPU_PACK}/include)
set(nlohmann_json_FOUND TRUE)
