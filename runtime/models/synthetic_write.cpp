// The writing of a synthetic model: pieces of tensors, made and written by several threads.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/models/synthetic.h"
#include "runtime/weights/random_blocks.h"

namespace strata {
namespace {

using Tensor = GgufHeader::Tensor;

/// A stretch of whole blocks of one tensor.
struct Piece {
  const Tensor* tensor;
  std::uint64_t number;  ///< within the tensor
  std::uint64_t begin;   ///< bytes from the tensor's first
  std::size_t bytes;
};

std::vector<Piece> cut(const GgufHeader& layout) {
  std::vector<Piece> pieces;
  for (const Tensor& tensor : layout.tensors()) {
    const std::size_t block = dtype_info(tensor.dtype).block_bytes;
    const std::uint64_t most = kSyntheticPieceBytes / block * block;
    for (std::uint64_t begin = 0; begin < tensor.bytes; begin += most)
      pieces.push_back({&tensor, begin / most, begin,
                        static_cast<std::size_t>(std::min(most, tensor.bytes - begin))});
  }
  return pieces;
}

void fill_piece(const SyntheticModel& model, const Piece& piece, std::span<std::byte> out) {
  const Tensor& tensor = *piece.tensor;
  if (tensor.name == "rope_freqs.weight") {
    std::memcpy(out.data(), model.rope_factors.data(), out.size());
  } else if (tensor.shape.rank == 1) {
    const float one = 1;
    for (std::size_t at = 0; at < out.size(); at += sizeof one)
      std::memcpy(out.data() + at, &one, sizeof one);
  } else {
    fill_random_blocks(tensor.dtype, 1 / std::sqrt(static_cast<double>(tensor.shape.columns())),
                       derive_seed(model.seed, tensor.name, piece.number), out);
  }
}

/// Threads that take pieces one after another until none is left, one fails, or stop() is called.
class Writers {
 public:
  Writers(const SyntheticModel& model, OutputFile& file, int threads)
      : model_(model), file_(file), pieces_(cut(model.layout)), running_(threads) {
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Writers() { stop(); }

  /// Waits for a while or until all is done; true when all is. Throws what a thread threw.
  bool wait(std::uint64_t& done_bytes) {
    constexpr std::chrono::milliseconds kStep(100);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kStep, [this] { return running_ == 0 || failure_ != nullptr; });
    done_bytes = done_.load();
    if (failure_) std::rethrow_exception(failure_);
    return running_ == 0;
  }

 private:
  void work() {
    try {
      std::vector<std::byte> buffer(kSyntheticPieceBytes);
      for (std::size_t i; !stopping_.load() && (i = next_.fetch_add(1)) < pieces_.size();) {
        const Piece& piece = pieces_[i];
        const std::span<std::byte> out(buffer.data(), piece.bytes);
        fill_piece(model_, piece, out);
        file_.write_at(piece.tensor->offset + piece.begin, out);
        done_.fetch_add(piece.bytes);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopping_.store(true);
    }
    const std::lock_guard lock(mutex_);
    --running_;
    changed_.notify_all();
  }

  void stop() {
    stopping_.store(true);
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

  const SyntheticModel& model_;
  OutputFile& file_;
  const std::vector<Piece> pieces_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_;                 // guarded by mutex_
  std::exception_ptr failure_;  // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace

void write_synthetic(const SyntheticModel& model, OutputFile& file, int threads,
                     const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  file.write_at(0, std::as_bytes(std::span(model.head)));
  std::uint64_t total = 0;
  for (const Tensor& tensor : model.layout.tensors()) total += tensor.bytes;
  Writers writers(model, file, std::max(threads, 1));
  std::uint64_t done = 0;
  bool finished = false;
  while (!finished) {
    finished = writers.wait(done);
    if (progress) progress(done, total);
  }
  // The padding after the last tensor, which nothing was written to.
  const Tensor& last = model.layout.tensors().back();
  const std::uint64_t end = last.offset + last.bytes;
  const std::vector<std::byte> zeros(static_cast<std::size_t>(model.layout.file_bytes() - end));
  file.write_at(end, zeros);
}

}  // namespace strata
