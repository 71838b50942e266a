#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace strata::vulkan {

/// A compiled file of shaders/: its name without the ending, and its SPIR-V.
struct Shader {
  std::string_view name;
  std::span<const std::uint32_t> code;
};

/// Every shader of this build.
std::span<const Shader> shaders();

/// Whether shaders/<name>.comp is in this build: glslc may lack what a variant needs.
bool has_shader(std::string_view name);

}  // namespace strata::vulkan
