#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/program.h"

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
  namespace bench = strata::bench;
  return bench::run_program([&] {
    const bench::Options options = bench::parse_options(argc, argv);
    if (options.help)
      fmt::print("{}", bench::kHelp);
    else
      bench::run(options);
  });
}
