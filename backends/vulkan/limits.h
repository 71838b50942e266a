#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace strata::vulkan {

/// A matrix product that one subgroup does at once: (m, k) times (k, n), sums in f32 (of f16) or
/// i32 (of i8).
struct CooperativeShape {
  enum class Elements : std::uint8_t { f16, i8 };
  Elements elements;
  std::uint32_t m;
  std::uint32_t n;
  std::uint32_t k;
};

/// What ops choose their shaders and work-group sizes by; fixed for a device's lifetime.
struct VulkanLimits {
  std::uint32_t subgroup_size = 1;      ///< the width that a pipeline has which asks for none
  std::uint32_t min_subgroup_size = 1;  ///< may be asked for in pipeline() where less than the
  std::uint32_t max_subgroup_size = 1;  ///< maximum
  std::uint32_t shared_bytes = 0;       ///< of one work group
  std::array<std::uint32_t, 3> max_groups{};  ///< of one dispatch, x y z
  std::uint32_t max_invocations = 0;          ///< of one work group, and along x
  std::uint64_t max_buffer_bytes = 0;         ///< of one allocation
  /// Of host memory that is used in place; 0: the device cannot, or has memory of its own.
  std::uint64_t import_alignment = 0;
  bool has_subgroup_control = false;  ///< pipelines may ask for a subgroup size, and full subgroups
  bool has_subgroup_arithmetic = false;  ///< subgroupAdd and the like, in compute shaders
  bool has_subgroup_shuffle = false;
  bool has_int_dot = false;       ///< OpSDotKHR on packed bytes can be used
  bool has_fast_int_dot = false;  ///< ... and is one instruction (false on lavapipe)
  bool has_f16 = false;           ///< arithmetic on halves
  bool has_int8 = false;          ///< arithmetic on bytes (memory is read by 32-bit words anyway)
  bool has_coopmat = false;       ///< cooperative_shapes is not empty
  std::vector<CooperativeShape> cooperative_shapes;
  std::string why_no_coopmat;  ///< "" where has_coopmat: what the device lacks, or who forbids it
  /// The shapes are computed in plain arithmetic, as STRATA_VULKAN_COOPMAT=emulated wants it: a
  /// test of the shaders that are written for cooperative matrices.
  bool emulates_coopmat = false;
};

}  // namespace strata::vulkan
