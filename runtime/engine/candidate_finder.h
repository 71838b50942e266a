#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/core/device.h"
#include "runtime/graph/executor.h"
#include "runtime/graph/plan.h"
#include "runtime/ops/candidates.h"

namespace strata {

/// Finds the largest logits of some rows on their device, so that not all of them need to come to
/// the host, and the next step may take its tokens from there. Used by one thread.
class CandidateFinder {
 public:
  /// Plans for up to `rows` rows of `vocabulary` logits. Throws Error{unsupported_op}.
  CandidateFinder(Device& device, std::int64_t vocabulary, std::int32_t rows, std::int32_t count);

  std::int32_t rows() const { return rows_; }
  std::int32_t count() const { return count_; }
  /// Of the executor that runs it.
  std::size_t arena_bytes() const { return plan_.arena_bytes; }
  /// Memory that load() takes on the device.
  std::size_t device_bytes() const;
  /// Throws Error{out_of_memory}.
  void load();

  /// Enqueues the search in the first `rows` rows of `logits`.
  void enqueue(Executor& executor, const TensorView& logits, std::int32_t rows) const;
  /// Enqueues the copy of what was found to the host's place `place`, 0 or 1.
  void fetch(Stream& stream, std::int32_t rows, std::size_t place) const;
  /// What has come there, once the stream has been waited for.
  CandidateRow row(std::int32_t row, std::size_t place) const;
  /// The largest logit's token of a row, on the device: one int32.
  BufferSpan token(std::int32_t row) const;

 private:
  std::size_t row_bytes() const;

  Device& device_;
  std::int64_t vocabulary_;
  std::int32_t rows_;
  std::int32_t count_;
  Plan plan_;
  Buffer found_;
  std::array<Buffer, 2> found_host_;
};

}  // namespace strata
