// Products of prompts by the vendor's library: when it is taken, and what it computes. The library
// is played (simt_host/vendor_gemm.cpp); the choice and the path around it are those of the GPUs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "runtime/core/half.h"
#include "runtime/ops/op_impl.h"
#include "tests/simt/simt_run.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kRows = 70;  // more than a batch that is being decoded
constexpr std::int64_t kColumns = 64;

class Asking {
 public:
  explicit Asking(const char* word) { setenv("STRATA_MATMUL", word, 1); }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() { unsetenv("STRATA_MATMUL"); }
};

TensorDesc weight(DType dtype, std::int64_t n, std::int64_t k = kColumns) {
  return {dtype, is_quantized(dtype) ? Layout::planes16 : Layout::rows, {n, k}};
}
TensorDesc rounded(std::int64_t rows, std::int64_t k = kColumns) {
  return {DType::BF16, Layout::rounded, {rows, k}};
}
TensorDesc f32(std::int64_t rows, std::int64_t columns) {
  return {DType::F32, Layout::rows, {rows, columns}};
}

OpDesc linear(const TensorDesc& w, std::int64_t rows = kRows) {
  const std::int64_t n = w.shape[0];
  return {Linear{}, {rounded(rows, w.shape[1]), w, f32(1, n), f32(rows, n)}, {}, {f32(rows, n)}};
}
// With a residual alone, which the library adds itself.
OpDesc linear_with_residual(const TensorDesc& w, std::int64_t rows) {
  OpDesc op = linear(w, rows);
  op.in[2] = {DType::F32, Layout::rows, {}};
  return op;
}
OpDesc gated(const TensorDesc& w, std::int64_t rows = kRows) {
  return {LinearGated{}, {rounded(rows, w.shape[1]), w, w}, {}, {f32(rows, w.shape[0])}};
}

std::string kernel_of(Device& device, const OpDesc& op) {
  return std::string(prepare_op(device, op).kernel);
}

TensorView rows_of_view(TensorView view, std::int64_t first, std::int64_t count) {
  view.data += first * view.row_stride;
  view.shape[0] = count;
  return view;
}
TensorView columns_of_view(TensorView view, std::int64_t first, std::int64_t count) {
  view.data += first * 4;
  view.shape[1] = count;
  return view;
}

// The operands of an op with noise in them, and what it made of them.
class Operation {
 public:
  Operation(Bench& bench, OpDesc op) : bench_(bench), op_(std::move(op)) {
    std::mt19937 random(7);
    for (const TensorDesc& desc : op_.in) in_.push_back(noise(desc, random));
    out_ = noise(op_.out[0], random);
  }

  /// All of it, or row blocks of w; planned for steps of `capacity` rows of x.
  std::vector<float> rows(std::int64_t block = 0, std::int64_t capacity = 0) {
    OpDesc planned = op_;
    if (capacity > 0) planned.in[0].shape[0] = planned.out[0].shape[0] = capacity;
    const PreparedOp op = prepare_op(*bench_.device, planned);
    // Kept: what was recorded is replayed later.
    const Buffer& workspace =
        buffers_.emplace_back(bench_.device->allocate(op.workspace_bytes, MemoryKind::device));
    const std::int64_t n = out_.shape[1];
    if (block == 0) block = n;
    const std::int64_t allocations = machine_of(*bench_.device).allocations;
    for (std::int64_t first = 0; first < n; first += block) {
      const std::int64_t count = std::min(block, n - first);
      std::vector<TensorView> in = in_;
      in[1] = rows_of_view(in[1], first, count);
      if (op.desc.kind() == OpKind::LinearGated) in[2] = rows_of_view(in[2], first, count);
      for (const std::size_t added : {2, 3})
        if (op.desc.kind() == OpKind::Linear && in[added].data != nullptr)
          in[added] = columns_of_view(in[added], first, count);
      const TensorView out = columns_of_view(out_, first, count);
      op.run(*bench_.stream, op, {in, {}, {&out, 1}}, {workspace.data(), workspace.bytes()});
    }
    EXPECT_EQ(machine_of(*bench_.device).allocations, allocations);
    bench_.stream->synchronize();
    std::vector<float> values(static_cast<std::size_t>(out_.shape.elements()));
    std::memcpy(values.data(), out_.data, values.size() * sizeof(float));
    return values;
  }

  const TensorView& out() const { return out_; }

 private:
  TensorView noise(const TensorDesc& desc, std::mt19937& random) {
    if (desc.shape.rank == 0) return {};
    const std::size_t bytes = byte_size(desc);
    std::byte* data =
        buffers_.emplace_back(bench_.device->allocate(bytes, MemoryKind::device)).data();
    std::uniform_real_distribution<float> number(-1, 1);
    for (std::size_t i = 0; i < bytes / 4; ++i) {
      const float value = number(random);
      auto word = static_cast<std::uint32_t>(random()) & 0xbfbfbfbfU;  // finite as any scale
      if (desc.dtype == DType::F32) std::memcpy(&word, &value, 4);
      std::memcpy(data + 4 * i, &word, 4);
    }
    return dense_view(data, desc);
  }

  Bench& bench_;
  OpDesc op_;
  std::vector<Buffer> buffers_;
  std::vector<TensorView> in_;
  TensorView out_;
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  double scale = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a[i] - b[i]));
    scale = std::max<double>(scale, std::abs(a[i]));
  }
  return largest / scale;
}

TEST(PromptMatmul, TheFasterOneIsTakenAndKept) {
  Bench slow(32);
  EXPECT_EQ(kernel_of(*slow.device, linear(weight(DType::BF16, 48))), "bf16 tiles");
  Bench fast(32);
  machine_of(*fast.device).library_seconds = 0.1;
  EXPECT_EQ(kernel_of(*fast.device, linear(weight(DType::BF16, 48))), "bf16 library");
  // Rounding the weights is one kernel of ours, and so is the product: nothing is won.
  EXPECT_EQ(kernel_of(*fast.device, linear(weight(DType::Q4_0, 48))), "bf16 tiles");
  // Neither rows of w nor tokens of the step choose anew, nor does time.
  machine_of(*fast.device).library_seconds = 10;
  EXPECT_EQ(kernel_of(*fast.device, linear(weight(DType::BF16, 480), 200)), "bf16 library");
  EXPECT_EQ(kernel_of(*fast.device, gated(weight(DType::BF16, 16))), "bf16 library");
  EXPECT_EQ(kernel_of(*fast.device, linear(weight(DType::BF16, 48, 96))), "bf16 tiles");
}

TEST(PromptMatmul, OurKernelIsTakenWhereTheLibraryIsNotThereOrNotMeant) {
  Bench bench(64);
  machine_of(*bench.device).library_seconds = 0;
  EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48), 64)), "bf16 tiles");
  EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48, 60))), "bf16 tiles");
  {
    const Asking own("own");
    EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48))), "bf16 tiles");
  }
  EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48))), "bf16 library");
  Bench without(32);
  machine_of(*without.device).has_library = false;
  EXPECT_EQ(kernel_of(*without.device, linear(weight(DType::BF16, 48))), "bf16 tiles");
  const Asking library("library");
  EXPECT_THAT(error_of([&] { prepare_op(*without.device, linear(weight(DType::BF16, 48))); }),
              HasSubstr("\"library\" is asked for, and there is none"));
}

// Before a model is loaded, and not when the first prompt is multiplied.
TEST(PromptMatmul, AWordThatIsNoneIsRefusedWhenTheDeviceIsOpened) {
  const Asking nonsense("fastest");
  try {
    open_simt_host(32, 0);
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_EQ(error.subject(), "STRATA_MATMUL");
    EXPECT_THAT(error.detail(), HasSubstr("\"fastest\" is none of its words"));
    EXPECT_THAT(error.hint(), HasSubstr("measured, own, library"));
  }
}

// Row blocks of streamed weights are to give the bits of resident ones: half of the trial's 32 rows
// does not here, once. Rounding Q4_0's rows is a kernel, which takes a second: the library makes up
// for it.
TEST(PromptMatmul, AWayWhoseBitsDependOnTheSizeIsNotTaken) {
  for (const auto& [dtype, seconds] : {std::pair{DType::BF16, 0.5}, std::pair{DType::Q4_0, -0.5}})
    for (const bool varies : {false, true}) {
      Bench bench(32);
      machine_of(*bench.device).library_seconds = seconds;
      machine_of(*bench.device).library_splits_from = varies ? 32 : 1;
      EXPECT_EQ(kernel_of(*bench.device, linear(weight(dtype, 48))),
                varies ? "bf16 tiles" : "bf16 library")
          << dtype_info(dtype).name;
    }
}

TEST(PromptMatmul, WithoutMemoryToMeasureOurKernelIsTaken) {
  Bench bench(32);
  machine_of(*bench.device).library_seconds = 0;
  const std::uint64_t before = bench.device->memory().ours;
  machine_of(*bench.device).failing_allocation = machine_of(*bench.device).allocations + 1;
  EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48))), "bf16 tiles");
  EXPECT_EQ(bench.device->memory().ours, before);
  EXPECT_EQ(kernel_of(*bench.device, linear(weight(DType::BF16, 48))), "bf16 tiles");
}

TEST(PromptMatmul, TheLibraryComputesWhatOurKernelDoes) {
  for (const int lanes : {32, 64})
    for (const DType dtype : {DType::BF16, DType::F16, DType::Q4_0, DType::Q8_0})
      for (const int form : {0, 1, 2}) {
        const TensorDesc w = weight(dtype, 48);
        const bool is_gated = form == 2;
        const OpDesc op = is_gated    ? gated(w, 9)
                          : form == 1 ? linear_with_residual(w, 9)
                                      : linear(w, 9);
        Bench bench(lanes);
        Operation run(bench, op);
        const auto with = [&](const char* word) {
          const Asking asking(word);
          return run.rows();
        };
        const std::vector<float> own = with("own");
        EXPECT_EQ(machine_of(*bench.device).library_products, 0U);
        const std::vector<float> library = with("library");
        EXPECT_EQ(machine_of(*bench.device).library_products, is_gated ? 2U : 1U);
        // Sums of 64 products in two orders.
        EXPECT_LT(largest_difference(own, library), 64 * 0x1p-23)
            << dtype_info(dtype).name << " form " << form;
      }
}

TEST(PromptMatmul, RowBlocksGiveTheBitsOfTheWhole) {
  const Asking library("library");
  for (const DType dtype : {DType::BF16, DType::Q4_0})
    for (const bool is_gated : {false, true}) {
      Bench bench(32);
      const TensorDesc w = weight(dtype, 64);
      Operation run(bench, is_gated ? gated(w) : linear(w));
      const std::vector<float> whole = run.rows();
      EXPECT_EQ(run.rows(32), whole) << dtype_info(dtype).name << " gated " << is_gated;
    }
}

// An op on bf16 that lies badly, or that the library refuses, is computed all the same.
TEST(PromptMatmul, WhatTheLibraryDoesNotTakeOurKernelComputes) {
  const Asking library("library");
  Bench bench(32);
  machine_of(*bench.device).library_least_rows = 64;
  Operation run(bench, linear(weight(DType::Q4_0, 48)));
  const std::vector<float> got = run.rows();
  EXPECT_EQ(machine_of(*bench.device).library_products, 0U);
  const Asking own("own");
  EXPECT_EQ(run.rows(), got);
}

// More rows than the workspace holds go through it in blocks.
TEST(PromptMatmul, TheWorkspaceIsBounded) {
  const Asking library("library");
  Bench bench(32);
  for (const bool is_gated : {false, true}) {
    const TensorDesc w = weight(DType::Q4_0, 1 << 20, 4096);
    const PreparedOp op = prepare_op(*bench.device, is_gated ? gated(w, 512) : linear(w, 512));
    EXPECT_LE(op.workspace_bytes, std::size_t{65} << 20);
    EXPECT_GE(op.workspace_bytes, std::size_t{60} << 20);
  }
}

// With so many rows of x at capacity that 128 rows of a gated pair fit: two blocks.
TEST(PromptMatmul, BlocksOfTheWorkspaceGiveTheBitsOfTheWhole) {
  const Asking library("library");
  Bench bench(32);
  Operation run(bench, gated(weight(DType::Q4_0, 160), 9));
  const std::vector<float> whole = run.rows();
  EXPECT_EQ(machine_of(*bench.device).library_products, 2U);
  EXPECT_EQ(run.rows(0, std::int64_t{1} << 17), whole);
  EXPECT_EQ(machine_of(*bench.device).library_products, 6U);
}

TEST(PromptMatmul, CanBeRecorded) {
  const Asking library("library");
  Bench bench(32);
  Operation run(bench, gated(weight(DType::Q4_0, 48)));
  const std::vector<float> want = run.rows();
  bench.stream->begin_recording();
  run.rows();
  const auto recording = bench.stream->end_recording();
  std::memset(run.out().data, 0, static_cast<std::size_t>(run.out().shape.elements()) * 4);
  bench.stream->replay(*recording);
  bench.stream->synchronize();
  EXPECT_EQ(std::memcmp(run.out().data, want.data(), want.size() * sizeof(float)), 0);
}

}  // namespace
}  // namespace strata::simt_host
