#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "bench/kernels/bench.h"
#include "runtime/core/error.h"

namespace strata::bench {
namespace {

void run(const Options& options) {
  Bench bench(options);
  if (wants_op(options, "barrier")) bench_barrier(bench);
  if (wants_op(options, "matmul")) bench_matmuls(bench);
  if (wants_op(options, "attention")) bench_attention(bench);
  fmt::print("{}", options.json ? json_text(bench) : markdown(bench));
}

}  // namespace
}  // namespace strata::bench

int main(int argc, char** argv) {
  using namespace strata;
  try {
    const bench::Options options = bench::parse_options(argc, argv);
    if (options.help)
      fmt::print("{}", bench::kHelp);
    else
      bench::run(options);
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n  try: {}\n", error.what(), error.hint());
    return error_class(error.code()).exit_status;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
