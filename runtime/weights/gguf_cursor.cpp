#include "runtime/weights/gguf_cursor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

constexpr const char* kIncomplete = "the file is incomplete or damaged: download it again";

std::span<const std::byte> first_bytes(std::span<const std::byte> file, std::uint64_t limit) {
  return file.first(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), limit)));
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

GgufCursor::GgufCursor(std::span<const std::byte> file, const std::string& file_name,
                       MemoryBudget& budget, const GgufLimits& limits)
    : reader_(first_bytes(file, limits.header_bytes)),
      file_bytes_(file.size()),
      file_name_(file_name),
      budget_(budget),
      limits_(limits) {}

void GgufCursor::begin_item(std::string_view kind, std::uint64_t index) {
  kind_ = kind;
  index_ = index;
  name_ = {};
}

std::string GgufCursor::item_text() const {
  if (kind_.empty()) return {};
  if (name_.empty()) return fmt::format("{} {}: ", kind_, index_);
  return fmt::format("{} \"{}\": ", kind_, printable(name_));
}

void GgufCursor::fail(const std::string& detail, std::string hint) const {
  throw Error(ErrorCode::bad_model, file_name_, item_text() + detail,
              hint.empty() ? kIncomplete : std::move(hint));
}

void GgufCursor::fail_short(std::string_view what, std::uint64_t wanted) const {
  if (file_bytes_ - reader_.offset() >= wanted)
    fail(fmt::format("{} at offset {} passes the header limit of {} bytes", what, offset(),
                     limits_.header_bytes));
  fail(fmt::format("{} needs {} bytes at offset {}, and the file has {} left of {}", what, wanted,
                   offset(), file_bytes_ - offset(), file_bytes_));
}

std::span<const std::byte> GgufCursor::read_bytes(std::string_view what, std::uint64_t count) {
  const auto bytes = reader_.read_bytes(count);
  if (!bytes) fail_short(what, count);
  return *bytes;
}

std::string_view GgufCursor::read_text(std::string_view what) {
  const auto length = read<std::uint64_t>(what);
  if (length > limits_.string_bytes)
    fail(fmt::format("{} has a length of {} bytes at offset {}, more than the limit of {}", what,
                     length, offset() - 8, limits_.string_bytes));
  const auto bytes = read_bytes(what, length);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string_view GgufCursor::read_name(std::string_view what, std::uint64_t limit) {
  const auto length = read<std::uint64_t>(what);
  if (length == 0 || length > limit)
    fail(fmt::format("{} has a length of {} bytes at offset {}, wanted 1 to {}", what, length,
                     offset() - 8, limit));
  const auto bytes = read_bytes(what, length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!is_utf8(text))
    fail(fmt::format("{} \"{}\" at offset {} is not UTF-8", what, printable(text),
                     offset() - length));
  if (has_control_character(text))
    fail(fmt::format("{} \"{}\" at offset {} holds a control character", what, printable(text),
                     offset() - length));
  return text;
}

void GgufCursor::charge(Checked bytes, std::string_view what) {
  if (budget_.charge(bytes)) return;
  fail(
      fmt::format("{} would take {} bytes of memory, and {} of the {} that a header may take are "
                  "in use",
                  what, bytes.value() ? fmt::format("{}", *bytes.value()) : "over 2^64",
                  budget_.used(), budget_.limit()));
}

}  // namespace strata
