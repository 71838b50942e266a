#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "bench/streaming/bench.h"
#include "runtime/core/error.h"

int main(int argc, char** argv) {
  using namespace strata;
  try {
    const bench::Options options = bench::parse_options(argc, argv);
    if (options.help) {
      fmt::print("{}", bench::kHelp);
      return 0;
    }
    const bench::Result result = bench::measure(options);
    fmt::print("{}", options.json ? bench::json_text(result) : bench::markdown(result));
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n  try: {}\n", error.what(), error.hint());
    return error_class(error.code()).exit_status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
