#include "backends/sim/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runtime/core/error.h"

namespace strata::sim {

void ask_for_fault(Faults& faults, std::string_view wish) {
  const std::size_t colon = std::min(wish.find(':'), wish.size());
  const std::string_view what = wish.substr(0, colon);
  const std::string_view number = wish.substr(std::min(colon + 1, wish.size()));
  std::int64_t count = -1;
  const auto [end, failure] = std::from_chars(number.begin(), number.end(), count);
  std::atomic<std::int64_t>* failing = nullptr;
  if (what == "op") failing = &faults.failing_op;
  if (what == "copy") failing = &faults.failing_copy;
  if (what == "allocation") failing = &faults.failing_allocation;
  if (failing == nullptr || failure != std::errc() || end != number.end() || count < 0)
    throw Error(ErrorCode::usage, "STRATA_SIM_FAULT",
                fmt::format("\"{}\" names no fault of a simulated device", wish),
                "op:N, copy:N or allocation:N, where N counts from 0");
  *failing = count;
}

}  // namespace strata::sim
