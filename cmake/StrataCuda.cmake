# The CUDA toolkit: finds nvcc, sees whether it compiles, and switches the language on.

# What the kernels are compiled for where CMAKE_CUDA_ARCHITECTURES (or CUDAARCHS) does not say:
# A100, Hopper with its own instructions, Blackwell of data centres and of desks, and PTX for later.
set(STRATA_CUDA_STANDARD_ARCHITECTURES 80-real 90a-real 100-real 120)

# The first nvcc of: CMAKE_CUDA_COMPILER, CUDACXX, PATH, CUDA_PATH, /usr/local/cuda, and the wheels
# that tools/setup.sh --with-cuda brings. Empty if there is none.
function(strata_find_nvcc out)
  set(nvcc ${CMAKE_CUDA_COMPILER})
  if(NOT nvcc AND EXISTS "$ENV{CUDACXX}")
    set(nvcc $ENV{CUDACXX})
  endif()
  if(NOT nvcc)
    file(GLOB wheels ${CMAKE_SOURCE_DIR}/.cache/cuda/lib/python3*/site-packages/nvidia/cu13/bin)
    find_program(nvcc NAMES nvcc PATHS $ENV{CUDA_PATH}/bin /usr/local/cuda/bin ${wheels} NO_CACHE)
  endif()
  if(NOT nvcc)
    set(nvcc "")
  endif()
  set(${out} "${nvcc}" PARENT_SCOPE)
endfunction()

function(strata_find_cuda prefix)
  set(${prefix}_FOUND FALSE PARENT_SCOPE)
  strata_find_nvcc(nvcc)
  if(NOT nvcc)
    set(${prefix}_TEXT "no CUDA toolkit: nvcc not found" PARENT_SCOPE)
    return()
  endif()
  strata_program_version(${nvcc} "release ([0-9.]+)" version)
  if(NOT version)
    set(${prefix}_TEXT "${nvcc} does not answer --version" PARENT_SCOPE)
    return()
  elseif(version VERSION_LESS 13)
    set(${prefix}_TEXT "nvcc ${version} is too old: 13.0 is needed" PARENT_SCOPE)
    return()
  endif()
  set(trial ${CMAKE_BINARY_DIR}/trials/cuda.cu)
  file(WRITE ${trial} "__global__ void nothing() {}\n")
  strata_try_command(CUDA error ${nvcc} -std=c++20 -c ${trial} -o ${trial}.o)
  if(error)
    set(${prefix}_TEXT "nvcc ${version} does not compile: ${error}" PARENT_SCOPE)
    return()
  endif()
  set(${prefix}_FOUND TRUE PARENT_SCOPE)
  set(${prefix}_TEXT "nvcc ${version}" PARENT_SCOPE)
endfunction()

# Runs a command once per build folder; what it says is wrong, or nothing, goes into `out`.
function(strata_try_command name out)
  if(NOT "${STRATA_TRIED_${name}}" STREQUAL "${ARGN}")
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE text
                    RESULT_VARIABLE failed TIMEOUT 120)
    set(line "")
    if(failed)
      string(REGEX MATCH "[^\n]*[Ee]rror[^\n;]*" line "${text}")
      if(NOT line)
        set(line "it ends with ${failed}")
      endif()
    endif()
    set(STRATA_TRIED_${name} "${ARGN}" CACHE INTERNAL "the command that was tried")
    set(STRATA_TRIED_${name}_ERROR "${line}" CACHE INTERNAL "what it said")
  endif()
  set(${out} "${STRATA_TRIED_${name}_ERROR}" PARENT_SCOPE)
endfunction()

# Switches the language on with the architectures that this nvcc knows.
macro(strata_enable_cuda)
  if(NOT CMAKE_CUDA_COMPILER)
    strata_find_nvcc(strata_nvcc)
    set(CMAKE_CUDA_COMPILER ${strata_nvcc} CACHE FILEPATH "the CUDA compiler")
  endif()
  if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    strata_known_cuda_architectures(${CMAKE_CUDA_COMPILER} strata_architectures)
    set(CMAKE_CUDA_ARCHITECTURES ${strata_architectures}
        CACHE STRING "what the CUDA kernels are compiled for" FORCE)
  endif()
  enable_language(CUDA)
  # CMake before 3.25.2 does not know CUDA 13's flag for C++20.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
endmacro()

# Those of the standard architectures that this nvcc knows.
function(strata_known_cuda_architectures nvcc out)
  execute_process(COMMAND ${nvcc} --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET TIMEOUT 20)
  set(chosen "")
  foreach(architecture IN LISTS STRATA_CUDA_STANDARD_ARCHITECTURES)
    string(REGEX MATCH "^[0-9]+" number ${architecture})  # variants like 90a are not listed
    if("${known}\n" MATCHES "sm_${number}\n")
      list(APPEND chosen ${architecture})
    endif()
  endforeach()
  set(${out} "${chosen}" PARENT_SCOPE)
endfunction()

# Warnings of kernels and of their host code are errors, as everywhere (StrataTargets.cmake). No
# contraction either: the same bits on every twin, and kernels say fma_of() where they want one.
set(STRATA_CUDA_OPTIONS -Werror=all-warnings -Xcompiler=-Wall,-Wextra,-Wshadow,-Werror
    --expt-relaxed-constexpr --fmad=false)

# The library or module `target`, whose .cu files nvcc compiles.
function(strata_cuda_defaults target)
  strata_target_defaults(${target})
  set_target_properties(${target} PROPERTIES CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON
                        CUDA_EXTENSIONS OFF CUDA_VISIBILITY_PRESET hidden
                        CUDA_RUNTIME_LIBRARY Static LINKER_LANGUAGE CXX)
  target_compile_options(${target} PRIVATE
                         "$<$<COMPILE_LANGUAGE:CUDA>:${STRATA_CUDA_OPTIONS}>")
endfunction()
