#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/simt/launch.h"

namespace strata::STRATA_SIMT {

/// What the vendor's runtime says of a device.
struct Properties {
  std::string name;
  std::string arch;    ///< "sm_90", "gfx942"
  std::string driver;  ///< its name and version; may be empty
  std::uint64_t memory_bytes = 0;
  std::size_t shared_bytes = 0;  ///< the most that one block may have
  int lanes = 0;
  int compute_units = 0;
  bool unified = false;
  bool has_bf16_tiles = false;   ///< matrix instructions on bf16
  bool can_overlap = false;      ///< kernels may begin before the previous one has ended
  bool has_memory_pools = true;  ///< stream-ordered allocation
  bool can_register = false;     ///< reads registered host memory at its own address
};

}  // namespace strata::STRATA_SIMT
