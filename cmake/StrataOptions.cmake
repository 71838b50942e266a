# Which parts of Strata this build has, and why (docs/building.md).
include(StrataFeatures)
include(StrataToolkits)
include(StrataCuda)
include(StrataHip)

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug or RelWithDebInfo" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

strata_report("cpu backend" ON "always part of the build")

# A GPU backend, or NCCL, needs its code in this tree and its toolkit on this machine.
# strata_toolkit_feature(NAME "what" <finder> <folder> <source patterns...>)
macro(strata_toolkit_feature name what finder folder)
  cmake_language(CALL ${finder} toolkit)
  strata_has_sources(toolkit_code ${folder} ${ARGN})
  set(STRATA_${name}_TOOLKIT "${toolkit_TEXT}")
  if(toolkit_code)
    strata_feature(${name} "${what}" AVAILABLE ${toolkit_FOUND} WHY "${toolkit_TEXT}"
                   HINT "see docs/building.md for what ${what} needs")
  else()
    strata_feature(${name} "${what}" AVAILABLE FALSE
                   WHY "${what} is not in this tree yet (${toolkit_TEXT})"
                   HINT "leave it at AUTO: docs/backends.md says what runs today")
  endif()
endmacro()
strata_toolkit_feature(CUDA "the CUDA backend" strata_find_cuda backends/cuda backend.h)
strata_toolkit_feature(HIP "the HIP backend" strata_find_hip backends/hip backend.h)
if(STRATA_CUDA_ON OR (STRATA_HIP_ON AND STRATA_HIP_PLATFORM STREQUAL "nvidia"))
  strata_enable_cuda()
  list(JOIN CMAKE_CUDA_ARCHITECTURES " " architectures)
  string(APPEND STRATA_CUDA_TOOLKIT " for ${architectures}")
endif()
if(STRATA_HIP_ON AND STRATA_HIP_PLATFORM STREQUAL "amd")
  list(JOIN CMAKE_HIP_ARCHITECTURES " " architectures)
  string(APPEND STRATA_HIP_TOOLKIT " for ${architectures}")
endif()
strata_toolkit_feature(VULKAN "the Vulkan backend" strata_find_vulkan backends/vulkan *.cpp)
strata_toolkit_feature(NCCL "the NCCL transport" strata_find_nccl net nccl*.cpp)

# Linked into the program: it need not be where the program is run.
pkg_check_modules(URING QUIET liburing)
find_library(STRATA_URING_LIBRARY NAMES liburing.a HINTS ${URING_LIBRARY_DIRS})
if(URING_FOUND AND STRATA_URING_LIBRARY)
  strata_feature(URING "reads past the page cache with io_uring" AVAILABLE TRUE
                 WHY "liburing ${URING_VERSION}")
else()
  strata_feature(URING "reads past the page cache with io_uring" AVAILABLE FALSE
                 WHY "liburing not found: they are made one by one in each thread"
                 HINT "apt-get install liburing-dev")
endif()

strata_has_sources(server_code server *.cpp)
strata_feature(SERVER "the HTTP server" AVAILABLE ${server_code}
               WHY "the HTTP server is not in this tree yet"
               HINT "leave it at AUTO: the command line has everything that runs today")

find_package(GTest QUIET)
if(GTest_FOUND)
  strata_feature(TESTS "the tests" AVAILABLE TRUE WHY "GoogleTest ${GTest_VERSION}")
else()
  strata_feature(TESTS "the tests" AVAILABLE FALSE WHY "GoogleTest not found"
                 HINT "apt-get install libgtest-dev libgmock-dev")
endif()

strata_has_sources(bench_code bench */*.cpp)
strata_feature(BENCH "the micro-benchmarks" AVAILABLE ${bench_code}
               WHY "programs that time kernels against the machine's ceilings"
               HINT "leave it at AUTO")

include(StrataTools)
