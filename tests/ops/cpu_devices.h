#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "tests/parity/weight_ops.h"

namespace strata::test {

/// Calls `body` with a device of every ISA variant that this CPU runs, with `threads` threads.
void for_each_isa(int threads, const std::function<void(cpu::CpuDevice&)>& body);

namespace weights {

/// Names of the instruction sets that this CPU runs, best first.
std::vector<std::string> runnable_isas();

/// A device of that instruction set and so many threads, made once.
cpu::CpuDevice& cpu_device(const std::string& isa, int threads);

}  // namespace weights
}  // namespace strata::test
