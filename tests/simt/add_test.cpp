#include <gtest/gtest.h>

#include <vector>

#include "runtime/ops/op_impl.h"
#include "tests/simt_host/simt_host.h"

namespace strata {
namespace {

TEST(SimtOps, AddRuns) {
  for (int lanes : {32, 64}) {
    const std::unique_ptr<Device> device = open_simt_host(lanes, 1);
    const TensorDesc desc{DType::F32, Layout::rows, {3, 300}};
    std::vector<float> a(900, 1.5F);
    std::vector<float> b(900, 2.0F);
    std::vector<float> out(900, 0.0F);
    const auto view = [&](std::vector<float>& v) {
      return dense_view(reinterpret_cast<std::byte*>(v.data()), desc);
    };
    const OpImpl& add = device->ops()[OpKind::Add];
    const PreparedOp op = add.prepare(*device, {Add{}, {desc, desc}, {}, {desc}});
    const std::unique_ptr<Stream> stream = device->open_stream(StreamRole::compute);
    const TensorView in[] = {view(a), view(b)};
    const TensorView result = view(out);
    op.run(*stream, op, {in, {}, {&result, 1}}, {});
    stream->synchronize();
    EXPECT_EQ(out, std::vector<float>(900, 3.5F));
  }
}

}  // namespace
}  // namespace strata
