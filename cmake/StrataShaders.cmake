# strata_shaders(target): compiles every shaders/*.comp with glslc and puts the SPIR-V into `target`
# as a table by file name (backends/vulkan/shader_table.h). A changed file of shaders/include/
# rebuilds the shaders that include it.
#
# A shader whose name ends in _coopmat is left out when this glslc does not know cooperative
# matrices: the devices then take the path of those that have none. STRATA_COMPILED_SHADERS names a
# folder of NAME.inc that another machine has compiled, for one that has no glslc.
include_guard()
set(STRATA_SHADER_DIR ${CMAKE_SOURCE_DIR}/shaders)

# TRUE into `out` if glslc compiles a shader that asks for cooperative matrices.
function(strata_glslc_knows_coopmat out)
  set(probe ${CMAKE_BINARY_DIR}/generated/coopmat_probe.comp)
  file(CONFIGURE OUTPUT ${probe} CONTENT "#version 460
#extension GL_KHR_cooperative_matrix : require
void main() {}
")
  execute_process(COMMAND ${STRATA_GLSLC} --target-env=vulkan1.2 -o /dev/null ${probe}
                  RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  if(failed)
    set(${out} FALSE PARENT_SCOPE)
  else()
    set(${out} TRUE PARENT_SCOPE)
  endif()
endfunction()

function(strata_shaders target)
  if(NOT STRATA_COMPILED_SHADERS)
    find_program(STRATA_GLSLC glslc REQUIRED)
    strata_glslc_knows_coopmat(coopmat)
  endif()
  file(GLOB shaders CONFIGURE_DEPENDS ${STRATA_SHADER_DIR}/*.comp)
  set(folder ${CMAKE_BINARY_DIR}/generated/shaders)
  file(MAKE_DIRECTORY ${folder})
  set(left_out "")
  set(outputs "")
  set(arrays "")
  set(rows "")
  foreach(shader IN LISTS shaders)
    get_filename_component(name ${shader} NAME_WE)
    set(output ${folder}/${name}.inc)
    if(STRATA_COMPILED_SHADERS)
      set(output ${STRATA_COMPILED_SHADERS}/${name}.inc)
      set(coopmat EXISTS ${output})
    endif()
    if(name MATCHES "_coopmat$" AND NOT (${coopmat}))
      list(APPEND left_out ${name})
      continue()
    endif()
    if(NOT STRATA_COMPILED_SHADERS)
      add_custom_command(OUTPUT ${output}
        COMMAND ${STRATA_GLSLC} --target-env=vulkan1.2 -O -Werror -I ${STRATA_SHADER_DIR}
                -MD -MF ${output}.d -MT ${output} -mfmt=c -o ${output} ${shader}
        DEPENDS ${shader} DEPFILE ${output}.d COMMENT "Compiling shader ${name}" VERBATIM)
    endif()
    list(APPEND outputs ${output})
    string(APPEND arrays "constexpr std::uint32_t k_${name}[] =\n#include \"${output}\"\n    ;\n")
    string(APPEND rows "    {\"${name}\", k_${name}},\n")
  endforeach()
  file(CONFIGURE OUTPUT ${folder}/shader_table.cpp @ONLY CONTENT
"// Written by cmake/StrataShaders.cmake.
#include \"backends/vulkan/shader_table.h\"

namespace strata::vulkan {
namespace {

@arrays@
constexpr Shader kShaders[] = {
@rows@};

}  // namespace

std::span<const Shader> shaders() { return kShaders; }

}  // namespace strata::vulkan
")
  target_sources(${target} PRIVATE ${folder}/shader_table.cpp)
  set_property(SOURCE ${folder}/shader_table.cpp APPEND PROPERTY OBJECT_DEPENDS "${outputs}")
  if(left_out)
    list(JOIN left_out " " left_out)
    strata_report("coopmat" OFF "this glslc lacks GL_KHR_cooperative_matrix: without ${left_out}")
  endif()
endfunction()
