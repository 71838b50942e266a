#include "tests/weights/bad_files.h"
#include "tests/weights/split_files.h"

namespace strata::test {
namespace {

/// Starts from a right set of three parts, spoils it, and opens part `opened`.
BadFile spoiled(std::string name, std::string wanted, std::function<void(SplitFiles&)> spoil,
                std::string opened = split_name(1, 3), ErrorCode code = ErrorCode::bad_model) {
  return {std::move(name), std::move(wanted),
          [spoil = std::move(spoil), opened = std::move(opened)](const TempFolder& folder) {
            SplitFiles files = make_split_files(3);
            spoil(files);
            for (const auto& [file, bytes] : files) folder.write(file, bytes);
            return folder.path() / opened;
          },
          code};
}

/// Replaces part `number` by one with other split keys.
std::function<void(SplitFiles&)> replace(int number, SplitPart part) {
  return [=](SplitFiles& files) { files[split_name(number, 3)] = split_part(part).build(); };
}

std::vector<BadFile> bad_sets() {
  return {
      spoiled(
          "split_part_2_missing", "part 2 of 3 is missing",
          [](SplitFiles& files) { files.erase(split_name(2, 3)); }, split_name(1, 3),
          ErrorCode::io),
      spoiled(
          "split_part_3_missing", split_name(3, 3),
          [](SplitFiles& files) { files.erase(split_name(3, 3)); }, split_name(1, 3),
          ErrorCode::io),
      spoiled(
          "split_only_last_there", "is part 3 of 3, not the first",
          [](SplitFiles& files) {
            files.erase(split_name(1, 3));
            files.erase(split_name(2, 3));
          },
          split_name(3, 3)),
      spoiled(
          "split_opened_part_2", "is part 2 of 3, not the first", [](SplitFiles&) {},
          split_name(2, 3)),
      spoiled("split_same_part_twice", "key \"split.no\" is 0 (part 1), wanted 1 (part 2)",
              [](SplitFiles& files) { files[split_name(2, 3)] = files[split_name(1, 3)]; }),
      spoiled(
          "split_parts_swapped", "key \"split.no\" is 2 (part 3), wanted 1 (part 2)",
          [](SplitFiles& files) { std::swap(files[split_name(2, 3)], files[split_name(3, 3)]); }),
      spoiled("split_other_count", "key \"split.count\" is 4, and the first part says 3",
              replace(2, {.number = 1, .count = 4, .tensors = 3})),
      spoiled("split_other_tensor_count",
              "key \"split.tensors.count\" is 9, and the first part says 3",
              replace(3, {.number = 2, .count = 3, .tensors = 9})),
      spoiled("split_other_architecture",
              "key \"general.architecture\" is \"falcon\", and the first part says \"llama\"",
              replace(2, {.number = 1, .count = 3, .tensors = 3, .architecture = "falcon"})),
      spoiled("split_part_without_keys", "key \"split.count\" is 1, and the first part says 3",
              [](SplitFiles& files) {
                files[split_name(2, 3)] = GgufBuilder().tensor("t.1", {32}).build();
              }),
      spoiled("split_tensor_in_two", "tensor \"t.0\" is also in",
              replace(2, {.number = 1, .count = 3, .tensors = 3, .tensor = "t.0"})),
      spoiled("split_tensor_missing",
              "key \"split.tensors.count\" is 3, and the 3 parts have 2 tensors",
              replace(2, {.number = 1, .count = 3, .tensors = 3, .tensor = ""})),
  };
}

std::vector<BadFile> bad_parts() {
  auto part_2 = [](std::string name, std::string wanted, auto change) {
    return spoiled(std::move(name), std::move(wanted), [change](SplitFiles& files) {
      std::string& bytes = files[split_name(2, 3)];
      bytes = change(bytes);
    });
  };
  return {
      part_2("split_part_2_empty", split_name(2, 3), [](std::string) { return std::string(); }),
      part_2("split_part_2_html", "is an HTML page",
             [](std::string) { return std::string("<html><body>404</body></html>"); }),
      part_2("split_part_2_cut", "tensor \"t.1\": 128 bytes at offset",
             [](std::string whole) { return whole.substr(0, whole.size() - 1); }),
      part_2("split_part_2_header_only", "split-00002-of-00003.gguf",
             [](std::string whole) { return whole.substr(0, 40); }),
      {"split_part_2_is_folder", "is a directory, not a regular file",
       [](const TempFolder& folder) {
         for (const auto& [file, bytes] : make_split_files(3)) folder.write(file, bytes);
         std::filesystem::remove(folder.path() / split_name(2, 3));
         std::filesystem::create_directory(folder.path() / split_name(2, 3));
         return folder.path() / split_name(1, 3);
       }},
  };
}

BadFile first_part(std::string name, std::string wanted, std::string file, GgufBuilder builder) {
  return {std::move(name), std::move(wanted),
          [file = std::move(file), bytes = builder.build()](const TempFolder& folder) {
            return folder.write(file, bytes);
          }};
}

std::vector<BadFile> bad_keys_and_names() {
  const SplitPart first{.number = 0, .count = 3, .tensors = 3};
  auto keyed = [](ValueType type, auto count, auto number) {
    return GgufBuilder()
        .kv_string("general.architecture", "llama")
        .kv_number("split.count", type, count)
        .kv_number("split.no", type, number);
  };
  const std::string name = split_name(1, 3);
  return {
      first_part("split_name_without_numbers", "the file name does not end in -00001-of-00003.gguf",
                 "model.gguf", split_part(first)),
      first_part("split_name_short_numbers", "the file name does not end in",
                 "model-001-of-003.gguf", split_part(first)),
      first_part("split_name_other_count", "key \"split.count\" is 3, and the file name says 5",
                 split_name(1, 5), split_part(first)),
      first_part("split_name_other_number",
                 "key \"split.no\" is 0 (part 1 of 3), and the file name", split_name(2, 3),
                 split_part(first)),
      first_part("split_name_without_keys", "says that this is a whole model, and the file name",
                 name, small_model()),
      first_part("split_count_0", "key \"split.count\" is 0 of type u16, wanted an integer from 1",
                 name, keyed(ValueType::u16, std::uint16_t{0}, std::uint16_t{0})),
      first_part("split_count_negative", "key \"split.count\" is -3 of type i32", name,
                 keyed(ValueType::i32, -3, 0)),
      first_part("split_count_65536", "key \"split.count\" is 65536", name,
                 keyed(ValueType::u32, 65'536u, 0u)),
      first_part("split_count_2_63", "key \"split.count\" is 9223372036854775808", name,
                 keyed(ValueType::u64, std::uint64_t{1} << 63, std::uint64_t{0})),
      first_part("split_count_float", "key \"split.count\" is 3 of type f32", name,
                 keyed(ValueType::f32, 3.0f, 0.0f)),
      first_part("split_no_too_large",
                 "key \"split.no\" is 3 of type u16, wanted an integer from 0", name,
                 keyed(ValueType::u16, std::uint16_t{3}, std::uint16_t{3})),
      first_part("split_count_string", "key \"split.count\" is \"3\" of type string", name,
                 GgufBuilder().kv_string("split.count", "3")),
      first_part("split_tensors_negative", "key \"split.tensors.count\" is -1 of type i32", name,
                 keyed(ValueType::u16, std::uint16_t{3}, std::uint16_t{0})
                     .kv_number("split.tensors.count", ValueType::i32, -1)),
      {"split_65535_parts", "part 2 of 65535 is missing",
       [](const TempFolder& folder) {
         return folder.write("m-00001-of-65535.gguf",
                             split_part({.number = 0, .count = 65'535, .tensors = 3}).build());
       },
       ErrorCode::io},
  };
}

}  // namespace

std::vector<BadFile> bad_split_sets() {
  std::vector<BadFile> all;
  for (auto* part : {bad_sets, bad_parts, bad_keys_and_names})
    for (BadFile& file : part()) all.push_back(std::move(file));
  return all;
}

}  // namespace strata::test
