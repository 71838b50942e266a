#include "runtime/engine/weight_slabs.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "backends/registry.h"

namespace strata::test {
namespace {

constexpr std::size_t kMib = std::size_t{1} << 20;

TEST(WeightSlabs, PlacesSmallTensorsSideBySide) {
  const auto device = open_device("cpu", {1});
  WeightSlabs slabs;
  const std::size_t sizes[] = {1, 256, 257, kMib, 3};
  const std::vector<std::byte*> places = slabs.place(*device, sizes);
  ASSERT_EQ(places.size(), 5u);
  EXPECT_EQ(places[1] - places[0], 256);
  EXPECT_EQ(places[2] - places[1], 256);
  EXPECT_EQ(places[3] - places[2], 512);
  EXPECT_EQ(places[4] - places[3], static_cast<std::ptrdiff_t>(kMib));
  EXPECT_EQ(device->memory().ours, 4 * 256 + kMib + 256);
  *places[4] = std::byte{1};
  EXPECT_TRUE(slabs.place(*device, {}).empty());
}

// Nothing is touched, so that this takes address space only.
TEST(WeightSlabs, NoSlabIsLargerThanItMustBe) {
  const auto device = open_device("cpu", {1});
  const std::size_t sizes[] = {100 * kMib, 100 * kMib, 100 * kMib, 300 * kMib, kMib};
  WeightSlabs slabs;
  const std::vector<std::byte*> places = slabs.place(*device, sizes);
  EXPECT_EQ(device->memory().ours, 601 * kMib);
  EXPECT_EQ(places[1] - places[0], static_cast<std::ptrdiff_t>(100 * kMib));
  for (std::size_t i : {0, 2, 3})  // the first of a slab: a huge page begins there
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(places[i]) % (2 * kMib), 0u) << i;
}

}  // namespace
}  // namespace strata::test
