#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "apps/cli/values.h"
#include "apps/commands/commands.h"
#include "apps/interrupt.h"
#include "apps/load.h"
#include "apps/profile.h"
#include "apps/prompt.h"
#include "apps/run_stats.h"
#include "apps/step_progress.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/load_tokenizer.h"
#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

text::SamplingParameters sampling_from(const cli::Arguments& a) {
  text::SamplingParameters p;
  p.temperature = static_cast<float>(a.number(OptionId::temperature));
  p.dynatemp_range = static_cast<float>(a.number(OptionId::dynatemp_range));
  p.dynatemp_exponent = static_cast<float>(a.number(OptionId::dynatemp_exponent));
  p.top_k = static_cast<std::int32_t>(a.integer(OptionId::top_k));
  p.top_p = static_cast<float>(a.number(OptionId::top_p));
  p.min_p = static_cast<float>(a.number(OptionId::min_p));
  p.typical_p = static_cast<float>(a.number(OptionId::typical_p));
  p.top_n_sigma = static_cast<float>(a.number(OptionId::top_n_sigma));
  p.repeat_penalty = static_cast<float>(a.number(OptionId::repeat_penalty));
  p.repeat_last_n = static_cast<std::int32_t>(a.integer(OptionId::repeat_last_n));
  p.presence_penalty = static_cast<float>(a.number(OptionId::presence_penalty));
  p.frequency_penalty = static_cast<float>(a.number(OptionId::frequency_penalty));
  p.min_keep = static_cast<std::int32_t>(a.integer(OptionId::min_keep));
  for (const std::string& bias : a.texts(OptionId::logit_bias))
    p.logit_bias.push_back(cli::parse_logit_bias("--logit-bias", bias));
  const std::int64_t seed = a.integer(OptionId::seed);
  // 63 bits: what is printed can be given back to -s.
  p.seed = seed >= 0
               ? static_cast<std::uint64_t>(seed)
               : ((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()) >> 1;
  return p;
}

Request request_from(const cli::Arguments& a, std::vector<text::TokenId> prompt,
                     const text::Tokenizer* tokenizer) {
  Request request;
  request.sampling = sampling_from(a);
  request.max_tokens = a.integer(OptionId::predict);
  request.ignore_eos = a.flag(OptionId::ignore_eos);
  request.stop = a.texts(OptionId::stop);
  request.show_control = a.flag(OptionId::special);
  if (a.has(OptionId::logprobs))
    request.top_log_probabilities = static_cast<std::int32_t>(a.integer(OptionId::logprobs));
  request.strip_first_space = tokenizer != nullptr && prompt.size() == 1 &&
                              tokenizer->vocabulary().special().bos == prompt[0];
  request.prompt = std::move(prompt);
  return request;
}

// The context that a request needs, as far as it says. What it takes beyond what the model was
// trained for is the user's business (-c).
ContextWish wish_of(const Request& request, std::int64_t trained) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  return {0, std::min(trained, prompt + std::max<std::int64_t>(request.max_tokens, 1))};
}

struct Answer {
  std::vector<text::TokenId> ids;
  std::string text;
  Json log_probabilities = Json::array();
  FinishReason reason = FinishReason::stop;
  std::optional<Error> error;
  RequestTimings timings;
};

Json token_json(text::TokenId id, double log_probability, const text::Tokenizer* tokenizer) {
  Json object = {{"id", id}};
  if (tokenizer != nullptr && tokenizer->vocabulary().contains(id))
    object["token"] = tokenizer->token_bytes(id);
  object["logprob"] = log_probability;
  return object;
}

void add_log_probabilities(Answer& answer, const GenerationEvent& event,
                           const text::Tokenizer* tokenizer) {
  Json entry = token_json(*event.token, event.log_probability, tokenizer);
  entry["top_logprobs"] = Json::array();
  for (const text::TokenLogProbability& top : event.top)
    entry["top_logprobs"].push_back(token_json(top.id, top.log_probability, tokenizer));
  answer.log_probabilities.push_back(std::move(entry));
}

// Takes events until the answer is over; text goes out as it becomes certain, unless `json`.
Answer collect(RequestHandle& handle, StepProgressLine& progress, bool json, bool log_probabilities,
               const text::Tokenizer* tokenizer) {
  Answer answer;
  while (std::optional<GenerationEvent> event = handle.next()) {
    if (!event->text.empty() || event->finished) progress.clear();
    if (event->token) answer.ids.push_back(*event->token);
    if (event->token && log_probabilities) add_log_probabilities(answer, *event, tokenizer);
    answer.text += event->text;
    if (!json && !event->text.empty()) write_result(event->text);
    if (!event->finished) continue;
    answer.error = event->error;
    answer.reason = *event->finished;
    answer.timings = event->timings;
  }
  return answer;
}

// The answer to the request that `handle` is of. Where a device is lost before anything was shown,
// that of what takes over.
Answer answer_of(Engine& engine, RequestHandle& handle, const Request& request,
                 const PlannedModel& planned, const text::Tokenizer* tokenizer,
                 StepProgressLine& progress, Console& console, bool json) {
  const auto collected = [&] {
    return collect(handle, progress, json, request.top_log_probabilities >= 0, tokenizer);
  };
  Answer answer = collected();
  if (answer.error && answer.error->code() == ErrorCode::device_missing && answer.text.empty()) {
    console.warn(answer.error->what());
    handle = engine.submit(request);
    answer = collected();
    if (!answer.error) console.note(plan_block(planned));
  }
  if (answer.error) throw *answer.error;
  return answer;
}

void print_summary(const Console& console, const cli::Arguments& arguments, const Answer& answer,
                   std::uint64_t seed, std::int64_t load_ns) {
  const RequestTimings& t = answer.timings;
  console.note(fmt::format(
      "[ Prompt: {:.1f} t/s | Generation: {:.1f} t/s ]  {} + {} tokens, finish {}, seed {}",
      per_second(t.prompt_tokens, t.prompt_ns), per_second(timed_tokens(t), t.generate_ns),
      t.prompt_tokens, t.generated_tokens, finish_reason_name(answer.reason), seed));
  if (!arguments.flag(OptionId::timings)) return;
  const auto line = [&](std::string_view name, std::int64_t ns, std::int64_t tokens) {
    const double ms = static_cast<double>(ns) * 1e-6;
    console.note(fmt::format(
        "{:>16} = {:10.2f} ms / {:5} tokens ({:8.2f} ms per token, {:8.2f} tokens per second)",
        name, ms, tokens, tokens > 0 ? ms / static_cast<double>(tokens) : 0.0,
        per_second(tokens, ns)));
  };
  console.note(
      fmt::format("{:>16} = {:10.2f} ms", "load time", static_cast<double>(load_ns) * 1e-6));
  line("prompt eval time", t.prompt_ns, t.prompt_tokens);
  line("eval time", t.generate_ns, timed_tokens(t));
  console.note(fmt::format("{:>16} = {:10.2f} ms / {:5} tokens", "total time",
                           static_cast<double>(t.prompt_ns + t.generate_ns) * 1e-6,
                           t.prompt_tokens + t.generated_tokens));
}

Json answer_json(const std::vector<text::TokenId>& prompt, const Answer& answer,
                 const Request& asked, std::int64_t load_ns) {
  Json object = {
      {"prompt_ids", prompt},        {"ids", answer.ids},
      {"text", answer.text},         {"finish_reason", finish_reason_name(answer.reason)},
      {"seed", asked.sampling.seed}, {"timings", timings_json(answer.timings, load_ns)}};
  if (asked.top_log_probabilities >= 0) object["logprobs"] = answer.log_probabilities;
  return object;
}

}  // namespace

int run_command(const cli::Arguments& arguments, Console& console) {
  const std::shared_ptr<const ModelFile> file = open_model_file(arguments);
  // A model that cannot run is refused before standard input is read.
  const std::int64_t trained = Model::load(file)->config().context;
  const bool ids = arguments.has(OptionId::ids);
  const std::shared_ptr<const text::Tokenizer> tokenizer =
      ids ? load_tokenizer(*file) : require_tokenizer(*file);
  const std::vector<text::TokenId> prompt = read_prompt(arguments, tokenizer.get());
  const Request request = request_from(arguments, prompt, tokenizer.get());
  request.sampling.validate();

  const std::int64_t begin = steady_ns();
  PlannedModel planned = plan_model(arguments, console, wish_of(request, trained));
  Profile profile(arguments);
  StepProgressLine progress(console);
  planned.options.on_progress = [&](const StepProgress& step) { progress.update(step); };
  std::unique_ptr<Runner> runner = load_runner(planned, console);
  profile.attach(*runner);
  Engine engine(std::move(runner), tokenizer, Speculation::streaming, [&](const Error& lost) {
    std::unique_ptr<Runner> other = load_in_place_of_lost(planned, lost);
    if (other) profile.attach(*other);
    return other;
  });
  const std::int64_t load_ns = steady_ns() - begin;

  RequestHandle handle = engine.submit(request);
  const InterruptScope interrupt(handle);
  const bool json = arguments.flag(OptionId::json);
  const PageFaults before = read_page_faults();
  const Answer answer =
      answer_of(engine, handle, request, planned, tokenizer.get(), progress, console, json);
  if (json) {
    write_result(answer_json(prompt, answer, request, load_ns)
                     .dump(-1, ' ', false, Json::error_handler_t::replace) +
                 "\n");
  } else if (is_terminal(STDOUT_FILENO)) {
    write_result("\n");
  }
  print_summary(console, arguments, answer, request.sampling.seed, load_ns);
  profile.report(console);
  if (arguments.has(OptionId::stats)) {
    const PageFaults after = read_page_faults();
    const RequestFigures figures{answer.reason,
                                 answer.timings,
                                 load_ns,
                                 progress.stats(),
                                 progress.prompt_stats(),
                                 {after.minor - before.minor, after.major - before.major}};
    write_stats(arguments.text(OptionId::stats), stats_json(planned, figures));
  }
  return exit_status(interrupt.signal());
}

}  // namespace strata::apps
