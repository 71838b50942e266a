#include "apps/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

bool set_and_not(const char* name, std::string_view off) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' && value != off;
}

// NO_COLOR (no-color.org), CLICOLOR_FORCE and TERM=dumb decide where --log-colors says auto.
bool wants_colour(std::string_view choice, bool terminal) {
  if (choice == "on") return true;
  if (choice == "off") return false;
  if (set_and_not("NO_COLOR", "")) return false;
  if (set_and_not("CLICOLOR_FORCE", "0")) return true;
  const char* term = std::getenv("TERM");
  return terminal && (term == nullptr || std::string_view(term) != "dumb");
}

void print_stderr(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

constexpr std::int64_t kBarInterval = 100'000'000;  // ns between two drawings

}  // namespace

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Console::Console(const cli::Arguments& arguments)
    : quiet_(arguments.flag(cli::OptionId::quiet)),
      verbose_(arguments.flag(cli::OptionId::verbose)),
      terminal_(is_terminal(STDERR_FILENO)),
      colour_(wants_colour(arguments.text(cli::OptionId::log_colors), terminal_)) {}

void Console::note(std::string_view line) const {
  if (!quiet_) print_stderr(fmt::format("{}\n", line));
}

void Console::detail(std::string_view line) const {
  if (verbose_) note(line);
}

void Console::warn(std::string_view line) const {
  if (quiet_) return;
  print_stderr(colour_ ? fmt::format("\x1b[33mwarning:\x1b[0m {}\n", line)
                       : fmt::format("warning: {}\n", line));
}

std::string Console::bar_line(std::string_view what, std::uint64_t done,
                              std::uint64_t total) const {
  constexpr std::uint64_t kWidth = 20;
  const std::uint64_t filled = total == 0 ? kWidth : done * kWidth / total;
  std::string bar;
  for (std::uint64_t i = 0; i < kWidth; ++i) bar += i < filled ? "█" : "░";
  std::string line = fmt::format("{} {}/{} {:3}% [{}]", what, bytes_text(done), bytes_text(total),
                                 total == 0 ? 100 : done * 100 / total, bar);
  // What was done before the clock started says nothing of the speed.
  const double seconds = static_cast<double>(steady_ns() - started_ns_) * 1e-9;
  if (done <= started_done_ || seconds <= 0) return line;
  const double rate = static_cast<double>(done - started_done_) / seconds;
  return line + fmt::format(" {}/s ETA {:.0f}s", bytes_text(static_cast<std::uint64_t>(rate)),
                            static_cast<double>(total - done) / rate);
}

void Console::progress(std::string_view what, std::uint64_t done, std::uint64_t total) {
  if (quiet_) return;
  const std::int64_t now = steady_ns();
  if (started_ns_ == 0) {
    started_ns_ = now;
    started_done_ = done;
  }
  if (terminal_) {
    // Loads that are over at once need no bar.
    const bool first = !bar_open_ && now - started_ns_ < 2 * kBarInterval;
    if (first || (done < total && now - shown_ns_ < kBarInterval)) return;
    shown_ns_ = now;
    bar_open_ = true;
    print_stderr("\r\x1b[K" + bar_line(what, done, total));
    return;
  }
  const int tenth = total == 0 ? 10 : static_cast<int>(done * 10 / total);
  if (tenth == last_tenth_ || total < (std::uint64_t{1} << 28)) return;
  last_tenth_ = tenth;
  print_stderr(bar_line(what, done, total) + "\n");
}

void Console::progress_done() {
  if (bar_open_) print_stderr("\r\x1b[K");
  bar_open_ = false;
  last_tenth_ = -1;
  started_ns_ = 0;
}

void Console::live_line(std::string_view text) {
  if (quiet_ || !terminal_) return;
  if (text.empty()) return progress_done();
  const std::int64_t now = steady_ns();
  if (bar_open_ && now - shown_ns_ < kBarInterval) return;
  shown_ns_ = now;
  bar_open_ = true;
  print_stderr(fmt::format("\r\x1b[K{}", text));
}

void write_result(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return;
  throw Error(ErrorCode::io, "standard output",
              fmt::format("cannot be written ({})", std::strerror(errno)));
}

void print_error(const Error& error, bool json) {
  const ErrorClass kind = error_class(error.code());
  if (json) {
    const nlohmann::ordered_json object = {{"error",
                                            {{"code", kind.tag},
                                             {"exit_status", kind.exit_status},
                                             {"subject", error.subject()},
                                             {"message", error.what()},
                                             {"try", error.hint()}}}};
    print_stderr(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                 "\n");
    return;
  }
  print_stderr(fmt::format("error[{}]: {}\n", kind.tag, error.what()));
  if (!error.hint().empty()) print_stderr(fmt::format("  try: {}\n", error.hint()));
}

}  // namespace strata::apps
