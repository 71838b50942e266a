#include "backends/module.h"

#include <fmt/format.h>
#include <strata_backends.h>
#include <strata_seam.h>

#include <cstring>
#include <filesystem>

#include "runtime/core/shared_library.h"

namespace strata {

BackendLibrary open_backend_library(const std::string& file) {
  std::string path;
  for (const char* folder : built::module_folders) {
    path = fmt::format("{}/{}/{}", program_folder(), folder, file);
    if (std::filesystem::exists(path)) break;
    path.clear();
  }
  if (path.empty())
    return {nullptr, fmt::format("{} is neither beside the program nor installed", file),
            "build it, or install the program with it"};
  const SharedLibrary library(path);
  if (!library.loaded())
    return {nullptr, fmt::format("{} cannot be loaded: {}", file, library.why()),
            "install the runtime library that it names"};
  auto* const entry = library.function<const BackendModule*()>("strata_backend");
  if (entry == nullptr)
    return {nullptr, fmt::format("{} has no entry strata_backend", path), "build it again"};
  const BackendModule* const module = entry();
  if (std::strcmp(module->seam, kSeam) != 0)
    return {nullptr, fmt::format("{} is of another build ({}, not {})", path, module->seam, kSeam),
            "build or install both again"};
  return {module, {}, {}};
}

}  // namespace strata
