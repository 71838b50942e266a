#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "backends/simt/matmul/launches.h"
#include "backends/simt/matmul/matmul.h"
#include "backends/simt/matmul/prompt.h"
#include "backends/simt/matmul_wish.h"
#include "runtime/core/error.h"

// Which of the library's ways, or our own kernel, computes the products of prompts.
namespace strata::STRATA_SIMT {
namespace {

// Steps of so many tokens may be sequences that are being decoded: reading weights is what takes
// the time then, and the library reads them three times.
constexpr std::int64_t kPromptTokens = 64;
// The library must be faster by this much: it takes memory, too.
constexpr double kWorthIt = 0.97;
constexpr int kSamples = 3;
constexpr int kRunsPerSample = 3;

// Numbers between -2 and 2, whether they are read as bf16 or as the scales of block types: zeros
// would be multiplied faster than weights.
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void fill_noise(unsigned* to, std::int64_t words) {
  const std::int64_t i = static_cast<std::int64_t>(block_x()) * threads_x() + thread_x();
  if (i >= words) return;
  auto bits = static_cast<unsigned>(i) * 2654435761U;
  bits = (bits ^ bits >> 15) * 2246822519U;
  to[i] = (bits ^ bits >> 13) & 0xbfbfbfbfU;
}

VendorProduct trial_product(const TensorDesc& w) {
  const auto [n, rows] = vendor_trial();
  const std::int64_t k = w.shape.columns();
  return {rows, n, k, nullptr, 2 * k, nullptr, 2 * k, nullptr, 0, nullptr, 4 * n};
}

// Products of the trial's shape on memory of their own.
class Trial {
 public:
  Trial(SimtDevice& device, const TensorDesc& w)
      : device_(device),
        lanes_(device.limits().lanes),
        stream_(device.open_stream(StreamRole::compute)) {
    const auto [n, rows] = vendor_trial();
    const std::int64_t k = w.shape.columns();
    const TensorDesc trial_w{w.dtype, w.layout, {n, k}};
    const TensorDesc x{DType::BF16, Layout::rounded, {rows, k}};
    const TensorDesc out{DType::F32, Layout::rows, {rows, n}};
    w_ = noise(device, byte_size(trial_w));
    x_ = noise(device, byte_size(x));
    out_ = device.allocate(byte_size(out), MemoryKind::device);
    workspace_ = device.allocate(prompt_workspace_bytes(trial_w, rows, false), MemoryKind::device);
    job_.x = x_.data();
    job_.x_stride = 2 * k;
    job_.rows = static_cast<int>(rows);
    job_.tokens = job_.rows;
    job_.k = static_cast<int>(k);
    job_.routes.routes_per_x = 1;
    job_.aligned = k % 8 == 0;
    add_matrix(job_, dense_view(w_.data(), trial_w), dense_view(out_.data(), out));
  }

  /// Whether the second half of the rows of w, with half of those of x, give the bits that they
  /// give in the whole: libraries do not say all that they do with sizes.
  bool keeps_bits(const PromptChoice& choice) {
    choice_ = &choice;
    const std::vector<float> in_whole = run() ? quadrant() : std::vector<float>();
    const MatmulJob whole = job_;
    MatmulMatrix& matrix = job_.matrices[0];
    matrix.n /= 2;
    matrix.out += std::int64_t{4} * matrix.n;
    matrix.w += (job_.planes ? matrix.n / kPanelRows : matrix.n) * matrix.w_stride;
    job_.rows /= 2;
    stream_->fill({out_.data(), out_.bytes(), MemoryKind::device}, std::byte{0xff});
    const std::vector<float> alone = run() ? quadrant() : std::vector<float>();
    job_ = whole;
    return !alone.empty() && alone.size() == in_whole.size() &&
           std::memcmp(alone.data(), in_whole.data(), alone.size() * sizeof(float)) == 0;
  }

  /// Seconds of one product; negative where the library does not take it.
  double seconds(const PromptChoice& choice) {
    choice_ = &choice;
    if (!run()) return -1;
    double best = 0;
    for (int i = 0; i < kSamples; ++i) {
      const double sample = vendor_seconds(*stream_, &Trial::sample, this) / kRunsPerSample;
      if (i == 0 || sample < best) best = sample;
    }
    return best;
  }

 private:
  Buffer noise(SimtDevice& device, std::size_t bytes) {
    Buffer buffer = device.allocate((bytes + 3) / 4 * 4, MemoryKind::device);
    const auto words = static_cast<std::int64_t>(buffer.bytes() / 4);
    launch(*stream_, fill_noise, {static_cast<unsigned>(groups(words, kBlockThreads))},
           kBlockThreads, 0, reinterpret_cast<unsigned*>(buffer.data()), words);
    return buffer;
  }

  bool run() {
    if (choice_->library != nullptr)
      return run_by_library(*stream_, *choice_, job_, {workspace_.data(), workspace_.bytes()});
    launch_gemm_bf16(*stream_, job_, lanes_);
    return true;
  }

  // Of the results: the first half of the rows of x, the second half of those of w.
  std::vector<float> quadrant() {
    const auto [n, rows] = vendor_trial();
    const Buffer results = device_.allocate(out_.bytes(), MemoryKind::pinned);
    stream_->copy({results.data(), results.bytes(), MemoryKind::pinned},
                  {out_.data(), out_.bytes(), MemoryKind::device});
    stream_->synchronize();
    const auto* values = reinterpret_cast<const float*>(results.data());
    std::vector<float> part;
    for (std::int64_t row = 0; row < rows / 2; ++row)
      part.insert(part.end(), values + row * n + n / 2, values + (row + 1) * n);
    return part;
  }

  static void sample(void* self) {
    for (int i = 0; i < kRunsPerSample; ++i) static_cast<Trial*>(self)->run();
  }

  SimtDevice& device_;
  int lanes_;
  Buffer w_, x_, out_, workspace_;
  std::unique_ptr<Stream> stream_;  // goes first, and waits for its work
  MatmulJob job_{};
  const PromptChoice* choice_ = nullptr;
};

PromptChoice measured(SimtDevice& device, VendorLibrary& library, const TensorDesc& w) {
  std::vector<VendorWay> ways = vendor_ways(library, trial_product(w));
  std::erase_if(ways, [](const VendorWay& way) { return !vendor_keeps_bits(way); });
  if (ways.empty()) return {};
  Trial trial(device, w);
  PromptChoice best;
  double best_seconds = trial.seconds(best) * kWorthIt;
  for (const VendorWay& way : ways) {
    const PromptChoice choice{&library, way};
    const double seconds = trial.seconds(choice);
    if (seconds < 0 || seconds >= best_seconds || !trial.keeps_bits(choice)) continue;
    best = choice;
    best_seconds = seconds;
  }
  return best;
}

PromptChoice choose(SimtDevice& device, const TensorDesc& w, MatmulWish asked) {
  VendorLibrary* const library = vendor_library(device.info().id.index);
  if (asked == MatmulWish::library) {
    std::vector<VendorWay> ways;
    if (library != nullptr) ways = vendor_ways(*library, trial_product(w));
    if (ways.empty())
      throw Error(ErrorCode::usage, "STRATA_MATMUL",
                  "\"library\" is asked for, and there is none for " + to_string(device.info().id),
                  "`strata doctor` says which library is missing; STRATA_MATMUL=own does without");
    return {library, ways.front()};
  }
  if (library == nullptr) return {};
  try {
    return measured(device, *library, w);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return {};
  }
}

}  // namespace

bool is_prompt_matmul(const OpDesc& op) {
  if (op.in[0].layout != Layout::rounded || op.in[0].shape.columns() % 8 != 0) return false;
  if (op.kind() != OpKind::Linear && op.kind() != OpKind::LinearNorm &&
      op.kind() != OpKind::LinearGroup && op.kind() != OpKind::LinearGated)
    return false;
  const MatmulWish asked = matmul_wish();
  return asked == MatmulWish::library ||
         (asked == MatmulWish::measured && matmul_tokens(op) > kPromptTokens);
}

PromptChoice choose_for_prompts(SimtDevice& device, const TensorDesc& w) {
  using Key = std::tuple<int, MatmulWish, DType, Layout, std::int64_t>;
  static std::mutex mutex;
  static std::map<Key, PromptChoice> choices;
  const MatmulWish asked = matmul_wish();
  const std::lock_guard lock(mutex);
  const Key key{device.info().id.index, asked, w.dtype, w.layout, w.shape.columns()};
  const auto known = choices.find(key);
  if (known != choices.end()) return known->second;
  return choices.emplace(key, choose(device, w, asked)).first->second;
}

}  // namespace strata::STRATA_SIMT
