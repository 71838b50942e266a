#pragma once

#include <cstdint>
#include <functional>

#include "runtime/streaming/stream_stats.h"

namespace strata {

/// How far the step at work has come, for a model whose weights stream.
struct StepProgress {
  std::int32_t tokens = 0;       ///< of the step
  std::int32_t layers_done = 0;  ///< enqueued; all of them: the logits are about to be handed out
  std::int32_t layers = 0;
  StreamStats stream;  ///< so far, since the weights were loaded
};

/// Told by the Runner's thread before each layer that streams; quick, and throws nothing.
using ProgressSink = std::function<void(const StepProgress&)>;

}  // namespace strata
