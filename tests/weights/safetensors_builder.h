#pragma once

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace strata::test {

/// Writes safetensors files, right ones by default; a test damages the header before build().
class SafetensorsBuilder {
 public:
  using Json = nlohmann::ordered_json;

  /// A tensor of `bytes`, laid behind the one before.
  SafetensorsBuilder& tensor(const std::string& name, std::string_view dtype,
                             const std::vector<std::uint64_t>& shape, std::string_view bytes) {
    header_[name] = {{"dtype", dtype},
                     {"shape", shape},
                     {"data_offsets", {data_.size(), data_.size() + bytes.size()}}};
    data_ += bytes;
    return *this;
  }
  /// A tensor of f32 numbers.
  SafetensorsBuilder& floats(const std::string& name, const std::vector<std::uint64_t>& shape,
                             const std::vector<float>& numbers) {
    std::string bytes(numbers.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
    return tensor(name, "F32", shape, bytes);
  }

  Json& header() { return header_; }
  std::string& data() { return data_; }
  std::string build() const { return with_header(header_.dump()); }
  /// The same file with this text as its header, padded as the format asks.
  std::string with_header(std::string text) const {
    text.append((8 - text.size() % 8) % 8, ' ');
    return length(text.size()) + text + data_;
  }
  static std::string length(std::uint64_t count) {
    std::string bytes(sizeof(count), '\0');
    std::memcpy(bytes.data(), &count, sizeof(count));
    return bytes;
  }

 private:
  Json header_ = Json::object();
  std::string data_;
};

}  // namespace strata::test
