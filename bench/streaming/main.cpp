#include <fmt/format.h>

#include "bench/program.h"
#include "bench/streaming/bench.h"

int main(int argc, char** argv) {
  namespace bench = strata::bench;
  return bench::run_program([&] {
    const bench::Options options = bench::parse_options(argc, argv);
    if (options.help) return fmt::print("{}", bench::kHelp);
    const bench::Result result = bench::measure(options);
    fmt::print("{}", options.json ? bench::json_text(result) : bench::markdown(result));
  });
}
