#include "runtime/graph/expert_routes.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backends/registry.h"

namespace strata::test {
namespace {

using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kExperts = 6;
constexpr std::int32_t kUsed = 2;

// The routes of `tokens` tokens, as moe_sort makes them.
struct Sorted {
  Ids expert;  // of a route
  Ids offsets;
  Ids order;
};

Sorted sorted_routes(std::int32_t tokens, unsigned seed, std::int32_t without) {
  std::mt19937 random(seed);
  Sorted sorted;
  while (sorted.expert.size() < static_cast<std::size_t>(tokens * kUsed)) {
    const auto expert = static_cast<std::int32_t>(random() % kExperts);
    if (expert != without) sorted.expert.push_back(expert);
  }
  sorted.offsets.push_back(0);
  for (std::int32_t e = 0; e < kExperts; ++e) {
    for (std::size_t r = 0; r < sorted.expert.size(); ++r)
      if (sorted.expert[r] == e) sorted.order.push_back(static_cast<std::int32_t>(r));
    sorted.offsets.push_back(static_cast<std::int32_t>(sorted.order.size()));
  }
  return sorted;
}

/// An ExpertRoutes for `tokens` tokens on a device, with tensors of routes there.
class RoutesOnDevice {
 public:
  RoutesOnDevice(const char* name, std::int64_t tokens)
      : device_(open_device(name, {1})),
        stream_(device_->open_stream(StreamRole::compute)),
        host_(device_->allocate(ExpertRoutes::host_bytes(kExperts, tokens * kUsed),
                                MemoryKind::pinned)),
        tables_(device_->allocate(ExpertRoutes::device_bytes(kExperts, tokens * kUsed),
                                  MemoryKind::device)),
        sorted_(device_->allocate(4096, MemoryKind::device)),
        routes({host_.data(), host_.bytes(), host_.kind()},
               {tables_.data(), tables_.bytes(), tables_.kind()}, kExperts) {}

  void fetch(const Sorted& sorted) {
    const auto count = static_cast<std::int64_t>(sorted.order.size());
    const TensorView offsets =
        dense_view(sorted_.data(), {DType::I32, Layout::rows, {1, kExperts + 1}});
    const TensorView order =
        dense_view(sorted_.data() + 1024, {DType::I32, Layout::rows, {count, 1}});
    put(offsets, sorted.offsets);
    put(order, sorted.order);
    routes.fetch(*stream_, offsets, order);
  }
  ExpertRoutes::Tables upload(const Ids& experts, const Ids& slots) {
    return routes.upload(*stream_, experts, slots);
  }
  Ids ints(const TensorView& view) {
    Ids values(static_cast<std::size_t>(view.shape.elements()));
    auto* const data = reinterpret_cast<std::byte*>(values.data());
    const std::size_t bytes = values.size() * sizeof(std::int32_t);
    stream_->copy({data, bytes, MemoryKind::host}, {view.data, bytes, MemoryKind::device});
    stream_->synchronize();
    return values;
  }

 private:
  void put(const TensorView& view, const Ids& values) {
    auto* const data = reinterpret_cast<std::byte*>(const_cast<std::int32_t*>(values.data()));
    const std::size_t bytes = values.size() * sizeof(std::int32_t);
    stream_->copy({view.data, bytes, MemoryKind::device}, {data, bytes, MemoryKind::host});
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  Buffer host_;
  Buffer tables_;
  Buffer sorted_;

 public:
  ExpertRoutes routes;
};

// Routes by slot, each slot's rising, and nothing of experts without one.
void expect_tables(RoutesOnDevice& on, const ExpertRoutes::Tables& tables, const Sorted& sorted,
                   const Ids& experts, const Ids& slots) {
  const Ids offsets = on.ints(tables.offsets);
  const Ids order = on.ints(tables.order);
  ASSERT_EQ(offsets.size(), sorted.offsets.size());
  ASSERT_EQ(order.size(), sorted.order.size());
  std::int32_t at = 0;
  for (std::int32_t slot = 0; slot < kExperts; ++slot) {
    EXPECT_EQ(offsets[static_cast<std::size_t>(slot)], at);
    for (std::size_t i = 0; i < experts.size(); ++i) {
      for (std::size_t r = 0; slots[i] == slot && r < sorted.expert.size(); ++r) {
        if (sorted.expert[r] != experts[i]) continue;
        EXPECT_EQ(order[static_cast<std::size_t>(at++)], static_cast<std::int32_t>(r));
      }
    }
  }
  EXPECT_EQ(offsets.back(), at);
}

TEST(ExpertRoutes, KnowsTheExpertsWithRoutes) {
  RoutesOnDevice on("cpu", 9);
  on.fetch(sorted_routes(9, 1, 2));
  const auto experts = on.routes.experts();
  EXPECT_EQ(Ids(experts.begin(), experts.end()), (Ids{0, 1, 3, 4, 5}));
  on.fetch(sorted_routes(0, 1, 2));
  EXPECT_TRUE(on.routes.experts().empty());
}

TEST(ExpertRoutes, TablesFollowTheSlots) {
  for (const char* device : {"cpu", "sim:0"}) {
    RoutesOnDevice on(device, 9);
    const Sorted sorted = sorted_routes(9, 3, 2);
    on.fetch(sorted);
    const Ids experts{0, 1, 3, 4, 5};
    for (const Ids& slots :
         {Ids{0, 1, 2, 3, 4}, Ids{5, 0, 3, 1, 2}, Ids{-1, 4, -1, 0, -1}, Ids{-1, -1, -1, -1, 0}})
      expect_tables(on, on.upload(experts, slots), sorted, experts, slots);
  }
}

// Tables stay until nobody needs them, also when many are made before the device gets on.
TEST(ExpertRoutes, ManyTablesWaitForEachOther) {
  RoutesOnDevice on("sim:0", 9);
  const Sorted sorted = sorted_routes(9, 4, 2);
  on.fetch(sorted);
  const Ids experts{0, 1, 3, 4, 5};
  std::vector<ExpertRoutes::Tables> tables;
  for (std::int32_t i = 0; i < 4; ++i) tables.push_back(on.upload(experts, {i, -1, -1, -1, 5}));
  for (std::int32_t i = 0; i < 4; ++i)
    expect_tables(on, tables[static_cast<std::size_t>(i)], sorted, experts, {i, -1, -1, -1, 5});
  for (std::int32_t i = 0; i < 4; ++i) {
    const Ids slots{-1, i, -1, 5, -1};
    expect_tables(on, on.upload(experts, slots), sorted, experts, slots);
  }
}

}  // namespace
}  // namespace strata::test
