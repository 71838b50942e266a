#include "tests/weights/split_files.h"

#include <fmt/format.h>

namespace strata::test {

std::string split_name(int number, int count) {
  return fmt::format("split-{:05}-of-{:05}.gguf", number, count);
}

GgufBuilder split_part(const SplitPart& part) {
  GgufBuilder builder;
  std::string architecture = part.architecture;
  if (architecture.empty() && part.number == 0) architecture = "llama";
  if (!architecture.empty()) builder.kv_string("general.architecture", architecture);
  builder.kv_number("split.no", ValueType::u16, part.number)
      .kv_number("split.count", ValueType::u16, part.count)
      .kv_number("split.tensors.count", ValueType::i32, part.tensors);
  if (part.tensor.empty()) return builder;
  const std::string name =
      part.tensor == SplitPart{}.tensor ? fmt::format("t.{}", part.number) : part.tensor;
  return builder.tensor({.name = name,
                         .dims = {32},
                         .type = 0,
                         .data = std::string(128, static_cast<char>('a' + part.number))});
}

SplitFiles make_split_files(int count) {
  SplitFiles files;
  for (int i = 0; i < count; ++i)
    files[split_name(i + 1, count)] = split_part({.number = static_cast<std::uint16_t>(i),
                                                  .count = static_cast<std::uint16_t>(count),
                                                  .tensors = count})
                                          .build();
  return files;
}

}  // namespace strata::test
