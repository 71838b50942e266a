// Hostile config.json and model.safetensors.index.json: a typed Error or values that can be read,
// and no shard outside the directory.
#include <cstdint>
#include <set>
#include <string_view>

#include "runtime/core/error.h"
#include "runtime/weights/hf_directory.h"
#include "tests/fuzz/gguf_fuzz.h"

namespace strata::test {
namespace {

template <class Parse>
void expect_typed(Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    require(error.code() == ErrorCode::bad_model, "error class");
    require(error.subject() == "fuzz.json" && !error.detail().empty(), "error without a subject");
  }
}

void read_config(std::string_view text) {
  std::deque<std::string> texts;
  const Metadata config = read_hf_config(text, "fuzz.json", texts);
  std::set<std::string_view> keys;
  for (const MetadataEntry& entry : config.entries()) {
    require(keys.insert(entry.key).second, "key twice");
    require(config.find(entry.key) == &entry.value, "key not found again");
    require(!entry.value.to_text().empty(), "value without text");
    expect_typed([&] { static_cast<void>(config.find_i64(entry.key)); });
    expect_typed([&] { static_cast<void>(config.find_f32_array(entry.key)); });
  }
  require(config.contains("general.architecture"), "no architecture");
}

void read_index(std::string_view text) {
  const HfIndex index = parse_hf_index(text, "fuzz.json");
  require(!index.shards.empty(), "no shards");
  for (const std::string& shard : index.shards)
    require(shard.find('/') == std::string::npos && shard.find('\0') == std::string::npos &&
                shard[0] != '.' && shard.ends_with(".safetensors"),
            "a shard that is no plain name");
  for (const HfIndex::Entry& entry : index.tensors)
    require(entry.shard < index.shards.size(), "shard out of range");
}

}  // namespace
}  // namespace strata::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  strata::test::expect_typed([&] { strata::test::read_config(text); });
  strata::test::expect_typed([&] { strata::test::read_index(text); });
  return 0;
}
