#include "runtime/engine/candidate_finder.h"

#include "runtime/graph/builder.h"

namespace strata {
namespace {

Plan plan_search(Device& device, std::int64_t vocabulary, std::int32_t rows, std::int32_t count) {
  GraphBuilder builder(rows, [](std::string_view) { return std::nullopt; }, "top candidates");
  const Value logits = builder.input(vocabulary);
  return make_plan(builder.finish(builder.top_candidates(logits, {count})), device, {});
}

}  // namespace

CandidateFinder::CandidateFinder(Device& device, std::int64_t vocabulary, std::int32_t rows,
                                 std::int32_t count)
    : device_(device),
      vocabulary_(vocabulary),
      rows_(rows),
      count_(count),
      plan_(plan_search(device, vocabulary, rows, count)) {}

std::size_t CandidateFinder::row_bytes() const {
  return static_cast<std::size_t>(candidate_words(count_)) * sizeof(std::int32_t);
}

std::size_t CandidateFinder::device_bytes() const {
  return static_cast<std::size_t>(rows_) * row_bytes();
}

void CandidateFinder::load() {
  found_ = device_.allocate(device_bytes(), MemoryKind::device);
  for (Buffer& place : found_host_) place = device_.allocate(device_bytes(), MemoryKind::pinned);
}

void CandidateFinder::enqueue(Executor& executor, const TensorView& logits,
                              std::int32_t rows) const {
  const TensorView found = dense_view(
      found_.data(), {DType::I32, Layout::rows, {std::int64_t{rows_}, candidate_words(count_)}});
  executor.run(plan_, {logits, found, {}, {}, {}}, {rows, rows});
}

void CandidateFinder::fetch(Stream& stream, std::int32_t rows, std::size_t place) const {
  const Buffer& to = found_host_[place];
  stream.copy({to.data(), to.bytes(), to.kind()},
              {found_.data(), static_cast<std::size_t>(rows) * row_bytes(), found_.kind()});
}

CandidateRow CandidateFinder::row(std::int32_t row, std::size_t place) const {
  return candidate_row(found_host_[place].data() + static_cast<std::size_t>(row) * row_bytes(),
                       count_);
}

BufferSpan CandidateFinder::token(std::int32_t row) const {
  return {found_.data() + static_cast<std::size_t>(row) * row_bytes(), sizeof(std::int32_t),
          found_.kind()};
}

}  // namespace strata
