#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <thread>
#include <utility>

#include "apps/bench/print.h"
#include "apps/bench/run.h"
#include "apps/commands/commands.h"
#include "apps/interrupt.h"
#include "backends/registry.h"
#include "runtime/core/cpu_usage.h"

namespace strata::apps {
namespace {

using cli::OptionId;

struct Interrupted {};

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%FT%TZ", &parts);
  return std::string(text, length);
}

void print_to_stderr(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

/// Runs the tests of a command line and prints each result as it comes.
class Bench {
 public:
  Bench(const cli::Arguments& arguments, Console& console)
      : arguments_(arguments),
        console_(console),
        cases_(bench_cases(arguments)),
        out_(make_bench_printer(arguments.text(OptionId::bench_format), cases_)),
        error_(make_bench_printer(arguments.text(OptionId::bench_format_error), cases_)) {}

  int run() {
    try {
      for (std::size_t i = 0; i < cases_.size(); ++i) {
        prepare(i);
        show(measure(i));
      }
    } catch (const Interrupted&) {
      console_.progress_done();
    } catch (...) {
      end();  // what was measured stays a whole JSON array
      throw;
    }
    end();
    return exit_status(interrupt_.signal());
  }

 private:
  void print(const std::string& text, const std::string& error_text) const {
    if (out_) write_result(text);
    if (error_) print_to_stderr(error_text);
  }

  void show(const BenchResult& result) {
    warn(result);
    if (!std::exchange(begun_, true))
      print(out_ ? out_->header() : "", error_ ? error_->header() : "");
    print(out_ ? out_->row(result) : "", error_ ? error_->row(result) : "");
  }

  void end() {
    if (begun_) print(out_ ? out_->footer() : "", error_ ? error_->footer() : "");
  }

  // The model of case `index`, with room for the longest of the cases that follow on it.
  void prepare(std::size_t index) {
    check();
    const BenchSetup& setup = cases_[index].setup;
    if (index > 0 && cases_[index - 1].setup == setup) return;
    std::int64_t context = 1;
    for (std::size_t i = index; i < cases_.size() && cases_[i].setup == setup; ++i)
      context = std::max(context, cases_[i].depth + cases_[i].tokens());
    model_.reset();  // before the next one takes its memory
    ceilings_.reset();
    step(index, "loading");
    model_ = std::make_unique<BenchModelRun>(arguments_, console_, setup, context);
  }

  BenchResult measure(std::size_t index) {
    const BenchCase& test = cases_[index];
    const auto checked = [this] { check(); };
    if (const std::int64_t delay = arguments_.integer(OptionId::delay); delay > 0) {
      std::this_thread::sleep_for(std::chrono::seconds(delay));
      ceilings_.reset();
    }
    BenchResult result;
    result.test = test;
    result.model = model_->about();
    result.device = model_->device().info();
    result.mapped = arguments_.flag(OptionId::mmap);
    result.cost = model_->cost(test);
    step(index, "filling the cache and warming up");
    model_->fill(test, checked);
    if (arguments_.flag(OptionId::warmup)) model_->warm_up(test, checked);
    result.before = ceilings_ ? ceilings_ : measure_ceilings_now();
    result.time = utc_now();
    const CpuUsage before = read_cpu_usage();
    for (std::int64_t i = 0; i < arguments_.integer(OptionId::repetitions); ++i) {
      step(index, fmt::format("repetition {}", i + 1));
      result.samples_ns.push_back(model_->sample_ns(test, static_cast<std::uint64_t>(i), checked));
    }
    result.foreign_cpu = foreign_cpu_share(before, read_cpu_usage());
    result.after = ceilings_ = measure_ceilings_now();
    return result;
  }

  std::optional<Ceilings> measure_ceilings_now() {
    if (!arguments_.flag(OptionId::ceilings)) return std::nullopt;
    return measure_ceilings(model_->device());
  }

  void warn(const BenchResult& result) const {
    constexpr double kQuiet = 0.03;
    if (result.foreign_cpu && *result.foreign_cpu > kQuiet)
      console_.warn(fmt::format("{}: others used {:.0f} % of the CPUs meanwhile: do not trust it",
                                result.test.name(), 100 * *result.foreign_cpu));
  }

  void step(std::size_t index, std::string_view what) const {
    if (arguments_.flag(OptionId::bench_progress))
      console_.note(fmt::format("bench: test {}/{} {}: {}", index + 1, cases_.size(),
                                cases_[index].name(), what));
  }

  void check() const {
    if (interrupt_.signal() != 0) throw Interrupted{};
  }

  const cli::Arguments& arguments_;
  Console& console_;
  const std::vector<BenchCase> cases_;
  const InterruptScope interrupt_;
  std::unique_ptr<BenchPrinter> out_;
  std::unique_ptr<BenchPrinter> error_;
  bool begun_ = false;  ///< something was printed
  std::unique_ptr<BenchModelRun> model_;
  std::optional<Ceilings> ceilings_;  ///< after the last test on this model
};

}  // namespace

int bench_command(const cli::Arguments& arguments, Console& console) {
  return Bench(arguments, console).run();
}

}  // namespace strata::apps
