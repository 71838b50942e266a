// A decoding step of whole models on simt-host: how many kernels it launches, and that neither
// fusing nor overlapping them changes a bit.
#include <gtest/gtest.h>

#include "tests/simt/simt_run.h"
#include "tests/support/decode_steps.h"

namespace strata::simt_host {
namespace {

using test::decode_model;
using test::TempFolder;

constexpr std::int64_t kLayers = test::kDecodeLayers;

struct How {
  bool fuse = true;
  bool whole = true;  ///< matrices are not cut
  bool early = false;
};

struct Outcome {
  std::vector<float> logits;
  std::uint64_t launches = 0;  ///< of the last step, which has one token
  std::uint64_t prefetches = 0;
};

Outcome run(const std::shared_ptr<const Model>& model, int lanes, How how) {
  const auto device = open_simt_host(lanes, 1);
  Machine& machine = machine_of(*device);
  machine.early = how.early;
  auto steps = test::decode_steps(model, *device, how.fuse, how.whole,
                                  [&] { return machine.launches.load(); });
  return {std::move(steps.logits), steps.launches.back(), machine.prefetches};
}

// norm, q k v, rope with cache and attention, output + residual with norm, gate and up, down +
// residual; and around the layers: embeddings, wanted rows, norm, logits.
TEST(SimtDecodeStep, ALayerIsSixKernels) {
  const TempFolder folder;
  for (const char* architecture : {"llama", "qwen3"}) {
    const auto model = decode_model(folder, architecture);
    EXPECT_EQ(run(model, 32, {}).launches, 6 * kLayers + 4U) << architecture;
  }
}

TEST(SimtDecodeStep, FusedOverlappedOrNotTheBitsAreTheSame) {
  const TempFolder folder;
  for (const char* architecture : {"llama", "qwen3", "qwen3moe"}) {
    const auto model = decode_model(folder, architecture);
    for (const int lanes : {32, 64}) {
      SCOPED_TRACE(std::string(architecture) + ", lanes " + std::to_string(lanes));
      const Outcome plain = run(model, lanes, {.fuse = false});
      ASSERT_EQ(plain.logits.size(), 5U * 40);
      const Outcome cut = run(model, lanes, {.whole = false});
      const Outcome fused = run(model, lanes, {});
      const Outcome early = run(model, lanes, {.early = true});
      EXPECT_EQ(cut.logits, plain.logits);
      EXPECT_EQ(fused.logits, plain.logits);
      EXPECT_EQ(early.logits, plain.logits);
      // Gated products are quantized, and the sum behind attention normed, on their own.
      EXPECT_EQ(cut.launches, fused.launches + 2 * kLayers);
      EXPECT_LT(cut.launches, plain.launches);
      EXPECT_GT(fused.prefetches, 0U);
    }
  }
}

}  // namespace
}  // namespace strata::simt_host
