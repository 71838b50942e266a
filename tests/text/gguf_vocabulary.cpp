#include "tests/text/gguf_vocabulary.h"

#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <vector>

#include "runtime/core/byte_reader.h"

namespace strata::text::test {
namespace {

struct Value {
  std::int64_t integer = 0;
  std::string text;
  std::vector<std::int64_t> integers;
  std::vector<float> floats;
  std::vector<std::string> texts;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  template <class T>
  T number() {
    const auto value = bytes_.read<T>();
    if (!value) throw std::runtime_error("GGUF file ends early");
    return *value;
  }
  std::string text() {
    const auto value = bytes_.read_text(number<std::uint64_t>());
    if (!value) throw std::runtime_error("GGUF file ends early");
    return std::string(*value);
  }
  // Value types 0 to 12: u8 i8 u16 i16 u32 i32 f32 bool string array u64 i64 f64.
  void scalar(std::uint32_t type, Value& value) {
    switch (type) {
      case 0:
      case 7:
        return value.integers.push_back(number<std::uint8_t>());
      case 1:
        return value.integers.push_back(number<std::int8_t>());
      case 2:
        return value.integers.push_back(number<std::uint16_t>());
      case 3:
        return value.integers.push_back(number<std::int16_t>());
      case 4:
        return value.integers.push_back(number<std::uint32_t>());
      case 5:
        return value.integers.push_back(number<std::int32_t>());
      case 6:
        return value.floats.push_back(number<float>());
      case 8:
        return value.texts.push_back(text());
      case 10:
      case 11:
        return value.integers.push_back(number<std::int64_t>());
      case 12:
        return value.floats.push_back(static_cast<float>(number<double>()));
      default:
        throw std::runtime_error("GGUF value type " + std::to_string(type));
    }
  }
  Value value() {
    Value result;
    std::uint32_t type = number<std::uint32_t>();
    std::uint64_t count = 1;
    if (type == 9) {
      type = number<std::uint32_t>();
      count = number<std::uint64_t>();
    }
    for (std::uint64_t i = 0; i < count; ++i) scalar(type, result);
    if (!result.integers.empty()) result.integer = result.integers[0];
    if (!result.texts.empty()) result.text = result.texts[0];
    return result;
  }

 private:
  ByteReader bytes_;
};

}  // namespace

VocabularyData read_gguf_vocabulary(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  Reader reader(std::as_bytes(std::span(bytes)));
  if (reader.number<std::uint32_t>() != 0x46554747) throw std::runtime_error("no GGUF file");
  reader.number<std::uint32_t>();  // version
  reader.number<std::uint64_t>();  // tensors
  std::map<std::string, Value> values;
  for (auto pairs = reader.number<std::uint64_t>(); pairs > 0; --pairs) {
    std::string key = reader.text();
    values.emplace(std::move(key), reader.value());
  }
  VocabularyData data;
  data.model = values["tokenizer.ggml.model"].text;
  data.pre = values["tokenizer.ggml.pre"].text;
  data.name = values["general.name"].text;
  data.tokens = std::move(values["tokenizer.ggml.tokens"].texts);
  data.scores = std::move(values["tokenizer.ggml.scores"].floats);
  for (const auto type : values["tokenizer.ggml.token_type"].integers) {
    data.types.push_back(static_cast<std::int32_t>(type));
  }
  data.merges = std::move(values["tokenizer.ggml.merges"].texts);
#define STRATA_SPECIAL_ID(field, key) \
  if (values.contains(key)) data.field = values[key].integer;
#include "runtime/text/special_ids.def"
#undef STRATA_SPECIAL_ID
  const auto flag = [&values](const char* key) {
    return values.contains(key) ? std::optional(values[key].integer != 0) : std::nullopt;
  };
  data.add_bos = flag("tokenizer.ggml.add_bos_token");
  data.add_eos = flag("tokenizer.ggml.add_eos_token");
  data.add_space_prefix = flag("tokenizer.ggml.add_space_prefix");
  return data;
}

}  // namespace strata::text::test
