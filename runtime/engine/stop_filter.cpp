#include "runtime/engine/stop_filter.h"

#include <algorithm>
#include <utility>

namespace strata {

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

// Length of the longest end of the pending text that begins a stop string.
std::size_t StopFilter::held_suffix() const {
  std::size_t held = 0;
  for (const std::string& stop : stops_) {
    const std::size_t most = std::min(stop.size() - 1, pending_.size());
    for (std::size_t length = most; length > held; --length) {
      if (pending_.compare(pending_.size() - length, length, stop, 0, length) != 0) continue;
      held = length;
      break;
    }
  }
  return held;
}

std::string StopFilter::push(std::string_view text) {
  if (stopped_) return {};
  pending_ += text;
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, pending_.find(stop));
  if (first != std::string::npos) {
    stopped_ = true;
    pending_.resize(first);
    return std::exchange(pending_, {});
  }
  const std::size_t certain = pending_.size() - held_suffix();
  std::string out = pending_.substr(0, certain);
  pending_.erase(0, certain);
  return out;
}

std::string StopFilter::finish() { return stopped_ ? std::string() : std::exchange(pending_, {}); }

}  // namespace strata
