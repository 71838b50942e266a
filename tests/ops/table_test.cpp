// The op list, the CPU's table and the table in docs/backends.md name the same ops.
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "runtime/ops/op_impl.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

TEST(OpTable, TheCpuHasEveryOp) {
  const auto device = open_device("cpu", {1});
  for (std::size_t op = 0; op < kOpCount; ++op) {
    EXPECT_NE(device->ops().ops[op].supports, nullptr) << kOps[op].name;
    EXPECT_NE(device->ops().ops[op].prepare, nullptr) << kOps[op].name;
  }
}

TEST(OpTable, DocsListTheOpsInOrder) {
  std::ifstream docs(source_root() / "docs" / "backends.md");
  std::vector<std::string> listed;
  for (std::string line; std::getline(docs, line);)
    if (line.starts_with("| `")) listed.push_back(line.substr(3, line.find('`', 3) - 3));
  std::vector<std::string> ops;
  for (const OpInfo& op : kOps) ops.emplace_back(op.name);
  EXPECT_EQ(listed, ops);
}

}  // namespace
}  // namespace strata::test
