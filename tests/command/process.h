#pragma once

#include <string>
#include <vector>

namespace strata::test {

/// What a finished run of the `strata` program left.
struct Finished {
  int status = -1;  ///< exit status; 128 + signal when a signal ended it
  std::string out;
  std::string err;
};

/// How to start it.
struct Start {
  std::vector<std::string> arguments;
  std::string input;                     ///< standard input; a pipe
  std::vector<std::string> environment;  ///< NAME=VALUE, added to this process's own
  int signal_after_output = 0;           ///< sent once the first byte of standard output came
  bool keep_input_open = false;          ///< the pipe is never closed by us
};

/// Runs the `strata` that was built beside this test program and waits for its end.
Finished run_strata(const Start& start);
Finished run_strata(std::vector<std::string> arguments);

}  // namespace strata::test
