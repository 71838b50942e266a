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

// Where the stop string begins that is complete first, of several that end there the longest: so
// the answer does not depend on how the text was cut into pieces.
std::size_t StopFilter::first_stop() const {
  std::size_t begin = std::string::npos;
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t at = pending_.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    begin = at + stop.size() < end ? at : std::min(begin, at);
    end = at + stop.size();
  }
  return begin;
}

std::string StopFilter::push(std::string_view text) {
  if (stopped_) return {};
  pending_ += text;
  const std::size_t first = first_stop();
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
