#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "backends/simt/matmul/launches.h"
#include "backends/simt/matmul/matmul.h"
#include "backends/simt/matmul/prompt.h"
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

enum class Asked { measured, own, library };

Asked asked_choice() {
  const char* const word = std::getenv("STRATA_MATMUL");
  const std::string text = word != nullptr ? word : "";
  if (text.empty() || text == "measured") return Asked::measured;
  if (text == "own") return Asked::own;
  if (text == "library") return Asked::library;
  throw Error(ErrorCode::usage, "STRATA_MATMUL", "\"" + text + "\" is none of its words",
              "measured, own or library");
}

// Numbers between -2 and 2, whether they are read as bf16 or as the scales of block types: zeros
// would be multiplied faster than weights.
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void fill_noise(unsigned* to, std::int64_t words) {
  const std::int64_t i = static_cast<std::int64_t>(block_x()) * threads_x() + thread_x();
  if (i >= words) return;
  auto bits = static_cast<unsigned>(i) * 2654435761U;
  bits = (bits ^ bits >> 15) * 2246822519U;
  to[i] = (bits ^ bits >> 13) & 0xbfbfbfbfU;
}

// Products of the trial's shape on memory of their own.
class Trial {
 public:
  Trial(SimtDevice& device, const TensorDesc& w)
      : lanes_(device.limits().lanes), stream_(device.open_stream(StreamRole::compute)) {
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
    like_ = {rows, n, k, nullptr, 2 * k, nullptr, 2 * k, nullptr, 0, nullptr, 4 * n};
  }

  const VendorProduct& like() const { return like_; }

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

  static void sample(void* self) {
    for (int i = 0; i < kRunsPerSample; ++i) static_cast<Trial*>(self)->run();
  }

  int lanes_;
  Buffer w_, x_, out_, workspace_;
  std::unique_ptr<Stream> stream_;  // goes first, and waits for its work
  MatmulJob job_{};
  VendorProduct like_;
  const PromptChoice* choice_ = nullptr;
};

PromptChoice measured(SimtDevice& device, VendorLibrary& library, const TensorDesc& w) {
  Trial trial(device, w);
  PromptChoice best;
  double best_seconds = trial.seconds(best) * kWorthIt;
  for (const VendorWay& way : vendor_ways(library, trial.like())) {
    const PromptChoice choice{&library, way};
    const double seconds = trial.seconds(choice);
    if (seconds < 0 || seconds >= best_seconds) continue;
    best = choice;
    best_seconds = seconds;
  }
  return best;
}

PromptChoice choose(SimtDevice& device, const TensorDesc& w, Asked asked) {
  VendorLibrary* const library = vendor_library(device.info().id.index);
  if (asked == Asked::library) {
    const std::int64_t k = w.shape.columns();
    std::vector<VendorWay> ways;
    if (library != nullptr)
      ways = vendor_ways(*library, {vendor_trial().rows, vendor_trial().n, k, nullptr, 2 * k,
                                    nullptr, 2 * k, nullptr, 0, nullptr, 4 * vendor_trial().n});
    if (ways.empty())
      throw Error(ErrorCode::usage, "STRATA_MATMUL",
                  "\"library\" is asked for, and there is none for " + to_string(device.info().id),
                  "`strata doctor` says which library is missing; STRATA_MATMUL=own does without");
    return {library, ways.front()};
  }
  if (library == nullptr || !vendor_keeps_bits()) return {};
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
  const Asked asked = asked_choice();
  return asked == Asked::library || (asked == Asked::measured && matmul_tokens(op) > kPromptTokens);
}

PromptChoice choose_for_prompts(SimtDevice& device, const TensorDesc& w) {
  using Key = std::tuple<int, Asked, DType, Layout, std::int64_t>;
  static std::mutex mutex;
  static std::map<Key, PromptChoice> choices;
  const Asked asked = asked_choice();
  const std::lock_guard lock(mutex);
  const Key key{device.info().id.index, asked, w.dtype, w.layout, w.shape.columns()};
  const auto known = choices.find(key);
  if (known != choices.end()) return known->second;
  return choices.emplace(key, choose(device, w, asked)).first->second;
}

}  // namespace strata::STRATA_SIMT
