#include "backends/simt/matmul/prompt.h"
#include "backends/simt/matmul/widen.h"

namespace strata::STRATA_SIMT {
namespace {

// What rows of bf16 weights, and the second half of a gated pair, take of the workspace at most.
constexpr std::int64_t kBlockBytes = 64 << 20;
constexpr std::int64_t kBlockGrain = 128;  // rows of w
constexpr std::int64_t kAlignment = 256;

std::int64_t rounded_up(std::int64_t bytes) { return groups(bytes, kAlignment) * kAlignment; }

// Of a workspace: the library's own, a block of w, and of gated pairs x times a block of w_up.
struct Parts {
  std::int64_t rows;  // of w in a block
  std::int64_t w;     // offsets
  std::int64_t up;
  std::int64_t bytes;
};

Parts parts_of(std::int64_t n, std::int64_t k, std::int64_t tokens, bool gated) {
  const std::int64_t row_bytes = 2 * k + (gated ? 4 * tokens : 0);
  const std::int64_t fit = kBlockBytes / row_bytes / kBlockGrain * kBlockGrain;
  Parts parts{};
  parts.rows = fit < kBlockGrain ? kBlockGrain : fit;
  if (parts.rows > n) parts.rows = n;
  parts.w = rounded_up(static_cast<std::int64_t>(vendor_workspace_bytes()));
  parts.up = parts.w + rounded_up(parts.rows * 2 * k);
  parts.bytes = parts.up + (gated ? rounded_up(parts.rows * 4 * tokens) : 0);
  return parts;
}

struct FinishJob {
  std::byte* out;  ///< (rows, n) f32
  std::int64_t out_stride;
  const float* bias;          ///< (n), or null
  const std::byte* residual;  ///< (rows, n) f32, or null
  std::int64_t residual_stride;
  const std::byte* up;  ///< (rows, n) f32 that is gated, or null
  std::int64_t up_stride;
  int n;
};

// What the library leaves undone. Blocks (rows of x, tiles of columns).
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void finish_product(FinishJob job) {
  const std::int64_t row = block_x();
  const int column = block_y() * threads_x() + thread_x();
  if (column >= job.n) return;
  float* out = reinterpret_cast<float*>(job.out + row * job.out_stride) + column;
  float value = *out;
  if (job.up != nullptr)
    value = gate_of(value, reinterpret_cast<const float*>(job.up + row * job.up_stride)[column]);
  if (job.bias != nullptr) value += job.bias[column];
  if (job.residual != nullptr)
    value += reinterpret_cast<const float*>(job.residual + row * job.residual_stride)[column];
  *out = value;
}

void launch_finish(Stream& stream, const FinishJob& job, int rows) {
  launch(stream, finish_product, row_grid(rows, groups(job.n, kBlockThreads)), kBlockThreads, 0,
         job);
}

bool aligned16(const std::byte* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % 16 == 0;
}

// A job's work on one of its matrices.
class LibraryRun {
 public:
  LibraryRun(const PromptChoice& choice, MatmulJob job, const MatmulMatrix& matrix,
             std::byte* workspace)
      : choice_(choice), job_(job), m_(matrix), workspace_(workspace) {
    job_.matrices[0] = matrix;
    parts_ = parts_of(m_.n, job_.k, job_.tokens, job_.gated);
    direct_ = job_.type == DType::BF16 && !job_.planes && aligned16(m_.w, m_.w_stride) &&
              (!job_.gated || aligned16(m_.w_up, m_.w_stride));
    if (direct_ && !job_.gated) parts_.rows = m_.n;
  }

  std::int64_t bytes() const { return parts_.bytes; }

  bool taken() const {
    // The product would be written over a residual that is still wanted.
    if (m_.bias != nullptr && m_.residual == m_.out) return false;
    for (int first = 0; first < m_.n; first += block())
      for (const bool up : {false, true})
        if ((job_.gated || !up) && !vendor_takes(*choice_.library, choice_.way, product(first, up)))
          return false;
    return true;
  }

  void enqueue(Stream& stream) const {
    for (int first = 0; first < m_.n; first += block()) {
      multiply(stream, first, false);
      if (!job_.gated) continue;
      multiply(stream, first, true);
      FinishJob finish = finish_job(first);
      const VendorProduct up = product(first, true);
      finish.up = up.out;
      finish.up_stride = up.out_stride;
      finish.n = static_cast<int>(up.n);
      launch_finish(stream, finish, job_.rows);
    }
    if (m_.bias == nullptr) return;
    FinishJob finish = finish_job(0);
    finish.bias = m_.bias;
    finish.residual = m_.residual;
    finish.residual_stride = m_.residual_stride;
    finish.n = m_.n;
    launch_finish(stream, finish, job_.rows);
  }

 private:
  int block() const { return static_cast<int>(parts_.rows); }

  FinishJob finish_job(int first) const {
    FinishJob finish{};
    finish.out = m_.out + std::int64_t{4} * first;
    finish.out_stride = m_.out_stride;
    return finish;
  }

  VendorProduct product(int first, bool up) const {
    VendorProduct p;
    p.rows = job_.rows;
    p.n = m_.n - first < block() ? m_.n - first : block();
    p.k = job_.k;
    p.x = job_.x;
    p.x_stride = job_.x_stride;
    p.w = direct_ ? (up ? m_.w_up : m_.w) + first * m_.w_stride : workspace_ + parts_.w;
    p.w_stride = direct_ ? m_.w_stride : std::int64_t{2} * job_.k;
    p.out = up ? workspace_ + parts_.up : m_.out + std::int64_t{4} * first;
    p.out_stride = up ? 4 * parts_.rows : m_.out_stride;
    // Behind a bias, which is added first, the residual comes last.
    if (m_.residual != nullptr && m_.bias == nullptr && !up) {
      p.add = m_.residual + std::int64_t{4} * first;
      p.add_stride = m_.residual_stride;
    }
    return p;
  }

  void multiply(Stream& stream, int first, bool up) const {
    const VendorProduct p = product(first, up);
    if (!direct_)
      launch_widen(stream, job_, up, first, static_cast<int>(p.n), workspace_ + parts_.w);
    vendor_multiply(stream, *choice_.library, choice_.way, p, workspace_);
  }

  const PromptChoice& choice_;
  MatmulJob job_;
  MatmulMatrix m_;
  std::byte* workspace_;
  Parts parts_;
  bool direct_;
};

}  // namespace

std::size_t prompt_workspace_bytes(const TensorDesc& w, std::int64_t tokens, bool gated) {
  const Parts parts = parts_of(w.shape.rows(), w.shape.columns(), tokens, gated);
  return static_cast<std::size_t>(parts.bytes + kAlignment);  // it is aligned to less
}

bool run_by_library(Stream& stream, const PromptChoice& choice, const MatmulJob& job,
                    std::span<std::byte> workspace) {
  const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(workspace.data());
  const auto gap = static_cast<std::size_t>(kAlignment) - start % kAlignment;
  if (job.k % 8 != 0 || workspace.size() < gap) return false;
  for (const bool enqueue : {false, true})  // nothing is begun that the library does not take
    for (const MatmulMatrix& matrix : job.matrices) {
      if (matrix.n == 0) continue;
      const LibraryRun run(choice, job, matrix, workspace.data() + gap);
      if (enqueue)
        run.enqueue(stream);
      else if (gap + static_cast<std::size_t>(run.bytes()) > workspace.size() || !run.taken())
        return false;
    }
  return true;
}

}  // namespace strata::STRATA_SIMT
