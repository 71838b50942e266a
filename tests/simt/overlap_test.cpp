// Kernels that begin before the one in front has ended: what they may do until they have waited for
// it. With Machine::early they get there before it has begun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "runtime/ops/op_impl.h"
#include "tests/simt/simt_run.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;

void write_value(int* to, int value) {
  wait_for_previous();
  if (block_x() == 0 && thread_x() == 0) *to = value;
}

// to (blocks, threads)
template <bool kWaits>
void read_value(const int* from, int* to) {
  if (kWaits) wait_for_previous();
  to[block_x() * threads_x() + thread_x()] = *from;
  if (!kWaits) wait_for_previous();
}

// How often a reader sees all that was written just before it.
template <bool kWaits>
int times_right(bool early, bool recorded) {
  Bench bench(32);
  machine_of(*bench.device).early = early;
  int value = 0;
  int right = 0;
  std::vector<int> seen(3 * 64);
  for (int i = 1; i <= 20; ++i) {
    if (recorded) bench.stream->begin_recording();
    launch_overlapped(*bench.stream, write_value, {2}, 64, 0, &value, i);
    launch_overlapped(*bench.stream, read_value<kWaits>, {3}, 64, 0, &value, seen.data());
    std::unique_ptr<Recording> recording;
    if (recorded) {
      recording = bench.stream->end_recording();
      bench.stream->replay(*recording);
    }
    bench.stream->synchronize();
    right += seen == std::vector<int>(seen.size(), i) ? 1 : 0;
  }
  return right;
}

TEST(SimtOverlap, WhatIsReadBeforeWaitingIsOld) {
  for (const bool recorded : {false, true}) {
    EXPECT_EQ(times_right<true>(true, recorded), 20);
    EXPECT_EQ(times_right<false>(false, recorded), 20);
    EXPECT_LT(times_right<false>(true, recorded), 15);
  }
}

void copy_value(const int* from, int* to) {
  if (thread_x() == 0) *to = *from;
}

TEST(SimtOverlap, OnlyOverlappedKernelsAreEarly) {
  Bench bench(64);
  machine_of(*bench.device).early = true;
  int value = 0;
  int copy = 0;
  int copied = 0;
  for (int i = 1; i <= 20; ++i) {
    launch_overlapped(*bench.stream, write_value, {}, 64, 0, &value, i);
    launch(*bench.stream, copy_value, {}, 64, 0, &value, &copy);
    bench.stream->copy({reinterpret_cast<std::byte*>(&copied), sizeof(int), MemoryKind::pinned},
                       {reinterpret_cast<std::byte*>(&copy), sizeof(int), MemoryKind::pinned});
    EXPECT_EQ(copied, i);
  }
}

void fails(int thread) {
  wait_for_previous();
  if (thread_x() == thread) fail_thread("fails");
}

TEST(SimtOverlap, AnErrorOfTheKernelInFrontIsKept) {
  Bench bench(32);
  machine_of(*bench.device).early = true;
  const std::string error = error_of([&] {
    for (int i = 0; i < 8; ++i) launch_overlapped(*bench.stream, fails, {}, 64, 0, i == 0 ? 3 : -1);
    bench.stream->synchronize();
  });
  EXPECT_THAT(error, HasSubstr("thread 3 fails"));
  int value = 0;
  launch(*bench.stream, write_value, {}, 64, 0, &value, 7);
  EXPECT_EQ(value, 7);
}

void asks(const unsigned char* bytes, bool late) {
  if (late) wait_for_previous();
  prefetch_early(bytes + thread_x());
  if (!late) wait_for_previous();
}

TEST(SimtOverlap, PrefetchesAreEarlyAndCounted) {
  Bench bench(32);
  const std::vector<unsigned char> bytes(64);
  launch_overlapped(*bench.stream, asks, {2}, 64, 0, bytes.data(), false);
  EXPECT_EQ(machine_of(*bench.device).prefetches, 128U);
  EXPECT_THAT(
      error_of([&] { launch_overlapped(*bench.stream, asks, {}, 64, 0, bytes.data(), true); }),
      HasSubstr("prefetches behind wait_for_previous()"));
}

// Times that `op` asks for bytes of its weights early.
std::uint64_t prefetches_of(int lanes, const OpDesc& op) {
  Bench bench(lanes);
  std::vector<Buffer> buffers;
  const auto view_of = [&](const TensorDesc& desc) {
    if (desc.shape.rank == 0) return TensorView{};
    const Buffer& buffer =
        buffers.emplace_back(bench.device->allocate(byte_size(desc), MemoryKind::device));
    std::memset(buffer.data(), 0, buffer.bytes());
    return dense_view(buffer.data(), desc);
  };
  std::vector<TensorView> in;
  for (const TensorDesc& desc : op.in) in.push_back(view_of(desc));
  const TensorView out = view_of(op.out[0]);
  const PreparedOp prepared = prepare_op(*bench.device, op);
  const Buffer workspace = bench.device->allocate(prepared.workspace_bytes, MemoryKind::device);
  prepared.run(*bench.stream, prepared, {in, {}, {&out, 1}}, {workspace.data(), workspace.bytes()});
  bench.stream->synchronize();
  return machine_of(*bench.device).prefetches;
}

TensorDesc quantized(std::int64_t rows, std::int64_t k) {
  return {DType::I8, Layout::quantized, {rows, k}};
}
TensorDesc f32(std::int64_t rows, std::int64_t columns) {
  return {DType::F32, Layout::rows, {rows, columns}};
}
TensorDesc planes(DType dtype, const Shape& shape) { return {dtype, Layout::planes16, shape}; }

// Each lane asks for every field of its first unit of all its rows of w: here all units there are.
// Rows beyond the matrix are the last one again.
TEST(SimtOverlap, DecodingAsksForItsWeightsEarly) {
  for (const int lanes : {32, 64}) {
    const auto linear = [&](DType dtype, std::int64_t rows, std::int64_t n) {
      return prefetches_of(
          lanes,
          {Linear{}, {quantized(rows, 256), planes(dtype, {n, 256}), {}, {}}, {}, {f32(rows, n)}});
    };
    EXPECT_EQ(linear(DType::Q4_0, 1, 32), 32U * 8 * 2);
    EXPECT_EQ(linear(DType::Q8_0, 3, 32), 32U * 8 * 3);
    EXPECT_EQ(linear(DType::Q6_K, 1, 64), 64U * 8 * 4);
    const TensorDesc w = planes(DType::Q4_K, {32, 256});
    EXPECT_EQ(prefetches_of(lanes, {LinearGated{}, {quantized(1, 256), w, w}, {}, {f32(1, 32)}}),
              2U * 32 * 8 * 2);
    EXPECT_EQ(prefetches_of(lanes, {Linear{},
                                    {f32(1, 64), {DType::BF16, Layout::rows, {32, 64}}, {}, {}},
                                    {},
                                    {f32(1, 32)}}),
              32U * 8);
    // Which experts it will be is what the previous kernels find out.
    const TensorDesc experts = planes(DType::Q4_0, {2, 32, 256});
    const TensorDesc ids{DType::I32, Layout::rows, {1, 3}};
    EXPECT_EQ(
        prefetches_of(lanes, {LinearExperts{1, true},
                              {quantized(1, 256), experts, ids, {DType::I32, Layout::rows, {1, 1}}},
                              {},
                              {f32(1, 32)}}),
        0U);
  }
}

}  // namespace
}  // namespace strata::simt_host
