# What this machine has for the optional parts. Each function sets two variables in the caller's
# scope: <PREFIX>_FOUND, and <PREFIX>_TEXT for the table ("nvcc 13.0", "hipcc not found").

# First line of `program --version`'s output that matches `pattern`; its first group into `out`.
function(strata_program_version program pattern out)
  set(version "")
  execute_process(COMMAND ${program} --version OUTPUT_VARIABLE text ERROR_QUIET
                  RESULT_VARIABLE failed TIMEOUT 20)
  if(NOT failed AND text MATCHES "${pattern}")
    set(version "${CMAKE_MATCH_1}")
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# STRATA_COMPILED_SHADERS is a folder of shaders that another machine's glslc has compiled.
function(strata_find_vulkan prefix)
  find_path(header vulkan/vulkan_core.h HINTS ${STRATA_VULKAN_INCLUDE} NO_CACHE)
  find_program(glslc NAMES glslc NO_CACHE)
  set(${prefix}_FOUND FALSE PARENT_SCOPE)
  if(NOT header)
    set(${prefix}_TEXT "Vulkan headers not found" PARENT_SCOPE)
  elseif(NOT glslc AND NOT STRATA_COMPILED_SHADERS)
    set(${prefix}_TEXT "shader compiler glslc not found" PARENT_SCOPE)
  else()
    set(${prefix}_FOUND TRUE PARENT_SCOPE)
    file(STRINGS ${header}/vulkan/vulkan_core.h line REGEX "define VK_HEADER_VERSION [0-9]+")
    string(REGEX MATCH "[0-9]+$" version "${line}")
    set(compiler "glslc")
    if(STRATA_COMPILED_SHADERS)
      set(compiler "shaders compiled before")
    endif()
    set(${prefix}_TEXT "headers 1.x.${version}, ${compiler}" PARENT_SCOPE)
  endif()
endfunction()

# NCCL is opened at run time: only its header is looked for.
function(strata_find_nccl prefix)
  find_path(header nccl.h PATHS /usr/local/cuda/include $ENV{CUDA_PATH}/include NO_CACHE)
  set(${prefix}_FOUND FALSE PARENT_SCOPE)
  set(${prefix}_TEXT "nccl.h not found" PARENT_SCOPE)
  if(header)
    set(${prefix}_FOUND TRUE PARENT_SCOPE)
    set(${prefix}_TEXT "nccl.h in ${header}" PARENT_SCOPE)
  endif()
endfunction()
