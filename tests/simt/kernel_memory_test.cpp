// Shared memory, aligned accesses and overlapped launches of simt-host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/simt/simt_run.h"
#include "tests/simt_host/sanitizers.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;

void writes_shared(int first, int count) {
  auto* bytes = dynamic_shared<volatile unsigned char>();
  for (int i = first; i < first + count; ++i) bytes[i] = 1;
}

TEST(SimtKernelMemory, AByteOutsideOfTheSharedMemoryIsFound) {
  Bench bench(32);
  Stream& stream = *bench.stream;
  EXPECT_EQ(error_of([&] { launch(stream, writes_shared, {3}, 1, 21, 0, 21); }), "");
  for (const int at : {-1, 21}) {
    if (kGuardsTrap) {
      EXPECT_DEATH(launch(stream, writes_shared, {3}, 1, 21, at, 1), "use-after-poison");
    } else {
      EXPECT_THAT(error_of([&] { launch(stream, writes_shared, {3}, 1, 21, at, 1); }),
                  testing::MatchesRegex("kernel_memory_test.cpp:[0-9]+: block [0-2] wrote outside "
                                        "of its 21 bytes of shared memory"));
    }
  }
}

void shows_shared(std::uintptr_t* address, int* first) {
  *address = reinterpret_cast<std::uintptr_t>(dynamic_shared<int>());
  first[block_x()] = dynamic_shared<int>()[3];
  dynamic_shared<int>()[3] = 12345;
}

TEST(SimtKernelMemory, SharedMemoryIsGarbageInEachBlockAndAlignedTo16Only) {
  Bench bench(64);
  std::uintptr_t address = 0;
  std::vector<int> first(20);
  launch(*bench.stream, shows_shared, {20}, 1, 16, &address, first.data());
  EXPECT_EQ(address % 32, 16U);
  for (const int value : first) EXPECT_TRUE(value != 0 && value != 12345) << value;
}

void loads(const unsigned char* from, int* out) {
  const Int4 v = load16<Int4>(from);
  store8(out, Int2{v.w, v.x});
}

TEST(SimtKernelMemory, WideAccessesMustBeAligned) {
  Bench bench(32);
  alignas(16) unsigned char bytes[48];
  for (int i = 0; i < 48; ++i) bytes[i] = static_cast<unsigned char>(i);
  alignas(8) int out[2] = {};
  launch(*bench.stream, loads, {}, 1, 0, bytes + 16, out);
  EXPECT_EQ(out[0], 0x1F1E1D1C);
  EXPECT_EQ(out[1], 0x13121110);
  EXPECT_THAT(error_of([&] { launch(*bench.stream, loads, {}, 1, 0, bytes + 8, out); }),
              HasSubstr("not aligned"));
}

void waits_in(int threads) {
  if (thread_x() < threads) wait_for_previous();
}

TEST(SimtKernelMemory, AnOverlappedKernelWaitsInEachThread) {
  Bench bench(32);
  EXPECT_EQ(error_of([&] { launch_overlapped(*bench.stream, waits_in, {}, 64, 0, 64); }), "");
  EXPECT_EQ(error_of([&] { launch(*bench.stream, waits_in, {}, 64, 0, 0); }), "");
  EXPECT_THAT(error_of([&] { launch_overlapped(*bench.stream, waits_in, {}, 64, 0, 63); }),
              HasSubstr("thread 63 ends without wait_for_previous()"));
}

TEST(SimtKernelMemory, ARefusedLaunchNamesWhoseKernelItWas) {
  Bench bench(32);
  Stream& stream = *bench.stream;
  const auto refused = [&](Grid blocks, unsigned threads, std::size_t shared) {
    return error_of([&] { launch(stream, waits_in, blocks, threads, shared, 0); });
  };
  EXPECT_THAT(refused({0}, 1, 0), HasSubstr("kernel of kernel_memory_test.cpp:"));
  EXPECT_THAT(refused({1, 65536}, 1, 0), HasSubstr("grid (1, 65536, 1), 1 threads"));
  EXPECT_THAT(refused({}, 1025, 0), HasSubstr("invalid value"));
  EXPECT_THAT(refused({}, 1, (64 << 10) + 1), HasSubstr("65537 bytes of shared memory"));
  EXPECT_EQ(refused({}, 1024, 64 << 10), "");
}

TEST(SimtKernelMemory, ArithmeticIsThatOfAGpu) {
  EXPECT_EQ(dot4(static_cast<int>(0x80FF7F01u), 0x7F027F03, 10),
            10 + -128 * 127 + -1 * 2 + 127 * 127 + 1 * 3);
  EXPECT_EQ(round_of(2.5F), 2.0F);
  EXPECT_EQ(round_of(-3.5F), -4.0F);
  EXPECT_EQ(float_to_half(65520.0F), 0x7C00);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24F);
  EXPECT_EQ(float_to_bf16(1.00390625F), 0x3F80);  // half way: to even
  EXPECT_EQ(bf16_to_float(0x4049), 3.140625F);
  EXPECT_EQ(bit_count(0xF00000000000000FULL), 8);
}

}  // namespace
}  // namespace strata::simt_host
