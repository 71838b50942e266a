#include "apps/bench/markdown.h"

#include <fmt/format.h>
#include <strata_version.h>

#include <algorithm>

#include "apps/bench/fields.h"

namespace strata::apps {
namespace {

/// A column: its heading, its width (negative: to the left) and its text for a result.
struct Column {
  std::string heading;
  int width;
  std::string (*text)(const BenchResult& result);
};

std::string size_text(const BenchResult& result) {
  constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
  const auto bytes = static_cast<double>(result.model.bytes);
  return bytes < kGiB ? fmt::format("{:.2f} MiB", bytes / kGiB * 1024)
                      : fmt::format("{:.2f} GiB", bytes / kGiB);
}

std::string parameters_text(const BenchResult& result) {
  const auto count = static_cast<double>(result.model.parameters);
  return count < 1e9 ? fmt::format("{:.2f} M", count * 1e-6)
                     : fmt::format("{:.2f} B", count * 1e-9);
}

template <const char* const& Key>
std::string field_text(const BenchResult& result) {
  const nlohmann::ordered_json value = llama_bench_fields(result)[Key];
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string rate_text(const BenchResult& result) {
  const std::vector<double> rates = result.tokens_per_second();
  return fmt::format("{:.2f} ± {:.2f}", average(rates), deviation(rates));
}

std::string work_text(const BenchResult& result) {
  const BenchShare share = share_of_ceiling(result);
  if (share.bytes_per_token) return fmt::format("{:.3f} GB/token", *share.bytes_per_token * 1e-9);
  return share.flops ? fmt::format("{:.3f} TFLOP", *share.flops * 1e-12) : "";
}

std::string achieved_text(const BenchResult& result) {
  const BenchShare share = share_of_ceiling(result);
  if (share.read_bytes_per_second)
    return fmt::format("{:.1f} GB/s", *share.read_bytes_per_second * 1e-9);
  return share.flops_per_second ? fmt::format("{:.3f} TFLOP/s", *share.flops_per_second * 1e-12)
                                : "";
}

std::string ceiling_text(const BenchResult& result) {
  const BenchShare share = share_of_ceiling(result);
  if (share.read_ceiling) return fmt::format("{:.1f} GB/s read", *share.read_ceiling * 1e-9);
  if (!share.flops_ceiling) return "";
  return fmt::format("{:.3f} {}", *share.flops_ceiling * 1e-12,
                     own_bench_fields(result)["matmul_path"].get<std::string>());
}

std::string share_text(const BenchResult& result) {
  const BenchShare share = share_of_ceiling(result);
  return share.share ? fmt::format("{:.1f}", 100 * *share.share) : "";
}

constexpr const char* kBatch = "n_batch";
constexpr const char* kMicroBatch = "n_ubatch";
constexpr const char* kTypeK = "type_k";
constexpr const char* kTypeV = "type_v";
constexpr const char* kBackend = "backends";
constexpr const char* kThreads = "n_threads";

// Characters that a terminal shows: bytes that begin one in UTF-8.
std::size_t shown(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string cell(std::string text, int width) {
  const auto wanted = static_cast<std::size_t>(width < 0 ? -width : width);
  const std::size_t have = shown(text);
  const std::string blanks(have < wanted ? wanted - have : 0, ' ');
  return width < 0 ? text + blanks : blanks + text;
}

class MarkdownPrinter : public BenchPrinter {
 public:
  explicit MarkdownPrinter(std::span<const BenchCase> cases) {
    // A column for what is not the default, or not the same everywhere.
    const auto differs = [&](auto member, auto standard) {
      return std::ranges::any_of(
          cases, [&](const BenchCase& test) { return test.setup.*member != standard; });
    };
    add("model", -30, [](const BenchResult& result) { return result.model.type; });
    add("size", 10, size_text);
    add("params", 10, parameters_text);
    add("backend", -10, field_text<kBackend>);
    add("threads", 7, field_text<kThreads>);
    if (differs(&BenchSetup::batch, 2048)) add("n_batch", 7, field_text<kBatch>);
    if (differs(&BenchSetup::micro_batch, 512)) add("n_ubatch", 8, field_text<kMicroBatch>);
    if (differs(&BenchSetup::type_k, DType::F16)) add("type_k", 6, field_text<kTypeK>);
    if (differs(&BenchSetup::type_v, DType::F16)) add("type_v", 6, field_text<kTypeV>);
    add("test", 15, [](const BenchResult& result) { return result.test.name(); });
    add("t/s", 20, rate_text);
    add("work", 15, work_text);
    add("achieved", 15, achieved_text);
    add("ceiling", 15, ceiling_text);
    add("%", 5, share_text);
  }

  std::string header() override {
    std::string names = "|";
    std::string rules = "|";
    for (const Column& column : columns_) {
      names += " " + cell(column.heading, column.width) + " |";
      const auto width = static_cast<std::size_t>(column.width < 0 ? -column.width : column.width);
      rules += " " + std::string(width - 1, '-') + (column.width > 0 ? ": |" : "- |");
    }
    return names + "\n" + rules + "\n";
  }

  std::string row(const BenchResult& result) override {
    std::string line = "|";
    for (const Column& column : columns_)
      line += " " + cell(column.text(result), column.width) + " |";
    return line + "\n";
  }

  std::string footer() override {
    return fmt::format("\nbuild: {} ({})\n", version::commit, version::number);
  }

 private:
  void add(std::string heading, int width, std::string (*text)(const BenchResult&)) {
    columns_.push_back({std::move(heading), width, text});
  }

  std::vector<Column> columns_;
};

}  // namespace

std::unique_ptr<BenchPrinter> make_markdown_printer(std::span<const BenchCase> cases) {
  return std::make_unique<MarkdownPrinter>(cases);
}

}  // namespace strata::apps
