#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/cli/arguments.h"
#include "runtime/core/error.h"

namespace strata::apps {

/// Standard error as the commands use it: notes, the plan block, progress and errors, all silent
/// under -q but errors. Standard output is for results alone, written by write_result().
class Console {
 public:
  explicit Console(const cli::Arguments& arguments);

  bool quiet() const { return quiet_; }
  bool verbose() const { return verbose_; }

  /// A line for the user; nothing under -q.
  void note(std::string_view line) const;
  /// The same, shown only with -v.
  void detail(std::string_view line) const;
  void warn(std::string_view line) const;

  /// Progress of a long read: one line that is rewritten on a terminal, a line every 10 %
  /// elsewhere.
  void progress(std::string_view what, std::uint64_t done_bytes, std::uint64_t total_bytes);
  /// Ends the progress line.
  void progress_done();

  /// Rewrites the line at the bottom of a terminal, not more often than is of use; an empty text
  /// takes it away. Nothing elsewhere and under -q. Not while progress() is at work.
  void live_line(std::string_view text);

 private:
  std::string bar_line(std::string_view what, std::uint64_t done, std::uint64_t total) const;

  bool quiet_;
  bool verbose_;
  bool terminal_;
  bool colour_;
  bool bar_open_ = false;
  int last_tenth_ = -1;
  std::int64_t started_ns_ = 0;  ///< of this progress; 0: none
  std::uint64_t started_done_ = 0;
  std::int64_t shown_ns_ = 0;
};

/// Writes to standard output at once. Throws Error{io} when it cannot (a closed pipe, a full disk).
void write_result(std::string_view text);

/// Prints an error in the asked-for format: "error[E-OOM]: ..." and "  try: ...", or one JSON
/// object.
void print_error(const Error& error, bool json);

bool is_terminal(int descriptor);
std::int64_t steady_ns();

}  // namespace strata::apps
