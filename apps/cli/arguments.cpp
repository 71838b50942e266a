#include "apps/cli/arguments.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>

#include "apps/cli/overrides.h"
#include "apps/cli/values.h"
#include "runtime/core/error.h"

namespace strata::cli {
namespace {

// Every refusal of a value says what the option is.
[[noreturn]] void refuse(const OptionInfo& option, std::string_view subject, std::string detail) {
  throw Error(ErrorCode::usage, std::string(subject), std::move(detail),
              fmt::format("{}{}{}: {}", option.long_name, option.metavar.empty() ? "" : " ",
                          option.metavar, option.help));
}

std::string range_of(const OptionInfo& option) {
  if (option.kind != ValueKind::number)
    return fmt::format("a whole number of {} to {}", option.least_integer, option.most_integer);
  constexpr double kUnbounded = static_cast<double>(std::numeric_limits<float>::max());
  if (option.most_number < kUnbounded)
    return fmt::format("a number of {:g} to {:g}", option.least_number, option.most_number);
  if (option.least_number > -kUnbounded)
    return fmt::format("a finite number of at least {:g}", option.least_number);
  return "a finite number";
}

std::int64_t read_integer(const OptionInfo& option, std::string_view subject,
                          std::string_view text) {
  const auto value = parse_integer(text);
  if (value && *value >= option.least_integer && *value <= option.most_integer) return *value;
  refuse(option, subject, fmt::format("\"{}\" is not {}", text, range_of(option)));
}

double read_number(const OptionInfo& option, std::string_view subject, std::string_view text) {
  const auto value = parse_number(text);
  if (value && *value >= option.least_number && *value <= option.most_number) return *value;
  refuse(option, subject, fmt::format("\"{}\" is not {}", text, range_of(option)));
}

std::int64_t read_bytes(const OptionInfo& option, std::string_view subject, std::string_view text) {
  ByteSize size = parse_byte_size(text);
  if (!size.wrong.empty()) refuse(option, subject, std::move(size.wrong));
  return size.bytes;
}

std::vector<std::int64_t> read_integers(const OptionInfo& option, std::string_view subject,
                                        std::string_view text) {
  auto list = parse_integers(text);
  if (!list)
    refuse(option, subject,
           fmt::format("\"{}\" is not a list of whole numbers with commas between", text));
  for (std::int64_t value : *list)
    if (value < option.least_integer || value > option.most_integer)
      refuse(option, subject, fmt::format("{} is not {}", value, range_of(option)));
  return *list;
}

std::vector<std::int64_t> read_ranges(const OptionInfo& option, std::string_view subject,
                                      std::string_view text) {
  auto list = parse_ranges(text, option.least_integer, option.most_integer);
  if (list) return *list;
  refuse(option, subject,
         fmt::format("\"{}\" is not a list of whole numbers of {} to {}, or of ranges of them such "
                     "as 128-512+128 or 128-1024*2",
                     text, option.least_integer, option.most_integer));
}

std::string read_choice(const OptionInfo& option, std::string_view subject, std::string_view text) {
  for (std::string_view choice : option.choices)
    if (same_word(choice, text)) return std::string(choice);
  refuse(option, subject,
         fmt::format("\"{}\" is not one of {}", text, fmt::join(option.choices, ", ")));
}

// What stands between commas.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

Arguments::Arguments(Command command) : command_(command), values_(options().size()) {
  for (const OptionInfo& option : options())
    if (!option.standard.empty()) set(option, Source::standard, option.long_name, option.standard);
}

void Arguments::add(const OptionInfo& option, Source source, std::string_view subject,
                    std::string_view text) {
  Value& value = values_[static_cast<std::size_t>(option.id)];
  if (value.source != source) {  // what was there is not added to, but replaced
    value.integers.clear();
    value.texts.clear();
  }
  if (option.kind == ValueKind::ranges) {
    const std::vector<std::int64_t> list = read_ranges(option, subject, text);
    value.integers.insert(value.integers.end(), list.begin(), list.end());
  } else if (option.kind == ValueKind::texts) {
    if (option.id == OptionId::logit_bias) parse_logit_bias(subject, text);
    if (option.id == OptionId::override_tensor) parse_tensor_overrides(subject, text);
    value.texts.emplace_back(text);
  } else {
    for (std::string_view part : split(text)) {
      if (part.empty()) refuse(option, subject, fmt::format("\"{}\" has an empty part", text));
      value.texts.push_back(option.kind == ValueKind::choices ? read_choice(option, subject, part)
                                                              : std::string(part));
    }
  }
}

void Arguments::set(const OptionInfo& option, Source source, std::string_view subject,
                    std::string_view text) {
  Value& value = values_[static_cast<std::size_t>(option.id)];
  switch (option.kind) {
    case ValueKind::flag: {
      const auto on = parse_switch(text);
      if (!on) refuse(option, subject, fmt::format("\"{}\" is neither on nor off", text));
      value.flag = *on;
      break;
    }
    case ValueKind::integer:
      value.integer = read_integer(option, subject, text);
      break;
    case ValueKind::number:
      value.number = read_number(option, subject, text);
      break;
    case ValueKind::bytes:
      value.integer = read_bytes(option, subject, text);
      break;
    case ValueKind::integers:
      value.integers = read_integers(option, subject, text);
      break;
    case ValueKind::choice:
      value.text = read_choice(option, subject, text);
      break;
    case ValueKind::ranges:
    case ValueKind::texts:
    case ValueKind::choices:
    case ValueKind::paths:
      add(option, source, subject, text);
      break;
    case ValueKind::path:
      if (text.empty()) refuse(option, subject, "the file name is empty");
      value.text = text;
      break;
    case ValueKind::text:
      value.text = text;
      break;
  }
  value.source = source;
}

const Arguments::Value& Arguments::value(OptionId id, ValueKind kind) const {
  const OptionInfo& option = option_info(id);
  if (option.kind != kind)
    throw Error(ErrorCode::runtime, std::string(option.long_name),
                "read as a value of another kind");
  return value(id);
}

bool Arguments::flag(OptionId id) const { return value(id, ValueKind::flag).flag; }

std::int64_t Arguments::integer(OptionId id) const { return value(id, ValueKind::integer).integer; }

double Arguments::number(OptionId id) const { return value(id, ValueKind::number).number; }

std::uint64_t Arguments::bytes(OptionId id) const {
  return static_cast<std::uint64_t>(value(id, ValueKind::bytes).integer);
}

const std::string& Arguments::text(OptionId id) const {
  const ValueKind kind = option_info(id).kind;
  const bool textual = kind == ValueKind::path || kind == ValueKind::choice;
  return value(id, textual ? kind : ValueKind::text).text;
}

const std::vector<std::int64_t>& Arguments::integers(OptionId id) const {
  const bool ranges = option_info(id).kind == ValueKind::ranges;
  return value(id, ranges ? ValueKind::ranges : ValueKind::integers).integers;
}

const std::vector<std::string>& Arguments::texts(OptionId id) const {
  const ValueKind kind = option_info(id).kind;
  const bool list = kind == ValueKind::choices || kind == ValueKind::paths;
  return value(id, list ? kind : ValueKind::texts).texts;
}

}  // namespace strata::cli
