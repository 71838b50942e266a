#include <algorithm>

#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

// Rows of a chunk are a multiple of this, so that kernels can use their widest tiles.
constexpr std::int64_t kGrainRows = 2 * kPanelRows;
// Weights of a chunk: it takes some microseconds to read them, against which taking the chunk does
// not count, and a thread that lost its CPU keeps the others waiting for no more.
constexpr std::int64_t kChunkBytes = 64 * 1024;
// A matrix of fewer bytes is cut into smaller chunks, so that the threads end together.
constexpr std::int64_t kChunksPerThread = 4;

constexpr std::size_t kScratchAlign = 64;

// What one thread owns of a matrix's rows, and how that is cut.
struct Cut {
  Share rows;
  std::int64_t chunk_rows;

  std::uint32_t chunks() const {
    return static_cast<std::uint32_t>((rows.end - rows.begin + chunk_rows - 1) / chunk_rows);
  }
  Share chunk(std::uint32_t index) const {
    const std::int64_t begin = rows.begin + chunk_rows * index;
    return {begin, std::min(begin + chunk_rows, rows.end)};
  }
};

// Depends on the shape alone: a row stays with its thread, in whose caches and on whose memory node
// it may be.
Cut cut_of(const LinearTask& task, int owner, int threads) {
  const std::int64_t grain = task.n >= kGrainRows * threads ? kGrainRows : kPanelRows;
  const auto row =
      static_cast<std::int64_t>(row_bytes(task.w_dtype, task.k)) * (task.w_up == nullptr ? 1 : 2);
  const std::int64_t rows =
      std::min(kChunkBytes / std::max(row, std::int64_t{1}), task.n / (threads * kChunksPerThread));
  return {share_of(task.n, grain, owner, threads), std::max(rows, grain) / grain * grain};
}

bool cut_alike(const LinearTask& a, const LinearTask& b) {
  return a.n == b.n && a.k == b.k && a.w_dtype == b.w_dtype &&
         (a.w_up == nullptr) == (b.w_up == nullptr);
}

// The chunks of all matrices of a region, counted per thread that owns them, matrix by matrix.
class Chunks {
 public:
  Chunks(std::span<const Matmul> matmuls, int threads) : matmuls_(matmuls), threads_(threads) {
    alike_ = std::all_of(matmuls.begin(), matmuls.end(), [&](const Matmul& matmul) {
      return cut_alike(matmul.task, matmuls[0].task);
    });
  }

  std::uint32_t count(int owner) const {
    if (alike_) return cut(0, owner).chunks() * static_cast<std::uint32_t>(matmuls_.size());
    std::uint32_t chunks = 0;
    for (std::size_t m = 0; m < matmuls_.size(); ++m) chunks += cut(m, owner).chunks();
    return chunks;
  }

  struct Chunk {
    const Matmul& matmul;
    Share rows;
  };
  Chunk at(int owner, std::uint32_t index) const {
    Cut own = cut(0, owner);
    std::size_t m = 0;
    if (alike_) {
      m = index / own.chunks();
      index %= own.chunks();
    } else {
      for (; index >= own.chunks(); own = cut(++m, owner)) index -= own.chunks();
    }
    return {matmuls_[m], own.chunk(index)};
  }

 private:
  Cut cut(std::size_t matmul, int owner) const {
    return cut_of(matmuls_[matmul].task, owner, threads_);
  }

  std::span<const Matmul> matmuls_;
  int threads_;
  bool alike_;
};

void run_rows(const Kernels& kernels, const Matmul& matmul, Share rows, std::byte* scratch) {
  switch (matmul.path) {
    case MatmulPath::f32:
      return kernels.linear_f32(matmul.task, rows.begin, rows.end, scratch);
    case MatmulPath::bf16:
      return kernels.linear_bf16(matmul.task, rows.begin, rows.end, scratch);
    case MatmulPath::int8:
      return kernels.linear_int8(matmul.task, rows.begin, rows.end, scratch);
  }
}

}  // namespace

void run_matmuls(CpuStream& stream, std::span<const Matmul> matmuls, std::int64_t tokens,
                 Workspace workspace) {
  if (matmuls.empty()) return;
  const int threads = stream.threads(tokens);
  const Chunks chunks(matmuls, threads);
  const std::size_t scratch_bytes = workspace.size() /
                                    static_cast<std::size_t>(stream.pool().size()) / kScratchAlign *
                                    kScratchAlign;
  stream.pool().run_items(
      threads, [&](int owner) { return chunks.count(owner); },
      [&](int thread, int owner, std::uint32_t item) {
        const Chunks::Chunk chunk = chunks.at(owner, item);
        run_rows(stream.kernels(), chunk.matmul, chunk.rows,
                 workspace.data() + scratch_bytes * static_cast<std::size_t>(thread));
      });
}

}  // namespace strata::cpu
