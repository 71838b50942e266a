#include "apps/bench/cases.h"

#include <fmt/format.h>

#include "apps/cli/values.h"
#include "runtime/core/error.h"

namespace strata::apps {
namespace {

using cli::Arguments;
using cli::OptionId;

struct Tokens {
  std::int64_t prompt;
  std::int64_t generate;
};

Tokens read_pair(const std::string& text) {
  constexpr std::int64_t kMost = 2147483647;
  const auto pair = cli::parse_integers(text);
  const bool sane = pair && pair->size() == 2 && (*pair)[0] >= 0 && (*pair)[1] >= 0 &&
                    (*pair)[0] <= kMost && (*pair)[1] <= kMost;
  if (!sane)
    throw Error(ErrorCode::usage, "-pg",
                fmt::format("\"{}\" is not a pair of numbers of tokens", text), "-pg 512,128");
  return {(*pair)[0], (*pair)[1]};
}

// Prompts, then generation, then pairs; a number of 0 asks for nothing.
std::vector<Tokens> token_counts(const Arguments& arguments) {
  std::vector<Tokens> list;
  for (std::int64_t n : arguments.integers(OptionId::bench_prompt)) list.push_back({n, 0});
  for (std::int64_t n : arguments.integers(OptionId::bench_generate)) list.push_back({0, n});
  for (const std::string& text : arguments.texts(OptionId::bench_both))
    list.push_back(read_pair(text));
  std::erase_if(list, [](const Tokens& t) { return t.prompt + t.generate == 0; });
  if (list.empty())
    throw Error(ErrorCode::usage, "bench", "there is nothing to measure: -p and -n are 0",
                "-p 512 -n 128");
  return list;
}

std::vector<std::string> models_of(const Arguments& arguments) {
  std::vector<std::string> models = arguments.positional();
  // The environment's model stands in only where the command line names none.
  const bool from_environment = arguments.source(OptionId::models) == cli::Source::environment;
  if (models.empty() || !from_environment)
    for (const std::string& path : arguments.texts(OptionId::models)) models.push_back(path);
  if (models.empty()) throw Error(ErrorCode::usage, "bench", "no model is given", "-m FILE.gguf");
  return models;
}

std::vector<std::int64_t> threads_of(const Arguments& arguments) {
  if (arguments.has(OptionId::bench_threads)) return arguments.integers(OptionId::bench_threads);
  return {0};  // as many as the device takes by itself
}

std::vector<BenchSetup> setups(const Arguments& arguments) {
  std::vector<BenchSetup> list;
  for (const std::string& model : models_of(arguments))
    for (std::int64_t batch : arguments.integers(OptionId::bench_batch))
      for (std::int64_t micro_batch : arguments.integers(OptionId::bench_micro_batch))
        for (const std::string& k : arguments.texts(OptionId::bench_type_k))
          for (const std::string& v : arguments.texts(OptionId::bench_type_v))
            for (std::int64_t threads : threads_of(arguments))
              list.push_back({model, batch, micro_batch, *dtype_of_name(k), *dtype_of_name(v),
                              static_cast<int>(threads)});
  return list;
}

}  // namespace

std::string BenchCase::name() const {
  std::string text;
  if (prompt > 0) text = fmt::format("pp{}", prompt);
  if (generate > 0) text += fmt::format("{}tg{}", prompt > 0 ? "+" : "", generate);
  if (depth > 0) text += fmt::format(" @ d{}", depth);
  return text;
}

std::vector<BenchCase> bench_cases(const Arguments& arguments) {
  std::vector<BenchCase> cases;
  const std::vector<Tokens> counts = token_counts(arguments);
  for (const BenchSetup& setup : setups(arguments))
    for (std::int64_t depth : arguments.integers(OptionId::bench_depth))
      for (const Tokens& count : counts)
        cases.push_back({setup, count.prompt, count.generate, depth});
  return cases;
}

}  // namespace strata::apps
