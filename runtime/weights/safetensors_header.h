#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/memory_budget.h"
#include "runtime/weights/safetensors.h"

namespace strata {

/// Receives a safetensors header's JSON event by event, so that no document is built of it, and
/// checks its form: an object of tensors, each with dtype, shape and data_offsets exactly once.
/// Offsets are not looked at, beyond begin <= end and their distance; they still count from the
/// start of the data. Used by parse_safetensors only, whose errors these are.
class SafetensorsHeader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader(const std::string& file_name, MemoryBudget& budget,
                    std::deque<std::string>& names, std::uint32_t shard,
                    const SafetensorsLimits& limits)
      : file_name_(file_name), budget_(budget), names_(names), shard_(shard), limits_(limits) {}

  std::vector<TensorInfo> take() { return std::move(tensors_); }

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_integer(number_integer_t) override { unexpected("a negative number"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t, const string_t&) override {
    unexpected("a number that is no integer");
  }
  bool string(string_t& text) override;
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool start_object(std::size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(std::size_t) override;
  bool end_array() override;
  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& error) override;

 private:
  // Where the parser stands; each level is entered from the one before.
  enum class State : std::uint8_t { outside, header, tensor, shape, offsets, notes };
  enum Field : unsigned { none = 0, dtype = 1, dims = 2, range = 4, all = 7 };

  [[noreturn]] void fail(const std::string& detail, std::string hint = {}) const;
  [[noreturn]] void unexpected(std::string_view what) const;
  void charge(Checked bytes);
  void set_dtype(std::string_view name);
  void finish_tensor();

  const std::string& file_name_;
  MemoryBudget& budget_;
  std::deque<std::string>& names_;
  std::uint32_t shard_;
  const SafetensorsLimits& limits_;

  State state_ = State::outside;
  std::string_view name_;  // of the tensor at hand
  std::string note_;       // key in __metadata__
  Field field_ = none;     // whose value comes next
  unsigned seen_ = 0;      // fields of this tensor
  TensorInfo tensor_;
  std::array<std::uint64_t, kMaxDims> shape_{};  // outermost first
  std::size_t shape_count_ = 0;
  std::array<std::uint64_t, 2> offsets_{};
  std::size_t offset_count_ = 0;
  std::vector<TensorInfo> tensors_;
};

/// The element type of a safetensors dtype ("BF16"), with static lifetime; null for one that the
/// format does not define.
const StoredType* find_safetensors_type(std::string_view name);

}  // namespace strata
