// The op list, the CPU's table and the table in docs/backends.md name the same ops.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "runtime/ops/op_impl.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

TEST(OpTable, TheCpuHasEveryPrimitive) {
  const auto device = open_device("cpu", {1});
  for (std::size_t op = 0; op < kOpCount; ++op) {
    if (kOps[op].fused) continue;
    EXPECT_NE(device->ops().ops[op].supports, nullptr) << kOps[op].name;
    EXPECT_NE(device->ops().ops[op].prepare, nullptr) << kOps[op].name;
  }
}

// Every op is described, as "Type{...}", by some parity test.
TEST(OpTable, EveryOpHasATest) {
  std::string tests;
  for (const auto& file : std::filesystem::directory_iterator(source_root() / "tests" / "parity")) {
    if (file.path().extension() != ".cpp") continue;
    std::ifstream in(file.path());
    tests.append(std::istreambuf_iterator<char>(in), {});
  }
  for (const char* type : {
#define STRATA_OP(Type, name, inputs, inouts, outputs) #Type "{",
#include "runtime/ops/ops.def"
#undef STRATA_OP
       })
    EXPECT_NE(tests.find(type), std::string::npos) << type << " stands in no test";
}

TEST(OpTable, DocsListTheOpsInOrder) {
  std::ifstream docs(source_root() / "docs" / "backends.md");
  std::vector<std::string> listed;
  bool ops_section = false;
  for (std::string line; std::getline(docs, line);) {
    if (line.starts_with("## ")) ops_section = line == "## Ops";
    if (ops_section && line.starts_with("| `"))
      listed.push_back(line.substr(3, line.find('`', 3) - 3));
  }
  std::vector<std::string> ops;
  for (const OpInfo& op : kOps) ops.emplace_back(op.name);
  EXPECT_EQ(listed, ops);
}

}  // namespace
}  // namespace strata::test
