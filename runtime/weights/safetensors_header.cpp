#include "runtime/weights/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr std::uint64_t kMaxElements = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kNotes = "__metadata__";

// Types that GGUF does not have; Strata computes none of them.
constexpr std::uint32_t kNoGgufId = ~0U;
constexpr StoredType kOtherTypes[] = {
    {kNoGgufId, "BOOL", 1, 1, {}},    {kNoGgufId, "U8", 1, 1, {}},
    {kNoGgufId, "U16", 1, 2, {}},     {kNoGgufId, "U32", 1, 4, {}},
    {kNoGgufId, "U64", 1, 8, {}},     {kNoGgufId, "C64", 1, 8, {}},
    {kNoGgufId, "F8_E4M3", 1, 1, {}}, {kNoGgufId, "F8_E5M2", 1, 1, {}},
    {kNoGgufId, "F8_E8M0", 1, 1, {}}, {kNoGgufId, "F6_E2M3", 4, 3, {}},
    {kNoGgufId, "F6_E3M2", 4, 3, {}}, {kNoGgufId, "F4", 2, 1, {}},
};

struct SharedType {
  std::string_view name;
  std::uint32_t gguf_id;
};
constexpr SharedType kSharedTypes[] = {{"F32", 0},  {"F16", 1},  {"BF16", 30}, {"I8", 24},
                                       {"I16", 25}, {"I32", 26}, {"I64", 27},  {"F64", 28}};

}  // namespace

const StoredType* find_safetensors_type(std::string_view name) {
  for (const SharedType& type : kSharedTypes)
    if (type.name == name) return find_stored_type(type.gguf_id);
  for (const StoredType& type : kOtherTypes)
    if (type.name == name) return &type;
  return nullptr;
}

void SafetensorsHeader::fail(const std::string& detail, std::string hint) const {
  throw Error(ErrorCode::bad_model, file_name_,
              name_.empty() ? detail : fmt::format("tensor \"{}\": {}", printable(name_), detail),
              std::move(hint));
}

void SafetensorsHeader::unexpected(std::string_view what) const {
  constexpr std::string_view kWhere[] = {"where the header's object begins",
                                         "where a tensor's object belongs",
                                         "among its fields",
                                         "in its shape",
                                         "in its data_offsets",
                                         "in __metadata__, which has texts only"};
  fail(fmt::format("has {} {}", what, kWhere[static_cast<std::size_t>(state_)]));
}

void SafetensorsHeader::charge(Checked bytes) {
  if (!budget_.charge(bytes))
    fail(fmt::format("listing its tensors would take more than {} bytes of memory",
                     budget_.limit()));
}

bool SafetensorsHeader::number_unsigned(number_unsigned_t value) {
  if (state_ == State::shape) {
    if (shape_count_ == shape_.size())
      fail(fmt::format("has more than {} dimensions", shape_.size()));
    if (value == 0 || value > kMaxElements)
      fail(fmt::format("dimension {} is {}, wanted 1 to {}", shape_count_, value, kMaxElements));
    shape_[shape_count_++] = value;
  } else if (state_ == State::offsets) {
    if (offset_count_ == offsets_.size()) fail("has more than two data_offsets");
    offsets_[offset_count_++] = value;
  } else {
    unexpected("a number");
  }
  return true;
}

void SafetensorsHeader::set_dtype(std::string_view name) {
  tensor_.type = find_safetensors_type(name);
  if (tensor_.type == nullptr)
    throw Error(ErrorCode::unsupported_model, file_name_,
                fmt::format("tensor \"{}\" has dtype \"{}\", which Strata does not know",
                            printable(name_), printable(name)),
                "use a copy of the model in BF16, F16 or F32");
}

bool SafetensorsHeader::string(string_t& text) {
  if (state_ == State::notes) {
    if (note_ == "format" && (text == "tf" || text == "flax"))
      throw Error(ErrorCode::unsupported_model, file_name_,
                  fmt::format("__metadata__ says format \"{}\": weights of that framework have "
                              "other names and orders",
                              text),
                  "use the model's PyTorch weights");
  } else if (state_ == State::tensor && field_ == dtype) {
    set_dtype(text);
    field_ = none;
  } else {
    unexpected("a text");
  }
  return true;
}

bool SafetensorsHeader::start_object(std::size_t) {
  if (state_ == State::outside) {
    state_ = State::header;
  } else if (state_ == State::header) {
    state_ = name_ == kNotes ? State::notes : State::tensor;
    tensor_ = {};
    seen_ = 0;
    field_ = none;
  } else {
    unexpected("an object");
  }
  return true;
}

bool SafetensorsHeader::key(string_t& name) {
  if (state_ == State::notes) {
    note_ = name;
  } else if (state_ == State::header) {
    name_ = {};
    if (name.empty() || name.size() > limits_.name_bytes)
      fail(fmt::format("tensor name \"{}\" has {} bytes, wanted 1 to {}", printable(name),
                       name.size(), limits_.name_bytes));
    if (std::any_of(name.begin(), name.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
      fail(fmt::format("tensor name \"{}\" has control characters", printable(name)));
    if (tensors_.size() >= limits_.tensors)
      fail(fmt::format("has more than {} tensors", limits_.tensors));
    // Growing a vector copies it: for a moment there are three times its bytes.
    charge(Checked(sizeof(TensorInfo)) * 3 + sizeof(std::string) + name.size());
    name_ = names_.emplace_back(name);
  } else {
    field_ = name == "dtype"          ? dtype
             : name == "shape"        ? dims
             : name == "data_offsets" ? range
                                      : none;
    if (field_ == none) fail(fmt::format("has an unknown field \"{}\"", printable(name)));
    if ((seen_ & field_) != 0) fail(fmt::format("has the field \"{}\" twice", name));
    seen_ |= field_;
  }
  return true;
}

bool SafetensorsHeader::start_array(std::size_t) {
  if (state_ != State::tensor || (field_ != dims && field_ != range)) unexpected("a list");
  state_ = field_ == dims ? State::shape : State::offsets;
  (field_ == dims ? shape_count_ : offset_count_) = 0;
  return true;
}

bool SafetensorsHeader::end_array() {
  state_ = State::tensor;
  field_ = none;
  return true;
}

bool SafetensorsHeader::end_object() {
  if (state_ == State::tensor) finish_tensor();
  name_ = {};
  state_ = state_ == State::header ? State::outside : State::header;
  return true;
}

void SafetensorsHeader::finish_tensor() {
  if (seen_ != all) fail("lacks one of dtype, shape and data_offsets");
  if (offset_count_ != 2) fail(fmt::format("has {} data_offsets, wanted 2", offset_count_));
  Checked elements(1);
  for (std::size_t i = 0; i < shape_count_; ++i) {
    tensor_.ne[i] = static_cast<std::int64_t>(shape_[shape_count_ - 1 - i]);
    elements = elements * shape_[i];
  }
  tensor_.n_dims = static_cast<std::uint32_t>(std::max<std::size_t>(shape_count_, 1));
  if (!elements.at_most(kMaxElements))
    fail(fmt::format("its shape has more than {} elements", kMaxElements));
  const StoredType& type = *tensor_.type;
  if (tensor_.columns() % type.block_elements != 0)
    fail(fmt::format("has {} columns, not a multiple of the {} elements that {} packs together",
                     tensor_.columns(), type.block_elements, type.name));
  const auto bytes = (elements.divided_exactly_by(static_cast<std::uint64_t>(type.block_elements)) *
                      type.block_bytes)
                         .value();
  if (offsets_[0] > offsets_[1] || bytes != offsets_[1] - offsets_[0])
    fail(fmt::format("{} elements of {} need {} bytes, and its data_offsets {} to {} hold {}",
                     *elements.value(), type.name, bytes ? fmt::format("{}", *bytes) : "over 2^64",
                     offsets_[0], offsets_[1],
                     static_cast<std::int64_t>(offsets_[1] - offsets_[0])));
  tensor_.name = name_;
  tensor_.offset = offsets_[0];
  tensor_.bytes = *bytes;
  tensor_.shard = shard_;
  tensors_.push_back(tensor_);
}

bool SafetensorsHeader::parse_error(std::size_t at, const std::string&,
                                    const nlohmann::detail::exception& error) {
  name_ = {};
  fail(fmt::format("the header is no JSON at its byte {}: {}", at, printable(error.what(), 160)),
       "download the file again");
}

}  // namespace strata
