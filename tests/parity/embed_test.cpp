#include <gtest/gtest.h>

#include "runtime/ops/step_state.h"
#include "tests/parity/weight_ops.h"
#include "tests/reference/dequantize.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kVocabulary = 50;

// A step whose tokens run through the vocabulary in steps of 7.
Tensor step_of(std::int32_t tokens) {
  const StepCapacity capacity{tokens, 1, 1, 64};
  Tensor block = make_tensor(
      {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_state_bytes(capacity))}});
  StepState& step = format_step_state(block.view.data, capacity);
  step.token_count = tokens;
  for (std::int32_t t = 0; t < tokens; ++t)
    step.tokens()[t] = (t * 7 + 3) % static_cast<std::int32_t>(kVocabulary);
  return block;
}

TEST(Embed, RowsAreTheTokensOfEveryDtype) {
  for (DType dtype : weight_dtypes()) {
    const std::int64_t dim = dtype_info(dtype).block_elements == 256 ? 512 : 96;
    const Tensor table = tensor_of({dtype, Layout::rows, {kVocabulary, dim}},
                                   random_weights(dtype, kVocabulary, dim, 51).data());
    for (std::int64_t tokens : batches({1, 2, 17, 130})) {
      const Tensor step = step_of(static_cast<std::int32_t>(tokens));
      for (const std::string& isa : device_names()) {
        const Tensor out = make_tensor({DType::F32, Layout::rows, {tokens, dim}}, std::byte{0xff});
        run_op(test_device(isa, 3), Embed{}, {table.view, step.view}, {out.view});
        for (std::int64_t t = 0; t < tokens; ++t) {
          const std::byte* row = table.view.row((t * 7 + 3) % kVocabulary);
          for (std::int64_t c = 0; c < dim; ++c) {
            const auto want = reference::element(dtype, row, c);
            // Three roundings: the scale, the product, the minimum.
            ASSERT_NEAR(reinterpret_cast<const float*>(out.view.row(t))[c], want.value,
                        3 * 0x1p-24 * want.magnitude * 1.001)
                << isa << " " << dtype_info(dtype).name << " token " << t << " column " << c;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
