// The formats for programs. The table for people is in markdown.cpp.
#include "apps/bench/print.h"

#include <fmt/format.h>

#include "apps/bench/fields.h"
#include "apps/bench/markdown.h"

namespace strata::apps {
namespace {

using Json = nlohmann::ordered_json;
constexpr auto kReplace = Json::error_handler_t::replace;  // file names need not be UTF-8

Json full_row(const BenchResult& result) {
  Json row = llama_bench_fields(result);
  row["samples_ns"] = result.samples_ns;
  row["samples_ts"] = result.tokens_per_second();
  row.update(own_bench_fields(result));
  return row;
}

// CSV and SQL have a column per field and none for the samples.
Json flat_row(const BenchResult& result) {
  Json row = llama_bench_fields(result);
  row.update(own_bench_fields(result));
  return row;
}

std::string joined_keys(const Json& row, std::string_view between) {
  std::string text;
  for (const auto& [key, value] : row.items())
    text += fmt::format("{}{}", text.empty() ? "" : between, key);
  return text;
}

// As llama-bench writes them: true is 1.
std::string plain(const Json& value) {
  if (value.is_null()) return "";
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  return value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', false, kReplace);
}

// `text` between `quote`s, which are doubled inside.
std::string in_quotes(std::string_view text, char quote) {
  std::string result(1, quote);
  for (char c : text) {
    if (c == quote) result += c;
    result += c;
  }
  return result + quote;
}

class JsonPrinter : public BenchPrinter {
 public:
  std::string header() override { return "[\n"; }
  std::string row(const BenchResult& result) override {
    const std::string between = first_ ? "" : ",\n";
    first_ = false;
    return between + full_row(result).dump(2, ' ', false, kReplace);
  }
  std::string footer() override { return first_ ? "]\n" : "\n]\n"; }

 private:
  bool first_ = true;
};

class JsonLinesPrinter : public BenchPrinter {
 public:
  std::string row(const BenchResult& result) override {
    return full_row(result).dump(-1, ' ', false, kReplace) + "\n";
  }
};

class CsvPrinter : public BenchPrinter {
 public:
  std::string header() override { return joined_keys(flat_row({}), ",") + "\n"; }
  std::string row(const BenchResult& result) override {
    const Json row = flat_row(result);
    std::string line;
    for (const auto& [key, value] : row.items())
      line += fmt::format("{}{}", line.empty() ? "" : ",",
                          value.is_null() ? std::string() : in_quotes(plain(value), '"'));
    return line + "\n";
  }
};

class SqlPrinter : public BenchPrinter {
 public:
  std::string header() override {
    const Json row = flat_row({});
    std::string columns;
    for (const auto& [key, value] : row.items())
      columns += fmt::format("{}  {} {}", columns.empty() ? "" : ",\n", key, column_type(value));
    return fmt::format("CREATE TABLE IF NOT EXISTS llama_bench (\n{}\n);\n\n", columns);
  }
  std::string row(const BenchResult& result) override {
    const Json row = flat_row(result);
    std::string values;
    for (const auto& [key, value] : row.items())
      values += fmt::format("{}{}", values.empty() ? "" : ", ",
                            value.is_null() ? "NULL" : in_quotes(plain(value), '\''));
    return fmt::format("INSERT INTO llama_bench ({}) VALUES ({});\n", joined_keys(row, ", "),
                       values);
  }

 private:
  // What may be null is a number that was measured, but for the name of a path.
  static std::string_view column_type(const Json& value) {
    if (value.is_string()) return "TEXT";
    return value.is_number_integer() || value.is_boolean() ? "INTEGER" : "REAL";
  }
};

}  // namespace

std::unique_ptr<BenchPrinter> make_bench_printer(std::string_view format,
                                                 std::span<const BenchCase> cases) {
  if (format == "json") return std::make_unique<JsonPrinter>();
  if (format == "jsonl") return std::make_unique<JsonLinesPrinter>();
  if (format == "csv") return std::make_unique<CsvPrinter>();
  if (format == "sql") return std::make_unique<SqlPrinter>();
  return format == "md" ? make_markdown_printer(cases) : nullptr;
}

}  // namespace strata::apps
