#include "runtime/weights/split_set.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr std::string_view kExtension = ".gguf";
constexpr std::string_view kOf = "-of-";
constexpr std::size_t kDigits = 5;
constexpr std::uint32_t kMaxShards = 65'535;  // split.count is a u16

/// Takes five digits off the end of `text`.
std::optional<std::uint32_t> take_number(std::string_view& text) {
  if (text.size() < kDigits) return std::nullopt;
  std::uint32_t number = 0;
  for (char c : text.substr(text.size() - kDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  text.remove_suffix(kDigits);
  return number;
}

bool take_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

}  // namespace

std::optional<SplitName> parse_split_name(const std::filesystem::path& path) {
  const std::string whole = path.filename().string();
  std::string_view text = whole;
  if (!take_suffix(text, kExtension)) return std::nullopt;
  const auto count = take_number(text);
  if (!count || !take_suffix(text, kOf)) return std::nullopt;
  const auto number = take_number(text);
  if (!number || !take_suffix(text, "-")) return std::nullopt;
  if (*number < 1 || *number > *count) return std::nullopt;
  return SplitName{std::string(text), *number, *count};
}

std::filesystem::path split_path(const std::filesystem::path& first, const SplitName& name,
                                 std::uint32_t number) {
  return first.parent_path() /
         fmt::format("{}-{:05}{}{:05}{}", name.prefix, number, kOf, name.count, kExtension);
}

SplitKeys read_split_keys(const Metadata& metadata) {
  SplitKeys keys;
  keys.count = metadata.find_u32("split.count", 1, kMaxShards).value_or(1);
  keys.number = metadata.find_u32("split.no", 0, keys.count - 1).value_or(0);
  keys.tensors = metadata.find_u64("split.tensors.count");
  return keys;
}

std::optional<SplitName> check_first_shard(const std::filesystem::path& path,
                                           const Metadata& metadata) {
  const SplitKeys keys = read_split_keys(metadata);
  auto name = parse_split_name(path);
  if (keys.count == 1) {
    if (name && name->count > 1)
      metadata.fail("split.count",
                    fmt::format("says that this is a whole model, and the file name says part {} "
                                "of {}",
                                name->number, name->count),
                    "rename the file if it is whole");
    return std::nullopt;
  }
  if (!name)
    metadata.fail("split.count",
                  fmt::format("says part {} of {}, and the file name does not end in "
                              "-{:05}-of-{:05}.gguf, by which the other parts are found",
                              keys.number + 1, keys.count, keys.number + 1, keys.count),
                  "give the parts back the names they were published with");
  if (name->count != keys.count)
    metadata.fail("split.count",
                  fmt::format("is {}, and the file name says {} parts", keys.count, name->count));
  if (name->number != keys.number + 1)
    metadata.fail("split.no", fmt::format("is {} (part {} of {}), and the file name says part {}",
                                          keys.number, keys.number + 1, keys.count, name->number));
  if (keys.number != 0)
    throw Error(ErrorCode::bad_model, metadata.file(),
                fmt::format("is part {} of {}, not the first", keys.number + 1, keys.count),
                fmt::format("open {}", split_path(path, *name, 1).string()));
  return name;
}

void check_later_shard(const Metadata& first, const Metadata& metadata, std::uint32_t number) {
  const SplitKeys whole = read_split_keys(first);
  const SplitKeys keys = read_split_keys(metadata);
  constexpr const char* kHint = "the parts belong to different downloads: download them again";
  if (keys.count != whole.count)
    metadata.fail("split.count",
                  fmt::format("is {}, and the first part says {}", keys.count, whole.count), kHint);
  if (keys.number + 1 != number)
    metadata.fail("split.no",
                  fmt::format("is {} (part {}), wanted {} (part {})", keys.number, keys.number + 1,
                              number - 1, number),
                  kHint);
  if (keys.tensors && whole.tensors && *keys.tensors != *whole.tensors)
    metadata.fail("split.tensors.count",
                  fmt::format("is {}, and the first part says {}", *keys.tensors, *whole.tensors),
                  kHint);
  const auto mine = metadata.find_string("general.architecture");
  const auto wanted = first.find_string("general.architecture");
  if (mine && mine != wanted)
    metadata.fail("general.architecture",
                  fmt::format("is \"{}\", and the first part says \"{}\"", printable(*mine),
                              printable(wanted.value_or("nothing"))),
                  kHint);
}

}  // namespace strata
